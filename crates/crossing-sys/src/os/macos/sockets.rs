//! What unix(4) does here in its own way: SO_NOSIGPIPE, getpeereid(3), LOCAL_PEERPID, and a file's mode.
//! Type-checked only: no macOS was at hand to run it on.
#![allow(unsafe_code)] // getpeereid and getsockopt of the C library, for the credentials

use crate::file::Handle;
use crate::local::{Credentials, Owner};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};
use rustix::io::{Errno, FdFlags, Result, fcntl_setfd};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `sun_path` is 104 bytes, and a path needs its NUL.
pub(crate) const MAX_NAME_LEN: usize = 103;

/// Whether a connect to a full backlog is refused at once (unp_connect of the kernel).
pub(crate) const FULL_REFUSES: bool = true;

pub(crate) const TOO_MANY_FILES_FIX: &str = "as root raise `sysctl kern.maxfiles`";

/// What shows who has a socket file.
pub(crate) const FINDER: &str = "lsof -U";

/// There are no abstract names.
pub(crate) fn abstract_address(_: &[u8]) -> Option<Result<SocketAddrUnix>> {
    None
}

/// With every send. SO_NOSIGPIPE, set on each socket, makes an error of the signal.
pub(crate) const SEND: SendFlags = SendFlags::empty();

/// With every receive of handles.
pub(crate) const RECV: RecvFlags = RecvFlags::empty();

/// Close on exec, in a step of its own: Darwin has no flag for it. A child that another thread starts in between has
/// the descriptor too.
fn prepare(fd: OwnedFd) -> Result<OwnedFd> {
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    net::sockopt::set_socket_nosigpipe(&fd, true)?;
    Ok(fd)
}

pub(crate) fn socket(family: AddressFamily, kind: SocketType, nonblocking: bool) -> Result<OwnedFd> {
    let fd = prepare(net::socket_with(family, kind, SocketFlags::empty(), None)?)?;
    rustix::io::ioctl_fionbio(&fd, nonblocking)?;
    Ok(fd)
}

pub(crate) fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd> {
    let fd = prepare(net::accept(listener)?)?;
    // A new socket has the mode of its listener, which does not block.
    rustix::io::ioctl_fionbio(&fd, false)?;
    Ok(fd)
}

pub(crate) fn pair(kind: SocketType) -> Result<(OwnedFd, OwnedFd)> {
    let (left, right) = net::socketpair(AddressFamily::UNIX, kind, SocketFlags::empty(), None)?;
    Ok((prepare(left)?, prepare(right)?))
}

/// There is no such option.
pub(crate) fn bind_to_device(_: BorrowedFd<'_>, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Prepares a socket that others made.
pub(crate) fn adopt(socket: BorrowedFd<'_>) {
    // It fails for a socket whose peer has gone, which then sends nothing any more.
    let _ = net::sockopt::set_socket_nosigpipe(socket, true);
}

/// Prepares a handle that came over a socket.
pub(crate) fn received(fd: OwnedFd) -> OwnedFd {
    // It cannot fail for an open descriptor.
    let _ = fcntl_setfd(&fd, FdFlags::CLOEXEC);
    fd
}

/// The kernel has no mode for a socket without a file: the file's is set after binding. Until then nobody is let in, for
/// the socket does not listen yet.
pub(crate) fn set_mode_before(_: &OwnedFd, _: u32) -> Result<()> {
    Ok(())
}

/// Sets the mode of a socket's file, never through a link, if it is still the one of `identity`.
#[allow(clippy::unnecessary_cast)] // the widths differ from system to system
pub(crate) fn set_mode_after(path: &Path, identity: (u64, u64), mode: u32) -> io::Result<()> {
    let stat = rustix::fs::lstat(path)?;
    if (stat.st_dev as u64, stat.st_ino as u64) != identity {
        return Err(Errno::AGAIN.into());
    }
    let mode = Mode::from_bits_truncate(mode as _);
    Ok(rustix::fs::chmodat(CWD, path, mode, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets the owner of a socket's file, never through a link, if it is still the one of `identity`.
#[allow(clippy::unnecessary_cast)] // the widths differ from system to system
pub(crate) fn set_owner(path: &Path, identity: (u64, u64), owner: Owner) -> io::Result<()> {
    let stat = rustix::fs::lstat(path)?;
    if (stat.st_dev as u64, stat.st_ino as u64) != identity {
        return Err(Errno::AGAIN.into());
    }
    let (user, group) = (owner.user.map(Uid::from_raw), owner.group.map(Gid::from_raw));
    Ok(rustix::fs::chownat(CWD, path, user, group, AtFlags::SYMLINK_NOFOLLOW)?)
}

pub(crate) fn credentials(handle: &Handle) -> io::Result<Credentials> {
    let fd = handle.as_fd().as_raw_fd();
    let (mut uid, mut gid) = (u32::MAX, u32::MAX);
    // SAFETY: the descriptor is open; both numbers are valid for writes.
    if unsafe { libc::getpeereid(fd, &raw mut uid, &raw mut gid) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut pid: libc::pid_t = 0;
    let mut len = size_of::<libc::pid_t>() as libc::socklen_t;
    // SAFETY: the descriptor is open; `pid` has room for `len` bytes, and any bytes are a valid pid_t.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_LOCAL, libc::LOCAL_PEERPID, (&raw mut pid).cast(), &raw mut len)
    };
    // Who has gone has no process id any more: not an error.
    let pid = if result == 0 { pid } else { 0 };
    Ok(Credentials {
        process_id: u32::try_from(pid).ok().filter(|id| *id != 0),
        ids: Some((uid, gid)),
        sid: None,
        same_user: uid == rustix::process::geteuid().as_raw(),
        same_group: gid == rustix::process::getegid().as_raw(),
    })
}

/// Those beside its own one: the kernel tells some at most.
pub(crate) fn groups(_: &Handle) -> io::Result<Vec<u32>> {
    Ok(Vec::new())
}
