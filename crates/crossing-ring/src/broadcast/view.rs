//! Atomics in a claimed range of a region, which this process may be allowed only to read.
#![allow(unsafe_code)] // references within the claimed range

use crossing_shm::Region;
use crossing_sync::atomic::AtomicU64;
use crossing_sys::Result;
use crossing_sys::copy::{bring_near, send_away};
use std::ptr::NonNull;

/// What consists of atomics alone: every byte pattern is a value, every access through `&Self` is atomic.
///
/// # Safety
/// As said.
pub(super) unsafe trait Atomics {}

// SAFETY: an atomic integer.
unsafe impl Atomics for AtomicU64 {}

/// The thing at `offset`. In a range for reading alone only loads are allowed: a store ends this process.
#[inline]
pub(super) fn atomics<T: Atomics>(view: &View, offset: usize) -> &T {
    assert!(
        offset <= view.len
            && size_of::<T>() <= view.len - offset
            && offset.is_multiple_of(align_of::<T>())
            && align_of::<T>() <= 64
    );
    // SAFETY: inside of the claimed range, as just checked.
    let place = unsafe { view.base.add(offset) }.cast::<T>();
    // SAFETY: mapped while `view` lives, aligned (the base to 64), and atomics tolerate other writers.
    unsafe { place.as_ref() }
}

/// `count` words from `offset` on. As [`atomics`] for reading alone.
#[inline]
pub(super) fn words(view: &View, offset: usize, count: usize) -> &[AtomicU64] {
    assert!(offset <= view.len && count <= (view.len - offset) / 8 && offset.is_multiple_of(8));
    // SAFETY: inside of the claimed range, as just checked.
    let place = unsafe { view.base.add(offset) }.cast::<AtomicU64>();
    // SAFETY: mapped while `view` lives, aligned, and atomics tolerate other writers.
    unsafe { std::slice::from_raw_parts(place.as_ptr(), count) }
}

/// One thing at a place that was checked once.
pub(super) struct Fixed<T> {
    place: NonNull<T>,
    _view: View,
}

// SAFETY: reached through atomics alone, and mapped as long as the view lives.
unsafe impl<T: Atomics> Send for Fixed<T> {}
// SAFETY: as above.
unsafe impl<T: Atomics> Sync for Fixed<T> {}

impl<T: Atomics> Fixed<T> {
    /// The thing at `offset`, as [`atomics`].
    pub(super) fn new(view: &View, offset: usize) -> Self {
        Self { place: NonNull::from(atomics::<T>(view, offset)), _view: view.clone() }
    }
}

impl<T> std::fmt::Debug for Fixed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixed").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<T: Atomics> std::ops::Deref for Fixed<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: checked when this was made; mapped as long as the view lives.
        unsafe { self.place.as_ref() }
    }
}

/// Rows of words at equal distances, a power of two of them, whose places were checked once.
#[derive(Debug)]
pub(super) struct Table {
    base: NonNull<u8>,
    stride: usize,
    words: usize,
    mask: u64,
    _view: View,
}

// SAFETY: reached through atomics alone, and mapped as long as the view lives.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// `rows` rows of `words` words, `stride` bytes apart, the first at `offset`.
    pub(super) fn new(view: &View, offset: usize, stride: usize, words: usize, rows: u32) -> Self {
        let last = (rows as usize - 1).checked_mul(stride).and_then(|last| last.checked_add(offset));
        let end = last.and_then(|last| last.checked_add(words.checked_mul(8)?));
        let aligned = offset.is_multiple_of(8) && stride.is_multiple_of(8);
        assert!(rows.is_power_of_two() && aligned && end.is_some_and(|end| end <= view.len));
        // SAFETY: inside of the claimed range, as just checked.
        let base = unsafe { view.base.add(offset) };
        Self { base, stride, words, mask: u64::from(rows - 1), _view: view.clone() }
    }

    #[inline]
    fn place(&self, position: u64) -> NonNull<AtomicU64> {
        let row = (position & self.mask) as usize;
        // SAFETY: the row lies inside of the claimed range, as `new` has checked.
        unsafe { self.base.add(row * self.stride) }.cast()
    }

    /// The row of a position.
    #[inline]
    pub(super) fn row(&self, position: u64) -> &[AtomicU64] {
        // SAFETY: as in `place`; mapped as long as the view lives, aligned, and atomics tolerate other writers.
        unsafe { std::slice::from_raw_parts(self.place(position).as_ptr(), self.words) }
    }

    /// The first `N` words of it.
    #[inline]
    pub(super) fn first<const N: usize>(&self, position: u64) -> &[AtomicU64; N] {
        assert!(N <= self.words);
        // SAFETY: as in `row`, which has as many.
        unsafe { &*self.place(position).as_ptr().cast() }
    }

    /// Brings the row near, to be read. A hint: of no effect but on time.
    #[inline]
    pub(super) fn prefetch(&self, position: u64) {
        let place = self.place(position).as_ptr().cast();
        bring_near::<false>(place);
        if self.words > 8 {
            bring_near::<false>(place.wrapping_add(64));
        }
    }

    /// Sends the row's lines away, the last that is shared with later rows excepted. A hint, where it can be had.
    #[inline]
    pub(super) fn send_away(&self, position: u64) {
        let row = self.row(position);
        let ends_line = (row.as_ptr().addr() + self.stride).is_multiple_of(64);
        if let (true, Some(first)) = (ends_line, row.first()) {
            send_away(first);
        }
        if let Some(next) = row.get(8) {
            send_away(next);
        }
    }
}

/// A range from the start of a region, kept mapped.
#[derive(Debug, Clone)]
pub(super) struct View {
    base: NonNull<u8>,
    len: usize,
    region: Region,
}

// SAFETY: the memory is reached through atomics and tolerant copies, and stays mapped as long as the region lives.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// For reading alone.
    pub(super) fn of_peer(region: &Region, len: usize) -> Result<Self> {
        Ok(Self { base: region.claim_read(0, len, 64)?, len, region: region.clone() })
    }

    /// For writing too.
    pub(super) fn own(region: &Region, len: usize) -> Result<Self> {
        Ok(Self { base: region.claim(0, len, 64)?, len, region: region.clone() })
    }

    /// Copies the bytes at `offset` out; they may be changing.
    #[inline]
    pub(super) fn copy_out(&self, offset: usize, to: &mut [u8]) {
        assert!(offset <= self.len && to.len() <= self.len - offset);
        // SAFETY: inside of the claimed range, as just checked.
        let from = unsafe { self.base.add(offset) };
        // SAFETY: mapped, and the copy tolerates writers.
        unsafe { crossing_sys::copy::from_shared(from.as_ptr(), to) };
    }

    /// Copies bytes in, at `offset`. Only for what [`own`](Self::own) gave.
    #[inline]
    pub(super) fn copy_in(&self, offset: usize, from: &[u8]) {
        assert!(!self.region.is_read_only() && offset <= self.len && from.len() <= self.len - offset);
        // SAFETY: inside of the claimed range, as just checked.
        let to = unsafe { self.base.add(offset) };
        // SAFETY: mapped writable, and the copy tolerates others.
        unsafe { crossing_sys::copy::to_shared(from, to.as_ptr()) };
    }

    /// Where `len` bytes at `offset` lie.
    #[inline]
    pub(super) fn place(&self, offset: usize, len: usize) -> NonNull<u8> {
        assert!(offset <= self.len && len <= self.len - offset);
        // SAFETY: inside of the claimed range, as just checked.
        unsafe { self.base.add(offset) }
    }
}
