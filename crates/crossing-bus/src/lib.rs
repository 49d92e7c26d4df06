//! Topics: each message goes to every subscriber. Many publishers, many subscribers, found by name, no daemon.
//!
//! Each publisher writes a ring of its own, which subscribers map read-only and read at their own pace; so the cost of
//! publishing hardly depends on how many read, and a subscriber can neither hold up nor damage another one. What happens
//! when a subscriber is too slow is the topic's [`Overflow`].
//!
//! ```
//! use crossing_bus::Topic;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name = format!("doc-bus-{}", std::process::id());
//! let topic = Topic::<[u8]>::options().depth(64).max_len(1024).open(&name)?;
//! let mut subscriber = topic.subscriber()?; // in this process or any other
//! let publisher = topic.publisher()?;
//! publisher.send(b"hello")?;
//! let sample = subscriber.recv()?;
//! assert_eq!((&*sample, sample.missed()), (&b"hello"[..], 0));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod changes;
mod error;
mod event;
pub mod inspect;
mod loan;
mod member;
mod options;
mod pace;
mod payload;
mod poll;
mod publisher;
mod sample;
mod subscriber;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
pub mod tokio;

pub use changes::{Change, ChangeKind};
pub use crossing_ring::broadcast::EventSet;
pub use error::{LoanError, RecvError, SendError, TryRecvError, TrySendError};
pub use event::{Event, EventOptions, Notifier, Waiter};
pub use loan::Loan;
pub use options::{Overflow, Topic, TopicOptions, Waiting};
pub use payload::Payload;
pub use poll::Poller;
pub use publisher::Publisher;
pub use sample::Sample;
pub use subscriber::Subscriber;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod many_tests;
#[cfg(test)]
mod place_tests;

#[cfg(test)]
mod model_tests;
