//! Waiting on a word that several processes share, and waking who waits there.
//!
//! A wait is a hint: it may end early for no reason, so callers always look at their word again. A wake costs a system
//! call; protocols keep a "somebody sleeps" mark next to the word so as not to make it in vain.
//!
//! # Platform-specific behavior
//! Linux: futex(2) with the shared flag, futex_waitv(2) for several words; the kernel keeps the sleepers. Windows:
//! `WaitOnAddress` does not cross processes, so sleepers lie in the [`WaitTable`] of the memory, each with a named event
//! (`os/windows/wait.rs` has the protocol). Words of this process alone need no table: [`WaitSpace::private`].
//!
//! macOS: `os_sync_wait_on_address` with the shared flag (14.4), `__ulock_wait` before it; FreeBSD: _umtx_op(2). Neither
//! waits on several words: such a wait sleeps on each in turn, for a millisecond, so that a wake may be found up to a
//! millisecond times their number late. Both are type-checked only.

#![allow(unsafe_code)] // a table in mapped memory is shared between threads

use crate::file::Access;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Instant;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitEnd {
    /// Somebody woke this waiter, the process it watched ended, or the system did so for reasons of its own.
    Woken,
    /// The word did not hold the expected value.
    Changed,
    /// The deadline passed.
    TimedOut,
}

/// How many sleepers a [`WaitTable`] has room for.
pub const MAX_SLEEPERS: usize = 384;

/// Who sleeps on which word of a piece of shared memory, where the system itself does not know. All zero: nobody.
///
/// It lies in every segment, so that a segment looks alike on every system; where the kernel keeps the sleepers it stays
/// zero.
// FORMAT: segment.md WaitTable size=3072
#[repr(C, align(64))]
#[derive(Debug)]
pub struct WaitTable {
    pub(crate) beds: [AtomicU64; MAX_SLEEPERS],
}

const _: () = assert!(size_of::<WaitTable>() == 3072 && align_of::<WaitTable>() == 64);

/// Who sleeps, and whose death is to end the sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sleeper {
    /// The sleeper's number among those who share the memory; not 0. Private spaces do not look at it.
    pub id: u32,
    /// The number and process id of the one being waited for; its death ends the wait where [`WATCHES_DEATH`].
    pub watch: Option<(u32, u32)>,
}

/// Whether waits end when the process in [`Sleeper::watch`] dies. A help and never a proof, as [`ring_on_death`] is.
pub const WATCHES_DEATH: bool = crate::os::wait::WATCHES_DEATH;

/// A stretch of shared memory whose words can be waited on: says how other processes find the same words.
#[derive(Debug)]
#[allow(dead_code)] // as for `Place`
pub struct WaitSpace {
    pub(crate) place: Option<Place>,
    pub(crate) room: crate::os::wait::Room,
}

/// Where shared words lie.
#[derive(Debug)]
#[allow(dead_code)] // not read where the kernel finds shared words by itself
pub(crate) struct Place {
    pub(crate) identity: [u8; 16],
    pub(crate) base: usize,
    pub(crate) len: usize,
    pub(crate) table: NonNull<WaitTable>,
    pub(crate) access: Access,
}

// SAFETY: the table consists of atomics and stays mapped as long as the space is used (the promise of `shared`).
unsafe impl Send for WaitSpace {}
// SAFETY: as above.
unsafe impl Sync for WaitSpace {}

impl WaitSpace {
    /// The space of words that only this process uses.
    #[must_use]
    #[allow(clippy::default_constructed_unit_structs)] // a unit only where the kernel keeps the sleepers
    pub fn private() -> Self {
        Self { place: None, room: crate::os::wait::Room::default() }
    }

    /// The space of the words in `len` bytes at `base`, which `identity` names in every process that maps them; whoever
    /// `access` admits may wake and be woken.
    ///
    /// # Safety
    /// `table` must point to a mapped, writable table, aligned to 64 bytes, as long as this value is used.
    #[must_use]
    #[allow(clippy::default_constructed_unit_structs)] // as above
    pub unsafe fn shared(
        identity: [u8; 16],
        base: usize,
        len: usize,
        table: NonNull<WaitTable>,
        access: Access,
    ) -> Self {
        let place = Place { identity, base, len, table, access };
        Self { place: Some(place), room: crate::os::wait::Room::default() }
    }

    /// Sleeps while `word` holds `expected`, until woken or until `deadline` (`None`: no end).
    #[inline]
    pub fn wait(&self, word: &AtomicU32, expected: u32, deadline: Option<Instant>, who: Sleeper) -> WaitEnd {
        crate::os::wait::wait(self, word, expected, deadline, who)
    }

    /// Sleeps while every word holds its expected value; at most [`MAX_WAIT_WORDS`] words, further ones are not watched.
    #[inline]
    pub fn wait_any(&self, words: &[(&AtomicU32, u32)], deadline: Option<Instant>, who: Sleeper) -> WaitEnd {
        crate::os::wait::wait_any(self, &words[..words.len().min(MAX_WAIT_WORDS)], deadline, who)
    }

    /// Wakes at most `count` waiters of `word`.
    ///
    /// `is_alive` tells of a sleeper's number whether its process lives, so that no wake is spent on the dead; it is asked
    /// only where the kernel does not know. It may err towards "alive".
    #[inline]
    pub fn wake(&self, word: &AtomicU32, count: u32, is_alive: &dyn Fn(u32) -> bool) {
        crate::os::wait::wake(self, word, count, is_alive);
    }

    /// Forgets sleepers who died asleep, where the kernel does not do so: call it when somebody joins.
    pub fn sweep(&self, is_alive: &dyn Fn(u32) -> bool) {
        crate::os::wait::sweep(self, is_alive);
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

#[cfg(test)]
#[path = "wait_cost_tests.rs"]
mod cost;
