//! How far a subscriber has read, for publishers that wait for it.
//!
//! # Protocol
//! The subscriber alone writes; publishers map it read-only. An entry belongs to the publisher whose number is its
//! `key`; 0: to nobody. The subscriber writes the cursor before the key when it begins with a publisher (`ORD:
//! cursor-key (release) <-> cursor-key-look`), and the cursor after it has copied each message out (`ORD: cursor-move
//! (seqcst) <-> cursor-look`): then the publisher may overwrite everything before it. A subscriber without an entry for
//! a publisher has not found it yet, and has read nothing.

#![allow(unsafe_code)] // says which structs are atomics

use super::layout::CursorsHeader;
use super::view::{View, atomics};
use crossing_shm::{Offset, Region};
use crossing_sync::atomic::{AtomicU64, Ordering};
use crossing_sys::Result;

/// How many rings one subscriber reads at a time.
pub const MAX_RINGS: usize = 256;

// FORMAT: topic.md Cursor size=64
#[repr(C, align(64))]
struct Entry {
    key: AtomicU64,
    cursor: AtomicU64,
    zero: [AtomicU64; 6],
}

const _: () = assert!(size_of::<Entry>() == 64);

// SAFETY: atomics alone.
unsafe impl super::view::Atomics for Entry {}

/// Bytes that the segment of a subscriber needs.
#[must_use]
pub const fn cursors_len() -> usize {
    size_of::<CursorsHeader>() + MAX_RINGS * size_of::<Entry>()
}

fn entry(view: &View, index: usize) -> &Entry {
    atomics(view, size_of::<CursorsHeader>() + index % MAX_RINGS * size_of::<Entry>())
}

/// A subscriber's own cursors.
#[derive(Debug)]
pub struct Cursors {
    view: View,
    taken: Box<[bool]>,
}

impl Cursors {
    /// The cursors in `region`, which this process has just created.
    ///
    /// # Errors
    /// `Corrupt` if there are none; `PermissionDenied` if opened for reading alone.
    pub fn open(region: &Region) -> Result<Self> {
        region.read(Offset::<CursorsHeader>::new(0))?.check()?;
        let taken = vec![false; MAX_RINGS].into_boxed_slice();
        Ok(Self { view: View::own(region, cursors_len())?, taken })
    }

    /// Begins with publisher `key` at `position`; `None` if there are too many publishers.
    pub fn begin(&mut self, key: u64, position: u64) -> Option<usize> {
        let index = self.taken.iter().position(|taken| !taken)?;
        self.taken[index] = true;
        let entry = entry(&self.view, index);
        entry.cursor.store(position, Ordering::Relaxed); // Relaxed: published by the key.
        // ORD: cursor-key (release) <-> cursor-key-look
        entry.key.store(key, Ordering::Release);
        Some(index)
    }

    /// Everything before `position` was read.
    #[inline]
    pub fn advance(&self, index: usize, position: u64) {
        // SeqCst: the subscriber looks whether the publisher sleeps after this.
        // ORD: cursor-move (seqcst) <-> cursor-look
        entry(&self.view, index).cursor.store(position, Ordering::SeqCst);
    }

    /// The publisher is gone: others may have the entry.
    pub fn end(&mut self, index: usize) {
        // Relaxed: whoever looks for the key is gone.
        entry(&self.view, index).key.store(0, Ordering::Relaxed);
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = false;
        }
    }
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

    /// How far it has read the ring of publisher `key`; `None` if it has not begun. `hint` is where the entry was last
    /// time, and will be.
    #[inline]
    pub fn position(&self, key: u64, hint: &mut usize) -> Option<u64> {
        let of = |index| {
            let entry = entry(&self.view, index);
            // ORD: cursor-key-look (acquire) <-> cursor-key
            (entry.key.load(Ordering::Acquire) == key)
                // ORD: cursor-look (seqcst) <-> cursor-move
                .then(|| entry.cursor.load(Ordering::SeqCst))
        };
        of(*hint).or_else(|| {
            (0..MAX_RINGS).find_map(|index| {
                let position = of(index)?;
                *hint = index;
                Some(position)
            })
        })
    }
}
