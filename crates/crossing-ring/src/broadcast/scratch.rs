//! Memory for messages on their way within this process: lent by its owner, given back by whoever drops it, never moved.
//!
//! # Protocol
//! Within one process. The `state` of a piece:
//!
//! | state | whose | next |
//! |---|---|---|
//! | FREE | its owner's | BUSY or TIED, by a plain store of the owner, who lends it |
//! | BUSY | the handle's | FREE, by a plain store of whoever drops the handle: a message costs no locked instruction here |
//! | TIED | the handle's; it keeps shared memory mapped | FREE, by an exchange of the dropper; ORPHAN, by one of the owner that goes away |
//! | ORPHAN | the handle's alone | freed by the dropper |
//!
//! FREE pairs as `ORD: piece-give (release) <-> piece-take`. What is BUSY when its owner goes away is still read, and goes on a
//! list of the process: the next owner that goes away frees what has become FREE there. Nothing on that list keeps anything but
//! its own memory, which is why what is TIED goes another way.
#![allow(unsafe_code)] // pieces that two may free

use super::cursors::Board;
use super::layout::MAX_INLINE;
use super::ring::Ring;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const FREE: u32 = 0;
const BUSY: u32 = 1;
const TIED: u32 = 2;
const ORPHAN: u32 = 3;

/// No chunk, no hazard.
pub(super) const NONE: u32 = u32::MAX;

/// How many pieces are looked at before a new one is made.
const LOOKS: usize = 64;

/// A line of a copy: as aligned as a chunk.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// What a message's receiver was told with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Note {
    /// The publisher's number.
    pub publisher: u64,
    /// The message's number among its publisher's.
    pub position: u64,
    /// Messages lost before it.
    pub missed: u64,
}

/// The shared memory in which a message lies, and which must stay mapped for it.
pub(super) struct Ties {
    pub(super) ring: Arc<Ring>,
    pub(super) board: Option<Arc<Board>>,
}

#[repr(C, align(64))]
struct Content {
    words: [u64; MAX_INLINE / 8],
    /// Where the message lies: in `words`, in `lines`, or in the memory that `ties` keep.
    place: NonNull<u8>,
    len: usize,
    note: Note,
    /// The chunk that is lent.
    chunk: u32,
    /// The hazard that is set.
    hazard: u32,
    ties: Option<Ties>,
    lines: Vec<Line>,
}

#[repr(C)]
struct Piece {
    content: UnsafeCell<Content>,
    state: AtomicU32,
}

impl Piece {
    /// A new one, BUSY.
    #[cold]
    fn fresh() -> NonNull<Self> {
        let content = Content {
            words: [0; MAX_INLINE / 8],
            place: NonNull::dangling(),
            len: 0,
            note: Note::default(),
            chunk: NONE,
            hazard: NONE,
            ties: None,
            lines: Vec::new(),
        };
        let piece = Self { content: UnsafeCell::new(content), state: AtomicU32::new(BUSY) };
        NonNull::from(Box::leak(Box::new(piece)))
    }

    /// # Safety
    /// It is nobody's any more.
    unsafe fn free(piece: NonNull<Self>) {
        // SAFETY: it came from a box, and the caller alone has it.
        drop(unsafe { Box::from_raw(piece.as_ptr()) });
    }
}

/// A message in this process's hands.
pub(super) struct Short(NonNull<Piece>);

// SAFETY: the content is this handle's alone; what it names in shared memory is read, or this one's to be written.
unsafe impl Send for Short {}
// SAFETY: shared references only read.
unsafe impl Sync for Short {}

impl Short {
    #[inline]
    fn state(&self) -> &AtomicU32 {
        // SAFETY: it lives until this handle is dropped.
        unsafe { &self.0.as_ref().state }
    }

    #[inline]
    fn place(&self) -> *mut Content {
        // SAFETY: as above.
        unsafe { self.0.as_ref() }.content.get()
    }

    #[inline]
    fn piece(&self) -> &Content {
        // SAFETY: not FREE, so this handle's, which is borrowed.
        unsafe { &*self.place() }
    }

    #[inline]
    fn piece_mut(&mut self) -> &mut Content {
        // SAFETY: as above, exclusively.
        unsafe { &mut *self.place() }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        let piece = self.piece();
        // SAFETY: `place` and `len` are those of memory that the piece has, or that its ties keep mapped and a hazard or a
        // loan keeps as it is; both were set together.
        unsafe { std::slice::from_raw_parts(piece.place.as_ptr(), piece.len) }
    }

    /// Only for what is lent, not for what was received.
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let piece = self.piece_mut();
        // SAFETY: as above; a loan's memory is written by its handle alone, which is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(piece.place.as_ptr(), piece.len) }
    }

    /// `len` bytes of its own, as words to be written.
    #[inline]
    pub(super) fn words(&mut self, len: usize) -> &mut [u64; MAX_INLINE / 8] {
        let place = NonNull::new(self.place().cast::<u8>()); // `words` come first
        let piece = self.piece_mut();
        piece.place = place.unwrap_or(piece.place);
        piece.len = len.min(MAX_INLINE);
        &mut piece.words
    }

    /// `len` bytes of its own, however many, to be written.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let piece = self.piece_mut();
        let lines = len.div_ceil(64).max(1);
        if piece.lines.len() < lines {
            piece.lines.resize(lines, Line([0; 64]));
        }
        let bytes = NonNull::from(piece.lines.as_mut_bytes());
        assert!(len <= bytes.len());
        (piece.place, piece.len) = (bytes.cast(), len);
        // By the pointer that is kept: a reference taken beside it would put an end to what it may be used for.
        self.bytes_mut()
    }

    /// It lies in the `len` bytes at `place`, which are part of the ring, whose chunk it is if it is lent.
    pub(super) fn tie(&mut self, place: NonNull<u8>, len: usize, chunk: u32, ring: &Arc<Ring>) {
        let piece = self.piece_mut();
        (piece.place, piece.len, piece.chunk) = (place, len, chunk);
        match &mut piece.ties {
            Some(ties) if Arc::ptr_eq(&ties.ring, ring) => {}
            Some(ties) => ties.ring = Arc::clone(ring),
            none => {
                *none = Some(Ties { ring: Arc::clone(ring), board: None });
                // Relaxed: the owner's own, which goes away later.
                self.state().store(TIED, Ordering::Relaxed);
            }
        }
    }

    /// Dropping it takes that hazard back. Only for what is tied.
    pub(super) fn hold(&mut self, board: &Arc<Board>, hazard: u32) {
        let piece = self.piece_mut();
        let Some(ties) = &mut piece.ties else { return };
        piece.hazard = hazard;
        if !ties.board.as_ref().is_some_and(|tied| Arc::ptr_eq(tied, board)) {
            ties.board = Some(Arc::clone(board));
        }
    }

    /// The chunk that is lent, and of which ring.
    #[inline]
    pub(super) fn chunk(&self) -> Option<(u32, &Arc<Ring>)> {
        let piece = self.piece();
        if piece.chunk == NONE { None } else { piece.ties.as_ref().map(|ties| (piece.chunk, &ties.ring)) }
    }

    /// Whether it lies in shared memory.
    pub(super) fn is_in_place(&self) -> bool {
        self.piece().hazard != NONE
    }

    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        let piece = self.piece_mut();
        piece.len = piece.len.min(len);
    }

    #[inline]
    pub(super) fn note(&self) -> &Note {
        &self.piece().note
    }

    #[inline]
    pub(super) fn set_note(&mut self, note: Note) {
        self.piece_mut().note = note;
    }

    /// The end of one that is tied.
    #[cold]
    #[inline(never)]
    fn untie(&mut self) {
        let piece = self.piece_mut();
        piece.chunk = NONE;
        let hazard = std::mem::replace(&mut piece.hazard, NONE);
        if hazard != NONE
            && let Some(board) = piece.ties.as_ref().and_then(|ties| ties.board.as_ref())
        {
            board.clear(hazard);
        }
        // ORD: piece-give (release) <-> piece-take
        if self.state().compare_exchange(TIED, FREE, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: ORPHAN: its owner has gone, and left it to this one.
            unsafe { Piece::free(self.0) };
        }
    }
}

impl Drop for Short {
    #[inline]
    fn drop(&mut self) {
        // Relaxed: only the owner's going away changes it, and only what is TIED.
        if self.state().load(Ordering::Relaxed) != BUSY {
            return self.untie();
        }
        // ORD: piece-give (release) <-> piece-take
        self.state().store(FREE, Ordering::Release);
    }
}

/// Pieces whose owners have gone while they were BUSY.
struct Orphans(Vec<NonNull<Piece>>);

// SAFETY: nothing of them is touched but `state`, until they are FREE, and then nobody else has them.
unsafe impl Send for Orphans {}

static ORPHANS: Mutex<Orphans> = Mutex::new(Orphans(Vec::new()));

/// Whose a piece is.
#[inline]
fn state(piece: NonNull<Piece>) -> u32 {
    // SAFETY: freed by its owner or by whoever holds the list, who ask this; by a dropper only once it is ORPHAN.
    let state = unsafe { &(*piece.as_ptr()).state };
    // ORD: piece-take (acquire) <-> piece-give
    state.load(Ordering::Acquire)
}

/// The owner's side: no allocation once there are as many pieces as are out at a time.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pieces: Vec<NonNull<Piece>>,
    /// The one that was lent last.
    last: usize,
}

// SAFETY: what is BUSY is reached by its handle alone, but for `state`; the rest is this one's.
unsafe impl Send for Scratch {}
// SAFETY: nothing is done through a shared reference.
unsafe impl Sync for Scratch {}

impl Scratch {
    /// A piece; what its message is must be said next.
    #[inline]
    pub(super) fn take(&mut self) -> Short {
        if let Some(piece) = self.pieces.get(self.last)
            && state(*piece) == FREE
        {
            return Self::lend(*piece);
        }
        self.search()
    }

    #[inline]
    fn lend(piece: NonNull<Piece>) -> Short {
        let piece = Short(piece);
        let busy = if piece.piece().ties.is_some() { TIED } else { BUSY };
        // Relaxed: FREE, so nobody else looks at it.
        piece.state().store(busy, Ordering::Relaxed);
        piece
    }

    #[inline(never)]
    fn search(&mut self) -> Short {
        let count = self.pieces.len();
        for step in 1..count.min(LOOKS) {
            let at = (self.last + step) % count;
            if state(self.pieces[at]) == FREE {
                self.last = at;
                return Self::lend(self.pieces[at]);
            }
        }
        self.last = count;
        let piece = Piece::fresh();
        self.pieces.push(piece);
        Short(piece)
    }

    /// Unties what is not out: rings and boards that nobody uses any more are unmapped.
    #[cold]
    pub(super) fn forget(&mut self) {
        for piece in self.pieces.iter().filter(|piece| state(**piece) == FREE) {
            let mut piece = Self::lend(*piece);
            piece.piece_mut().ties = None;
            // Relaxed: as in `lend`.
            piece.state().store(BUSY, Ordering::Relaxed);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.0.retain(|piece| {
            let is_free = state(*piece) == FREE;
            if is_free {
                // SAFETY: FREE, and on this list alone.
                unsafe { Piece::free(*piece) };
            }
            !is_free
        });
        for piece in self.pieces.drain(..) {
            let mut seen = state(piece);
            if seen == TIED {
                // SAFETY: as in `state`: it is freed by its dropper only after this exchange.
                let word = unsafe { &(*piece.as_ptr()).state };
                // ORD: piece-take (acquire) <-> piece-give
                seen = word
                    .compare_exchange(TIED, ORPHAN, Ordering::AcqRel, Ordering::Acquire)
                    .unwrap_or_else(|now| now);
            }
            match seen {
                // SAFETY: FREE, so this owner's alone.
                FREE => unsafe { Piece::free(piece) },
                BUSY => orphans.0.push(piece),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "scratch_tests.rs"]
mod tests;
