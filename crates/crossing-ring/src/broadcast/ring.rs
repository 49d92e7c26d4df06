//! One publisher's ring.
//!
//! # Protocol
//! Message `p` (0, 1, 2, ...) has descriptor `p mod depth`, whose `sequence` says what it holds: `2p + 1` while `p` is
//! written, `2p + 2` when it is complete; 0 at the beginning. `tail` is the next position.
//!
//! | step of publishing `p` | if the publisher dies right after |
//! |---|---|
//! | `sequence = 2p + 1`, then a release fence (`ORD: ring-begin (release) <-> ring-check`) | `p - depth` is gone, `p` never was |
//! | length and bytes | as above |
//! | `sequence = 2p + 2` (`ORD: ring-done (seqcst) <-> ring-look`) | `p` is published: readers look at descriptors |
//! | `tail = p + 1` (`ORD: ring-tail (release) <-> ring-tail-look`) | readers that come late start one message earlier |
//!
//! Reading `p`: load `sequence`; below `2p + 2` there is nothing yet, above it `p` was overwritten; copy; fence; the
//! copy is `p` if `sequence` is still the same. A reader that was overtaken goes on at the oldest that is left, and
//! knows from the positions how many it missed. Nothing of what a reader finds is trusted: lengths are checked against
//! the layout it took when it opened the ring, positions are only compared.

#![allow(unsafe_code)] // says which structs are atomics

use super::layout::{INLINE, RingHeader, RingLayout};
use super::view::View;
use crossing_shm::{Offset, Region};
use crossing_sync::atomic::{AtomicU64, Ordering};
use crossing_sys::{Result, crash};

/// One message's line.
// FORMAT: topic.md Descriptor size=64
#[repr(C, align(64))]
struct Descriptor {
    sequence: AtomicU64,
    len: AtomicU64,
    inline: [AtomicU64; INLINE / 8],
}

const _: () = assert!(size_of::<Descriptor>() == 64);

// SAFETY: atomics alone.
unsafe impl super::view::Atomics for Descriptor {}

#[derive(Debug)]
struct Ring {
    view: View,
    layout: RingLayout,
    header: RingHeader,
}

impl Ring {
    fn open(region: &Region, own: bool) -> Result<Self> {
        let header = region.read(Offset::<RingHeader>::new(0))?;
        let layout = header.check(region.len())?;
        let view = if own { View::own(region, layout.len)? } else { View::of_peer(region, layout.len)? };
        Ok(Self { view, layout, header })
    }

    #[inline]
    fn index(&self, position: u64) -> usize {
        (position & u64::from(self.layout.depth - 1)) as usize
    }

    #[inline]
    fn descriptor(&self, position: u64) -> &Descriptor {
        super::view::atomics(&self.view, self.layout.descriptors + self.index(position) * 64)
    }

    #[inline]
    fn tail(&self) -> &AtomicU64 {
        super::view::atomics(&self.view, self.layout.tail)
    }

    #[inline]
    fn chunk(&self, position: u64) -> usize {
        self.layout.chunks + self.index(position) * self.layout.chunk_len
    }
}

/// The publisher's side of its ring.
#[derive(Debug)]
pub struct RingWriter {
    ring: Ring,
    /// The truth about the next position; the memory has a copy.
    next: u64,
}

impl RingWriter {
    /// The ring in `region`, which this process has just created: all but its header is zero.
    ///
    /// # Errors
    /// `Corrupt` if there is none; `PermissionDenied` if opened for reading alone.
    pub fn open(region: &Region) -> Result<Self> {
        Ok(Self { ring: Ring::open(region, true)?, next: 0 })
    }

    /// The position of the next message: how many were published.
    #[inline]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// How many messages the ring keeps.
    #[inline]
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.ring.layout.depth
    }

    /// The longest message.
    #[inline]
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.ring.layout.max_len as usize
    }

    /// Publishes `message`; `false`, and nothing is published, if it is longer than [`max_len`](Self::max_len).
    #[inline]
    pub fn publish(&mut self, message: &[u8]) -> bool {
        if message.len() > self.max_len() {
            return false;
        }
        let position = self.next;
        let descriptor = self.ring.descriptor(position);
        // Relaxed: ordered by the fence.
        descriptor.sequence.store(position.wrapping_mul(2).wrapping_add(1), Ordering::Relaxed);
        // ORD: ring-begin (release) <-> ring-check
        std::sync::atomic::fence(Ordering::Release);
        crash::point("topic.publish.begun");
        // Relaxed: published by the sequence.
        descriptor.len.store(message.len() as u64, Ordering::Relaxed);
        if message.len() <= INLINE {
            let mut buffer = [0; INLINE];
            buffer[..message.len()].copy_from_slice(message);
            let (words, _) = buffer.as_chunks::<8>();
            for (word, bytes) in descriptor.inline.iter().zip(words).take(message.len().div_ceil(8)) {
                // Relaxed: as above.
                word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
        } else {
            self.ring.view.copy_in(self.ring.chunk(position), message);
        }
        crash::point("topic.publish.written");
        // SeqCst: the publisher looks for sleepers after this.
        // ORD: ring-done (seqcst) <-> ring-look
        descriptor.sequence.store(position.wrapping_mul(2).wrapping_add(2), Ordering::SeqCst);
        crash::point("topic.publish.done");
        self.next = position.wrapping_add(1);
        // ORD: ring-tail (release) <-> ring-tail-look
        self.ring.tail().store(self.next, Ordering::Release);
        true
    }
}

/// What became of a look at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The message was copied: so many bytes.
    Read(usize),
    /// Not published yet.
    NotYet,
    /// Overwritten already.
    Gone,
    /// Its length is none that this ring can have, or none that the reader takes: the publisher broke the rules.
    Damaged,
}

/// A subscriber's side of a publisher's ring, for reading alone.
#[derive(Debug)]
pub struct RingReader {
    ring: Ring,
}

impl RingReader {
    /// The ring in `region`.
    ///
    /// # Errors
    /// `Corrupt` if there is none, or its figures do not fit; `Incompatible` for another version.
    pub fn open(region: &Region) -> Result<Self> {
        Ok(Self { ring: Ring::open(region, false)? })
    }

    /// What the publisher says of itself.
    #[must_use]
    pub fn header(&self) -> &RingHeader {
        &self.ring.header
    }

    /// The longest message.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.ring.layout.max_len as usize
    }

    /// How many messages the ring keeps.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.ring.layout.depth
    }

    /// The position after the last message.
    #[inline]
    #[must_use]
    pub fn tail(&self) -> u64 {
        // ORD: ring-tail-look (acquire) <-> ring-tail
        self.ring.tail().load(Ordering::Acquire)
    }

    /// The position of the oldest message that is left, if nothing is published meanwhile.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.tail().saturating_sub(u64::from(self.ring.layout.depth))
    }

    /// Whether message `position` is there, or was.
    #[inline]
    #[must_use]
    pub fn has(&self, position: u64) -> bool {
        // SeqCst: a subscriber looks at this after it said that it sleeps.
        // ORD: ring-look (seqcst) <-> ring-done
        let sequence = self.ring.descriptor(position).sequence.load(Ordering::SeqCst);
        !is_before(sequence, done(position))
    }

    /// Copies message `position` into the bytes that `room` gives for its length (which is at most
    /// [`max_len`](Self::max_len)); `room` gives none if it does not take such a length. What was copied is a message
    /// only if the outcome is `Read`.
    #[inline]
    pub fn read<'a>(&self, position: u64, room: impl FnOnce(usize) -> Option<&'a mut [u8]>) -> Outcome {
        let descriptor = self.ring.descriptor(position);
        // ORD: ring-look (seqcst) <-> ring-done
        let sequence = descriptor.sequence.load(Ordering::SeqCst);
        if sequence != done(position) {
            return if is_before(sequence, done(position)) { Outcome::NotYet } else { Outcome::Gone };
        }
        // Relaxed: ordered by the sequence before and the fence after.
        let len = descriptor.len.load(Ordering::Relaxed);
        let fits = usize::try_from(len).ok().filter(|len| *len <= self.max_len());
        let copied = fits.and_then(|len| {
            let to = room(len).filter(|to| to.len() == len)?;
            if len <= INLINE {
                let mut buffer = [0; INLINE];
                let (words, _) = buffer.as_chunks_mut::<8>();
                for (word, bytes) in descriptor.inline.iter().zip(words).take(len.div_ceil(8)) {
                    // Relaxed: as above.
                    *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
                }
                to.copy_from_slice(&buffer[..len]);
            } else {
                self.ring.view.copy_out(self.ring.chunk(position), to);
            }
            Some(len)
        });
        // ORD: ring-check (acquire) <-> ring-begin
        std::sync::atomic::fence(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        if descriptor.sequence.load(Ordering::Relaxed) != sequence {
            return Outcome::Gone;
        }
        copied.map_or(Outcome::Damaged, Outcome::Read)
    }
}

#[inline]
fn done(position: u64) -> u64 {
    position.wrapping_mul(2).wrapping_add(2)
}

/// Whether sequence `one` comes before `other`.
#[inline]
fn is_before(one: u64, other: u64) -> bool {
    one.wrapping_sub(other) > u64::MAX / 2
}
