//! A message that was taken, in place.
#![allow(unsafe_code)] // its bytes

use super::core::Taken;
use super::shared::SlotQueue;
use super::words::Word;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::Duration;

/// A message that this process took, in place. Dropped without a word, it is given back.
pub struct Held {
    queue: SlotQueue,
    place: NonNull<u8>,
    word: Word,
    index: u32,
    deliveries: u32,
    body: u32,
    properties: u32,
    lane: u32,
    /// `DAMAGED`, `DONE`.
    flags: u32,
}

const DAMAGED: u32 = 1;
const DONE: u32 = 2;

// SAFETY: the bytes are this message's alone among those who respect the protocol; any thread may read or end it.
unsafe impl Send for Held {}
// SAFETY: shared references only read.
unsafe impl Sync for Held {}

impl Held {
    #[inline(always)]
    pub(super) fn new(queue: SlotQueue, taken: Taken) -> Self {
        let (place, body, properties, flags) = match queue.locate(taken.index) {
            // Both are halves of a 64-bit word.
            Some((place, body, properties)) => (place, body as u32, properties as u32, 0),
            None => (queue.core().words().inline(taken.index), 0, 0, DAMAGED),
        };
        let memory = queue.core().words();
        if place == memory.inline(taken.index) {
            memory.own_inline(taken.index, (body + properties) as usize);
        }
        let Taken { index, word, deliveries, lane } = taken;
        Self { queue, place, word, index, deliveries, body, properties, lane, flags }
    }

    #[inline]
    fn taken(&self) -> Taken {
        Taken { index: self.index, word: self.word, deliveries: self.deliveries, lane: self.lane }
    }

    /// Whether a peer wrote nonsense into its lengths: the body then reads as empty.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.flags & DAMAGED != 0
    }

    /// The priority that it was sent with; 32 for a dead letter.
    #[must_use]
    pub fn priority(&self) -> u32 {
        self.lane
    }

    /// How often it was delivered, this time included.
    #[must_use]
    pub fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// The properties that travelled with it.
    #[must_use]
    pub fn properties(&self) -> &[u8] {
        // SAFETY: `locate` checked that they lie in the memory, which `queue` keeps mapped; they are this message's alone
        // among those who respect the protocol, and any byte is a byte.
        unsafe { std::slice::from_raw_parts(self.place.as_ptr(), self.properties as usize) }
    }

    /// Done with it: it leaves the queue. `false`: somebody took it away, which only a peer that breaks the rules does.
    #[inline]
    pub fn acknowledge(mut self) -> bool {
        self.finish()
    }

    /// As [`acknowledge`](Self::acknowledge), once; afterwards there is nothing to give back.
    #[inline]
    pub fn finish(&mut self) -> bool {
        if self.flags & DONE != 0 {
            return false;
        }
        self.flags |= DONE;
        self.queue.core().words().own_blocks(
            self.place,
            self.index,
            self.body as usize + self.properties as usize,
        );
        self.queue.core().acknowledge(&self.taken())
    }

    /// Gives it back, to be delivered again after `delay`, before others of its priority.
    pub fn give_back(mut self, delay: Duration) -> bool {
        self.flags |= DONE;
        self.back(delay)
    }

    #[cold]
    fn back(&self, delay: Duration) -> bool {
        let core = self.queue.core();
        let due = if delay.is_zero() {
            0
        } else {
            core.now().saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
        };
        core.give_back(&self.taken(), due)
    }
}

impl Deref for Held {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: as in `properties`; the body follows them.
        let start = unsafe { self.place.add(self.properties as usize) };
        // SAFETY: as in `properties`.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.body as usize) }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if self.flags & DONE == 0 && !self.queue.is_forked() {
            self.back(Duration::ZERO);
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("taken", &self.taken()).field("len", &self.body).finish_non_exhaustive()
    }
}
