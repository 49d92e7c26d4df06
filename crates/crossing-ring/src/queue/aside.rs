//! Messages outside of the lanes: delayed, and given back.
//!
//! # Protocol
//! An ASIDE slot has its due time in `due` (0: at once) and its bit in the map `aside`. The bit is a hint, set after the
//! slot became ASIDE; who finds a bit whose slot is not ASIDE clears it, looks again, and sets it again if need be.
//!
//! `shared.due` tells when it is worth looking: the earliest due time in units of 65,536 ns in the high 48 bits, inverted
//! so that zero means never, and a count of additions in the low 16 bits. Who puts a message aside brings the time forward
//! if need be and adds one (`ORD: due-add (seqcst) <-> due-scan`); who looked through the map sets the earliest time that
//! he found, unless anything was added meanwhile (`ORD: due-scan (seqcst) <-> due-add`).
//!
//! What is due goes before what waits in the lane of its priority; among several, the order in which they were first taken.
//!
//! # Death
//! Put aside, but bit or time not yet set: the sweep sets both for every ASIDE slot of the dead.

use super::words::{DEAD, State, Word, Words, map_words};
use crossing_sync::atomic::{Ordering, dekker};
use crossing_sys::crash;

const NEVER: u64 = (1 << 48) - 1;

fn pack(time: u64, count: u64) -> u64 {
    ((NEVER - time.min(NEVER)) << 16) | (count & 0xffff)
}

fn unpack(word: u64) -> (u64, u64) {
    (NEVER - (word >> 16), word & 0xffff)
}

/// Marks a slot that is ASIDE, due at `due`.
pub(super) fn mark<W: Words>(words: &W, index: u32, due: u64) {
    crash::point("queue.aside.before-mark");
    words.aside((index / 64) as usize).fetch_or(1 << (index % 64), Ordering::SeqCst);
    crash::point("queue.aside.marked");
    let hint = &words.shared().due.0;
    // ORD: due-add (seqcst) <-> due-scan
    let _ = hint.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
        let (time, count) = unpack(word);
        Some(pack(time.min(due >> 16), count + 1))
    });
}

/// When something aside is due, in nanoseconds; `None`: nothing is aside.
#[inline]
pub(super) fn next_due<W: Words>(words: &W) -> Option<u64> {
    let word = words.shared().due.0.load(Ordering::SeqCst);
    let (time, _) = unpack(word);
    (time != NEVER).then_some(time << 16)
}

/// Takes the best message that is due at `now` and not of a lower priority than `least`.
pub(super) fn take_due<W: Words>(words: &W, now: u64, least: u32) -> Option<u32> {
    let hint = &words.shared().due.0;
    let me = words.me().id().raw();
    loop {
        // ORD: due-scan (seqcst) <-> due-add
        let seen = hint.load(Ordering::SeqCst);
        let (time, count) = unpack(seen);
        if time == NEVER || time << 16 > now {
            return None;
        }
        let (best, earliest) = scan(words, now);
        let Some((index, word, lane)) = best else {
            // Nothing is due: the next look is worth it at the earliest of what is.
            let next = pack(earliest.map_or(NEVER, |due| (due >> 16).max(1)), count);
            let _ = hint.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed);
            return None;
        };
        if lane < least {
            return None;
        }
        crash::point("queue.take-aside.before");
        let slot = words.slot(index);
        let mine = word.to(State::Taken, me).0;
        // ORD: slot-due (acquire) <-> slot-aside
        if slot.word.compare_exchange(word.0, mine, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            crash::point("queue.take-aside.after");
            words.aside((index / 64) as usize).fetch_and(!(1 << (index % 64)), Ordering::SeqCst);
            return Some(index);
        }
    }
}

/// A slot, its word and its lane.
type Found = (u32, Word, u32);

/// The message that is due and first in order, and the earliest due time of the others.
fn scan<W: Words>(words: &W, now: u64) -> (Option<Found>, Option<u64>) {
    // Inverted lane and position: the smallest goes first.
    let mut best: Option<((u32, u64), Found)> = None;
    let mut earliest: Option<u64> = None;
    for map in 0..map_words(words.capacity()) {
        let mut bits = words.aside(map).load(Ordering::SeqCst);
        while bits != 0 {
            let bit = bits.trailing_zeros();
            bits &= bits - 1;
            let index = map as u32 * 64 + bit;
            let Some(word) = look(words, index, map, bit) else { continue };
            let slot = words.slot(index);
            // Relaxed: a wrong value makes a wrong order, and the exchange that takes the slot orders the rest.
            let due = slot.due.load(Ordering::Relaxed);
            if due > now {
                earliest = Some(earliest.map_or(due, |earliest| earliest.min(due)));
                continue;
            }
            let lane = (slot.meta.load(Ordering::Relaxed) as u32 & 0xff).min(DEAD - 1);
            let rank = (DEAD - lane, slot.position.load(Ordering::Relaxed));
            if best.is_none_or(|(first, _)| rank < first) {
                best = Some((rank, (index, word, lane)));
            }
        }
    }
    (best.map(|(_, found)| found), earliest)
}

/// The word of a marked slot if it is ASIDE; else its mark is cleared.
fn look<W: Words>(words: &W, index: u32, map: usize, bit: u32) -> Option<Word> {
    if index >= words.capacity() {
        words.aside(map).fetch_and(!(1 << bit), Ordering::SeqCst);
        return None;
    }
    let aside = || {
        let word = Word(words.slot(index).word.load(Ordering::SeqCst));
        (word.state() == Some(State::Aside)).then_some(word)
    };
    if let Some(word) = aside() {
        return Some(word);
    }
    words.aside(map).fetch_and(!(1 << bit), Ordering::SeqCst);
    dekker();
    let word = aside()?;
    words.aside(map).fetch_or(1 << bit, Ordering::SeqCst);
    Some(word)
}
