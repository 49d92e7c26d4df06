//! Lock-free structures over shared memory that survive the death of whoever uses them.
//!
//! [`broadcast`]: the ring of a topic, which one publisher writes and any number of subscribers read.
//! [`queue`]: the slot queue, where each message goes to exactly one of many receivers.

pub mod broadcast;
pub mod queue;
