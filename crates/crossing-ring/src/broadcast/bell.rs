//! A member's bell: what it sleeps on, and how others tell it that members came or went.
//!
//! # Protocol
//! The bell is a segment of its own because its ringers must write it. `bell` is a
//! [`RawBell`], whose protocol stands there; the owner alone sleeps, or waits in event loops with the
//! [doorbells](crossing_sync::raw::doorbell) beside it. `news` counts
//! joins and leaves: who joins or leaves adds one to each other member's (`ORD: bell-news (seqcst) <-> bell-news-look`)
//! and rings; the owner looks for members when it differs from what it last saw. `wanted`, in the bell of a publisher, is set
//! by subscribers that are about to sleep, before their last look at its ring; the publisher looks at it after each
//! message (`ORD: bell-wanted (seqcst) <-> bell-wanted-look`), takes it, and rings the bells of all its subscribers. So it
//! looks at one word, however many they are. Whether the owner lives is asked of the
//! kernel, by its lock in the bell's segment; who the owner is stands in its header, which only the owner can write.

#![allow(unsafe_code)] // says which structs are atomics

use super::view::{Fixed, View};
use super::words;
use crossing_shm::Region;
use crossing_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crossing_sync::raw::bell::RawBell;
use crossing_sync::raw::doorbell::Row;
use crossing_sync::{Participant, ParticipantId};
use crossing_sys::Result;
use crossing_sys::wait::WaitEnd;
use std::sync::Arc;
use std::time::Instant;

/// In how many event loops the owner of a bell can wait at a time.
pub const BELL_DOORBELLS: usize = 4;

/// Bytes that the segment of a bell needs.
pub const BELL_LEN: usize = 64;

// FORMAT: topic.md BellWords size=64
#[repr(C, align(64))]
struct BellWords {
    bell: RawBell,
    news: AtomicU32,
    wanted: AtomicU32,
    doorbells: [AtomicU64; BELL_DOORBELLS],
    zero: [AtomicU64; 6 - BELL_DOORBELLS],
}

const _: () = assert!(size_of::<BellWords>() == BELL_LEN);

// SAFETY: atomics alone.
unsafe impl super::view::Atomics for BellWords {}

/// A bell, one's own or another member's.
#[derive(Debug)]
pub struct Bell {
    view: View,
    words: Fixed<BellWords>,
    me: Arc<Participant>,
}

impl Bell {
    /// The bell in `region`. New ones are zero.
    ///
    /// # Errors
    /// `Unsupported` for memory without participants, `ApiMisuse` for a region that is too short.
    pub fn open(region: &Region) -> Result<Self> {
        Self::open_with(region, 0)
    }

    /// The same, with `more` bytes behind it.
    pub(super) fn open_with(region: &Region, more: usize) -> Result<Self> {
        let view = View::own(region, BELL_LEN + more)?;
        let words = Fixed::new(&view, 0);
        Ok(Self { view, words, me: region.require_participant("open topic")? })
    }

    /// The words behind it.
    #[inline]
    pub(super) fn behind(&self, count: usize) -> &[AtomicU64] {
        super::view::words(&self.view, BELL_LEN, count)
    }

    #[inline]
    fn words(&self) -> &BellWords {
        &self.words
    }

    /// The doorbells beside it.
    pub(super) fn row(&self) -> Row<'_> {
        Row::new(&self.words().doorbells, 0)
    }

    /// The owner arms one of them.
    pub(super) fn arm(&self, index: usize) {
        self.words().bell.arm(&self.me, self.row(), index);
    }

    /// Another handle of the same bell.
    pub(super) fn twin(&self) -> Self {
        Self { view: self.view.clone(), words: Fixed::new(&self.view, 0), me: Arc::clone(&self.me) }
    }

    pub(super) fn participant(&self) -> &Arc<Participant> {
        &self.me
    }

    /// Who this process is among the bell's participants.
    #[must_use]
    pub fn me(&self) -> ParticipantId {
        self.me.id()
    }

    /// This process's place among the bell's participants: it counts as living while any of these is there.
    #[must_use]
    pub fn alive(&self) -> Arc<Participant> {
        Arc::clone(&self.me)
    }

    /// Whether this process is a forked child of the one that opened it.
    #[inline]
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.me.is_forked()
    }

    /// Whether its owner, found in the owner's header, lives. A system call.
    #[must_use]
    pub fn is_owner_alive(&self, owner: ParticipantId) -> bool {
        self.me.is_alive(owner)
    }

    /// Wakes the owner if it sleeps, after a SeqCst operation that made what it waits for; else no system call.
    #[inline]
    pub fn ring(&self) {
        self.words().bell.ring(&self.me, || self.row());
    }

    /// Tells the owner that a member came or went.
    pub fn tell(&self) {
        // ORD: bell-news (seqcst) <-> bell-news-look
        self.words().news.fetch_add(1, Ordering::SeqCst);
        self.ring();
    }

    /// The owner's look at the news: a number that changes with them.
    #[inline]
    #[must_use]
    pub fn news(&self) -> u32 {
        // ORD: bell-news-look (seqcst) <-> bell-news
        self.words().news.load(Ordering::SeqCst)
    }

    /// A subscriber says to the publisher whose bell this is that it will sleep, before its last look at the ring.
    pub fn want(&self) {
        words::want(&self.words().wanted);
    }

    /// Whether somebody wants to be woken: the publisher's look after each message.
    #[inline]
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        words::is_wanted(&self.words().wanted)
    }

    /// The publisher takes the wish, before it rings.
    pub fn answer(&self) {
        words::answer(&self.words().wanted);
    }

    /// The owner says that it will sleep, before its last look whether there is something.
    #[must_use]
    pub fn prepare(&self) -> u32 {
        self.words().bell.prepare()
    }

    /// The owner sleeps until rung after `ticket` was given, or until `deadline`; says which.
    pub fn wait(&self, ticket: u32, deadline: Option<Instant>) -> WaitEnd {
        self.words().bell.wait(&self.me, ticket, deadline)
    }
}
