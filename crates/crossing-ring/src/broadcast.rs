//! The broadcast ring: what one publisher writes, any number of subscribers read, each at its own pace.
//!
//! Who writes what is the heart of it. Every member of a topic has two segments, and nobody writes a third kind:
//!
//! | segment | written by | mapped by the others | holds |
//! |---|---|---|---|
//! | ring ([`RingWriter`], [`RingReader`]) | its publisher | read-only | descriptors and chunks |
//! | cursors ([`Cursors`], [`PeerCursors`]) | its subscriber | read-only | how far it has read each ring |
//! | bell ([`Bell`]) | everybody | read-write | wake-ups only: no message, no position |
//!
//! So a subscriber cannot change what a publisher or another subscriber reads. The worst that a hostile member can do
//! to the others is to ring bells for nothing, or not to ring them: sleepers look for themselves after a slice of time.
//! The protocols stand at the top of `ring.rs`, `cursors.rs` and `bell.rs`.

#[cfg(not(loom))]
mod bell;
#[cfg(not(loom))]
mod body;
#[cfg(not(loom))]
mod cursors;
#[cfg(not(loom))]
mod event;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod poll;
#[cfg(not(loom))]
mod reader;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
mod scratch;
#[cfg(not(loom))]
mod view;
pub mod words;
#[cfg(not(loom))]
mod writer;

#[cfg(not(loom))]
pub use self::bell::{BELL_DOORBELLS, BELL_LEN, Bell};
#[cfg(not(loom))]
pub use self::body::{Body, Loan, Memory};
#[cfg(not(loom))]
pub use self::cursors::{Cursors, MAX_RINGS, PeerCursors, Reading, cursors_len};
#[cfg(not(loom))]
pub use self::event::{EVENT_IDS, EVENT_LEN, EventBell, EventSet};
#[cfg(not(loom))]
pub use self::layout::{
    CursorsHeader, Figures, MAX_ALIGN, MAX_BORROWED, MAX_DEPTH, MAX_INLINE, MAX_LOANS, MAX_SUBSCRIBERS,
    RingHeader, Shape,
};
#[cfg(not(loom))]
pub use self::poll::BellDoorbell;
#[cfg(not(loom))]
pub use self::reader::{Hold, Manner, Outcome, RingReader, Taken};
#[cfg(not(loom))]
pub use self::scratch::Note;
pub use self::words::settle;
#[cfg(not(loom))]
pub use self::writer::{Refusal, RingWriter};

#[cfg(all(test, not(loom)))]
#[path = "broadcast_tests.rs"]
mod tests;
