//! The bell: sleepers, and who wakes one of them, for structures that keep their state elsewhere.
//!
//! # Protocol
//! `sleepers` has bit 0 (SLEEPS) if somebody may sleep here, bit 1 (DOORBELLS) if somebody may wait in an event loop, to be
//! rung as [`doorbell`](super::doorbell) says; `count` is what is slept on.
//!
//! | step | by |
//! |---|---|
//! | set SLEEPS, then look whether there is something (`ORD: bell-sleep (seqcst) <-> bell-ring`), then sleep while `count` is as it was before the mark | sleeper |
//! | make something, then look at `sleepers` (`ORD: bell-ring (seqcst) <-> bell-sleep`); unless 0, swap it to 0; if it had SLEEPS, add to `count` and wake one; if it had DOORBELLS, ring those that are armed | ringer |
//! | mark again, since others may sleep; take; ring if there is more | who was woken |
//!
//! What the two look at must be read and written by SeqCst operations.
//!
//! # Death
//! A ringer that dies before the wake, or a woken one that dies before it takes: sleepers look by themselves when their
//! slice of time ends (the caller gives it); doorbells have an alarm for it. Nobody holds a bell.

use super::doorbell::Row;
use crate::atomic::{AtomicU32, Ordering, dekker};
use crate::participant::Participant;
use crossing_sys::crash;
use crossing_sys::wait::WaitEnd;
use std::time::Instant;

/// In `sleepers`: somebody may sleep on `count`.
const SLEEPS: u32 = 1;
/// In `sleepers`: a doorbell may be armed.
pub(super) const DOORBELLS: u32 = 2;

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

    /// Wakes one sleeper and rings the armed doorbells of the row, if there may be any; no system call otherwise. Call it
    /// after a SeqCst operation that made what they wait for.
    #[inline]
    pub fn ring<'a>(&self, me: &Participant, row: impl FnOnce() -> Row<'a>) {
        dekker();
        // ORD: bell-ring (seqcst) <-> bell-sleep
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            self.rouse(me, row());
        }
    }

    #[cold]
    fn rouse(&self, me: &Participant, row: Row<'_>) {
        // ORD: bell-ring (seqcst) <-> bell-sleep
        let marks = self.sleepers.swap(0, Ordering::SeqCst);
        crash::point("bell.ring.before-wake");
        if marks & SLEEPS != 0 {
            self.count.fetch_add(1, Ordering::SeqCst);
            me.wake(&self.count, 1);
        }
        if marks & DOORBELLS != 0 {
            row.ring(me);
        }
    }

    pub(super) fn mark(&self, mark: u32) {
        self.sleepers.fetch_or(mark, Ordering::SeqCst);
    }

    /// Says that somebody may sleep: before a look whether there is something, and [`wait`](Self::wait) with the ticket
    /// that this gives if there is not. Whoever was woken does the same before it looks again, since it took the mark from
    /// the others; it rings if it leaves with more to be had.
    #[must_use]
    pub fn prepare(&self) -> u32 {
        let ticket = self.count.load(Ordering::SeqCst);
        // ORD: bell-sleep (seqcst) <-> bell-ring
        self.mark(SLEEPS);
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

    /// Whether somebody may sleep, or wait for a doorbell.
    #[must_use]
    pub fn has_sleepers(&self) -> bool {
        // ORD: bell-ring (seqcst) <-> bell-sleep
        self.sleepers.load(Ordering::SeqCst) != 0
    }
}
