//! Doorbells: waiters of a [`RawBell`](super::bell::RawBell) who do not sleep on it but in an event loop of theirs.
//!
//! # Protocol
//! A bell may have a row of entries, 8 bytes each: the participant who owns it (bits 31..0), ARMED (bit 32). The entry's
//! place in the row is the number by which the owner's [`Doorbell`](crossing_sys::doorbell::Doorbell) is found.
//!
//! | step | by |
//! |---|---|
//! | claim an entry that is 0, or whose owner is proven dead; then hang up the doorbell | waiter |
//! | silence the doorbell; set ARMED; set DOORBELLS in the bell's `sleepers`; look whether there is something (`ORD: bell-sleep (seqcst) <-> bell-ring`); if not, wait for the doorbell's handle | waiter |
//! | make something, look at `sleepers` (`ORD: bell-ring (seqcst) <-> bell-sleep`), as the bell says; if DOORBELLS was set in what was swapped, take ARMED from each entry that has it and ring its doorbell | ringer |
//! | take the doorbell down, then clear the entry | waiter |
//!
//! All that are armed are rung, not one: an event loop may be busy with other things for long, and the one that is not
//! should not wait for it. Who was rung looks until there is nothing, then arms again. A doorbell is silenced before it is
//! armed, so what rings because of an older arming ends a wait in vain and no more.
//!
//! # Death
//! * waiter, anywhere: the entry stays, is rung once more at most, and goes to the next one who claims it, or is
//!   cleared by [`Row::sweep`], which also removes the name of its doorbell.
//! * ringer, between taking a mark and ringing: nobody rings for what it made. Doorbells have an alarm, and whoever arms one sets
//!   it, to the time for which sleepers of the same bell trust to be woken: then they look by themselves.
//!
//! A peer that scribbles over the row makes waits end early, or late: at the alarm. Numbers are places, never read.

use crate::atomic::{AtomicU64, Ordering, dekker};
use crate::participant::{Participant, ParticipantId};
use crossing_sys::crash;

/// To be rung.
const ARMED: u64 = 1 << 32;

/// The doorbells of one bell.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    entries: &'a [AtomicU64],
    first: u32,
}

impl<'a> Row<'a> {
    /// A bell without doorbells.
    pub const NONE: Row<'static> = Row { entries: &[], first: 0 };

    /// The row of these entries, whose doorbells are numbered from `first`: different numbers for the different bells of
    /// one table of participants.
    #[must_use]
    pub fn new(entries: &'a [AtomicU64], first: u32) -> Self {
        Self { entries, first }
    }

    /// The number of the doorbell of entry `index`.
    #[must_use]
    pub fn number(&self, index: usize) -> u32 {
        self.first + index as u32
    }

    /// Claims an entry; `None`: living waiters have them all.
    #[must_use]
    pub fn claim(&self, me: &Participant) -> Option<usize> {
        self.entries.iter().position(|entry| {
            let seen = entry.load(Ordering::Acquire);
            if ParticipantId::from_raw(seen as u32).is_some_and(|owner| me.is_alive(owner)) {
                return false;
            }
            let mine = u64::from(me.id().raw());
            entry.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Gives up the entry that this participant claimed.
    pub fn release(&self, me: &Participant, index: usize) {
        // Ringers take the mark away meanwhile, and somebody may have claimed it if this one was taken for dead.
        let mine = |seen: u64| (seen as u32 == me.id().raw()).then_some(0);
        let _ = self.entries[index].fetch_update(Ordering::AcqRel, Ordering::Acquire, mine);
    }

    /// Sets the mark of entry `index`, which this participant claimed. The bell's mark is to follow.
    pub(super) fn arm(&self, me: &Participant, index: usize) {
        // A peer that broke the rules may have overwritten the entry; this puts it right.
        self.entries[index].swap(u64::from(me.id().raw()) | ARMED, Ordering::SeqCst);
    }

    /// Rings whatever is armed.
    pub(super) fn ring(&self, me: &Participant) {
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.load(Ordering::SeqCst) & ARMED == 0 {
                continue;
            }
            let seen = entry.fetch_and(!ARMED, Ordering::SeqCst);
            if seen & ARMED != 0 {
                crash::point("doorbell.ring.taken");
                me.ring_doorbell(seen as u32, self.number(index));
            }
        }
    }

    /// Clears what dead waiters left, and the names of their doorbells.
    pub fn sweep(&self, me: &Participant) {
        for (index, entry) in self.entries.iter().enumerate() {
            let seen = entry.load(Ordering::Acquire);
            let Some(owner) = ParticipantId::from_raw(seen as u32) else { continue };
            if me.is_alive(owner) {
                continue;
            }
            // The name first: who dies here leaves the entry for the next. It is the dead one's alone.
            me.remove_doorbell(owner.raw(), self.number(index));
            crash::point("doorbell.sweep.removed");
            let _ = entry.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

impl super::bell::RawBell {
    /// Arms doorbell `index` of `row`, which `me` claimed and has silenced: before the last look whether there is something.
    pub fn arm(&self, me: &Participant, row: Row<'_>, index: usize) {
        row.arm(me, index);
        crash::point("doorbell.arm.entry");
        // ORD: bell-sleep (seqcst) <-> bell-ring
        self.mark(super::bell::DOORBELLS);
        dekker();
        crash::point("doorbell.arm.marked");
    }
}
