//! A pool of equal chunks that processes borrow from each other without losing any to a death.
//!
//! # Protocol
//! One word per chunk: owner (low 32 bits, participant id), state (bits 33..32: 0 FREE, 1 LOANED, 2 LEFT) and a count of
//! changes (bits 63..34) that keeps an old look from matching a new word.
//!
//! | from | step, one compare-exchange | to |
//! |---|---|---|
//! | FREE | loan (`ORD: pool-loan (acquire) <-> pool-free`) | LOANED by the borrower |
//! | LOANED | drop (`ORD: pool-free (release) <-> pool-loan`) | FREE |
//! | LOANED | leave (`ORD: pool-leave (release) <-> pool-take`): the chunk is for whoever is told its offset | LEFT |
//! | LEFT | take (`ORD: pool-take (acquire) <-> pool-leave`) | LOANED by the taker |
//! | LOANED by a dead one | reclaim, by anybody | FREE |
//! | LEFT by a dead one | reclaim_left, by whoever knows that nobody was told | FREE |
//!
//! # Death
//! Each step names its owner or none, so a death between two steps leaves FREE, or LOANED by a dead owner, which the next
//! `loan` that finds nothing free, and `reclaim`, take back. LEFT chunks are not lost: `stats` counts them.
//!
//! A peer that scribbles over the words can lose or double chunks among those who share the pool; offsets and lengths are
//! this process's own copies, checked at open, so nobody reads outside.
#![allow(unsafe_code)] // slices of borrowed chunks

use crate::region::Region;
use crossing_sync::{Participant, ParticipantId};
use crossing_sys::{Error, ErrorKind, Result, crash};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const MAGIC: u64 = u64::from_le_bytes(*b"CROSPOOL");
/// The most chunks of one pool.
const MAX_CHUNKS: u64 = 1 << 20;
const ALIGN: usize = 64;

/// The head of a pool as it lies in shared memory; the chunks' words follow, then the chunks, each aligned to 64 bytes.
// FORMAT: segment.md PoolCell size=64
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PoolCell {
    magic: u64,
    chunk_len: u64,
    count: u64,
    reserved: [u64; 5],
}

const _: () = assert!(size_of::<PoolCell>() == 64);

const LOANED: u64 = 1 << 32;
const LEFT: u64 = 2 << 32;
const STATE: u64 = 3 << 32;
const CHANGE: u64 = 1 << 34;

fn next(word: u64, state: u64, owner: u32) -> u64 {
    (word & !(CHANGE - 1)).wrapping_add(CHANGE) | state | u64::from(owner)
}

/// Why there is no loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoanError {
    /// Living processes hold every chunk.
    Empty,
    /// More bytes than a chunk has.
    TooLong {
        /// Bytes asked for.
        len: usize,
        /// Bytes of a chunk.
        max: usize,
    },
    /// The offset is not that of a chunk that was left.
    NotLeft,
}

impl fmt::Display for LoanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("living processes hold every chunk of the pool"),
            Self::TooLong { len, max } => write!(f, "{len} bytes asked for, a chunk has {max}"),
            Self::NotLeft => f.write_str("no chunk was left at this offset"),
        }
    }
}

impl std::error::Error for LoanError {}

/// How a pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolStats {
    /// Chunks in all.
    pub chunks: usize,
    /// Chunks to be had.
    pub free: usize,
    /// Chunks on loan to the living.
    pub loaned: usize,
    /// Chunks on loan to the dead, until somebody reclaims them.
    pub dead: usize,
    /// Chunks left for somebody.
    pub left: usize,
}

/// A pool of equal chunks in a region.
#[derive(Debug, Clone)]
pub struct Pool {
    region: Region,
    me: Arc<Participant>,
    words: usize,
    chunks: usize,
    chunk_len: usize,
    stride: usize,
    count: usize,
    /// Which chunks this mapping has on loan, by our own books: a peer who scribbles over the words cannot make two loans
    /// of one chunk here.
    here: Arc<[AtomicBool]>,
}

impl Pool {
    /// Bytes that a pool of `count` chunks of `chunk_len` bytes takes.
    #[must_use]
    pub fn required_len(count: usize, chunk_len: usize) -> usize {
        let words = (size_of::<PoolCell>() + count * 8).next_multiple_of(ALIGN);
        words + count * chunk_len.next_multiple_of(ALIGN)
    }

    pub(crate) fn create(region: &Region, offset: usize, count: usize, chunk_len: usize) -> Result<Self> {
        let (len, number) = (chunk_len as u64, count as u64);
        let head = PoolCell { magic: MAGIC, chunk_len: len, count: number, reserved: [0; 5] };
        // Making it anew would free the chunks that are on loan from the one that is there.
        if Self::open(region, offset).is_ok() {
            return Err(Error::new(ErrorKind::AlreadyExists, "create pool", format!("offset {offset}"))
                .fix("open it"));
        }
        let pool = Self::of(region, offset, &head)?;
        for index in 0..count {
            pool.word(index).store(0, Ordering::Relaxed);
        }
        region.write_pool_head(offset, head.as_bytes())?;
        Ok(pool)
    }

    pub(crate) fn open(region: &Region, offset: usize) -> Result<Self> {
        let mut head = PoolCell { magic: 0, chunk_len: 0, count: 0, reserved: [0; 5] };
        region.read_pool_head(offset, head.as_mut_bytes())?;
        Self::of(region, offset, &head)
    }

    /// A handle by a private copy of the head, every figure of it checked.
    fn of(region: &Region, offset: usize, head: &PoolCell) -> Result<Self> {
        let error = |kind, detail: &str| {
            Error::new(kind, "open pool", format!("offset {offset}")).detail(detail.to_owned())
        };
        if head.magic != MAGIC {
            return Err(
                error(ErrorKind::Corrupt, "there is no pool").fix("let its creator call create_pool first")
            );
        }
        if head.count == 0 || head.count > MAX_CHUNKS || head.chunk_len == 0 || !offset.is_multiple_of(ALIGN)
        {
            return Err(error(
                ErrorKind::ApiMisuse,
                "no chunks, more than 1,048,576, of no length, or not at a multiple of 64",
            ));
        }
        let figures = || {
            let (count, chunk_len) =
                (usize::try_from(head.count).ok()?, usize::try_from(head.chunk_len).ok()?);
            let words = offset.checked_add(size_of::<PoolCell>())?;
            let chunks = words.checked_add(count.checked_mul(8)?)?.checked_next_multiple_of(ALIGN)?;
            let stride = chunk_len.checked_next_multiple_of(ALIGN)?;
            let end = chunks.checked_add(count.checked_mul(stride)?)?;
            (end <= region.len()).then_some((count, chunk_len, words, chunks, stride, end))
        };
        let Some((count, chunk_len, words, chunks, stride, end)) = figures() else {
            return Err(error(ErrorKind::Corrupt, "the pool reaches past the end of the region"));
        };
        let me = region.require_participant("open pool")?;
        let here = region.claim_pool(offset, end, count)?;
        let pool = Self { region: region.clone(), me, words, chunks, chunk_len, stride, count, here };
        // The last word and the last chunk, checked once: the rest lies before them.
        pool.region.pool_word(words + (count - 1) * 8)?;
        pool.region.chunk(chunks + (count - 1) * stride, stride)?;
        Ok(pool)
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        match self.region.pool_word(self.words + index * 8) {
            Ok(word) => word,
            Err(error) => unreachable!("checked when the pool was opened: {error}"),
        }
    }

    /// Borrows a chunk and offers `len` bytes of it. What dead processes had borrowed is taken back when nothing is free.
    ///
    /// # Errors
    /// [`LoanError::Empty`], [`LoanError::TooLong`].
    pub fn loan(&self, len: usize) -> Result<Loan, LoanError> {
        if len > self.chunk_len {
            return Err(LoanError::TooLong { len, max: self.chunk_len });
        }
        for _ in 0..2 {
            if let Some(index) = (0..self.count).find(|index| self.claim(*index, 0)) {
                return Ok(self.lend(index, len));
            }
            if self.reclaim() == 0 {
                break;
            }
        }
        Err(LoanError::Empty)
    }

    /// Takes the chunk that another participant [left](Loan::leave) at `offset`, with `len` bytes of it.
    ///
    /// # Errors
    /// [`LoanError::NotLeft`], [`LoanError::TooLong`].
    pub fn take(&self, offset: u64, len: usize) -> Result<Loan, LoanError> {
        if len > self.chunk_len {
            return Err(LoanError::TooLong { len, max: self.chunk_len });
        }
        let offset = usize::try_from(offset).map_err(|_| LoanError::NotLeft)?;
        let distance = offset.checked_sub(self.chunks).ok_or(LoanError::NotLeft)?;
        let index = distance / self.stride;
        if distance % self.stride != 0 || index >= self.count || !self.claim(index, LEFT) {
            return Err(LoanError::NotLeft);
        }
        Ok(self.lend(index, len))
    }

    fn claim(&self, index: usize, state: u64) -> bool {
        let word = self.word(index);
        let seen = word.load(Ordering::Relaxed);
        if seen & STATE != state {
            return false;
        }
        // ORD: pool-here-claim (acquire) <-> pool-here-free
        if self.here[index].swap(true, Ordering::Acquire) {
            return false;
        }
        crash::point("pool.claim.before");
        let mine = next(seen, LOANED, self.me.id().raw());
        // ORD: pool-loan (acquire) <-> pool-free
        // ORD: pool-take (acquire) <-> pool-leave
        let claimed = word.compare_exchange(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok();
        crash::point("pool.claim.after");
        if !claimed {
            self.here[index].store(false, Ordering::Relaxed);
        }
        claimed
    }

    fn lend(&self, index: usize, len: usize) -> Loan {
        Loan { pool: self.clone(), index, len, gone: false }
    }

    /// Takes back the chunks that dead participants had borrowed; says how many.
    pub fn reclaim(&self) -> usize {
        self.sweep(LOANED)
    }

    /// Takes back the chunks that participants left who are dead by now. Only for when nobody was told their offsets.
    pub fn reclaim_left(&self) -> usize {
        self.sweep(LEFT)
    }

    fn sweep(&self, state: u64) -> usize {
        let swept = |index: &usize| {
            let word = self.word(*index);
            let seen = word.load(Ordering::Relaxed);
            if seen & STATE != state || self.lives(seen) {
                return false;
            }
            crash::point("pool.reclaim.before");
            // ORD: pool-free (release) <-> pool-loan
            let swept =
                word.compare_exchange(seen, next(seen, 0, 0), Ordering::AcqRel, Ordering::Relaxed).is_ok();
            crash::point("pool.reclaim.after");
            swept
        };
        (0..self.count).filter(swept).count()
    }

    fn lives(&self, word: u64) -> bool {
        ParticipantId::from_raw(word as u32).is_some_and(|owner| self.me.is_alive(owner))
    }

    /// How many chunks are free at this moment.
    #[must_use]
    pub fn free(&self) -> usize {
        self.stats().free
    }

    /// How it stands at this moment.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let mut stats = PoolStats { chunks: self.count, ..PoolStats::default() };
        for index in 0..self.count {
            let word = self.word(index).load(Ordering::Relaxed);
            match word & STATE {
                0 => stats.free += 1,
                LOANED if self.lives(word) => stats.loaned += 1,
                LEFT => stats.left += 1,
                _ => stats.dead += 1,
            }
        }
        stats
    }

    /// Bytes of a chunk.
    #[must_use]
    pub fn chunk_len(&self) -> usize {
        self.chunk_len
    }
}

/// A chunk on loan: this process's alone until it is dropped or [left](Self::leave).
#[must_use = "the chunk goes back when this is dropped"]
pub struct Loan {
    pool: Pool,
    index: usize,
    len: usize,
    /// It was left: the drop has nothing to give back.
    gone: bool,
}

impl Loan {
    fn offset(&self) -> usize {
        self.pool.chunks + self.index * self.pool.stride
    }

    fn address(&self) -> NonNull<u8> {
        match self.pool.region.chunk(self.offset(), self.len) {
            Ok(address) => address,
            Err(error) => unreachable!("checked when the pool was opened: {error}"),
        }
    }

    /// Leaves the chunk, with what was written into it, for whoever is told the offset that this returns.
    #[must_use]
    pub fn leave(mut self) -> u64 {
        let offset = self.offset() as u64;
        self.gone = true;
        self.change(LEFT, self.pool.me.id().raw());
        offset
    }

    fn change(&self, state: u64, owner: u32) {
        // ORD: pool-here-free (release) <-> pool-here-claim. First, so that who sees the word change finds it free here too.
        self.pool.here[self.index].store(false, Ordering::Release);
        let word = self.pool.word(self.index);
        let seen = word.load(Ordering::Relaxed);
        if seen & STATE == LOANED && seen as u32 == self.pool.me.id().raw() {
            crash::point("pool.return.before");
            // ORD: pool-free (release) <-> pool-loan
            // ORD: pool-leave (release) <-> pool-take
            let _ =
                word.compare_exchange(seen, next(seen, state, owner), Ordering::Release, Ordering::Relaxed);
            crash::point("pool.return.after");
        }
    }
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: inside the region, which `pool` keeps mapped; the chunk is this loan's alone among those who respect
        // the protocol, and any byte is a byte.
        unsafe { std::slice::from_raw_parts(self.address().as_ptr(), self.len) }
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and this loan is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.address().as_ptr(), self.len) }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.gone {
            self.change(0, 0);
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("offset", &self.offset()).field("len", &self.len).finish()
    }
}
