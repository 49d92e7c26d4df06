//! Lock-free structures over shared memory that survive the death of whoever uses them.
//!
//! [`queue`]: the slot queue, where each message goes to exactly one of many receivers.

pub mod queue;
