//! The two bells of a queue, and the waiters of its event loops: [`RawBell`], and the rows of
//! [`doorbell`](crossing_sync::raw::doorbell), where the protocols stand.

use super::core::Core;
use super::waiting::{TRUSTING, WATCHFUL};
use super::words::{DOORBELLS, Words};
use crossing_sync::raw::bell::RawBell;
use crossing_sync::raw::doorbell::Row;
use std::time::Instant;

/// A bell of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// For receivers: a message came.
    Arrivals,
    /// For senders: a slot, or bytes, became free.
    Room,
}

impl Which {
    pub(super) fn bell<W: Words>(self, words: &W) -> &RawBell {
        match self {
            Self::Arrivals => &words.shared().arrivals,
            Self::Room => &words.shared().room.0,
        }
    }

    pub(super) fn row<W: Words>(self, words: &W) -> Row<'_> {
        match self {
            Self::Arrivals => Row::new(words.receivers(), 0),
            Self::Room => Row::new(words.senders(), DOORBELLS as u32),
        }
    }

    /// Wakes who waits; no system call if nobody does.
    #[inline]
    pub(super) fn ring<W: Words>(self, words: &W) {
        self.bell(words).ring(words.me(), || self.row(words));
    }
}

#[inline]
pub(super) fn ring_arrivals<W: Words>(words: &W) {
    Which::Arrivals.ring(words);
}

#[inline]
pub(super) fn ring_room<W: Words>(words: &W) {
    Which::Room.ring(words);
}

/// Clears what dead waiters left.
pub(super) fn sweep<W: Words>(words: &W) {
    for which in [Which::Arrivals, Which::Room] {
        which.row(words).sweep(words.me());
    }
}

impl<W: Words> Core<W> {
    /// Claims a place for a waiter in an event loop; `None`: living ones have them all.
    #[must_use]
    pub fn claim_doorbell(&self, which: Which) -> Option<usize> {
        which.row(self.words()).claim(self.words().me())
    }

    /// The number of the doorbell of this place.
    #[must_use]
    pub fn doorbell_number(&self, which: Which, index: usize) -> u32 {
        which.row(self.words()).number(index)
    }

    /// Gives up the place.
    pub fn release_doorbell(&self, which: Which, index: usize) {
        which.row(self.words()).release(self.words().me(), index);
    }

    /// Arms the doorbell of this place, which was silenced: before a look whether there is something. Gives the time at
    /// which to look again although nobody rang; when that has passed, the next arming is to `patrol`.
    pub fn arm_doorbell(&self, which: Which, index: usize, patrol: bool) -> Instant {
        if patrol {
            self.patrol();
        }
        which.bell(self.words()).arm(self.words().me(), which.row(self.words()), index);
        let slice = if super::sweep::others_hold(self.words()) { WATCHFUL } else { TRUSTING };
        let slice = Instant::now() + slice;
        self.earlier(Some(slice)).unwrap_or(slice)
    }
}
