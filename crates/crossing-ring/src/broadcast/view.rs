//! Atomics in a claimed range of a region, which this process may be allowed only to read.
#![allow(unsafe_code)] // references within the claimed range

use crossing_shm::Region;
use crossing_sync::atomic::AtomicU64;
use crossing_sys::Result;
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

    /// Brings a line near, to be written if `WRITE`. A hint: of no effect but on time.
    #[inline]
    pub(super) fn prefetch<const WRITE: bool>(&self, offset: usize) {
        #[cfg(target_arch = "x86_64")]
        if offset < self.len {
            use core::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
            // SAFETY: inside of the claimed range, as just checked.
            let line = unsafe { self.base.add(offset) }.as_ptr().cast::<i8>();
            if WRITE {
                // SAFETY: a hint.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(line) };
            } else {
                // SAFETY: a hint.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = offset;
    }
}
