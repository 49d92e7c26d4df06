//! mkfifo(3) and fifo(7): the bell of a doorbell.
#![allow(unsafe_code)] // mkfifo

use super::directory::mode_of;
use crate::doorbell::Porch;
use crate::file::Handle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Who hangs a FIFO up and who rings open it alike, for both directions: so neither waits for the other, and a ringer whose
/// waiter dies meanwhile gets no SIGPIPE. (POSIX leaves that open; Linux, macOS and FreeBSD all have it.)
const FLAGS: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

fn path(porch: &Porch, owner: u32, number: u32) -> PathBuf {
    porch.directory.join(porch.name(owner, number))
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let fifo = rustix::fs::open(path, FLAGS, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&fifo)?.st_mode) == FileType::Fifo {
        Ok(fifo)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no FIFO"))
    }
}

/// Makes the FIFO afresh.
pub(crate) fn hang(porch: &Porch, owner: u32, number: u32) -> io::Result<OwnedFd> {
    let path = path(porch, owner, number);
    let name = CString::new(path.as_os_str().as_bytes())?;
    let make = || {
        // SAFETY: a string that ends in 0.
        let made = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
        if made == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    match make() {
        // Its owner is this participant, so nobody else has one of this name: it was left over.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(&path)?;
            make()?;
        }
        made => made?,
    }
    let finish = || -> io::Result<OwnedFd> {
        let fifo = open(&path)?;
        // The mask of the process took from the mode what access grants.
        rustix::fs::fchmod(&fifo, mode_of(porch.access))?;
        Ok(fifo)
    };
    finish().inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })
}

pub(crate) fn ring(porch: &Porch, owner: u32, number: u32) -> bool {
    let Ok(fifo) = open(&path(porch, owner, number)) else { return false };
    loop {
        match rustix::io::write(&fifo, &[1]) {
            Err(Errno::INTR) => {}
            // Full: it was rung so often that it is rung still.
            Ok(_) | Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        }
    }
}

pub(crate) fn remove(porch: &Porch, owner: u32, number: u32) {
    // There may be none; and what cannot be removed now goes with the name.
    let _ = std::fs::remove_file(path(porch, owner, number));
}

/// Empties it. A peer that never ceases to ring does not keep it here.
pub(crate) fn drain(fifo: &OwnedFd) -> io::Result<()> {
    let mut bytes = [0; 1024];
    for _ in 0..64 {
        match rustix::io::read(fifo, &mut bytes) {
            Ok(len) if len == bytes.len() => {}
            Err(Errno::INTR) => {}
            Ok(_) | Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(crate) fn wait_any(handles: &[&Handle], deadline: Option<Instant>) -> io::Result<Option<usize>> {
    let mut fds: Vec<_> = handles.iter().map(|handle| PollFd::new(*handle, PollFlags::IN)).collect();
    loop {
        let left = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            let seconds = left.as_secs().try_into().unwrap_or(i32::MAX);
            Timespec { tv_sec: seconds.into(), tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut fds, left.as_ref()) {
            Ok(0) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Ok(None),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(fds.iter().position(|fd| !fd.revents().is_empty())),
            Err(error) => return Err(error.into()),
        }
    }
}
