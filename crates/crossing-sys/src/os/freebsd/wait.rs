//! _umtx_op(2): UMTX_OP_WAIT_UINT and UMTX_OP_WAKE in their shared forms, which find a word by the memory object behind
//! its page. Type-checked only: no FreeBSD was at hand to run it on.
#![allow(unsafe_code)] // _umtx_op

use crate::os::unix::{clock, turns};
use crate::wait::{Sleeper, WaitEnd, WaitSpace};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The lock of the dead must do.
pub(crate) const WATCHES_DEATH: bool = false;

/// The kernel keeps the sleepers: nothing to remember.
#[derive(Debug, Default)]
pub(crate) struct Room;

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
    // The kernel returns 0 for a word that differs as for a wake. Relaxed: the caller looks again, with its own order.
    if word.load(Ordering::Relaxed) != expected {
        return WaitEnd::Changed;
    }
    let mut until = deadline.map(|deadline| libc::_umtx_time {
        _timeout: clock::monotonic(deadline),
        _flags: libc::UMTX_ABSTIME,
        _clockid: libc::CLOCK_MONOTONIC as u32,
    });
    // The fourth argument is the size of what the fifth points to.
    let (size, until) = match &mut until {
        Some(until) => (ptr::without_provenance_mut(size_of::<libc::_umtx_time>()), ptr::from_mut(until)),
        None => (ptr::null_mut(), ptr::null_mut()),
    };
    // SAFETY: the word is a live atomic of 32 bits; `until` is null or a _umtx_time that lives through the call, and `size`
    // is its size.
    let outcome = unsafe {
        libc::_umtx_op(
            word.as_ptr().cast(),
            libc::UMTX_OP_WAIT_UINT,
            libc::c_ulong::from(expected),
            size,
            until.cast(),
        )
    };
    if outcome == 0 {
        return WaitEnd::Woken;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::ETIMEDOUT) => WaitEnd::TimedOut,
        _ => WaitEnd::Woken, // EINTR, and faults: the caller looks at its word again
    }
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
    // The kernel takes the number as an int.
    let count = libc::c_ulong::from(count.min(i32::MAX as u32));
    // SAFETY: the word is a live atomic; waking reads no further argument.
    unsafe {
        libc::_umtx_op(word.as_ptr().cast(), libc::UMTX_OP_WAKE, count, ptr::null_mut(), ptr::null_mut())
    };
}

/// The kernel forgets the dead.
pub(crate) fn sweep(_: &WaitSpace, _: &dyn Fn(u32) -> bool) {}

/// The kernel's robust lists (UMTX_OP_ROBUST_LISTS) mark the words of pthread mutexes alone, by a layout of its own.
pub(crate) fn ring_on_death(_: &AtomicU32) -> bool {
    false
}

pub(crate) fn unring(_: &AtomicU32) {}
