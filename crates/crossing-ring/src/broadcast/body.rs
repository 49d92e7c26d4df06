//! Received and lent messages, wherever their bytes lie.
#![allow(unsafe_code)] // slices of chunks that are held or lent, and plain values in place

use super::cursors::Hazard;
use super::ring::Ring;
use super::scratch::{Scratch, Short};
use crossing_sync::{Plain, view};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A message in its publisher's memory, which does not change as long as this is held.
pub(super) struct Held {
    pub(super) place: NonNull<u8>,
    pub(super) len: usize,
    pub(super) _hazard: Hazard,
    pub(super) _ring: Arc<Ring>,
}

// SAFETY: the memory stays mapped while the ring lives, and is only read.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

/// A received message. Derefs to its bytes.
pub struct Body(pub(super) Kind);

pub(super) enum Kind {
    Short(Short),
    Held(Held),
    Copied(Copied),
}

impl Body {
    /// Whether the bytes lie in the publisher's memory, and were not copied.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self.0, Kind::Held(_))
    }

    /// The value that the bytes are; `None` if they are none, by length or alignment.
    #[inline]
    #[must_use]
    pub fn value<T: Plain>(&self) -> Option<&T> {
        view(self)
    }
}

impl Deref for Body {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Short(short) => short,
            // SAFETY: inside of the mapped ring, which `_ring` keeps; the hazard keeps the publisher from lending the chunk.
            Kind::Held(held) => unsafe { std::slice::from_raw_parts(held.place.as_ptr(), held.len) },
            Kind::Copied(copied) => copied,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).field("in_place", &self.is_in_place()).finish()
    }
}

/// A message that is being written. Derefs to its bytes; what they are at first is not told.
pub struct Loan(pub(super) Lent);

pub(super) enum Lent {
    Short(Short),
    Chunk(Chunk),
}

/// A chunk that no slot names and nobody holds.
pub(super) struct Chunk {
    pub(super) place: NonNull<u8>,
    pub(super) len: usize,
    pub(super) index: u32,
    pub(super) ring: Arc<Ring>,
}

// SAFETY: the memory stays mapped while the ring lives, and is this chunk's alone until it is published or given back.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Loan {
    /// Shortens it to `len` bytes, if it is longer.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Lent::Short(short) => short.truncate(len),
            Lent::Chunk(chunk) => chunk.len = chunk.len.min(len),
        }
    }

    /// The value that the bytes are; `None` if they are none, by length or alignment.
    #[inline]
    #[must_use]
    pub fn value<T: Plain>(&self) -> Option<&T> {
        view(self)
    }

    /// As [`value`](Self::value), to be written.
    #[inline]
    #[must_use]
    pub fn value_mut<T: Plain>(&mut self) -> Option<&mut T> {
        let place = self.as_mut_ptr().cast::<T>();
        // SAFETY: of the right length and alignment; every byte pattern is a `T` and a `T` has no padding; the borrow is
        // exclusive.
        (self.len() == size_of::<T>() && place.is_aligned()).then(|| unsafe { &mut *place })
    }
}

impl Deref for Loan {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Lent::Short(short) => short,
            // SAFETY: inside of the mapped ring, which the chunk keeps; written through this loan alone.
            Lent::Chunk(chunk) => unsafe { std::slice::from_raw_parts(chunk.place.as_ptr(), chunk.len) },
        }
    }
}

impl DerefMut for Loan {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Lent::Short(short) => short,
            // SAFETY: as in `deref`; peers map it for reading alone, and this is borrowed exclusively.
            Lent::Chunk(chunk) => unsafe { std::slice::from_raw_parts_mut(chunk.place.as_ptr(), chunk.len) },
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len()).finish()
    }
}

/// A line of a copy: as aligned as a chunk.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A message that was copied out, whose memory goes back to the subscriber.
pub(super) struct Copied {
    lines: Vec<Line>,
    len: usize,
    pool: Arc<Copies>,
}

impl Copied {
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.lines.len() < len.div_ceil(64) {
            self.lines.resize(len.div_ceil(64), Line([0; 64]));
        }
        self.len = len;
        &mut self.lines.as_mut_bytes()[..len]
    }
}

impl Deref for Copied {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.lines.as_bytes()[..self.len]
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.lines));
    }
}

/// Where short messages and copies of long ones lie, of one subscriber; used again: no allocation once there are as many as
/// the user holds at a time.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) scratch: Scratch,
    pub(super) copies: Arc<Copies>,
}

/// Memory for copies of long messages.
#[derive(Debug, Default)]
pub(super) struct Copies(Mutex<Vec<Vec<Line>>>);

/// As many are kept; beyond, they are given back to the system.
const KEPT: usize = 64;

impl Copies {
    pub(super) fn take(pool: &Arc<Self>) -> Copied {
        let lines = pool.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Copied { lines, len: 0, pool: Arc::clone(pool) }
    }

    fn give_back(&self, lines: Vec<Line>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(lines);
        }
    }
}
