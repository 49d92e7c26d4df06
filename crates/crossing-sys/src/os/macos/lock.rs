//! Open file description locks (F_OFD_SETLK of fcntl.h, which no manual page tells of); record locks where the kernel
//! answers that it does not know them. All processes of a system get the same answer.
//! Type-checked only: no macOS was at hand to run it on.
#![allow(unsafe_code)] // fcntl with a struct flock

use crate::file::Handle;
use crate::os::unix::record_lock;
use std::io;
use std::os::fd::AsRawFd;

pub(crate) use record_lock::release;

/// First locked byte; slot `n` is byte `BASE + n`.
const BASE: i64 = 1 << 40;

/// The answer of the kernel; `None` if it does not know such locks.
fn call(
    handle: &Handle,
    command: libc::c_int,
    kind: libc::c_short,
    slot: u32,
) -> io::Result<Option<libc::flock>> {
    let mut lock = libc::flock {
        l_start: BASE + i64::from(slot),
        l_len: 1,
        l_pid: 0,
        l_type: kind,
        l_whence: libc::SEEK_SET as libc::c_short,
    };
    loop {
        // SAFETY: the descriptor is open for the whole call and `lock` is a valid flock that outlives it.
        let outcome = unsafe { libc::fcntl(handle.0.as_raw_fd(), command, &raw mut lock) };
        if outcome != -1 {
            return Ok(Some(lock));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EINVAL) => return Ok(None),
            _ => return Err(error),
        }
    }
}

pub(crate) fn try_lock(handle: &Handle, slot: u32) -> io::Result<bool> {
    match call(handle, libc::F_OFD_SETLK, libc::F_WRLCK, slot) {
        Ok(Some(_)) => Ok(true),
        Ok(None) => record_lock::try_lock(handle, slot),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn unlock(handle: &Handle, slot: u32) -> io::Result<()> {
    match call(handle, libc::F_OFD_SETLK, libc::F_UNLCK, slot)? {
        Some(_) => Ok(()),
        None => record_lock::unlock(handle, slot),
    }
}

pub(crate) fn is_locked_elsewhere(handle: &Handle, slot: u32) -> io::Result<bool> {
    match call(handle, libc::F_OFD_GETLK, libc::F_WRLCK, slot)? {
        Some(found) => Ok(found.l_type != libc::F_UNLCK),
        None => record_lock::is_locked_elsewhere(handle, slot),
    }
}
