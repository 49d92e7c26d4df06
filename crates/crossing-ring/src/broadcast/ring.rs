//! One publisher's ring: its words, and how they are written and read.
//!
//! # Protocol
//! Message `p` (0, 1, 2, ...) has slot `p mod depth`, whose `sequence` says what it holds: `2p + 1` while `p` is written,
//! `2p + 2` when it is complete; 0 at the beginning. `tail` is the next position. A short message lies in the slot, a long
//! one in a chunk that the slot names. The publisher alone writes all of this.
//!
//! | step of publishing `p` | if the publisher dies right after |
//! |---|---|
//! | the bytes of a long message, in a chunk that no slot names and nobody holds | nothing has happened |
//! | `sequence = 2p + 1`, then a release fence (`ORD: ring-begin (release) <-> ring-check`) | `p - depth` is gone, `p` never was |
//! | length, chunk, and the bytes of a short message | as above |
//! | `sequence = 2p + 2` (`ORD: ring-done (seqcst) <-> ring-look`) | `p` is published: readers look at slots |
//! | `tail = p + 1` (`ORD: ring-tail (release) <-> ring-tail-look`) | readers look at slots from the tail on |
//!
//! In a ring of 64 slots or more the second step is done 4 messages before: publishing `p` ends with `sequence = 2(p + 4) + 1` in
//! the slot of `p + 4`, whose old message is gone from then on; whoever counts on messages counts on `depth - 4`. So a reader that
//! polls the slot that is written next takes its line from the publisher once and not twice. A publisher that dies leaves 4 slots
//! that hold nothing: to readers, messages that are not there yet.
//! In such a ring the tail is told with every 8th message only, a line less to be written with each: the position after the last
//! message is found by looking at up to 8 slots from the tail on (`RingReader::end_after`), also after a death between the last two steps.
//!
//! A reader may send the lines that it has read away from its caches (`Manner::away`): that changes nothing but how long the
//! publisher waits for them when it writes them again.
//!
//! Reading a short `p`: load `sequence`; below `2p + 2` there is nothing yet, above it `p` was overwritten; copy; fence;
//! the copy is `p` if `sequence` is still the same. A reader that was overtaken goes on at the oldest that is left, and
//! knows from the positions how many it missed.
//!
//! Reading a long `p` in place, by hazard: the reader writes the chunk's number into one of its hazard words (`ORD:
//! hazard-set (seqcst) <-> hazard-scan`), fences, and looks at `sequence` again (`ORD: ring-recheck (seqcst) <->
//! ring-begun`): if it is still `2p + 2`, the publisher cannot have begun to overwrite `p` before the hazard was there to be
//! seen. The publisher lends a chunk that a slot no longer names only after a fence and a scan of the hazards of all
//! subscribers that it has admitted. Whom it has admitted stands in `admitted` (`ORD: ring-admit (release) <-> ring-admit-look`);
//! who is not there copies, as with short messages. Beside each key stands the position at which the publisher admitted it, written before
//! the key: a subscriber that joins at the same moment starts there, since the publisher counts it from there on. The hazards of a dead subscriber go with its lock: the publisher asks
//! the kernel before it forgets anybody.
//!
//! Sleepers: whoever publishes looks, after `sequence`, whether somebody wants to be woken (`bell.rs`). A publisher that
//! is `asymmetric` makes no fence between the two: whoever is about to sleep makes it for both. That costs a system call, a fence
//! some nanoseconds; so a publisher that has woken somebody is `careful` for its next 64 messages: it says so, and makes the
//! fence itself.
//!
//! | step | by |
//! |---|---|
//! | `careful = 1` (`ORD: ring-care (release) <-> ring-care-look`), then fence after each message | publisher, when it wakes |
//! | `careful = 0` (`ORD: ring-relax (seqcst) <-> ring-care-look`), then publish without a fence | publisher, after 64 messages without a wake |
//! | want to be woken, then look at `careful`; if it is 0, fence for both; then look at the slot | who is about to sleep |
//!
//! Whoever sees 1 sees the messages before the care, and of those in its time either the message or the publisher sees the wish;
//! the end of the care comes after the wish, and so do all later looks whether there is one. A publisher that says 1 and does not
//! fence, or dies, makes sleepers late by their slice, as one that does not ring.
//!
//! Nothing of what a reader finds is trusted: lengths and chunks are checked against the layout that it took when it opened
//! the ring, positions are only compared. A publisher that changes a message while it is read in place breaks the rules,
//! and can; who does not trust it copies.

use super::layout::{RingHeader, RingLayout, SLOT_HEAD};
use super::view::{Fixed, Table, View, atomics, words};
use crossing_shm::{Offset, Region};
use crossing_sync::atomic::AtomicU64;
use crossing_sys::Result;

/// A slot's chunk, if the message lies in the slot; else the chunk's number plus 1.
pub(super) const INLINE: u32 = 0;
/// Set in a slot's chunk if messages were dropped before this one.
pub(super) const GAP: u32 = 1 << 31;

/// One position in so many is told by the tail of a ring that makes slots ready ahead.
pub(super) const TOLD: u64 = 8;

#[derive(Debug)]
pub(super) struct Ring {
    pub(super) view: View,
    pub(super) layout: RingLayout,
    pub(super) header: RingHeader,
    /// Of each slot: sequence; length and chunk.
    pub(super) heads: Table,
    /// Of each slot: the bytes of a short message.
    pub(super) bodies: Table,
    pub(super) tail: Fixed<AtomicU64>,
    /// The longest message that may lie in a slot.
    pub(super) max_short: usize,
}

impl Ring {
    pub(super) fn open(region: &Region, own: bool) -> Result<Self> {
        let header = region.read(Offset::<RingHeader>::new(0))?;
        let layout = header.check(region.len())?;
        let view = if own { View::own(region, layout.len)? } else { View::of_peer(region, layout.len)? };
        let (depth, words) = (layout.depth, layout.inline / 8);
        let heads = Table::new(&view, layout.slots, layout.slot_len, SLOT_HEAD / 8, depth);
        let bodies = Table::new(&view, layout.bodies, layout.body_len, words, depth);
        let tail = Fixed::new(&view, layout.tail);
        let max_short = layout.inline.min(layout.max_len as usize);
        Ok(Self { view, layout, header, heads, bodies, tail, max_short })
    }

    #[inline]
    pub(super) fn index(&self, position: u64) -> usize {
        (position & u64::from(self.layout.depth - 1)) as usize
    }

    /// The words of a slot, but for the bytes of a short message: sequence; length and chunk.
    #[inline]
    pub(super) fn slot(&self, position: u64) -> &[AtomicU64; 2] {
        self.heads.first(position)
    }

    /// How many messages were dropped before the one in slot `index`, where it says so.
    pub(super) fn gap(&self, index: usize) -> Option<&AtomicU64> {
        let gaps = self.header.shape().drops_newest();
        gaps.then(|| atomics(&self.view, self.layout.gaps + index * 8))
    }

    /// Whether the tail says `next`.
    #[inline]
    pub(super) fn is_told(&self, next: u64) -> bool {
        self.layout.ahead == 0 || next.is_multiple_of(TOLD)
    }

    #[inline]
    pub(super) fn tail(&self) -> &AtomicU64 {
        &self.tail
    }

    /// Not 0 once the publisher has left.
    pub(super) fn left(&self) -> &AtomicU64 {
        atomics(&self.view, self.layout.tail + 8)
    }

    /// How many messages the publisher has dropped: a figure for people.
    pub(super) fn dropped(&self) -> &AtomicU64 {
        atomics(&self.view, self.layout.tail + 16)
    }

    /// Not 0 while an asymmetric publisher fences by itself.
    pub(super) fn careful(&self) -> &AtomicU64 {
        atomics(&self.view, self.layout.tail + 24)
    }

    /// The keys of the admitted, and where the publisher was when it admitted each.
    pub(super) fn admitted(&self) -> (&[AtomicU64], &[AtomicU64]) {
        let count = self.layout.max_subscribers;
        words(&self.view, self.layout.admitted, 2 * count).split_at(count)
    }

    #[inline]
    pub(super) fn chunk(&self, index: u32) -> usize {
        self.layout.chunks + index as usize * self.layout.chunk_len
    }
}
