//! The words of a queue in mapped memory. Every offset was checked when the queue was opened; every index is masked or
//! checked against this process's own copy of the layout.
#![allow(unsafe_code)] // references and copies within the claimed range

use super::layout::{Blocks, Layout};
use super::memo::Memo;
use super::words::{Cell, DOORBELLS, INLINE, Lane, Ledger, Shared, Slot, Words};
use crossing_shm::Region;
use crossing_sync::Participant;
use crossing_sync::atomic::{AtomicU64, Ordering};
use crossing_sync::participant::MAX_PARTICIPANTS;
use crossing_sys::Result;
use std::ptr::NonNull;
use std::sync::Arc;

/// Longer messages leave the caches before their memory is written again.
const OWNED: usize = 256 << 10;

/// A claimed range of a region, and what lies where.
#[derive(Debug)]
pub(super) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
    me: Arc<Participant>,
    memos: Box<[Memo]>,
    /// Keeps the memory mapped.
    _region: Region,
}

// SAFETY: the memory is reached through atomics and tolerant copies, and stays mapped as long as the region lives.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn new(region: &Region, layout: Layout) -> Result<Self> {
        let base = region.claim(0, layout.len, 64)?;
        let me = region.require_participant("open queue")?;
        let memos = (0..=layout.limits.priorities).map(|_| Memo::default()).collect();
        Ok(Self { base, layout, me, memos, _region: region.clone() })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A thing of the layout.
    ///
    /// # Safety
    /// `offset` must be one of the layout's, plus less than its length, aligned for `T`; `T` must consist of atomics.
    #[inline]
    unsafe fn at<T>(&self, offset: usize) -> &T {
        // SAFETY: inside of the claimed range, by the caller's promise.
        let place = unsafe { self.base.add(offset) }.cast::<T>();
        debug_assert!(place.is_aligned());
        // SAFETY: mapped while `self` lives, aligned, and atomics tolerate other writers.
        unsafe { place.as_ref() }
    }

    pub(super) fn block(&self, blocks: &Blocks, index: u32) -> &AtomicU64 {
        assert!(index < blocks.count);
        // SAFETY: below the count of words at this place.
        unsafe { self.at(blocks.words + index as usize * 8) }
    }

    /// The address of `len` bytes from block `first`; `None` if they reach past the blocks.
    pub(super) fn bytes(&self, blocks: &Blocks, first: u32, len: usize) -> Option<NonNull<u8>> {
        let start = (first as usize).checked_mul(blocks.block_len)?;
        let end = start.checked_add(len)?;
        if end > (blocks.count as usize).checked_mul(blocks.block_len)? {
            return None;
        }
        // SAFETY: inside of the blocks, as just checked, which are inside of the claimed range.
        Some(unsafe { self.base.add(blocks.bytes + start) })
    }

    /// The address of a slot's own bytes.
    pub(super) fn inline(&self, index: u32) -> NonNull<u8> {
        assert!(index < self.layout.capacity);
        // SAFETY: the offset is inside of the claimed range: below the count of slots, and of the length of one.
        unsafe { self.base.add(self.inline_at(index)) }
    }

    /// Where a slot's own bytes begin, from the beginning of the memory.
    #[inline]
    fn inline_at(&self, index: u32) -> usize {
        self.layout.slots + index as usize * self.layout.slot_len + size_of::<Slot>() - INLINE
    }

    /// Makes the lines of `len` of a slot's own bytes this processor's alone, by writing what is there: for their owner, before it
    /// gives the slot away. Who next writes to a line that others have read, and never wrote, must first take it from each of
    /// them, which no fetching ahead spares it; a line that was written wanders as a whole.
    #[inline]
    pub(super) fn own_inline(&self, index: u32, len: usize) {
        assert!(index < self.layout.capacity);
        let start = self.inline_at(index);
        for line in (0..len.clamp(1, self.layout.inline)).step_by(64) {
            // SAFETY: the last word of a line of the slot's own bytes, which are whole lines.
            let last: &AtomicU64 = unsafe { self.at(start + line + 56) };
            // Relaxed: the owner's own, and it stays what it is.
            last.store(last.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// As [`own_inline`](Self::own_inline), of a message of `len` bytes at `place`, if it lies in blocks.
    #[inline]
    pub(super) fn own_blocks(&self, place: NonNull<u8>, slot: u32, len: usize) {
        if len > INLINE && len <= OWNED && place != self.inline(slot) {
            for line in (0..len).step_by(64) {
                // SAFETY: blocks are whole lines, of which the message at `place` has so many.
                let last = unsafe { place.add(line + 56) }.cast::<AtomicU64>();
                // SAFETY: as above; mapped, aligned, and atomics tolerate other writers.
                let last = unsafe { last.as_ref() };
                // Relaxed: the owner's own, and it stays what it is.
                last.store(last.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Writes `parts` one after the other into the slot; they fit.
    #[inline(always)]
    pub(super) fn write_inline(&self, index: u32, parts: [&[u8]; 2]) {
        let inline = &self.slot(index).inline;
        if let ([], Ok(body)) = (parts[0], <&[u8; INLINE]>::try_from(parts[1])) {
            let (chunks, _) = body.as_chunks::<8>();
            for (word, bytes) in inline.iter().zip(chunks) {
                // Relaxed: as below.
                word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
            return;
        }
        let mut buffer = [0; INLINE];
        let (first, second) = (parts[0].len(), parts[1].len());
        if first + second > INLINE {
            return self.write_blocks(self.inline(index), parts);
        }
        buffer[..first].copy_from_slice(parts[0]);
        buffer[first..first + second].copy_from_slice(parts[1]);
        let words = (first + second).div_ceil(8);
        let (chunks, _) = buffer.as_chunks::<8>();
        for (word, bytes) in inline.iter().zip(chunks).take(words) {
            // Relaxed: published by the slot's word.
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// Writes `parts` one after the other at `place`, which [`bytes`](Self::bytes) gave for as many bytes.
    pub(super) fn write_blocks(&self, place: NonNull<u8>, parts: [&[u8]; 2]) {
        // SAFETY: `place` has room for both, mapped writable; the copy tolerates others.
        unsafe { crossing_sys::copy::to_shared(parts[0], place.as_ptr()) };
        // SAFETY: as above.
        let rest = unsafe { place.add(parts[0].len()) };
        // SAFETY: as above.
        unsafe { crossing_sys::copy::to_shared(parts[1], rest.as_ptr()) };
    }
}

impl Words for Memory {
    #[inline]
    fn capacity(&self) -> u32 {
        self.layout.capacity
    }

    #[inline]
    fn lane_bits(&self) -> u32 {
        self.layout.lane_bits
    }

    fn users(&self) -> usize {
        MAX_PARTICIPANTS
    }

    #[inline]
    fn me(&self) -> &Participant {
        &self.me
    }

    #[inline]
    fn shared(&self) -> &Shared {
        // SAFETY: the layout's own offset.
        unsafe { self.at(self.layout.shared) }
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot {
        assert!(index < self.layout.capacity);
        // SAFETY: below the count of slots.
        unsafe { self.at(self.layout.slots + index as usize * self.layout.slot_len) }
    }

    #[inline]
    fn lane(&self, lane: u32) -> &Lane {
        // SAFETY: `row` is below the count of lanes.
        unsafe { self.at(self.layout.lanes + self.row(lane) * size_of::<Lane>()) }
    }

    #[inline]
    fn cell(&self, lane: u32, position: u64) -> &AtomicU64 {
        let bits = self.layout.lane_bits;
        let within = (position & ((1 << bits) - 1)) as usize;
        let row = self.row(lane) << bits;
        // SAFETY: masked, and `row` is below the count of lanes.
        unsafe { self.at(self.layout.cells + (row + within) * size_of::<Cell>()) }
    }

    #[inline]
    fn busy(&self, index: usize) -> &AtomicU64 {
        assert!(index * 64 < self.layout.capacity as usize);
        // SAFETY: below the count of words.
        unsafe { self.at(self.layout.busy + index * 8) }
    }

    #[inline]
    fn aside(&self, index: usize) -> &AtomicU64 {
        assert!(index * 64 < self.layout.capacity as usize);
        // SAFETY: below the count of words.
        unsafe { self.at(self.layout.aside + index * 8) }
    }

    fn receivers(&self) -> &[AtomicU64] {
        // SAFETY: the layout has room for twice as many.
        let entries: &[AtomicU64; DOORBELLS] = unsafe { self.at(self.layout.doorbells) };
        entries
    }

    fn senders(&self) -> &[AtomicU64] {
        // SAFETY: as above.
        let entries: &[AtomicU64; DOORBELLS] = unsafe { self.at(self.layout.doorbells + DOORBELLS * 8) };
        entries
    }

    #[inline]
    fn memo(&self, lane: u32) -> &Memo {
        &self.memos[self.row(lane)]
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        if slot < self.layout.capacity {
            let slot = std::ptr::from_ref(self.slot(slot)).cast::<u8>();
            crossing_sys::copy::bring_near::<true>(slot);
            crossing_sys::copy::bring_near::<true>(slot.wrapping_add(64));
        }
    }

    #[inline]
    fn prefetch_cell(&self, lane: u32, position: u64) {
        crossing_sys::copy::bring_near::<true>(std::ptr::from_ref(self.cell(lane, position)).cast());
    }

    #[inline]
    fn ledger(&self, user: usize) -> &Ledger {
        assert!(user < MAX_PARTICIPANTS);
        // SAFETY: below the count of ledgers.
        unsafe { self.at(self.layout.ledgers + user * size_of::<Ledger>()) }
    }
}

impl Memory {
    /// The row of a lane: dead letters lie after the last priority. A lane that there is not counts as dead letters.
    #[inline]
    fn row(&self, lane: u32) -> usize {
        // At most DEAD: the header was checked.
        lane.min(self.layout.limits.priorities) as usize
    }
}
