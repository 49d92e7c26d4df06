//! The bell: sleepers, and who wakes one of them, for structures that keep their state elsewhere.
//!
//! # Protocol
//! `sleepers` is 1 if somebody may sleep; `count` is what is slept on.
//!
//! | step | by |
//! |---|---|
//! | mark `sleepers`, then look whether there is something (`ORD: bell-sleep (seqcst) <-> bell-ring`), then sleep while `count` is as it was before the mark | sleeper |
//! | make something, then look at `sleepers` (`ORD: bell-ring (seqcst) <-> bell-sleep`); if set, swap it to 0, add to `count`, wake one | ringer |
//! | mark again, since others may sleep; take; ring if there is more | who was woken |
//!
//! What the two look at must be read and written by SeqCst operations.
//!
//! # Death
//! A ringer that dies before the wake, or a woken one that dies before it takes: sleepers look by themselves when their
//! slice of time ends (the caller gives it). Nobody holds a bell.

use crate::atomic::{AtomicU32, Ordering, dekker};
use crate::participant::Participant;
use crossing_sys::crash;
use crossing_sys::wait::WaitEnd;
use std::time::Instant;

/// The words of a bell. All zero: nobody sleeps.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawBell {
    count: AtomicU32,
    sleepers: AtomicU32,
}

impl RawBell {
    /// A bell with no sleepers.
    #[must_use]
    pub fn new() -> Self {
        Self { count: AtomicU32::new(0), sleepers: AtomicU32::new(0) }
    }

    /// Wakes one sleeper, if there may be any; no system call otherwise. Call it after a SeqCst operation that made what
    /// sleepers wait for.
    #[inline]
    pub fn ring(&self, me: &Participant) {
        dekker();
        // ORD: bell-ring (seqcst) <-> bell-sleep
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            self.rouse(me);
        }
    }

    #[cold]
    fn rouse(&self, me: &Participant) {
        // ORD: bell-ring (seqcst) <-> bell-sleep
        if self.sleepers.swap(0, Ordering::SeqCst) != 0 {
            crash::point("bell.ring.before-wake");
            self.count.fetch_add(1, Ordering::SeqCst);
            me.wake(&self.count, 1);
        }
    }

    /// Says that somebody may sleep: before a look whether there is something, and [`wait`](Self::wait) with the ticket
    /// that this gives if there is not. Whoever was woken does the same before it looks again, since it took the mark from
    /// the others; it rings if it leaves with more to be had.
    #[must_use]
    pub fn prepare(&self) -> u32 {
        let ticket = self.count.load(Ordering::SeqCst);
        // ORD: bell-sleep (seqcst) <-> bell-ring
        self.sleepers.swap(1, Ordering::SeqCst);
        dekker();
        crash::point("bell.sleep.marked");
        ticket
    }

    /// Sleeps until rung after `ticket` was given, or until `deadline`; says which.
    pub fn wait(&self, me: &Participant, ticket: u32, deadline: Option<Instant>) -> WaitEnd {
        let end = me.wait(&self.count, ticket, deadline);
        crash::point("bell.sleep.woken");
        end
    }

    /// Whether somebody may sleep.
    #[must_use]
    pub fn has_sleepers(&self) -> bool {
        // ORD: bell-ring (seqcst) <-> bell-sleep
        self.sleepers.load(Ordering::SeqCst) != 0
    }
}
