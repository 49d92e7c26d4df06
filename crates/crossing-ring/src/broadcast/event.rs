//! What a waiter of an event has before it: which ids were notified.
//!
//! # Protocol
//! Behind the waiter's bell stand 1024 bits, one for each id. A notifier sets one (`ORD: event-set (seqcst) <-> event-take`)
//! and then rings the bell, always: the one who had set it before may have died before it rang. The waiter takes all that
//! are set, word by word; who sets a bit after that rings again. A bit is set once however often it is notified meanwhile.
//!
//! # Death
//! A notifier between the bit and the ring: the waiter looks by itself when its slice of time ends. A waiter: its name is
//! removed by whoever looks next.
//!
//! A peer that scribbles here makes the waiter see ids that nobody notified, or miss some: they are hints, and every bit
//! pattern is a set of ids.

use super::bell::{BELL_LEN, Bell};
use super::words;
use crossing_shm::Region;
use crossing_sync::atomic::Ordering;
use crossing_sys::{Result, crash};
use std::time::Instant;

/// How many ids an event has: 0 to this less one.
pub const EVENT_IDS: u32 = 1024;
const WORDS: usize = EVENT_IDS as usize / 64;
/// Bytes that the segment of an event's member needs.
pub const EVENT_LEN: usize = BELL_LEN + WORDS * 8;

/// A set of ids. In memory the bits behind a waiter's bell look the same.
// FORMAT: event.md EventSet size=128
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct EventSet([u64; WORDS]);

const _: () = assert!(size_of::<EventSet>() == 128);

impl EventSet {
    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it has `id`.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        self.0.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Its ids, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(index as u32 * 64 + bit)
            })
        })
    }
}

/// A member's bell with its ids, one's own or another's.
#[derive(Debug)]
pub struct EventBell(Bell);

impl EventBell {
    /// The one in `region`. New ones are zero.
    ///
    /// # Errors
    /// As [`Bell::open`].
    pub fn open(region: &Region) -> Result<Self> {
        Ok(Self(Bell::open_with(region, WORDS * 8)?))
    }

    /// The ids that the owner of `region` has not taken yet, for people to see.
    ///
    /// # Errors
    /// `ApiMisuse` for a region that is too short.
    pub fn peek(region: &Region) -> Result<EventSet> {
        let view = super::view::View::of_peer(region, EVENT_LEN)?;
        let mut ids = EventSet::default();
        for (to, word) in ids.0.iter_mut().zip(super::view::words(&view, BELL_LEN, WORDS)) {
            // Relaxed: each by itself.
            *to = word.load(Ordering::Relaxed);
        }
        Ok(ids)
    }

    /// The bell alone.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.0
    }

    /// Sets `id` and wakes the owner if it sleeps. One that is no id is passed over.
    #[inline]
    pub fn notify(&self, id: u32) {
        if let Some(word) = self.0.behind(WORDS).get(id as usize / 64) {
            words::set_id(word, id % 64);
            crash::point("event.notify.set");
            self.0.ring();
        }
    }

    /// Whether any is set.
    #[inline]
    #[must_use]
    pub fn has(&self) -> bool {
        self.0.behind(WORDS).iter().any(words::has_ids)
    }

    /// Takes all that are set.
    #[must_use]
    pub fn take(&self) -> EventSet {
        let mut taken = EventSet::default();
        for (to, word) in taken.0.iter_mut().zip(self.0.behind(WORDS)) {
            *to = words::take_ids(word);
        }
        taken
    }

    /// The owner sleeps until something is set or a member came, or until `deadline`. `news` is what it saw last.
    pub fn wait(&self, news: u32, deadline: Option<Instant>) {
        let ticket = self.0.prepare();
        if !self.has() && self.0.news() == news {
            self.0.wait(ticket, deadline);
        }
    }
}
