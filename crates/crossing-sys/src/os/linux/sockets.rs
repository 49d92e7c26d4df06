//! What unix(7) has on Linux alone: abstract names, sockets that are closed on exec from the start, SO_PEERCRED.
#![allow(unsafe_code)] // socket options of the C library

use crate::file::Handle;
use crate::local::{Credentials, Owner};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, Result};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// `sun_path` is 108 bytes; a path needs its NUL, an abstract name the one in front.
pub(crate) const MAX_NAME_LEN: usize = 107;

/// Whether a connect to a full backlog is refused at once; here it waits.
pub(crate) const FULL_REFUSES: bool = false;

pub(crate) const TOO_MANY_FILES_FIX: &str = "as root raise `sysctl fs.file-max`";

/// What shows who has a socket file.
pub(crate) const FINDER: &str = "ss -lxp";

/// With every send: an error, no signal, when the peer is gone.
pub(crate) const SEND: SendFlags = SendFlags::NOSIGNAL;

/// With every receive of handles.
pub(crate) const RECV: RecvFlags = RecvFlags::CMSG_CLOEXEC;

/// `None` on systems that have no abstract names.
pub(crate) fn abstract_address(name: &[u8]) -> Option<Result<SocketAddrUnix>> {
    Some(SocketAddrUnix::new_abstract_name(name))
}

pub(crate) fn socket(family: AddressFamily, kind: SocketType, nonblocking: bool) -> Result<OwnedFd> {
    let flags = if nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
    net::socket_with(family, kind, flags | SocketFlags::CLOEXEC, None)
}

pub(crate) fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd> {
    net::accept_with(listener, SocketFlags::CLOEXEC)
}

pub(crate) fn pair(kind: SocketType) -> Result<(OwnedFd, OwnedFd)> {
    net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
}

/// By hand: rustix has no such option. socket(7), SO_BINDTODEVICE.
pub(crate) fn bind_to_device(socket: BorrowedFd<'_>, device: &str) -> io::Result<()> {
    let len = device.len() as libc::socklen_t;
    // SAFETY: the descriptor is open; the name has `len` bytes to read.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            device.as_ptr().cast(),
            len,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Prepares a socket that others made.
pub(crate) fn adopt(_: BorrowedFd<'_>) {}

/// Prepares a handle that came over a socket.
pub(crate) fn received(fd: OwnedFd) -> OwnedFd {
    fd
}

/// Sets the mode of a socket before it is bound, which its file takes.
pub(crate) fn set_mode_before(socket: &OwnedFd, mode: u32) -> Result<()> {
    rustix::fs::fchmod(socket, Mode::from_raw_mode(mode))
}

/// Sets the mode of a socket's file, if it is still the one of `identity`.
pub(crate) fn set_mode_after(path: &Path, identity: (u64, u64), mode: u32) -> io::Result<()> {
    let file = open_identical(path, identity)?;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(format!("/proc/self/fd/{}", file.as_raw_fd()), permissions)
}

/// Sets the owner of a socket's file, if it is still the one of `identity`.
pub(crate) fn set_owner(path: &Path, identity: (u64, u64), owner: Owner) -> io::Result<()> {
    let file = open_identical(path, identity)?;
    let (user, group) = (owner.user.map(Uid::from_raw), owner.group.map(Gid::from_raw));
    Ok(rustix::fs::chownat(&file, "", user, group, AtFlags::EMPTY_PATH)?)
}

/// The file at `path`, no link's target, if it is still the one of `identity`.
fn open_identical(path: &Path, identity: (u64, u64)) -> io::Result<OwnedFd> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if (stat.st_dev, stat.st_ino) != identity {
        return Err(Errno::AGAIN.into());
    }
    Ok(file)
}

/// By hand: rustix's type forbids the process id 0, with which the kernel names a process of another PID namespace.
pub(crate) fn credentials(handle: &Handle) -> io::Result<Credentials> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open; `found` has room for `len` bytes, and any bytes are a valid ucred.
    let result = unsafe {
        libc::getsockopt(
            handle.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(known(&found))
}

/// What is known of a process by what the kernel says of it.
pub(crate) fn known(found: &libc::ucred) -> Credentials {
    Credentials {
        process_id: u32::try_from(found.pid).ok().filter(|id| *id != 0),
        ids: Some((found.uid, found.gid)),
        sid: None,
        same_user: found.uid == rustix::process::geteuid().as_raw(),
        same_group: found.gid == rustix::process::getegid().as_raw(),
    }
}

/// By hand: rustix has no such option. unix(7), SO_PEERGROUPS.
pub(crate) fn groups(handle: &Handle) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut len = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: the descriptor is open; `groups` has room for `len` bytes.
        let result = unsafe {
            libc::getsockopt(
                handle.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        let found = len as usize / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(found);
            return Ok(groups);
        }
        match io::Error::last_os_error() {
            // There are more, and the kernel said how many; no process is in more than 65536.
            cause if cause.raw_os_error() == Some(libc::ERANGE) && found > groups.len() => {
                groups.resize(found, 0)
            }
            cause => return Err(cause),
        }
    }
}
