//! The publisher's side of its ring. The protocol stands at the top of `ring.rs`.

use super::body::Loan;
use super::layout::RingHeader;
use super::ring::{GAP, INLINE, Ring};
use super::scratch::{NONE, Scratch};
use super::words;
use crossing_shm::Region;
use crossing_sync::atomic::{AtomicU64, Ordering};
use crossing_sys::{Result, asymmetric, crash};
use std::sync::Arc;

/// For how many messages a publisher that woke somebody fences by itself. As many fences cost about what one sleeper's fence for
/// both does.
const CAREFUL: u32 = 64;

/// Why there is no loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The message would be longer than [`RingWriter::max_len`].
    TooLarge,
    /// As many as may be are on loan.
    TooMany,
    /// No chunk is free: subscribers hold them. [`RingWriter::reclaim`] and try again.
    AllHeld,
}

/// The publisher's side of its ring.
#[derive(Debug)]
pub struct RingWriter {
    ring: Arc<Ring>,
    asymmetric: bool,
    /// For how many messages more it fences by itself.
    fences: u32,
    /// The truth about the next position; the memory has a copy.
    next: u64,
    /// Which chunk each slot names: the truth, as above.
    named: Box<[u32]>,
    /// Chunks that may be lent.
    free: Vec<u32>,
    /// Chunks that no slot names any more, but that subscribers may hold.
    retired: Vec<u32>,
    loans: u32,
    /// For loans.
    scratch: Scratch,
    /// One bit for each chunk, for [`reclaim`](Self::reclaim).
    held: Box<[u64]>,
}

impl RingWriter {
    /// The ring in `region`, which this process has just created: all but its header is zero.
    ///
    /// # Errors
    /// `Corrupt` if there is none; `PermissionDenied` if opened for reading alone.
    pub fn open(region: &Region) -> Result<Self> {
        let ring = Ring::open(region, true)?;
        let count = ring.layout.chunk_count;
        let slots = if count == 0 { 0 } else { ring.layout.depth as usize };
        // Said in the header, so it must be true: whoever sleeps trusts it.
        let asymmetric = ring.header.is_asymmetric() && asymmetric::register();
        for position in 0..u64::from(ring.layout.ahead) {
            words::begin(&ring.slot(position)[0], position);
        }
        Ok(Self {
            asymmetric,
            fences: u32::from(!asymmetric),
            next: 0,
            named: vec![NONE; slots].into_boxed_slice(),
            free: (0..count).rev().collect(),
            retired: Vec::with_capacity(count as usize),
            loans: 0,
            scratch: Scratch::default(),
            held: vec![0; (count as usize).div_ceil(64)].into_boxed_slice(),
            ring: Arc::new(ring),
        })
    }

    /// What it says of itself.
    #[must_use]
    pub fn header(&self) -> &RingHeader {
        &self.ring.header
    }

    /// The position of the next message: how many were published.
    #[inline]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// How many messages the ring keeps.
    #[inline]
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.ring.layout.depth
    }

    /// How many messages stay until more are published.
    #[inline]
    #[must_use]
    pub fn keeps(&self) -> u32 {
        self.ring.layout.depth - self.ring.layout.ahead
    }

    /// The longest message.
    #[inline]
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.ring.layout.max_len as usize
    }

    /// The longest message that lies in a slot.
    #[inline]
    #[must_use]
    pub fn max_short(&self) -> usize {
        self.ring.max_short
    }

    /// Lets the subscriber `key` read in place from now on; `false` if there is no place left for it. Its holds must be
    /// told to [`reclaim`](Self::reclaim) from now on, until it is dead.
    pub fn admit(&self, key: u64) -> bool {
        let (keys, positions) = self.ring.admitted();
        // Relaxed: this is the only writer.
        let free = keys.iter().zip(positions).find(|(key, _)| key.load(Ordering::Relaxed) == 0);
        if let Some((word, position)) = free {
            words::admit(word, position, key, self.next);
        }
        free.is_some()
    }

    /// The subscriber `key` is dead, or has ended and holds nothing.
    pub fn expel(&self, key: u64) {
        for word in self.ring.admitted().0 {
            // Relaxed: this is the only writer, and whom it concerns does not look any more.
            if word.load(Ordering::Relaxed) == key {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// A message of `len` bytes, to be written and then published.
    ///
    /// # Errors
    /// The refusals.
    #[inline]
    pub fn loan(&mut self, len: usize) -> Result<Loan, Refusal> {
        if len > self.max_len() {
            return Err(Refusal::TooLarge);
        }
        if self.loans >= self.ring.header.max_loans() {
            return Err(Refusal::TooMany);
        }
        let loan = if len <= self.ring.layout.inline {
            let mut loan = self.scratch.take();
            loan.words(len);
            loan
        } else {
            let index = self.free.pop().ok_or(Refusal::AllHeld)?;
            let mut loan = self.scratch.take();
            loan.tie(self.ring.view.place(self.ring.chunk(index), len), len, index, &self.ring);
            loan
        };
        self.loans += 1;
        Ok(Loan(loan))
    }

    /// Takes back a loan that is not published. One of another ring is forgotten.
    pub fn give_back(&mut self, loan: Loan) {
        self.loans = self.loans.saturating_sub(1);
        if let Some((chunk, ring)) = loan.0.chunk()
            && Arc::ptr_eq(ring, &self.ring)
        {
            self.free.push(chunk);
        }
    }

    /// Looks which retired chunks nobody holds: `holds` tells all that are held. Whether there is one to be lent now.
    #[cold]
    pub fn reclaim(&mut self, holds: impl FnOnce(&mut dyn FnMut(u32))) -> bool {
        words::before_scan();
        crash::point("topic.reclaim.fenced");
        let held = &mut self.held;
        held.fill(0);
        holds(&mut |chunk| {
            if let Some(word) = held.get_mut(chunk as usize / 64) {
                *word |= 1 << (chunk % 64);
            }
        });
        let free = &mut self.free;
        self.retired.retain(|chunk| {
            let is_held = held[*chunk as usize / 64] & 1 << (chunk % 64) != 0;
            if !is_held {
                free.push(*chunk);
            }
            is_held
        });
        !self.free.is_empty()
    }

    /// Publishes a loan, before which `dropped` messages were dropped.
    #[inline]
    pub fn publish_loan(&mut self, loan: Loan, dropped: u64) {
        self.loans = self.loans.saturating_sub(1);
        match loan.0.chunk() {
            None => self.publish_short(&loan, dropped),
            Some((chunk, ring)) if Arc::ptr_eq(ring, &self.ring) => {
                self.publish_chunk(chunk, loan.len(), dropped)
            }
            Some(_) => {}
        }
    }

    /// Publishes a copy of `message`, before which `dropped` messages were dropped.
    ///
    /// # Errors
    /// The refusals: nothing is published then.
    #[inline]
    pub fn publish(&mut self, message: &[u8], dropped: u64) -> Result<(), Refusal> {
        if message.len() <= self.ring.max_short {
            self.publish_short(message, dropped);
            return Ok(());
        }
        if message.len() > self.max_len() {
            return Err(Refusal::TooLarge);
        }
        let index = self.free.pop().ok_or(Refusal::AllHeld)?;
        self.ring.view.copy_in(self.ring.chunk(index), message);
        self.publish_chunk(index, message.len(), dropped);
        Ok(())
    }

    /// The first step: what was in the slot is gone. Where slots are made ready ahead, it was done before.
    #[inline(always)]
    fn begin(&self, slot: &[AtomicU64; 2]) {
        if self.ring.layout.ahead == 0 {
            words::begin(&slot[0], self.next);
        }
        crash::point("topic.publish.begun");
    }

    /// Length and chunk.
    #[inline(always)]
    fn describe(&self, slot: &[AtomicU64; 2], len: usize, chunk: u32, dropped: u64) {
        let gap = if dropped == 0 { 0 } else { self.tell_gap(dropped) };
        let info = len as u64 | u64::from(chunk | gap) << 32;
        // Relaxed: published by the sequence.
        slot[1].store(info, Ordering::Relaxed);
    }

    #[cold]
    fn tell_gap(&self, dropped: u64) -> u32 {
        let Some(gap) = self.ring.gap(self.ring.index(self.next)) else { return 0 };
        // Relaxed: published by the sequence.
        gap.store(dropped, Ordering::Relaxed);
        GAP
    }

    /// The last step, and then one may look for sleepers.
    #[inline(always)]
    fn end(&mut self) {
        let slot = self.ring.slot(self.next);
        crash::point("topic.publish.written");
        let (position, light) = (self.next, self.fences == 0);
        self.next = position.wrapping_add(1);
        let tail = self.ring.is_told(self.next).then(|| self.ring.tail());
        words::end(&slot[0], tail, position, light);
        if !light && self.asymmetric {
            self.spend_fence();
        }
        let ahead = u64::from(self.ring.layout.ahead);
        if ahead != 0 {
            let ready = self.next.wrapping_add(ahead - 1);
            words::begin(&self.ring.slot(ready)[0], ready);
        }
    }

    /// One of the messages that a careful publisher fences.
    #[cold]
    fn spend_fence(&mut self) {
        self.fences -= 1;
        if self.fences == 0 {
            words::relax(self.ring.careful());
        }
    }

    /// As [`publish`](Self::publish), a message of at most [`max_short`](Self::max_short) bytes; what is beyond is cut off.
    #[inline(always)]
    pub fn publish_short(&mut self, message: &[u8], dropped: u64) {
        let (slot, body) = (self.ring.slot(self.next), self.ring.bodies.row(self.next));
        self.begin(slot);
        words::write(body, message);
        self.describe(slot, message.len(), INLINE, dropped);
        self.retire(NONE);
        self.end();
    }

    #[inline]
    fn publish_chunk(&mut self, chunk: u32, len: usize, dropped: u64) {
        let slot = self.ring.slot(self.next);
        self.begin(slot);
        self.describe(slot, len, chunk + 1, dropped);
        self.retire(chunk);
        self.end();
    }

    /// The slot names `chunk` from now on.
    #[inline]
    fn retire(&mut self, chunk: u32) {
        // There are none where every message is short.
        if !self.named.is_empty() {
            self.rename(chunk);
        }
    }

    fn rename(&mut self, chunk: u32) {
        let index = self.ring.index(self.next);
        if let Some(named) = self.named.get_mut(index) {
            let old = std::mem::replace(named, chunk);
            if old != NONE {
                self.retired.push(old);
            }
        }
    }

    /// Somebody sleeps for messages, and may do so again soon: it fences by itself for a while, so that he need not.
    #[cold]
    pub fn expect_sleepers(&mut self) {
        if self.asymmetric {
            if self.fences == 0 {
                words::care(self.ring.careful());
            }
            self.fences = CAREFUL;
        }
    }

    /// As many messages were dropped so far, for people to see.
    pub fn note_dropped(&self, total: u64) {
        // Relaxed: a figure for people.
        self.ring.dropped().store(total, Ordering::Relaxed);
    }

    /// The publisher publishes no more.
    pub fn leave(&self) {
        // ORD: publisher-left (seqcst) <-> publisher-left-look
        self.ring.left().store(1, Ordering::SeqCst);
    }
}
