//! The words by which a publisher and its subscribers meet, and what is done with them: each function is one step of the
//! protocols at the top of `ring.rs`, `cursors.rs` and `bell.rs`. They are apart from where the words lie, so that
//! `tests/loom/ring.rs` can search every order of them.

use crossing_sync::atomic::{AtomicU32, AtomicU64, Ordering, dekker, fence};
use crossing_sys::crash;

/// The sequence of a slot whose message `position` is complete.
#[inline]
#[must_use]
pub fn done(position: u64) -> u64 {
    position.wrapping_mul(2).wrapping_add(2)
}

/// Whether sequence `one` comes before `other`.
#[inline]
fn is_before(one: u64, other: u64) -> bool {
    one.wrapping_sub(other) > u64::MAX / 2
}

/// What a reader finds in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The message is not there yet.
    NotYet,
    /// It is there; what is read of it counts if [`is_still`] says so afterwards.
    Done,
    /// It was overwritten, or is being.
    Gone,
}

/// The publisher's first step: what was in the slot is gone.
#[inline]
pub fn begin(sequence: &AtomicU64, position: u64) {
    // Relaxed: ordered by the fence.
    sequence.store(done(position).wrapping_sub(1), Ordering::Relaxed);
    // ORD: ring-begin (release) <-> ring-check
    fence(Ordering::Release);
}

/// The publisher's last step: the message is there, and then one may look for sleepers ([`is_wanted`]). The tail is told if there
/// is one. `light`: without a fence, which a publisher that is [careful](care) makes, and one that is not asymmetric.
#[inline]
pub fn end(sequence: &AtomicU64, tail: Option<&AtomicU64>, position: u64, light: bool) {
    if light {
        // Release: whoever is about to sleep fences for both, by `asymmetric::heavy`.
        // ORD: ring-done (seqcst) <-> ring-look
        sequence.store(done(position), Ordering::Release);
        crossing_sys::asymmetric::light();
    } else {
        // ORD: ring-done (seqcst) <-> ring-look
        sequence.store(done(position), Ordering::SeqCst);
    }
    crash::point("topic.publish.done");
    if let Some(tail) = tail {
        // ORD: ring-tail (release) <-> ring-tail-look
        tail.store(position.wrapping_add(1), Ordering::Release);
    }
    if !light {
        dekker();
    }
}

/// An asymmetric publisher says that it fences after each message from the next one on: who is about to sleep need not.
#[inline]
pub fn care(careful: &AtomicU64) {
    // Release: whoever sees it has the messages before it, which were not fenced.
    // ORD: ring-care (release) <-> ring-care-look
    careful.store(1, Ordering::Release);
}

/// It says that it does not any more, before the first message that it does not fence.
#[inline]
pub fn relax(careful: &AtomicU64) {
    // A Dekker pair with who wants to be woken: if he saw the care, the looks whether somebody wants it see him.
    // ORD: ring-relax (seqcst) <-> ring-care-look
    careful.swap(0, Ordering::SeqCst);
    dekker();
}

/// Whether a publisher does: the look of one who has said that he [wants](want) to be woken.
#[inline]
#[must_use]
pub fn is_careful(careful: &AtomicU64) -> bool {
    // ORD: ring-care-look (seqcst) <-> ring-care, ring-relax
    careful.load(Ordering::SeqCst) != 0
}

/// The position after the last message that was told.
#[inline]
#[must_use]
pub fn tail(tail: &AtomicU64) -> u64 {
    // ORD: ring-tail-look (acquire) <-> ring-tail
    tail.load(Ordering::Acquire)
}

/// What there is of message `position`. SeqCst: who is about to sleep looks once more after it said so.
#[inline]
#[must_use]
pub fn see(sequence: &AtomicU64, position: u64) -> Seen {
    // ORD: ring-look (seqcst) <-> ring-done
    let found = sequence.load(Ordering::SeqCst);
    if found == done(position) {
        Seen::Done
    } else if is_before(found, done(position)) {
        Seen::NotYet
    } else {
        Seen::Gone
    }
}

/// Whether what was read of message `position` since it was [seen](see) is whole.
#[inline]
#[must_use]
pub fn is_still(sequence: &AtomicU64, position: u64) -> bool {
    // ORD: ring-check (acquire) <-> ring-begin
    fence(Ordering::Acquire);
    // Relaxed: ordered by the fence.
    sequence.load(Ordering::Relaxed) == done(position)
}

/// Writes the bytes of a short message, as far as there is room: a slot has enough for the longest one.
#[inline(always)]
pub fn write(body: &[AtomicU64], message: &[u8]) {
    let (blocks, rest) = message.as_chunks::<16>();
    let (rooms, last) = body.as_chunks::<2>();
    for (room, block) in rooms.iter().zip(blocks) {
        store_pair(room, block);
    }
    if !rest.is_empty() {
        let left = rooms.get(blocks.len()).map_or(last, |room| room.as_slice());
        write_rest(left, rest);
    }
}

/// What is left of a message after whole pairs of words.
#[inline(never)]
fn write_rest(body: &[AtomicU64], message: &[u8]) {
    let (words, rest) = message.as_chunks::<8>();
    let mut left = body.iter();
    for (word, room) in words.iter().zip(left.by_ref()) {
        // Relaxed, here and below: published by the sequence.
        room.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
    }
    if let (false, Some(room)) = (rest.is_empty(), left.next()) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        room.store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
}

#[cfg(not(loom))]
use crossing_sys::copy::store_pair;

/// As the real one, of loom's atomics.
#[cfg(loom)]
fn store_pair(to: &[AtomicU64; 2], from: &[u8; 16]) {
    write_rest(to, from);
}

/// Reads the bytes of a short message of `len` bytes, and up to 31 more, as far as there are any. They count if [`is_still`] says
/// so afterwards.
#[inline]
pub fn read(body: &[AtomicU64], to: &mut [u64], len: usize) {
    let (rooms, last) = body.as_chunks::<4>();
    let (blocks, rest) = to.as_chunks_mut::<4>();
    let count = len.div_ceil(32);
    for (block, room) in blocks.iter_mut().zip(rooms).take(count) {
        // Relaxed, here and below: ordered by the sequence before and the fence after.
        block[0] = room[0].load(Ordering::Relaxed);
        block[1] = room[1].load(Ordering::Relaxed);
        block[2] = room[2].load(Ordering::Relaxed);
        block[3] = room[3].load(Ordering::Relaxed);
    }
    if count > rooms.len() {
        let to = blocks.get_mut(rooms.len()).map_or(rest, |block| block.as_mut_slice());
        for (to, room) in to.iter_mut().zip(last) {
            *to = room.load(Ordering::Relaxed);
        }
    }
}

/// A reader marks a chunk as being read; it counts if [`may_read`] says so afterwards.
#[inline]
pub fn mark(hazard: &AtomicU64, what: u64) {
    // Relaxed: ordered by the fence of `may_read`.
    // ORD: hazard-set (seqcst) <-> hazard-scan
    hazard.store(what, Ordering::Relaxed);
}

/// Whether the chunk of message `position` was marked before the publisher began to overwrite the message, so that it will not
/// lend the chunk until the mark is gone.
#[inline]
#[must_use]
pub fn may_read(sequence: &AtomicU64, position: u64) -> bool {
    fence(Ordering::SeqCst);
    // ORD: ring-recheck (seqcst) <-> ring-begun
    sequence.load(Ordering::SeqCst) == done(position)
}

/// The reader is done with the chunk.
#[inline]
pub fn unmark(hazard: &AtomicU64) {
    // Release: everything was read before. The publisher that sees it may write.
    // ORD: hazard-clear (release) <-> hazard-scan
    hazard.store(0, Ordering::Release);
}

/// The publisher, before it looks at hazards: whoever marks too late for it sees that its message is being overwritten.
#[inline]
pub fn before_scan() {
    // ORD: ring-begun (seqcst) <-> ring-recheck
    fence(Ordering::SeqCst);
}

/// What a hazard marks.
#[inline]
#[must_use]
pub fn marked(hazard: &AtomicU64) -> u64 {
    // ORD: hazard-scan (seqcst) <-> hazard-set
    hazard.load(Ordering::SeqCst)
}

/// A subscriber has read everything before `position`, where no publisher ever sleeps until it sees it, or it
/// [fences](settle) before it rings.
#[inline]
pub fn note(cursor: &AtomicU64, position: u64) {
    // ORD: cursor-move (seqcst) <-> cursor-look
    cursor.store(position, Ordering::Release);
}

/// Between the cursor and the look whether the publisher sleeps.
#[inline]
pub fn settle() {
    fence(Ordering::SeqCst);
}

/// How far a subscriber has read.
#[inline]
#[must_use]
pub fn position(cursor: &AtomicU64) -> u64 {
    // ORD: cursor-look (seqcst) <-> cursor-move
    cursor.load(Ordering::SeqCst)
}

/// The publisher lets the subscriber `key` read in place from message `position` on.
#[inline]
pub fn admit(keys: &AtomicU64, positions: &AtomicU64, key: u64, position: u64) {
    positions.store(position, Ordering::Relaxed); // Relaxed: published by the key.
    crash::point("topic.admit.positioned");
    // ORD: ring-admit (release) <-> ring-admit-look
    keys.store(key, Ordering::Release);
}

/// Whether the subscriber `key` was admitted here.
#[inline]
#[must_use]
pub fn is_admitted(keys: &AtomicU64, key: u64) -> bool {
    // ORD: ring-admit-look (acquire) <-> ring-admit
    keys.load(Ordering::Acquire) == key
}

/// From which message on, if it was.
#[inline]
#[must_use]
pub fn admitted_from(positions: &AtomicU64) -> u64 {
    positions.load(Ordering::Relaxed) // Relaxed: published by the key.
}

/// A subscriber gives an entry to the publisher `key`, whose ring it reads from message `position` on.
#[inline]
pub fn enter(keys: &AtomicU64, cursor: &AtomicU64, key: u64, position: u64) {
    // Relaxed: published by the key.
    cursor.store(position, Ordering::Relaxed);
    crash::point("topic.begin.positioned");
    // ORD: cursor-key (release) <-> cursor-key-look
    keys.store(key, Ordering::Release);
}

/// Whether an entry is the publisher's with this `key`.
#[inline]
#[must_use]
pub fn is_entered(keys: &AtomicU64, key: u64) -> bool {
    // ORD: cursor-key-look (acquire) <-> cursor-key
    keys.load(Ordering::Acquire) == key
}

/// A subscriber says that it will sleep; then it fences, for a publisher that does not fence ([`is_careful`]) by
/// `asymmetric::heavy`, and looks once more.
#[inline]
pub fn want(wanted: &AtomicU32) {
    // ORD: bell-wanted (seqcst) <-> bell-wanted-look
    wanted.swap(1, Ordering::SeqCst);
    dekker();
}

/// Whether somebody wants to be woken: the publisher's look after each message.
#[inline]
#[must_use]
pub fn is_wanted(wanted: &AtomicU32) -> bool {
    // ORD: bell-wanted-look (seqcst) <-> bell-wanted
    wanted.load(Ordering::SeqCst) != 0
}

/// The publisher takes the wish, before it rings.
#[inline]
pub fn answer(wanted: &AtomicU32) {
    wanted.swap(0, Ordering::SeqCst);
}

/// A notifier sets an id, and rings then.
#[inline]
pub fn set_id(word: &AtomicU64, bit: u32) {
    // ORD: event-set (seqcst) <-> event-take
    word.fetch_or(1 << bit, Ordering::SeqCst);
}

/// Whether a waiter has ids to take.
#[inline]
#[must_use]
pub fn has_ids(word: &AtomicU64) -> bool {
    // ORD: event-take (seqcst) <-> event-set
    word.load(Ordering::SeqCst) != 0
}

/// Takes all ids of a word.
#[inline]
#[must_use]
pub fn take_ids(word: &AtomicU64) -> u64 {
    // ORD: event-take (seqcst) <-> event-set
    if word.load(Ordering::SeqCst) == 0 { 0 } else { word.swap(0, Ordering::SeqCst) }
}
