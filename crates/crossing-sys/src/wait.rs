//! Waiting on a word that several processes share, and waking who waits there.
//!
//! A wait is a hint: it may end early for no reason, so callers always look at their word again. A wake costs a system
//! call; protocols keep a "somebody sleeps" mark next to the word so as not to make it in vain.
//!
//! # Platform-specific behavior
//! Linux: futex(2) with the shared flag, futex_waitv(2) for several words. Systems whose wait does not cross processes
//! pair the word with a kernel object found by the [`WaitSpace`] that the word lives in.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitEnd {
    /// Somebody woke this waiter, or the system did for reasons of its own.
    Woken,
    /// The word did not hold the expected value.
    Changed,
    /// The deadline passed.
    TimedOut,
}

/// A stretch of shared memory whose words can be waited on: says how other processes find the same words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitSpace {
    /// What names the memory in every process that maps it.
    pub identity: [u8; 16],
    /// Where it is mapped in this process.
    pub base: usize,
    /// Its length in bytes.
    pub len: usize,
}

impl WaitSpace {
    /// The space of words that only this process uses.
    pub const PRIVATE: Self = Self { identity: [0; 16], base: 0, len: usize::MAX };

    /// Sleeps while `word` holds `expected`, until woken or until `deadline` (`None`: no end).
    #[inline]
    pub fn wait(&self, word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> WaitEnd {
        crate::os::wait::wait(self, word, expected, deadline)
    }

    /// Sleeps while every word holds its expected value; at most [`MAX_WAIT_WORDS`] words, further ones are not watched.
    #[inline]
    pub fn wait_any(&self, words: &[(&AtomicU32, u32)], deadline: Option<Instant>) -> WaitEnd {
        crate::os::wait::wait_any(self, &words[..words.len().min(MAX_WAIT_WORDS)], deadline)
    }

    /// Wakes at most `count` waiters of `word`.
    #[inline]
    pub fn wake(&self, word: &AtomicU32, count: u32) {
        crate::os::wait::wake(self, word, count);
    }
}

/// The most words one [`WaitSpace::wait_any`] watches.
pub const MAX_WAIT_WORDS: usize = 128;

/// The bits of a word on which [`ring_on_death`] is armed that must be zero whenever its owner may die.
pub const DEATH_BELL_ZERO_BITS: u32 = 0x3fff_ffff;

/// Asks the kernel to wake one waiter of `word` if this thread dies from here on, until [`unring`].
///
/// One word per thread. Returns `false`, and arms nothing, if the thread has one armed already or the system cannot:
/// the caller's waiters must then look for death themselves, more often. Even when it returns `true` this is a help and
/// never a proof: a library that takes a robust pthread mutex on the same thread uses the same place.
/// While armed the low 30 bits of the word ([`DEATH_BELL_ZERO_BITS`]) must be zero, and the word must stay mapped
/// (an unmapped one is harmless: the kernel gives up).
///
/// # Platform-specific behavior
/// Linux: the `list_op_pending` place of the thread's robust list, get_robust_list(2), and
/// <https://docs.kernel.org/locking/robust-futexes.html>. Elsewhere: always `false`.
#[inline]
pub fn ring_on_death(word: &AtomicU32) -> bool {
    crate::os::wait::ring_on_death(word)
}

/// Disarms [`ring_on_death`] on this thread, if `word` is the one armed.
#[inline]
pub fn unring(word: &AtomicU32) {
    crate::os::wait::unring(word);
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
