//! What FreeBSD and macOS say of System V objects alike: sysctlbyname(3), and a wait with a deadline, for which they have no call.
//! Type-checked only: neither was at hand to run it on.
#![allow(unsafe_code)] // sysctlbyname of the C library

use crate::os::unix::sysv::operate;
use crate::sysv::{MemoryStat, QueueStat, SemaphoreStat};
use crate::{Error, ErrorKind, Result};
use std::ffi::CString;
use std::io;
use std::ptr;
use std::time::{Duration, Instant};

/// "Is to be removed" in the mode of a segment: SHMSEG_REMOVED of the kernels' sysv_shm.c.
pub(crate) const SHM_REMOVED: u32 = 0x0400;

/// How long one that waits with a deadline sleeps between two looks, at first and at most.
const NAP: Duration = Duration::from_micros(50);
const LONGEST_NAP: Duration = Duration::from_millis(4);

/// A number of the kernel's, of 32 or 64 bits; `None` if there is none of this name, or it is negative.
pub(crate) fn number(name: &str) -> Option<u64> {
    let name = CString::new(name).ok()?;
    let mut bytes = [0_u8; 8];
    let mut len = bytes.len();
    // SAFETY: the name ends with NUL, at most `len` bytes are written to `bytes`, and nothing is set.
    let outcome = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            bytes.as_mut_ptr().cast(),
            &raw mut len,
            // A pointer to what is to be set, *const on one of the two: null.
            ptr::null_mut(),
            0,
        )
    };
    let [a, b, c, d, ..] = bytes;
    match (outcome, len) {
        (0, 4) => u64::try_from(i32::from_ne_bytes([a, b, c, d])).ok(),
        (0, 8) => u64::try_from(i64::from_ne_bytes(bytes)).ok(),
        _ => None,
    }
}

/// One operation of a semaphore that waits until `deadline`: there is no semtimedop(2), so it looks again and again.
pub(crate) fn operate_until(id: i32, mut operation: libc::sembuf, deadline: Instant) -> io::Result<()> {
    operation.sem_flg |= libc::IPC_NOWAIT as i16;
    let mut nap = NAP;
    loop {
        let outcome = operate(id, &mut [operation]);
        let full = outcome.as_ref().is_err_and(|cause| cause.raw_os_error() == Some(libc::EAGAIN));
        let left = deadline.saturating_duration_since(Instant::now());
        if !full || left.is_zero() {
            return outcome;
        }
        std::thread::sleep(nap.min(left));
        nap = (nap * 2).min(LONGEST_NAP);
    }
}

fn no_list<T>(operation: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, "System V objects")
        .detail("this system's list of them is not read yet")
        .fix("look by `ipcs`, and open what it shows by its key"))
}

pub(crate) fn memory_list() -> Result<Vec<MemoryStat>> {
    no_list("list System V segments")
}

pub(crate) fn set_list() -> Result<Vec<SemaphoreStat>> {
    no_list("list System V semaphores")
}

pub(crate) fn queue_list() -> Result<Vec<QueueStat>> {
    no_list("list System V queues")
}
