//! Queues behind one API: each message goes to exactly one receiver.
//!
//! The endpoint says which mechanism carries the messages; the code stays the same:
//!
//! | endpoint | mechanism | priorities | limits |
//! |---|---|---|---|
//! | `shm:NAME` | shared memory, ours | 32 | capacity, length and bytes fixed at creation |
//! | `mq:/NAME` | POSIX message queue of the kernel | 32768 | capacity and length fixed at creation |
//! | `sysv:PATH,PROJ`, `sysv:0xKEY` | System V message queue of the kernel | 32, by message types, if asked for | bytes in the queue |
//!
//! The kernel's talk to any program that uses `mq_open` or `msgget`: the bytes are exactly those of the message. Ours is the
//! fast one and the one with everything: acknowledgement, expiry, delay, properties, dead letters. What an endpoint
//! cannot do is told by [`Capabilities`], and asking it for that is an error when the queue is opened.
//!
//! ```
//! use crossing_queue::{Priority, Queue};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name = format!("shm:crossing-queue-doc-{}", std::process::id());
//! let queue = Queue::<[u8]>::options().capacity(10).max_len(1024).unlink_on_drop(true).create(&name)?;
//! queue.sender()?.send(b"some time")?;
//! queue.sender()?.send_with(b"at once", Priority(7))?;
//! let delivery = queue.receiver()?.recv()?;
//! assert_eq!((&*delivery, delivery.priority()), (&b"at once"[..], Priority(7)));
//! # Ok(())
//! # }
//! ```
//!
//! A queue of values of one type instead of bytes is [`Queue<T>`](Queue): who opens it for another type is refused.
#![forbid(unsafe_code)]

mod backend;
mod delivery;
mod endpoint;
mod error;
mod loan;
mod message;
mod options;
mod payload;
mod poll;
mod properties;
mod queue;
pub mod service;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
pub mod tokio;

pub use crossing_sys::mq::Direction;
pub use delivery::{Delivery, NotHeld, Priority};
pub use endpoint::QueueEndpoint;
pub use error::{Mismatch, RecvError, SendError, TryRecvError, TrySendError};
pub use loan::Loan;
pub use message::Message;
pub use options::{Overflow, QueueOptions, Waiting};
pub use payload::Payload;
pub use poll::{Interest, Poller};
pub use properties::{Properties, PropertiesRef};
pub use queue::{Capabilities, Glimpse, Queue, Receiver, Sender, Stats};

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod payload_tests;
#[cfg(test)]
mod tests;
