//! The lanes: in which order committed messages are found.
//!
//! # Protocol
//! A lane is a ring of cells that name slots. It is only an index: whether a message is there is said by its slot. A cell
//! whose slot is not READY at the use that the cell names, or is of another lane, is stale and passed over. So a message
//! may be named twice (a repair does that), and a cell may outlive its message; neither is ever seen.
//!
//! | step | by |
//! |---|---|
//! | write the first cell that is not of its turn yet (`ORD: lane-push (release) <-> lane-look`) | a sender whose slot is READY; one compare-exchange |
//! | move `tail` on, every 16th position or so | the writer; it tells where to begin, the end is found by looking at cells |
//! | set the lane's bit in `lanes`, if it is not set (`ORD: lane-bit (seqcst) <-> lane-empty`) | the writer, after the cell |
//! | take the slot that the cell at `head` names: READY to TAKEN | a receiver, one compare-exchange on the slot |
//! | move `head` on | the taker: at once while it meets other receivers, else every 16th position or so, and when it finds the lane empty; whoever finds the cell at `head` stale |
//! | clear the lane's bit, then look at the cell at `head` again, set it again if there is one (`ORD: lane-empty (seqcst) <-> lane-bit`) | a receiver that found the lane empty but one below it not |
//!
//! A receiver looks first only at the cell at which it expects its next message of a lane (`grasp`): every cell before it is
//! known to be stale. If that cell is not of its turn but of the one before, nothing is there, however far others are; if it is
//! neither, or stale, others took from the lane meanwhile, and the head tells where to go on (`take`). Who finds nothing so
//! looks at all lanes by their heads before it sleeps.
//!
//! # Death
//! After the slot became READY and before its cell was written: the sweep of the dead sender's slots writes it. Before the bit: the sweep sets every bit. A taker that dies holds the slot by
//! name; the sweep gives it to another.
//!
//! A peer that scribbles here makes messages be found late, in another order or not at all, never twice (the slot decides)
//! and never outside of the memory (positions are masked, slots checked). Loops are bounded.

use super::memo::Memo;
use super::words::{Cell, LANES, State, Word, Words};
use crossing_sync::atomic::{AtomicU64, Ordering, dekker, model_atomics};
use crossing_sys::crash;

/// The most retries before a scribbling peer is suspected.
const MAX_TRIES: u32 = 1 << 20;

/// For so many messages after a meeting with another receiver the head is kept exact.
const COMPANY: u32 = 256;

/// After so many of them the lane's bit is cleared: a bit that is cleared and set for each message costs more than a look.
/// A model clears it at once, since that is what it is to search.
const MISSES: u32 = if model_atomics() { 1 } else { 16 };

/// Names `slot`, READY as `word`, at the end of `lane`. `false`: the lane is full of names, which honest parties do not
/// bring about but by repairs.
#[inline(always)]
pub(super) fn push<W: Words>(words: &W, lane: u32, slot: u32, word: Word) -> bool {
    let bits = words.lane_bits();
    let len = 1_u64 << bits;
    let (head, tail) = (&words.lane(lane).head.0, &words.lane(lane).tail.0);
    let memo = words.memo(lane);
    // Relaxed: this process's own hints.
    let mut passed = memo.head.load(Ordering::Relaxed);
    let mut position = memo.tail.load(Ordering::Relaxed).max(tail.load(Ordering::Acquire));
    for _ in 0..MAX_TRIES {
        let cell = words.cell(lane, position);
        let seen = cell.load(Ordering::Acquire);
        let turn = Cell::turn_of(position, bits);
        if Cell(seen).turn() == turn {
            position = position.wrapping_add(1);
            continue;
        }
        // Free: never written, or of the turn before and passed by the head. Anything else needs a fresh look.
        let before = if position < len { 0 } else { Cell::turn_of(position - len, bits) };
        let passable = position.wrapping_sub(passed) < len;
        if Cell(seen).turn() != before || (before != 0 && !passable) {
            passed = head.load(Ordering::Acquire);
            memo.head.store(passed, Ordering::Relaxed);
            if passed > position {
                // Others went around meanwhile.
                position = passed.max(tail.load(Ordering::Acquire));
                continue;
            }
            if position - passed >= len {
                if !pass_stale(words, lane, passed) {
                    return false;
                }
                continue;
            }
        }
        crash::point("queue.push.before");
        let name = Cell::new(turn, slot, word.uses()).0;
        // ORD: lane-push (release) <-> lane-look
        if cell.compare_exchange(seen, name, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            crash::point("queue.push.written");
            memo.tail.store(position.wrapping_add(1), Ordering::Relaxed);
            if position.wrapping_add(1) & (stride(bits) - 1) == 0 {
                tail.fetch_max(position.wrapping_add(1), Ordering::AcqRel);
            }
            raise(words, 1 << lane);
            return true;
        }
    }
    false
}

/// Says that the lanes of `mask` may have messages.
#[inline]
pub(super) fn raise<W: Words>(words: &W, mask: u64) {
    let lanes = &words.shared().lanes;
    dekker();
    // ORD: lane-bit (seqcst) <-> lane-empty
    if lanes.load(Ordering::SeqCst) & mask != mask {
        lanes.fetch_or(mask, Ordering::SeqCst);
    }
}

/// Moves the head on from `position` if its cell is stale.
fn pass_stale<W: Words>(words: &W, lane: u32, position: u64) -> bool {
    let seen = Cell(words.cell(lane, position).load(Ordering::Acquire));
    if find(words, lane, seen).is_some() {
        return false;
    }
    let head = &words.lane(lane).head.0;
    let _ = head.compare_exchange(position, position.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed);
    true
}

/// The slot that a cell names and its word, if the message is there.
#[inline]
fn find<W: Words>(words: &W, lane: u32, cell: Cell) -> Option<(u32, Word)> {
    let index = cell.slot();
    if index >= words.capacity() {
        return None;
    }
    let slot = words.slot(index);
    // ORD: slot-seen (acquire) <-> slot-ready
    let word = Word(slot.word.load(Ordering::Acquire));
    let there = word.state() == Some(State::Ready)
        && cell.speaks_of(word)
        && slot.meta.load(Ordering::Relaxed) as u32 & 0xff == lane;
    there.then_some((index, word))
}

/// How many positions a lone receiver, or a sender, goes on before it tells the others, in a lane of `1 << bits` cells.
fn stride(bits: u32) -> u64 {
    ((1_u64 << bits) / 4).clamp(1, 16)
}

/// Moves the head on to `next`, if it is `seen`; whether it was.
fn advance(head: &AtomicU64, seen: u64, next: u64) -> bool {
    seen == next || head.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// What a look at the place that this process remembers says of a lane.
enum Grasp {
    /// This slot is ours.
    Taken(u32),
    /// Nothing is there.
    Empty,
    /// Others were here meanwhile: only [`take`] knows.
    Unsure,
}

/// Takes the first message of `lane` if nobody else took from it since this process did; looks at no word but the cell and
/// the slot.
#[inline]
fn grasp<W: Words>(words: &W, lane: u32) -> Grasp {
    let bits = words.lane_bits();
    let memo = words.memo(lane);
    // Relaxed: this process's own hint. Nothing is left before it.
    let position = memo.next.load(Ordering::Relaxed);
    // ORD: lane-look (acquire) <-> lane-push
    let cell = Cell(words.cell(lane, position).load(Ordering::SeqCst));
    if cell.0 == memo.vacant.load(Ordering::Relaxed) {
        return Grasp::Empty;
    }
    let turn = Cell::turn_of(position, bits);
    if cell.turn() == turn - 1 && (turn > 1 || position >> bits == 0) {
        // Not written yet in this turn.
        memo.vacant.store(cell.0, Ordering::Relaxed);
        return Grasp::Empty;
    }
    if cell.turn() != turn {
        return Grasp::Unsure;
    }
    let Some((index, word)) = find(words, lane, cell) else { return Grasp::Unsure };
    if !seize(words, lane, position, index, word) {
        return Grasp::Unsure;
    }
    if is_to_tell(memo, position, bits) {
        let head = &words.lane(lane).head.0;
        let seen = head.load(Ordering::Acquire);
        if seen <= position {
            advance(head, seen, position.wrapping_add(1));
        }
    }
    Grasp::Taken(index)
}

/// Makes the READY slot that the cell at `position` names this participant's.
#[inline]
fn seize<W: Words>(words: &W, lane: u32, position: u64, index: u32, word: Word) -> bool {
    let slot = words.slot(index);
    let memo = words.memo(lane);
    crash::point("queue.take.before");
    // ORD: slot-taken (acquire) <-> slot-ready
    let mine = word.to(State::Taken, words.me().id().raw()).0;
    if slot.word.compare_exchange(word.0, mine, Ordering::SeqCst, Ordering::Relaxed).is_err() {
        memo.company.store(COMPANY, Ordering::Relaxed);
        return false;
    }
    crash::point("queue.take.after");
    // Relaxed: the owner's own; and hints.
    slot.position.store(position, Ordering::Relaxed);
    memo.next.store(position.wrapping_add(1), Ordering::Relaxed);
    foresee(words, lane, position.wrapping_add(2));
    true
}

/// Whether who took what lay at `position` is to move the head on.
#[inline]
fn is_to_tell(memo: &Memo, position: u64, bits: u32) -> bool {
    // Relaxed: a hint.
    let company = memo.company.load(Ordering::Relaxed);
    if company > 0 {
        memo.company.store(company - 1, Ordering::Relaxed);
    }
    company > 0 || position.wrapping_add(1) & (stride(bits) - 1) == 0
}

/// Takes the first message of `lane`.
pub(super) fn take<W: Words>(words: &W, lane: u32) -> Option<u32> {
    let bits = words.lane_bits();
    let head = &words.lane(lane).head.0;
    let memo = words.memo(lane);
    // Relaxed: this process's own hints.
    let mut next = memo.next.load(Ordering::Relaxed);
    let mut first = head.load(Ordering::Acquire);
    for _ in 0..MAX_TRIES {
        // A memory of more than a stride ahead is of a head that a peer set back.
        let position = if next > first && next - first <= stride(bits) { next } else { first };
        // ORD: lane-look (acquire) <-> lane-push
        let cell = Cell(words.cell(lane, position).load(Ordering::SeqCst));
        if cell.turn() != Cell::turn_of(position, bits) {
            // Either the end, or others went on and around meanwhile.
            let now = head.load(Ordering::Acquire);
            if now > position {
                first = now;
                continue;
            }
            // Nothing is here: let everybody see it.
            if now < position {
                advance(head, now, position);
            }
            return None;
        }
        let Some((index, word)) = find(words, lane, cell) else {
            // Stale. Somebody else took it, so that somebody else moves the head too.
            memo.company.store(COMPANY, Ordering::Relaxed);
            next = position.wrapping_add(1);
            if !advance(head, first, next) {
                first = head.load(Ordering::Acquire);
            } else {
                first = next;
            }
            continue;
        };
        if !seize(words, lane, position, index, word) {
            continue;
        }
        if is_to_tell(memo, position, bits) {
            advance(head, first, position.wrapping_add(1));
        }
        return Some(index);
    }
    None
}

/// Brings the slot near that the cell at `position` names, if it does already.
#[inline]
fn foresee<W: Words>(words: &W, lane: u32, position: u64) {
    // Relaxed: for a hint.
    let cell = Cell(words.cell(lane, position).load(Ordering::Relaxed));
    if cell.turn() == Cell::turn_of(position, words.lane_bits()) {
        words.prefetch(cell.slot());
    }
}

/// As [`take_highest`], at a small cost for each empty lane; `None` where it cannot be sure, too.
#[inline]
pub(super) fn take_soon<W: Words>(words: &W, mask: u64) -> Option<u32> {
    let mut left = words.shared().lanes.load(Ordering::SeqCst) & mask & ((1 << LANES) - 1);
    while left != 0 {
        let lane = 63 - left.leading_zeros();
        match grasp(words, lane) {
            Grasp::Taken(index) => return Some(index),
            Grasp::Empty => left &= !(1 << lane),
            Grasp::Unsure => return None,
        }
    }
    None
}

/// Brings the cell near that [`push`] will write into `lane`: before other work for the same message.
#[inline]
pub(super) fn foresee_push<W: Words>(words: &W, lane: u32) {
    // Relaxed: for a hint.
    words.prefetch_cell(lane, words.memo(lane).tail.load(Ordering::Relaxed));
}

/// Takes the first message of the highest lane of `mask` that has one.
pub(super) fn take_highest<W: Words>(words: &W, mask: u64) -> Option<u32> {
    let shared = words.shared();
    let mut empty = 0;
    let mut left = shared.lanes.load(Ordering::SeqCst) & mask & ((1 << LANES) - 1);
    while left != 0 {
        let lane = 63 - left.leading_zeros();
        // Relaxed: this process's own.
        let misses = &words.memo(lane).misses;
        if let Some(index) = take(words, lane) {
            misses.store(0, Ordering::Relaxed);
            if empty != 0 {
                lower(words, empty);
            }
            return Some(index);
        }
        let missed = misses.load(Ordering::Relaxed) + 1;
        misses.store(missed % (MISSES + 1), Ordering::Relaxed);
        empty |= u64::from(missed >= MISSES) << lane;
        left &= !(1 << lane);
    }
    None
}

/// Says that the lanes of `mask` are empty, and looks once more.
fn lower<W: Words>(words: &W, mask: u64) {
    let shared = words.shared();
    shared.lanes.fetch_and(!mask, Ordering::SeqCst);
    // ORD: lane-empty (seqcst) <-> lane-bit
    dekker();
    let mut left = mask;
    while left != 0 {
        let lane = 63 - left.leading_zeros();
        left &= !(1 << lane);
        if has(words, lane) {
            shared.lanes.fetch_or(1 << lane, Ordering::SeqCst);
        }
    }
}

/// Whether the lane names anything, stale or not, beyond what this process knows to be gone.
fn has<W: Words>(words: &W, lane: u32) -> bool {
    let head = words.lane(lane).head.0.load(Ordering::SeqCst);
    let position = known(words, lane, head);
    let cell = Cell(words.cell(lane, position).load(Ordering::SeqCst));
    // A head that moved on meanwhile: something was there; the bit may stay.
    cell.turn() == Cell::turn_of(position, words.lane_bits())
        || words.lane(lane).head.0.load(Ordering::SeqCst) != head
}

/// Where to begin to look in a lane with this head: the head itself tells it up to a stride late.
#[inline]
fn known<W: Words>(words: &W, lane: u32, head: u64) -> u64 {
    // Relaxed: this process's own hint. One of more than a stride ahead is of a head that a peer set back.
    let next = words.memo(lane).next.load(Ordering::Relaxed);
    if next > head && next - head <= stride(words.lane_bits()) { next } else { head }
}

/// Whether any lane of `mask` names anything.
pub(super) fn any<W: Words>(words: &W, mask: u64) -> bool {
    let mut left = words.shared().lanes.load(Ordering::SeqCst) & mask & ((1 << LANES) - 1);
    while left != 0 {
        let lane = 63 - left.leading_zeros();
        left &= !(1 << lane);
        if has(words, lane) {
            return true;
        }
    }
    false
}

/// The highest lane of `mask` that names anything.
pub(super) fn highest<W: Words>(words: &W, mask: u64) -> Option<u32> {
    let mut left = words.shared().lanes.load(Ordering::SeqCst) & mask & ((1 << LANES) - 1);
    while left != 0 {
        let lane = 63 - left.leading_zeros();
        if has(words, lane) {
            return Some(lane);
        }
        left &= !(1 << lane);
    }
    None
}

/// How many names were ever written into a lane.
#[cfg(not(loom))]
pub(super) fn end<W: Words>(words: &W, lane: u32) -> u64 {
    let bits = words.lane_bits();
    let mut position = words.lane(lane).tail.0.load(Ordering::Acquire);
    for _ in 0..1_u64 << bits {
        if Cell(words.cell(lane, position).load(Ordering::Relaxed)).turn() != Cell::turn_of(position, bits) {
            break;
        }
        position = position.wrapping_add(1);
    }
    position
}
