//! The slots: whose a message is.
//!
//! # Protocol
//! | from | step | to |
//! |---|---|---|
//! | FREE | claim (`ORD: slot-claimed (acquire) <-> slot-freed`) | WRITING by the sender |
//! | WRITING | commit: everything is written (`ORD: slot-ready (release) <-> slot-seen`), then named in its lane | READY by the sender |
//! | WRITING | give up | FREE, one use later |
//! | WRITING | commit with a delay (`ORD: slot-aside (release) <-> slot-due`), then marked in the map of those aside | ASIDE by the sender |
//! | READY | take (`ORD: slot-taken (acquire) <-> slot-ready`) | TAKEN by the receiver |
//! | ASIDE, due | take (`ORD: slot-due (acquire) <-> slot-aside`) | TAKEN by the receiver |
//! | TAKEN | acknowledge, drop, expire (`ORD: slot-freed (release) <-> slot-claimed`) | FREE, one use later |
//! | TAKEN | give back, at once or later (`ORD: slot-aside (release) <-> slot-due`) | ASIDE by the receiver |
//! | TAKEN, delivered too often | bury: lane 32 (`ORD: slot-ready (release) <-> slot-seen`) | READY by the receiver |
//!
//! Each is one atomic step on the slot's word, which names the owner, the state and the use; so an old look never matches.
//! All other words of a slot are its owner's. A receiver writes the last word of each line of a message once more, as it is:
//! so the line is modified where it is read, and goes back to the next sender as one that nobody else has; in the slot when it
//! takes it (`Memory::own_inline`), in blocks when it is done with it, up to 256 KiB (`Memory::own_blocks`).
//!
//! Finding a free slot: bit n of the map `busy` says that slot n was found in use; it is only a hint, and in steady flow
//! nobody writes it. Who finds a slot in use sets its bit, then looks at the slot again and clears the bit if it is free
//! (`ORD: busy-set (seqcst) <-> busy-clear`); who frees a slot clears its bit if it is set
//! (`ORD: busy-clear (seqcst) <-> busy-set`).
//!
//! # Death
//! The sweep (`sweep.rs`) undoes WRITING, names READY, gives TAKEN to others, marks ASIDE.

use super::words::{State, Word, Words, map_words};
use crossing_sync::atomic::{Ordering, dekker};
use crossing_sys::crash;

/// Claims a free slot at or after `from`. `thorough` looks at every slot before it says that none is free.
#[inline(always)]
pub(super) fn claim<W: Words>(words: &W, from: u32, thorough: bool) -> Option<(u32, Word)> {
    // In steady flow the next one is free, and no map needs a look.
    try_claim(words, from).map(|word| (from, word)).or_else(|| search(words, from, thorough))
}

#[cold]
fn search<W: Words>(words: &W, from: u32, thorough: bool) -> Option<(u32, Word)> {
    let capacity = words.capacity();
    let count = map_words(capacity);
    let (first, first_bit) = ((from / 64) as usize % count, from % 64);
    let mut probes = 0;
    for step in 0..=count {
        let index = (first + step) % count;
        let base = index as u32 * 64;
        let mut free = !words.busy(index).load(Ordering::Relaxed);
        if capacity - base < 64 {
            free &= (1 << (capacity - base)) - 1;
        }
        // The first word twice: from the wanted bit on, and at the end what lies before it.
        if step == 0 {
            free &= u64::MAX << first_bit;
        } else if step == count {
            free &= !(u64::MAX << first_bit);
        }
        while free != 0 {
            let bit = free.trailing_zeros();
            free &= free - 1;
            let slot = base + bit;
            if let Some(word) = try_claim(words, slot) {
                return Some((slot, word));
            }
            if !thorough {
                probes += 1;
                if probes == 2 {
                    return None;
                }
                continue;
            }
            if mark_busy(words, index, bit)
                && let Some(word) = try_claim(words, slot)
            {
                return Some((slot, word));
            }
        }
    }
    None
}

#[inline(always)]
fn try_claim<W: Words>(words: &W, index: u32) -> Option<Word> {
    let slot = words.slot(index);
    let word = Word(slot.word.load(Ordering::Relaxed));
    if word.state() != Some(State::Free) {
        return None;
    }
    crash::point("queue.claim.before");
    let mine = word.to(State::Writing, words.me().id().raw());
    // ORD: slot-claimed (acquire) <-> slot-freed
    slot.word.compare_exchange(word.0, mine.0, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| mine)
}

/// Marks a slot as found in use; `true`: it is free after all, and the mark is gone.
fn mark_busy<W: Words>(words: &W, index: usize, bit: u32) -> bool {
    let map = words.busy(index);
    // ORD: busy-set (seqcst) <-> busy-clear
    map.fetch_or(1 << bit, Ordering::SeqCst);
    dekker();
    let word = Word(words.slot(index as u32 * 64 + bit).word.load(Ordering::SeqCst));
    if word.state() == Some(State::Free) {
        map.fetch_and(!(1 << bit), Ordering::SeqCst);
        return true;
    }
    false
}

/// Frees a slot that is `word`; `false`: it is not any more. Who waits for room is told by the caller.
#[inline]
pub(super) fn free<W: Words>(words: &W, index: u32, word: Word) -> bool {
    let slot = words.slot(index);
    crash::point("queue.free.before");
    // ORD: slot-freed (release) <-> slot-claimed
    if slot.word.compare_exchange(word.0, word.freed().0, Ordering::SeqCst, Ordering::Relaxed).is_err() {
        return false;
    }
    crash::point("queue.free.after");
    unmark(words, index);
    true
}

/// Clears the mark that a slot is in use, if it has one.
#[inline]
pub(super) fn unmark<W: Words>(words: &W, index: u32) {
    let map = words.busy((index / 64) as usize);
    let bit = 1 << (index % 64);
    dekker();
    // ORD: busy-clear (seqcst) <-> busy-set
    if map.load(Ordering::SeqCst) & bit != 0 {
        map.fetch_and(!bit, Ordering::SeqCst);
    }
}
