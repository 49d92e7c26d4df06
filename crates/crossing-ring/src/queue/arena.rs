//! Where messages lie that are too long for their slot: runs of equal blocks.
//!
//! # Protocol
//! Each block has a word: 0, or the slot (low half, plus 1) and the use of it (high half) for which it was claimed. The
//! block is in use exactly while that slot is at that use and not FREE; so freeing a slot frees its blocks, and no death
//! can leak one. A sender that has claimed a slot claims a run of blocks for it, block by block, by compare-exchange from a
//! word that is out of use (`ORD: block-claimed (acquire) <-> slot-freed`), beginning where its last run ended; blocks
//! claimed in vain get the word 0.
//!
//! A peer that scribbles over the words can make two messages share blocks; copies in and out stay inside of the blocks.

use super::layout::{Blocks, Layout};
use super::memory::Memory;
use super::words::{State, Word, Words};
use crossing_sync::atomic::Ordering;
use std::sync::atomic::AtomicU32;

/// A run of blocks, or none: the message lies in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: u32,
    pub(super) count: u32,
    /// Of large blocks.
    pub(super) coarse: bool,
}

const COARSE: u64 = 1 << 63;

impl Extent {
    pub(super) const INLINE: Self = Self { first: 0, count: 0, coarse: false };

    pub(super) fn pack(self) -> u64 {
        u64::from(self.first) | (u64::from(self.count) << 32) | if self.coarse { COARSE } else { 0 }
    }

    pub(super) fn unpack(word: u64) -> Self {
        Self { first: word as u32, count: ((word & !COARSE) >> 32) as u32, coarse: word & COARSE != 0 }
    }

    pub(super) fn blocks(self, layout: &Layout) -> Blocks {
        if self.coarse { layout.coarse } else { layout.fine }
    }
}

/// Where this process claimed last.
#[derive(Debug, Default)]
pub(super) struct Arena {
    fine: AtomicU32,
    coarse: AtomicU32,
}

impl Arena {
    /// Claims blocks for `len` bytes of the message in slot `index`, which is `word`.
    pub(super) fn claim(
        &self,
        memory: &Memory,
        index: u32,
        word: Word,
        len: usize,
        thorough: bool,
    ) -> Option<Extent> {
        let layout = memory.layout();
        let owner = (word.uses() << 32) | u64::from(index + 1);
        let sizes = [(layout.fine, &self.fine, false), (layout.coarse, &self.coarse, true)];
        for (blocks, cursor, coarse) in sizes {
            if blocks.count == 0 || len.div_ceil(blocks.block_len) > 64 {
                continue;
            }
            let count = len.div_ceil(blocks.block_len) as u32;
            if let Some(first) = run(memory, &blocks, cursor, owner, count, thorough) {
                return Some(Extent { first, count, coarse });
            }
        }
        None
    }
}

/// Claims `count` blocks in a row.
fn run(
    memory: &Memory,
    blocks: &Blocks,
    cursor: &AtomicU32,
    owner: u64,
    count: u32,
    thorough: bool,
) -> Option<u32> {
    if count > blocks.count {
        return None;
    }
    let mut budget =
        if thorough { u64::from(blocks.count) * 2 + u64::from(count) } else { u64::from(count) + 16 };
    // Relaxed: a hint of this process's own.
    let mut first = cursor.load(Ordering::Relaxed);
    let mut have = 0;
    loop {
        if first > blocks.count - count {
            let_go(memory, blocks, first, have, owner);
            (first, have) = (0, 0);
        }
        if have == count {
            cursor.store(first + count, Ordering::Relaxed);
            return Some(first);
        }
        if budget == 0 {
            let_go(memory, blocks, first, have, owner);
            return None;
        }
        budget -= 1;
        if try_block(memory, blocks, first + have, owner) {
            have += 1;
        } else {
            let_go(memory, blocks, first, have, owner);
            (first, have) = (first + have + 1, 0);
        }
    }
}

fn try_block(memory: &Memory, blocks: &Blocks, index: u32, owner: u64) -> bool {
    let place = memory.block(blocks, index);
    let seen = place.load(Ordering::Relaxed);
    if seen != 0 {
        let slot = (seen as u32).wrapping_sub(1);
        if slot < memory.capacity() {
            // ORD: block-claimed (acquire) <-> slot-freed
            let word = Word(memory.slot(slot).word.load(Ordering::Acquire));
            if word.uses() == seen >> 32 && word.state() != Some(State::Free) {
                return false;
            }
        }
    }
    place.compare_exchange(seen, owner, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

fn let_go(memory: &Memory, blocks: &Blocks, first: u32, count: u32, owner: u64) {
    for index in first..first + count {
        let _ = memory.block(blocks, index).compare_exchange(owner, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}
