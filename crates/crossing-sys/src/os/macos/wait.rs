//! os_sync_wait_on_address(3) with the shared flag, of macOS 14.4; before it `__ulock_wait2` (macOS 11) and `__ulock_wait`
//! (10.12) with UL_COMPARE_AND_WAIT_SHARED, which libSystem exports without a manual (bsd/sys/ulock.h of XNU; libc++
//! waits by them too). All of them find a word by the memory object behind its page.
//!
//! Found by dlsym(3), so that a program starts on systems that lack the newer ones.
//! Type-checked only: no macOS was at hand to run it on.
#![allow(unsafe_code)] // dlsym, and the functions it finds

use crate::os::unix::turns;
use crate::wait::{Sleeper, WaitEnd, WaitSpace};
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The lock of the dead must do.
pub(crate) const WATCHES_DEATH: bool = false;

/// The kernel keeps the sleepers: nothing to remember.
#[derive(Debug, Default)]
pub(crate) struct Room;

/// Of bsd/sys/ulock.h: compares 32 bits, finds the word by its memory object.
const UL_COMPARE_AND_WAIT_SHARED: u32 = 3;
/// Of the same: wake all, not one.
const ULF_WAKE_ALL: u32 = 0x100;
/// Of the same: the code is the negated return value; `errno` stays.
const ULF_NO_ERRNO: u32 = 0x0100_0000;

type SyncWait = unsafe extern "C" fn(*mut c_void, u64, usize, u32) -> c_int;
type SyncWaitTimeout = unsafe extern "C" fn(*mut c_void, u64, usize, u32, u32, u64) -> c_int;
type SyncWake = unsafe extern "C" fn(*mut c_void, usize, u32) -> c_int;
type UlockWait = unsafe extern "C" fn(u32, *mut c_void, u64, u32) -> c_int;
type UlockWait2 = unsafe extern "C" fn(u32, *mut c_void, u64, u64, u64) -> c_int;
type UlockWake = unsafe extern "C" fn(u32, *mut c_void, u64) -> c_int;

/// What this system waits by.
enum Way {
    Sync { wait: SyncWait, wait_timeout: SyncWaitTimeout, wake_any: SyncWake, wake_all: SyncWake },
    Ulock2 { wait: UlockWait2, wake: UlockWake },
    Ulock { wait: UlockWait, wake: UlockWake },
    None,
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with NUL.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

fn find_sync() -> Option<Way> {
    let wait = symbol(c"os_sync_wait_on_address")?;
    let wait_timeout = symbol(c"os_sync_wait_on_address_with_timeout")?;
    let wake_any = symbol(c"os_sync_wake_by_address_any")?;
    let wake_all = symbol(c"os_sync_wake_by_address_all")?;
    // SAFETY: the function of that name has this signature (os/os_sync_wait_on_address.h).
    let wait = unsafe { mem::transmute::<*mut c_void, SyncWait>(wait) };
    // SAFETY: as above.
    let wait_timeout = unsafe { mem::transmute::<*mut c_void, SyncWaitTimeout>(wait_timeout) };
    // SAFETY: as above.
    let wake_any = unsafe { mem::transmute::<*mut c_void, SyncWake>(wake_any) };
    // SAFETY: as above.
    let wake_all = unsafe { mem::transmute::<*mut c_void, SyncWake>(wake_all) };
    Some(Way::Sync { wait, wait_timeout, wake_any, wake_all })
}

fn find_ulock() -> Option<Way> {
    let wake = symbol(c"__ulock_wake")?;
    // SAFETY: the function of that name has this signature (bsd/sys/ulock.h).
    let wake = unsafe { mem::transmute::<*mut c_void, UlockWake>(wake) };
    if let Some(wait) = symbol(c"__ulock_wait2") {
        // SAFETY: as above.
        let wait = unsafe { mem::transmute::<*mut c_void, UlockWait2>(wait) };
        return Some(Way::Ulock2 { wait, wake });
    }
    let wait = symbol(c"__ulock_wait")?;
    // SAFETY: as above.
    let wait = unsafe { mem::transmute::<*mut c_void, UlockWait>(wait) };
    Some(Way::Ulock { wait, wake })
}

fn way() -> &'static Way {
    static FOUND: OnceLock<Way> = OnceLock::new();
    FOUND.get_or_init(|| find_sync().or_else(find_ulock).unwrap_or(Way::None))
}

/// The nanoseconds until `deadline`, at least one: 0 is refused by the newer functions and means "for ever" to the older.
fn left(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).max(1)
}

pub(crate) fn wait(
    _: &WaitSpace,
    word: &AtomicU32,
    expected: u32,
    deadline: Option<Instant>,
    _: Sleeper,
) -> WaitEnd {
    wait_one(word, expected, deadline)
}

fn wait_one(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> WaitEnd {
    // None of the functions tells a word that differs from a wake. Relaxed: the caller looks again, with its own order.
    if word.load(Ordering::Relaxed) != expected {
        return WaitEnd::Changed;
    }
    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        return WaitEnd::TimedOut;
    }
    let (address, value) = (word.as_ptr().cast::<c_void>(), u64::from(expected));
    let operation = UL_COMPARE_AND_WAIT_SHARED | ULF_NO_ERRNO;
    let code = match (way(), deadline) {
        (Way::Sync { wait, .. }, None) => {
            // SAFETY: the word is a live atomic of the size given.
            let outcome = unsafe { wait(address, value, 4, libc::OS_SYNC_WAIT_ON_ADDRESS_SHARED) };
            errno_of(outcome)
        }
        (Way::Sync { wait_timeout, .. }, Some(deadline)) => {
            // SAFETY: as above; the clock and the time are plain numbers.
            let outcome = unsafe {
                wait_timeout(
                    address,
                    value,
                    4,
                    libc::OS_SYNC_WAIT_ON_ADDRESS_SHARED,
                    libc::OS_CLOCK_MACH_ABSOLUTE_TIME,
                    left(deadline),
                )
            };
            errno_of(outcome)
        }
        (Way::Ulock2 { wait, .. }, deadline) => {
            // SAFETY: the word is a live atomic of 32 bits; the rest are plain numbers, of which 0 is "for ever".
            let outcome = unsafe { wait(operation, address, value, deadline.map_or(0, left), 0) };
            outcome.min(0).wrapping_neg()
        }
        (Way::Ulock { wait, .. }, deadline) => {
            // Microseconds; what does not fit ends early, and the caller waits again.
            let micros = deadline.map_or(0, |at| u32::try_from(left(at).div_ceil(1000)).unwrap_or(u32::MAX));
            // SAFETY: as above.
            let outcome = unsafe { wait(operation, address, value, micros) };
            outcome.min(0).wrapping_neg()
        }
        (Way::None, deadline) => return sleep(deadline),
    };
    match code {
        libc::ETIMEDOUT if deadline.is_some_and(|deadline| Instant::now() >= deadline) => WaitEnd::TimedOut,
        // Woken; EINTR; EFAULT for a page that is not in memory, which the caller's next look brings back.
        _ => WaitEnd::Woken,
    }
}

/// The code of a call that leaves it in `errno`; 0 if it succeeded.
fn errno_of(outcome: c_int) -> c_int {
    if outcome >= 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(0) }
}

/// Without any of the functions: the caller looks at its word a thousand times a second.
fn sleep(deadline: Option<Instant>) -> WaitEnd {
    let pause = Duration::from_millis(1);
    let left = deadline.map_or(pause, |deadline| deadline.saturating_duration_since(Instant::now()));
    std::thread::sleep(left.min(pause));
    WaitEnd::Woken
}

pub(crate) fn wait_any(
    _: &WaitSpace,
    words: &[(&AtomicU32, u32)],
    deadline: Option<Instant>,
    _: Sleeper,
) -> WaitEnd {
    if let [(word, expected)] = words {
        return wait_one(word, *expected, deadline);
    }
    turns::wait_any(words, deadline, wait_one)
}

pub(crate) fn wake(_: &WaitSpace, word: &AtomicU32, count: u32, _: &dyn Fn(u32) -> bool) {
    if count == u32::MAX {
        wake_some(word, true);
        return;
    }
    for _ in 0..count {
        // There is no call for "so many": one each, until nobody sleeps there.
        if !wake_some(word, false) {
            return;
        }
    }
}

/// Wakes one sleeper or all; whether there was one.
fn wake_some(word: &AtomicU32, all: bool) -> bool {
    let address = word.as_ptr().cast::<c_void>();
    let operation = UL_COMPARE_AND_WAIT_SHARED | ULF_NO_ERRNO | if all { ULF_WAKE_ALL } else { 0 };
    match way() {
        Way::Sync { wake_any, wake_all, .. } => {
            let wake = if all { wake_all } else { wake_any };
            // SAFETY: the word is a live atomic of the size given; nothing is read or written.
            unsafe { wake(address, 4, libc::OS_SYNC_WAKE_BY_ADDRESS_SHARED) >= 0 }
        }
        Way::Ulock2 { wake, .. } | Way::Ulock { wake, .. } => {
            // SAFETY: as above.
            unsafe { wake(operation, address, 0) >= 0 }
        }
        Way::None => false,
    }
}

/// The kernel forgets the dead.
pub(crate) fn sweep(_: &WaitSpace, _: &dyn Fn(u32) -> bool) {}

/// Darwin has no robust lists.
pub(crate) fn ring_on_death(_: &AtomicU32) -> bool {
    false
}

pub(crate) fn unring(_: &AtomicU32) {}
