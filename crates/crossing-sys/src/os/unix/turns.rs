//! Waiting on several words where the kernel waits on one alone.

use crate::wait::WaitEnd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Sleeps on the words in turn, a millisecond each, by `wait`: a wake that comes while the turn is another's is found at
/// the next change of turns, if the word changed with it.
pub(crate) fn wait_any(
    words: &[(&AtomicU32, u32)],
    deadline: Option<Instant>,
    wait: impl Fn(&AtomicU32, u32, Option<Instant>) -> WaitEnd,
) -> WaitEnd {
    loop {
        for (word, expected) in words {
            // Acquire is the caller's: it looks at its words again. Relaxed suffices to see a change.
            if words.iter().any(|(word, expected)| word.load(Ordering::Relaxed) != *expected) {
                return WaitEnd::Changed;
            }
            let slice = Instant::now() + Duration::from_millis(1);
            let until = deadline.map_or(slice, |deadline| deadline.min(slice));
            match wait(word, *expected, Some(until)) {
                WaitEnd::TimedOut if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                end => return end,
            }
        }
        if words.is_empty() {
            return WaitEnd::Woken;
        }
    }
}
