//! What unix(4) does here in its own way: LOCAL_PEERCRED, and a file's mode.
//! Type-checked only: no FreeBSD was at hand to run it on.
#![allow(unsafe_code)] // getsockopt of the C library, for the credentials

use crate::file::Handle;
use crate::local::{Credentials, Owner};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};
use rustix::io::{Errno, Result};
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
pub(crate) const FINDER: &str = "sockstat -u";

/// There are no abstract names.
pub(crate) fn abstract_address(_: &[u8]) -> Option<Result<SocketAddrUnix>> {
    None
}

/// With every send: an error, no signal, when the peer is gone.
pub(crate) const SEND: SendFlags = SendFlags::NOSIGNAL;

/// With every receive of handles.
pub(crate) const RECV: RecvFlags = RecvFlags::CMSG_CLOEXEC;

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

/// There is no such option.
pub(crate) fn bind_to_device(_: BorrowedFd<'_>, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Prepares a socket that others made.
pub(crate) fn adopt(_: BorrowedFd<'_>) {}

/// Prepares a handle that came over a socket.
pub(crate) fn received(fd: OwnedFd) -> OwnedFd {
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
    // SAFETY: an xucred is made of integers and an unused pointer, for which all zeros is a value.
    let mut found: libc::xucred = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::xucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open; `found` has room for `len` bytes.
    let result = unsafe {
        libc::getsockopt(
            handle.as_fd().as_raw_fd(),
            libc::SOL_LOCAL,
            libc::LOCAL_PEERCRED,
            (&raw mut found).cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if found.cr_version != libc::XUCRED_VERSION || found.cr_ngroups < 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "credentials of an unknown layout"));
    }
    // The first group is the effective one.
    let (uid, gid) = (found.cr_uid, found.cr_groups[0]);
    // SAFETY: the union was zeroed before the kernel wrote it; a pid_t of any bytes is valid. Kernels before 13 leave 0.
    let pid = unsafe { found.cr_pid__c_anonymous_union.cr_pid };
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
