//! Memory for short messages on their way: lent by its owner, given back by whoever drops it, never moved.
//!
//! # Protocol
//! Within one process. The owner takes from its own list, and when that is empty everything that was given back, by one
//! exchange (`ORD: scratch-all (acquire) <-> scratch-give`); there is no second taker, so no ABA. Who drops one puts it in
//! front of the others (`ORD: scratch-give (release) <-> scratch-all`), unless the owner has closed the shelf: then it
//! frees it. Each piece keeps the shelf; the owner's drop frees what lies there, so nothing keeps itself.
#![allow(unsafe_code)] // a list of boxes

use super::layout::MAX_INLINE;
use std::ops::{Deref, DerefMut};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use zerocopy::IntoBytes;

/// A short message's memory.
#[repr(C, align(64))]
struct Piece {
    words: [u64; MAX_INLINE / 8],
    len: usize,
    next: *mut Piece,
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    head: AtomicPtr<Piece>,
}

/// What stands at the head of a closed shelf: no piece, for it is not aligned as one.
fn closed() -> *mut Piece {
    std::ptr::without_provenance_mut(1)
}

impl Shelf {
    fn give_back(&self, piece: Box<Piece>) {
        let piece = Box::into_raw(piece);
        // Relaxed: the exchange decides.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == closed() {
                // SAFETY: it came from a box just now, and nobody else has it.
                drop(unsafe { Box::from_raw(piece) });
                return;
            }
            // SAFETY: as above.
            unsafe { (*piece).next = head };
            // ORD: scratch-give (release) <-> scratch-all
            match self.head.compare_exchange_weak(head, piece, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Everything that was given back, and `instead` in its place.
    fn all(&self, instead: *mut Piece) -> *mut Piece {
        // ORD: scratch-all (acquire) <-> scratch-give
        self.head.swap(instead, Ordering::Acquire)
    }
}

/// A short message. Derefs to its bytes.
pub(super) struct Short(Option<Box<Piece>>);

// SAFETY: the piece is this one's alone; `next` is only followed by who took the whole list.
unsafe impl Send for Short {}
// SAFETY: shared references only read bytes.
unsafe impl Sync for Short {}

impl Short {
    fn piece(&self) -> &Piece {
        self.0.as_deref().expect("there until it is dropped")
    }

    fn piece_mut(&mut self) -> &mut Piece {
        self.0.as_deref_mut().expect("there until it is dropped")
    }

    /// All words, to be written before anybody reads them.
    #[inline]
    pub(super) fn words(&mut self) -> &mut [u64; MAX_INLINE / 8] {
        &mut self.piece_mut().words
    }

    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        let piece = self.piece_mut();
        piece.len = piece.len.min(len);
    }
}

impl Deref for Short {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let piece = self.piece();
        &piece.words.as_bytes()[..piece.len]
    }
}

impl DerefMut for Short {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let piece = self.piece_mut();
        &mut piece.words.as_mut_bytes()[..piece.len]
    }
}

impl Drop for Short {
    #[inline]
    fn drop(&mut self) {
        if let Some(piece) = self.0.take() {
            let shelf: *const Shelf = Arc::as_ptr(&piece.shelf);
            // SAFETY: the piece keeps the shelf, and goes on the shelf or is freed as the last step.
            unsafe { &*shelf }.give_back(piece);
        }
    }
}

/// The owner's side: no allocation once there are as many pieces as are out at a time.
#[derive(Debug)]
pub(super) struct Scratch {
    shelf: Arc<Shelf>,
    own: Option<NonNull<Piece>>,
}

// SAFETY: its list is its own.
unsafe impl Send for Scratch {}
// SAFETY: nothing is done through a shared reference.
unsafe impl Sync for Scratch {}

impl Default for Scratch {
    fn default() -> Self {
        Self { shelf: Arc::new(Shelf { head: AtomicPtr::new(null_mut()) }), own: None }
    }
}

impl Scratch {
    /// Memory for `len` bytes, at most [`MAX_INLINE`]; what they are is not told.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Short {
        let len = len.min(MAX_INLINE);
        if self.own.is_none() {
            self.own = NonNull::new(self.shelf.all(null_mut()));
        }
        let Some(first) = self.own else { return self.fresh(len) };
        // SAFETY: a piece from a box that this list alone has.
        let mut piece = unsafe { Box::from_raw(first.as_ptr()) };
        self.own = NonNull::new(piece.next);
        piece.len = len;
        Short(Some(piece))
    }

    #[cold]
    fn fresh(&self, len: usize) -> Short {
        let shelf = Arc::clone(&self.shelf);
        Short(Some(Box::new(Piece { words: [0; MAX_INLINE / 8], len, next: null_mut(), shelf })))
    }

    /// Takes back what it lent, at no cost.
    #[inline]
    pub(super) fn put(&mut self, mut short: Short) {
        if let Some(mut piece) = short.0.take() {
            if !Arc::ptr_eq(&piece.shelf, &self.shelf) {
                // Another one's.
                drop(Short(Some(piece)));
                return;
            }
            piece.next = self.own.map_or(null_mut(), NonNull::as_ptr);
            self.own = Some(NonNull::from(Box::leak(piece)));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let free = |mut next: *mut Piece| {
            while let Some(piece) = NonNull::new(next) {
                // SAFETY: a piece from a box, of a list that nobody else has.
                let piece = unsafe { Box::from_raw(piece.as_ptr()) };
                next = piece.next;
            }
        };
        free(self.own.take().map_or(null_mut(), NonNull::as_ptr));
        free(self.shelf.all(closed()));
    }
}
