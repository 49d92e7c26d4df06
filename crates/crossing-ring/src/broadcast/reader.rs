//! A subscriber's side of a publisher's ring. The protocol stands at the top of `ring.rs`.

use super::body::{Body, Memory};
use super::cursors::Cursors;
use super::layout::RingHeader;
use super::ring::{GAP, INLINE, Ring, TOLD};
use super::scratch::NONE;
use super::words::{self, Seen};
use crossing_shm::Region;
use crossing_sync::atomic::Ordering;
use crossing_sys::{Result, crash};
use std::sync::Arc;

/// Why a position has no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not published yet.
    NotYet,
    /// Overwritten already.
    Gone,
    /// Its length or its chunk is none that this ring can have, or none that the reader takes: the publisher broke the
    /// rules.
    Damaged,
    /// The reader holds as many messages in place as it may.
    AllHeld,
}

/// How a reader holds what it reads in place.
#[derive(Debug)]
pub struct Hold<'a> {
    /// Where it is marked.
    pub cursors: &'a mut Cursors,
    /// The index of the ring's entry there.
    pub entry: usize,
    /// The subscriber's number.
    pub key: u64,
}

/// What a reader takes, and how.
#[derive(Debug)]
pub struct Manner<'a> {
    /// To read in place where it can be done.
    pub hold: Option<Hold<'a>>,
    /// For what is not read in place.
    pub memory: &'a mut Memory,
    /// The only length that is taken.
    pub len: Option<usize>,
    /// To send the lines of short messages away, once they were read.
    pub away: bool,
}

/// A message that was taken.
#[derive(Debug)]
pub struct Taken {
    /// Its bytes.
    pub body: Body,
    /// How many messages the publisher dropped before it.
    pub dropped: u64,
}

/// A subscriber's side of a publisher's ring, for reading alone.
#[derive(Debug)]
pub struct RingReader {
    ring: Arc<Ring>,
    /// It is known to let this subscriber read in place.
    mine: bool,
}

impl RingReader {
    /// The ring in `region`.
    ///
    /// # Errors
    /// `Corrupt` if there is none, or its figures do not fit; `Incompatible` for another version.
    pub fn open(region: &Region) -> Result<Self> {
        Ok(Self { ring: Arc::new(Ring::open(region, false)?), mine: false })
    }

    /// What the publisher says of itself.
    #[must_use]
    pub fn header(&self) -> &RingHeader {
        &self.ring.header
    }

    /// How many messages the ring keeps.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.ring.layout.depth
    }

    /// The position after the last message.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.end_after(self.told())
    }

    /// The position after the last message that the tail tells: a few more may be there. It takes no line from the publisher
    /// that is written with each message.
    #[inline]
    #[must_use]
    pub fn told(&self) -> u64 {
        words::tail(self.ring.tail())
    }

    /// The position after the last message, as far as one look of the tail can be behind: `position` if that is not there.
    #[must_use]
    pub fn end_after(&self, position: u64) -> u64 {
        let there = (0..TOLD).take_while(|more| self.has(position.wrapping_add(*more)));
        position.wrapping_add(there.count() as u64)
    }

    /// The position of the oldest message that is left, if nothing is published meanwhile.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.tail().saturating_sub(u64::from(self.keeps()))
    }

    /// How many messages stay until more are published.
    #[must_use]
    pub fn keeps(&self) -> u32 {
        self.ring.layout.depth - self.ring.layout.ahead
    }

    /// Whether the publisher fences by itself at the moment, if it is asymmetric: the look of one who has said that he wants to
    /// be woken. If not, he fences for both.
    #[inline]
    #[must_use]
    pub fn is_careful(&self) -> bool {
        words::is_careful(self.ring.careful())
    }

    /// Whether the publisher has left, by its own will.
    #[must_use]
    pub fn has_left(&self) -> bool {
        // ORD: publisher-left-look (seqcst) <-> publisher-left
        self.ring.left().load(Ordering::SeqCst) != 0
    }

    /// How many messages the publisher says that it has dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        // Relaxed: a figure for people.
        self.ring.dropped().load(Ordering::Relaxed)
    }

    /// How many subscribers it lets read in place.
    #[must_use]
    pub fn admitted(&self) -> usize {
        // Relaxed: a figure for people.
        self.ring.admitted().0.iter().filter(|key| key.load(Ordering::Relaxed) != 0).count()
    }

    /// Whether message `position` is there, or was.
    #[inline]
    #[must_use]
    pub fn has(&self, position: u64) -> bool {
        let slot = self.ring.slot(position);
        words::see(&slot[0], position) != Seen::NotYet
    }

    /// Brings the slot of a message near that is known to be there.
    #[inline]
    pub fn prefetch(&self, position: u64) {
        self.ring.heads.prefetch(position);
        self.ring.bodies.prefetch(position);
    }

    /// Where the publisher was when it admitted the subscriber `key`, if it has.
    #[must_use]
    pub fn admitted_at(&self, key: u64) -> Option<u64> {
        let (keys, positions) = self.ring.admitted();
        let index = keys.iter().position(|word| words::is_admitted(word, key))?;
        positions.get(index).map(words::admitted_from)
    }

    /// Whether this reader may read in place.
    fn is_admitted(&mut self, key: u64) -> bool {
        if !self.mine {
            self.mine = self.admitted_at(key).is_some();
        }
        self.mine
    }

    /// Takes message `position`.
    ///
    /// # Errors
    /// The outcomes.
    #[inline]
    pub fn take(&mut self, position: u64, manner: &mut Manner<'_>) -> Result<Taken, Outcome> {
        let ring = &*self.ring;
        let slot = ring.slot(position);
        match words::see(&slot[0], position) {
            Seen::Done => {}
            Seen::NotYet => return Err(Outcome::NotYet),
            Seen::Gone => return Err(Outcome::Gone),
        }
        // Relaxed: ordered by the sequence before and the fence after.
        let info = slot[1].load(Ordering::Relaxed);
        let (len, chunk) = (info as u32 as usize, (info >> 32) as u32);
        if chunk & !GAP != INLINE {
            return self.take_long(position, manner, len, chunk);
        }
        let dropped = self.gap_before(position, chunk);
        let fits = len <= ring.max_short && manner.len.is_none_or(|wanted| wanted == len);
        if !fits {
            return Err(if words::is_still(&slot[0], position) { Outcome::Damaged } else { Outcome::Gone });
        }
        let mut short = manner.memory.scratch.take();
        words::read(ring.bodies.row(position), short.words(len), len);
        if !words::is_still(&slot[0], position) {
            return Err(Outcome::Gone);
        }
        if manner.away {
            ring.bodies.send_away(position);
            ring.heads.send_away(position);
        }
        Ok(Taken { body: Body(short), dropped })
    }

    #[inline]
    fn gap_before(&self, position: u64, chunk: u32) -> u64 {
        if chunk & GAP == 0 {
            return 0;
        }
        let index = self.ring.index(position);
        // Relaxed: ordered by the sequence before and the fence after.
        self.ring.gap(index).map_or(0, |gap| gap.load(Ordering::Relaxed))
    }

    #[inline(never)]
    fn take_long(
        &mut self,
        position: u64,
        manner: &mut Manner<'_>,
        len: usize,
        chunk: u32,
    ) -> Result<Taken, Outcome> {
        let hold = match &mut manner.hold {
            Some(hold) if self.is_admitted(hold.key) => Some(hold),
            _ => None,
        };
        let ring = &self.ring;
        let slot = ring.slot(position);
        let dropped = self.gap_before(position, chunk);
        // Checked next; a 0 is none.
        let chunk = (chunk & !GAP).wrapping_sub(1);
        let fits = len <= ring.layout.max_len as usize
            && chunk < ring.layout.chunk_count
            && manner.len.is_none_or(|wanted| wanted == len);
        if !fits {
            return Err(if words::is_still(&slot[0], position) { Outcome::Damaged } else { Outcome::Gone });
        }
        let place = ring.chunk(chunk);
        let mut body = manner.memory.scratch.take();
        if let Some(hold) = hold {
            let hazard = hold.cursors.mark(hold.entry, chunk).ok_or(Outcome::AllHeld)?;
            // Dropping the body takes the hazard back.
            body.tie(ring.view.place(place, len), len, NONE, ring);
            body.hold(hold.cursors.board(), hazard);
            if !words::may_read(&slot[0], position) {
                return Err(Outcome::Gone);
            }
            crash::point("topic.hold.held");
        } else {
            ring.view.copy_out(place, body.room(len));
            if !words::is_still(&slot[0], position) {
                return Err(Outcome::Gone);
            }
        }
        Ok(Taken { body: Body(body), dropped })
    }
}
