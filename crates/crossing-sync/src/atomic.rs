//! The atomics of this crate and of those above it: the standard library's, or loom's in a model (`--cfg loom`).
#![allow(clippy::disallowed_types)] // the facade itself

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// One turn of a spin: a pause instruction, or a scheduling point in a model.
#[inline]
pub fn spin() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Between the two SeqCst accesses of a Dekker pair ("write mine, then read yours"). Nothing in a real program: SeqCst
/// accesses have one total order. Loom treats them as acquire and release only, and is told by a fence.
#[inline]
pub fn dekker() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// Whether the atomics are a model's.
#[must_use]
pub const fn model_atomics() -> bool {
    cfg!(loom)
}
