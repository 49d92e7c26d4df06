//! How far a subscriber has read, and what it holds in place, for publishers.
//!
//! # Protocol
//! The subscriber alone writes; publishers map it read-only. An entry belongs to the publisher whose number is its
//! `key`; 0: to nobody. The subscriber writes the cursor before the key when it begins with a publisher (`ORD:
//! cursor-key (release) <-> cursor-key-look`), and the cursor after it has taken each message (`ORD: cursor-move
//! (seqcst) <-> cursor-look`): then the publisher may overwrite everything before it. A subscriber without an entry for
//! a publisher has not found it yet, and has read nothing. `left` is set by a subscriber that is gone, of which some
//! messages are still held: it takes no more. `missed` says to people how many messages were lost to the subscriber so far,
//! and orders nothing.
//!
//! A hazard word is 0, or an entry's index plus 1 (high half) and a chunk's number plus 1 (low half): that chunk of that
//! entry's publisher is being read. How hazards keep a chunk from being lent stands in `ring.rs`. A word that an entry's
//! last publisher left behind can keep a chunk of its next one from being lent, until it is dropped; never the other way.

#![allow(unsafe_code)] // says which structs are atomics

use super::layout::{CursorsHeader, MAX_BORROWED};
use super::view::{self, View, atomics};
use super::words;
use crossing_shm::{Offset, Region};
use crossing_sync::Participant;
use crossing_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crossing_sys::{Result, crash};
use std::sync::Arc;

/// How many rings one subscriber reads at a time.
pub const MAX_RINGS: usize = 256;

// FORMAT: topic.md Cursor size=64
#[repr(C, align(64))]
struct Entry {
    key: AtomicU64,
    cursor: AtomicU64,
    missed: AtomicU64,
    zero: [AtomicU64; 5],
}

const _: () = assert!(size_of::<Entry>() == 64);

// SAFETY: atomics alone.
unsafe impl view::Atomics for Entry {}

const LEFT: usize = size_of::<CursorsHeader>();
const HAZARDS: usize = LEFT + 64;
const ENTRIES: usize = HAZARDS + MAX_BORROWED as usize * 8;

/// Bytes that the segment of a subscriber needs.
#[must_use]
pub const fn cursors_len() -> usize {
    ENTRIES + MAX_RINGS * size_of::<Entry>()
}

fn entry(view: &View, index: usize) -> &Entry {
    atomics(view, ENTRIES + index % MAX_RINGS * size_of::<Entry>())
}

fn hazards(view: &View, count: u32) -> &[AtomicU64] {
    view::words(view, HAZARDS, count.min(MAX_BORROWED) as usize)
}

/// A subscriber's segment, as long as the subscriber or one of the messages that it holds lives.
#[derive(Debug)]
pub struct Board {
    view: View,
    borrowed: u32,
    /// Which hazards are in use: this process's own book. Its subscriber alone takes, whoever drops a message gives back.
    used: [AtomicU32; MAX_BORROWED as usize],
    /// Its place among the bell's participants: by its lock publishers know that hazards count.
    _alive: Arc<Participant>,
}

impl Board {
    /// Takes the hazard back.
    pub(super) fn clear(&self, hazard: u32) {
        if let (Some(word), Some(used)) =
            (hazards(&self.view, self.borrowed).get(hazard as usize), self.used.get(hazard as usize))
        {
            words::unmark(word);
            // ORD: hazard-unbook (release) <-> hazard-book
            used.store(0, Ordering::Release);
        }
    }
}

/// A subscriber's own cursors.
#[derive(Debug)]
pub struct Cursors {
    board: Arc<Board>,
    taken: Box<[bool]>,
}

impl Cursors {
    /// The cursors in `region`, which this process has just created. `alive` is its place among the participants of its
    /// bell.
    ///
    /// # Errors
    /// `Corrupt` if there are none; `PermissionDenied` if opened for reading alone.
    pub fn open(region: &Region, alive: Arc<Participant>) -> Result<Self> {
        let header = region.read(Offset::<CursorsHeader>::new(0))?;
        header.check()?;
        let taken = vec![false; MAX_RINGS].into_boxed_slice();
        let view = View::own(region, cursors_len())?;
        let used = std::array::from_fn(|_| AtomicU32::new(0));
        let board = Board { view, borrowed: header.borrowed(), used, _alive: alive };
        Ok(Self { board: Arc::new(board), taken })
    }

    /// Where messages that are held are marked.
    #[inline]
    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Sets a hazard; `None` if as many are set as may be. [`Board::clear`] takes it back.
    pub(super) fn mark(&mut self, entry: usize, chunk: u32) -> Option<u32> {
        let board = &*self.board;
        let words = hazards(&board.view, board.borrowed);
        // ORD: hazard-book (acquire) <-> hazard-unbook
        let free = board.used.iter().zip(words).position(|(used, _)| used.load(Ordering::Acquire) == 0)?;
        // Relaxed: who gives it back was handed it by this thread.
        board.used[free].store(1, Ordering::Relaxed);
        words::mark(&words[free], (entry as u64 + 1) << 32 | (u64::from(chunk) + 1));
        crash::point("topic.hold.set");
        Some(free as u32)
    }

    /// Begins with publisher `key` at `position`; `None` if there are too many publishers.
    pub fn begin(&mut self, key: u64, position: u64) -> Option<usize> {
        let index = self.taken.iter().position(|taken| !taken)?;
        self.taken[index] = true;
        let entry = entry(&self.board.view, index);
        entry.missed.store(0, Ordering::Relaxed); // Relaxed: published by the key.
        words::enter(&entry.key, &entry.cursor, key, position);
        Some(index)
    }

    /// Everything before `position` was read. Release is enough where no publisher waits for it.
    #[inline]
    pub fn advance(&self, index: usize, position: u64) {
        // ORD: cursor-move (seqcst) <-> cursor-look
        entry(&self.board.view, index).cursor.store(position, Ordering::SeqCst);
    }

    /// As [`advance`](Self::advance), where no publisher ever sleeps until it sees it.
    #[inline]
    pub fn note(&self, index: usize, position: u64) {
        words::note(&entry(&self.board.view, index).cursor, position);
    }

    /// As many messages of that publisher were lost to this subscriber so far.
    pub fn miss(&self, index: usize, total: u64) {
        // Relaxed: a figure for people.
        entry(&self.board.view, index).missed.store(total, Ordering::Relaxed);
    }

    /// The publisher is gone: others may have the entry.
    pub fn end(&mut self, index: usize) {
        // Relaxed: whoever looks for the key is gone.
        entry(&self.board.view, index).key.store(0, Ordering::Relaxed);
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = false;
        }
    }

    /// The subscriber takes no more.
    pub fn leave(&self) {
        // ORD: subscriber-left (seqcst) <-> subscriber-left-look
        atomics::<AtomicU64>(&self.board.view, LEFT).store(1, Ordering::SeqCst);
    }
}

/// How far a subscriber is with one publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The publisher's number.
    pub key: u64,
    /// The next message that it takes.
    pub position: u64,
    /// Messages that were lost to it so far.
    pub missed: u64,
}

/// The cursors of a subscriber, as a publisher sees them.
#[derive(Debug)]
pub struct PeerCursors {
    view: View,
    header: CursorsHeader,
}

impl PeerCursors {
    /// The cursors in `region`.
    ///
    /// # Errors
    /// `Corrupt` if there are none; `Incompatible` for another version.
    pub fn open(region: &Region) -> Result<Self> {
        let header = region.read(Offset::<CursorsHeader>::new(0))?;
        header.check()?;
        Ok(Self { view: View::of_peer(region, cursors_len())?, header })
    }

    /// What the subscriber says of itself.
    #[must_use]
    pub fn header(&self) -> &CursorsHeader {
        &self.header
    }

    /// The publishers that it reads, and how far it is.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let reading = |index| {
            let entry = entry(&self.view, index);
            // ORD: cursor-key-look (acquire) <-> cursor-key
            let key = entry.key.load(Ordering::Acquire);
            // Relaxed: figures for people, each by itself.
            let [position, missed] = [&entry.cursor, &entry.missed].map(|word| word.load(Ordering::Relaxed));
            (key != 0).then_some(Reading { key, position, missed })
        };
        (0..MAX_RINGS).filter_map(reading).collect()
    }

    /// How many messages it holds in place.
    #[must_use]
    pub fn held(&self) -> usize {
        let hazards = hazards(&self.view, self.header.borrowed());
        // Relaxed: a figure for people.
        hazards.iter().filter(|hazard| hazard.load(Ordering::Relaxed) != 0).count()
    }

    /// Whether it takes no more, by its own will.
    #[must_use]
    pub fn has_left(&self) -> bool {
        // ORD: subscriber-left-look (seqcst) <-> subscriber-left
        atomics::<AtomicU64>(&self.view, LEFT).load(Ordering::SeqCst) != 0
    }

    /// The index of the entry of publisher `key`. `hint` is where it was last time, and will be.
    #[inline]
    fn find(&self, key: u64, hint: &mut usize) -> Option<usize> {
        let is = |index| words::is_entered(&entry(&self.view, index).key, key);
        if !is(*hint) {
            *hint = (0..MAX_RINGS).find(|index| is(*index))?;
        }
        Some(*hint % MAX_RINGS)
    }

    /// How far it has read the ring of publisher `key`; `None` if it has not begun. `hint` is for the next call.
    #[inline]
    pub fn position(&self, key: u64, hint: &mut usize) -> Option<u64> {
        let index = self.find(key, hint)?;
        Some(words::position(&entry(&self.view, index).cursor))
    }

    /// Tells `each` the number of each chunk of publisher `key` that it holds: anything may be told, by one that breaks
    /// the rules. The publisher fences before.
    pub fn holds(&self, key: u64, hint: &mut usize, mut each: impl FnMut(u32)) {
        let Some(index) = self.find(key, hint) else { return };
        for hazard in hazards(&self.view, self.header.borrowed()) {
            let word = words::marked(hazard);
            if word >> 32 == index as u64 + 1 {
                each((word as u32).wrapping_sub(1));
            }
        }
    }
}
