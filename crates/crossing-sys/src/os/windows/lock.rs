//! `LockFileEx` on one byte per slot, far beyond any content. The system releases an opening's locks when its last handle
//! closes, that of a killed process too.
//!
//! Locks of Windows are mandatory for `ReadFile` and `WriteFile`, which is why they lie beyond the content; mapped memory
//! knows nothing of them.
#![allow(unsafe_code)] // LockFileEx

use crate::file::Handle;
use std::io;
use std::os::windows::io::AsRawHandle;
use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, ERROR_NOT_LOCKED};
use windows_sys::Win32::Storage::FileSystem::{
    LOCK_FILE_FLAGS, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};

/// First locked byte is `BASE_HIGH << 32`; slot `n` is `n` bytes after it.
const BASE_HIGH: u32 = 1 << 8;

fn place(slot: u32) -> OVERLAPPED {
    OVERLAPPED {
        Internal: 0,
        InternalHigh: 0,
        Anonymous: OVERLAPPED_0 { Anonymous: OVERLAPPED_0_0 { Offset: slot, OffsetHigh: BASE_HIGH } },
        hEvent: std::ptr::null_mut(),
    }
}

fn lock(handle: &Handle, slot: u32, flags: LOCK_FILE_FLAGS) -> io::Result<bool> {
    let mut place = place(slot);
    let flags = flags | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: the handle is open for the whole call, which ends at once (no overlapped file); `place` outlives it.
    if unsafe { LockFileEx(handle.0.as_raw_handle(), flags, 0, 1, 0, &raw mut place) } != 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(|code| code as u32) {
        Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Ok(false),
        _ => Err(error),
    }
}

pub(crate) fn try_lock(handle: &Handle, slot: u32) -> io::Result<bool> {
    lock(handle, slot, LOCKFILE_EXCLUSIVE_LOCK)
}

pub(crate) fn unlock(handle: &Handle, slot: u32) -> io::Result<()> {
    let mut place = place(slot);
    // SAFETY: the handle is open for the whole call; `place` outlives it.
    if unsafe { UnlockFileEx(handle.0.as_raw_handle(), 0, 1, 0, &raw mut place) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(ERROR_NOT_LOCKED as i32) { Ok(()) } else { Err(error) }
}

/// Asks with a shared lock: askers do not keep each other out, and none is held longer than the question.
pub(crate) fn is_locked_elsewhere(handle: &Handle, slot: u32) -> io::Result<bool> {
    if lock(handle, slot, 0)? {
        unlock(handle, slot)?;
        return Ok(false);
    }
    Ok(true)
}

/// Gives up what is not bound to the handle: here all is, and goes with its closing.
pub(crate) fn release(_: &Handle) {}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
