//! Open file description locks: one byte per slot, far beyond any content. Source: fcntl_locking(2).
#![allow(unsafe_code)] // fcntl with a struct flock

use crate::file::Handle;
use std::io;
use std::os::fd::AsRawFd;

/// First locked byte; slot `n` is byte `BASE + n`.
const BASE: i64 = 1 << 40;

/// A lock of 64-bit offsets. Machines of 32 bits have a system call of its own for it, which the C library's fcntl reaches
/// only in programs built for large files.
#[cfg(target_pointer_width = "64")]
use libc::{SYS_fcntl as FCNTL, flock as Flock};
#[cfg(not(target_pointer_width = "64"))]
use libc::{SYS_fcntl64 as FCNTL, flock64 as Flock};

fn flock(kind: libc::c_int, slot: u32) -> Flock {
    Flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: BASE + i64::from(slot),
        l_len: 1,
        l_pid: 0,
    }
}

fn call(handle: &Handle, command: libc::c_int, lock: &mut Flock) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open for the whole call and `lock` is a valid flock that outlives it.
        let outcome =
            unsafe { libc::syscall(FCNTL, handle.0.as_raw_fd(), command, std::ptr::from_mut(lock)) };
        if outcome == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(crate) fn try_lock(handle: &Handle, slot: u32) -> io::Result<bool> {
    match call(handle, libc::F_OFD_SETLK, &mut flock(libc::F_WRLCK, slot)) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn unlock(handle: &Handle, slot: u32) -> io::Result<()> {
    call(handle, libc::F_OFD_SETLK, &mut flock(libc::F_UNLCK, slot))
}

pub(crate) fn is_locked_elsewhere(handle: &Handle, slot: u32) -> io::Result<bool> {
    let mut lock = flock(libc::F_WRLCK, slot);
    call(handle, libc::F_OFD_GETLK, &mut lock)?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// Gives up what is not bound to the handle: here all is, and goes with its closing.
pub(crate) fn release(_: &Handle) {}
