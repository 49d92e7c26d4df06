//! Pidfds; the signals are the same on every Unix.
#![allow(unsafe_code)] // a socket option of the C library

pub(crate) use crate::os::unix::children::*;

use crate::file::Handle;
use rustix::process::{Gid, PidfdFlags, Uid, pidfd_open};
use rustix::thread;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Instant;

/// socket(7), since Linux 6.5; neither rustix nor libc names it. The number is that of all architectures but sparc and
/// parisc.
const SO_PEERPIDFD: libc::c_int = 77;

/// A pidfd, which becomes readable when its process ends.
#[derive(Debug)]
pub(crate) struct Watched(OwnedFd);

impl Watched {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        Ok(Self(pidfd_open(process(pid)?, PidfdFlags::empty()).map_err(gone)?))
    }

    /// The process that the kernel noted when the connection of `socket` was made.
    pub(crate) fn of_peer(socket: &Handle) -> io::Result<Self> {
        match pidfd_of_peer(socket.as_fd()) {
            // A kernel before 6.5.
            Err(cause) if cause.raw_os_error() == Some(libc::ENOPROTOOPT) => {
                let peer = super::sockets::credentials(socket)?;
                Self::open(peer.process_id().ok_or(io::ErrorKind::NotFound)?)
            }
            result => result.map(Self),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        !has_ended(self.as_fd(), Some(Instant::now())).unwrap_or(true)
    }

    /// Whether it ends before `deadline`.
    pub(crate) fn has_ended(&self, deadline: Option<Instant>) -> io::Result<bool> {
        has_ended(self.as_fd(), deadline)
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(crate) fn become_user(user: u32, group: u32, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    thread::set_thread_groups(&groups)?;
    thread::set_thread_gid(Gid::from_raw(group))?;
    Ok(thread::set_thread_uid(Uid::from_raw(user))?)
}

fn pidfd_of_peer(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut found: libc::c_int = -1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open; `found` has room for `len` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut found).cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(gone(io::Error::last_os_error()));
    }
    // SAFETY: the kernel opened it for this process with this call; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(found) })
}

/// The standard library has no kind for "no such process" (ESRCH), nor for "no process is known" (ENODATA).
fn gone(cause: impl Into<io::Error>) -> io::Error {
    let cause = cause.into();
    match cause.raw_os_error() {
        Some(libc::ESRCH | libc::ENODATA) => io::Error::new(io::ErrorKind::NotFound, cause),
        _ => cause,
    }
}
