//! A message that is written where it will be received.
//!
//! The slot is WRITING, and its blocks its own, as long as the draft is there; `slots.rs` says what follows if its process dies.
#![allow(unsafe_code)] // its bytes

use super::arena::Extent;
use super::shared::{Message, PutError, SlotQueue};
use super::words::Word;
use crossing_sync::Until;
use crossing_sys::crash;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A message that is being written in place. Nobody sees it before it is [committed](Self::commit); dropped, it never was.
pub struct Draft {
    queue: SlotQueue,
    /// Of the properties; the body follows them.
    place: NonNull<u8>,
    word: Word,
    index: u32,
    extent: Extent,
    properties: u32,
    body: u32,
    ended: bool,
}

// SAFETY: the bytes are this draft's alone among those who respect the protocol; any thread may write or end it.
unsafe impl Send for Draft {}
// SAFETY: shared references only read.
unsafe impl Sync for Draft {}

impl SlotQueue {
    /// A message of `body` bytes to be written in place, waiting for room until `until`. What they are at first is not told.
    ///
    /// # Errors
    /// `Full`, `TooLong`, `Forked`.
    pub fn draft(&self, body: usize, properties: &[u8], until: Until) -> Result<Draft, PutError> {
        let len = body.saturating_add(properties.len());
        self.check_len(len)?;
        if self.is_forked() {
            return Err(PutError::Forked);
        }
        let (core, memory) = (self.core(), self.core().words());
        let (index, word, extent, place) = if len <= memory.layout().inline {
            let (index, word) = core.claim_until(until).ok_or(PutError::Full)?;
            (index, word, Extent::INLINE, memory.inline(index))
        } else {
            let claimed = self.claim_blocks_until(len, until).ok_or(PutError::Full)?;
            (claimed.index, claimed.word, claimed.extent, claimed.place)
        };
        crash::point("queue.draft.claimed");
        memory.write_blocks(place, [properties, &[]]);
        // Both are at most `max_len`, 32 bits.
        let (properties, body) = (properties.len() as u32, body as u32);
        Ok(Draft { queue: self.clone(), place, word, index, extent, properties, body, ended: false })
    }
}

impl Draft {
    /// Shortens the body to `len` bytes, if it is longer.
    pub fn truncate(&mut self, len: usize) {
        self.body = self.body.min(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// Sends it as `terms` says: priority, time to live and delay; its body and properties are not looked at.
    ///
    /// # Errors
    /// The draft, and `NoSuchPriority` or `Forked`.
    #[allow(clippy::result_large_err)] // the draft itself comes back
    pub fn commit(mut self, terms: &Message<'_>) -> Result<(), (Self, PutError)> {
        if let Err(error) = self.queue.check_priority(terms.priority) {
            return Err((self, error));
        }
        if self.queue.is_forked() {
            return Err((self, PutError::Forked));
        }
        self.ended = true;
        let terms = self.queue.terms(terms);
        crash::point("queue.draft.written");
        let lens = (self.body as usize, self.properties as usize);
        self.queue.finish(self.index, self.word, lens, self.extent, terms);
        Ok(())
    }

    #[inline]
    fn start(&self) -> NonNull<u8> {
        // SAFETY: properties and body lie one after the other in what was claimed for both.
        unsafe { self.place.add(self.properties as usize) }
    }
}

impl Deref for Draft {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: claimed for this draft alone, inside of the memory that `queue` keeps mapped; any byte is a byte.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr(), self.body as usize) }
    }
}

impl DerefMut for Draft {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; nobody who respects the protocol reads it before it is committed.
        unsafe { std::slice::from_raw_parts_mut(self.start().as_ptr(), self.body as usize) }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.ended && !self.queue.is_forked() {
            self.queue.core().abandon(self.index, self.word);
        }
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("index", &self.index).field("len", &self.body).finish_non_exhaustive()
    }
}
