//! The slot queue: each message to exactly one of many receivers, by priority; acknowledgement, redelivery, delay, expiry.
//!
//! A [`SlotQueue`] lies in a segment of its own, whose first bytes are its [`QueueHeader`] and whose rest is zero when it
//! is new. Senders copy a message into a slot (short ones) or into blocks that a slot owns, and commit it by one store;
//! receivers take the slot by one compare-exchange and read the message in place. No lock is held by anybody at any time:
//! the protocols stand at the top of `slots.rs` (whose a message is), `lanes.rs` (order), `aside.rs` (delay), `arena.rs`
//! (bytes) and `sweep.rs` (deaths).

mod aside;
mod bells;
mod core;
mod lanes;
mod memo;
mod slots;
mod sweep;
mod waiting;
mod words;

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
mod draft;
#[cfg(not(loom))]
mod held;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod memory;
#[cfg(not(loom))]
mod poll;
#[cfg(not(loom))]
mod shared;

pub use self::bells::Which;
pub use self::core::{Core, DEAD_LANE, Limits, Taken, Terms};
pub use self::memo::Memo;
pub use self::words::{
    Cell, DEAD, DOORBELLS, INLINE, LANES, Lane, Ledger, Line, Line2, MAX_CAPACITY, MAX_INLINE, Shared, Slot,
    State, Word, Words, map_words,
};

#[cfg(not(loom))]
pub use self::draft::Draft;
#[cfg(not(loom))]
pub use self::held::Held;
#[cfg(not(loom))]
pub use self::layout::{QueueHeader, Shape, Wishes};
#[cfg(not(loom))]
pub use self::poll::QueueDoorbell;
#[cfg(not(loom))]
pub use self::shared::{Glimpse, Message, PutError, SlotQueue, SlotStats};

#[cfg(all(test, not(loom)))]
#[path = "queue_tests.rs"]
mod tests;

#[cfg(all(test, not(loom)))]
#[path = "queue_model_tests.rs"]
mod model_tests;

#[cfg(all(test, not(loom)))]
#[path = "queue_poll_tests.rs"]
mod poll_tests;
