//! Received and lent messages, wherever their bytes lie.
#![allow(unsafe_code)] // plain values in place

use super::scratch::{Note, Scratch, Short};
use crossing_sync::{Plain, view};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A received message. Derefs to its bytes.
pub struct Body(pub(super) Short);

impl Body {
    /// Whether the bytes lie in the publisher's memory, and were not copied.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.0.is_in_place()
    }

    /// The value that the bytes are; `None` if they are none, by length or alignment.
    #[inline]
    #[must_use]
    pub fn value<T: Plain>(&self) -> Option<&T> {
        view(self)
    }

    /// What [`set_note`](Self::set_note) said of it.
    #[inline]
    #[must_use]
    pub fn note(&self) -> &Note {
        self.0.note()
    }

    /// Says something of it.
    #[inline]
    pub fn set_note(&mut self, note: Note) {
        self.0.set_note(note);
    }
}

impl Deref for Body {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).field("in_place", &self.is_in_place()).finish()
    }
}

/// A message that is being written. Derefs to its bytes; what they are at first is not told.
pub struct Loan(pub(super) Short);

impl Loan {
    /// Shortens it to `len` bytes, if it is longer.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
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
        self.0.bytes()
    }
}

impl DerefMut for Loan {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len()).finish()
    }
}

/// Where messages of one subscriber lie that are not read in place, and its handles of those that are; used again: no
/// allocation once there are as many as the user holds at a time.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) scratch: Scratch,
}

impl Memory {
    /// Lets go of the publishers' memory of which no message is held.
    pub fn forget(&mut self) {
        self.scratch.forget();
    }
}
