//! What a process remembers about lanes; in its own memory, also in a model.

use std::sync::atomic::{AtomicU32, AtomicU64};

/// What this process remembers of a lane, so as not to look at words that others write. Never trusted: only where to begin.
#[repr(align(64))]
#[derive(Debug, Default)]
pub struct Memo {
    pub(super) head: AtomicU64,
    pub(super) tail: AtomicU64,
    /// Every cell before it was found stale, or its message taken by this process.
    pub(super) next: AtomicU64,
    /// What the cell at `next` was when it was not written yet in its turn: as long as it is that, it still is not. The same
    /// never stands in a cell that is (but 0, "never written", which says so by itself).
    pub(super) vacant: AtomicU64,
    /// For so many messages more the head is moved on at once, since other receivers move it too.
    pub(super) company: AtomicU32,
    /// How often the lane was found empty in a row although its bit was set.
    pub(super) misses: AtomicU32,
}
