//! Waiting by sleeping: correct, slow, and enough to type-check and to run single-process tests.

use crate::wait::{Sleeper, WaitEnd, WaitSpace};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const WATCHES_DEATH: bool = false;

/// Nothing to remember.
#[derive(Debug, Default)]
pub(crate) struct Room;

pub(crate) fn wait(
    space: &WaitSpace,
    word: &AtomicU32,
    expected: u32,
    deadline: Option<Instant>,
    who: Sleeper,
) -> WaitEnd {
    wait_any(space, &[(word, expected)], deadline, who)
}

pub(crate) fn wait_any(
    _: &WaitSpace,
    words: &[(&AtomicU32, u32)],
    deadline: Option<Instant>,
    _: Sleeper,
) -> WaitEnd {
    // Relaxed: the caller looks at its words again with the order it needs.
    if words.iter().any(|(word, expected)| word.load(Ordering::Relaxed) != *expected) {
        return WaitEnd::Changed;
    }
    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        return WaitEnd::TimedOut;
    }
    std::thread::sleep(Duration::from_millis(1));
    WaitEnd::Woken
}

pub(crate) fn wake(_: &WaitSpace, _: &AtomicU32, _: u32, _: &dyn Fn(u32) -> bool) {}

pub(crate) fn sweep(_: &WaitSpace, _: &dyn Fn(u32) -> bool) {}

pub(crate) fn ring_on_death(_: &AtomicU32) -> bool {
    false
}

pub(crate) fn unring(_: &AtomicU32) {}
