//! A received message, whose buffer goes back to the queue when it is dropped: no allocation per message.

use crate::payload::Payload;
use crate::properties::PropertiesRef;
use crossing_ring::queue::Held;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How urgent a message is: the highest number is received first; 0 is the lowest, and what `send` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Priority(pub u32);

/// The most buffers that are kept for reuse.
const MAX_KEPT_BUFFERS: usize = 16;

/// A message that the kernel copied into a buffer.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) buffer: Vec<u8>,
    pub(crate) len: usize,
    pub(crate) priority: Priority,
    pub(crate) message_type: Option<i64>,
    pool: Arc<Pool>,
}

/// Buffers of the length of the queue's longest message.
#[derive(Debug)]
pub(crate) struct Pool {
    len: usize,
    // Boxed, so that a delivery is small and still allocates nothing.
    #[allow(clippy::vec_box)]
    kept: Mutex<Vec<Box<Copied>>>,
}

impl Pool {
    pub(crate) fn new(len: usize) -> Self {
        Self { len, kept: Mutex::new(Vec::with_capacity(MAX_KEPT_BUFFERS)) }
    }

    /// A buffer of exactly the pool's length; its bytes are of no meaning.
    pub(crate) fn take(self: &Arc<Self>) -> Box<Copied> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| {
            let buffer = vec![0; self.len];
            Box::new(Copied {
                buffer,
                len: 0,
                priority: Priority(0),
                message_type: None,
                pool: Arc::clone(self),
            })
        })
    }

    pub(crate) fn give_back(&self, copied: Box<Copied>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if copied.buffer.len() == self.len && kept.len() < MAX_KEPT_BUFFERS {
            kept.push(copied);
        }
    }
}

/// A message that was received: derefs to its bytes, or its value.
///
/// The kernel's queues hand a message over for good. On an endpoint that [acknowledges](crate::Capabilities::acknowledge)
/// the bytes are read where they lie, and the message is this receiver's until it is [acknowledged](Self::ack) or
/// [given back](Self::nack); a receiver that dies gives back what it holds. When it is dropped without a word, a queue
/// opened with [`acknowledge(true)`](crate::QueueOptions::acknowledge) gives it back, any other takes it as done.
pub struct Delivery<T: Payload + ?Sized = [u8]> {
    body: Body,
    aside: T::Aside,
}

enum Body {
    /// `None` only while it is being dropped.
    Copied(Option<Box<Copied>>),
    /// To be acknowledged, or it goes back.
    Held(Held),
    /// Taken as done when it is dropped.
    Lent(Held),
    Done,
}

/// The message was not this receiver's any more: its lease was taken away by a process that breaks the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHeld;

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message was not this receiver's any more")
    }
}

impl std::error::Error for NotHeld {}

impl Delivery {
    pub(crate) fn copied(copied: Box<Copied>) -> Self {
        Self { body: Body::Copied(Some(copied)), aside: () }
    }

    #[inline(always)]
    pub(crate) fn held(held: Held, acknowledge: bool) -> Self {
        Self { body: if acknowledge { Body::Held(held) } else { Body::Lent(held) }, aside: () }
    }

    /// The same message, which is a `T`, in place or aside.
    #[inline]
    pub(crate) fn into_typed<T: Payload>(mut self, aside: T::Aside) -> Delivery<T> {
        Delivery { body: std::mem::replace(&mut self.body, Body::Done), aside }
    }

    /// The bytes as a vector, and the message acknowledged; not copied where the kernel copied them already.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        match &mut self.body {
            Body::Copied(Some(copied)) => {
                let mut bytes = std::mem::take(&mut copied.buffer);
                bytes.truncate(copied.len);
                bytes
            }
            Body::Held(held) | Body::Lent(held) => {
                let bytes = held.to_vec();
                held.finish();
                bytes
            }
            Body::Copied(None) | Body::Done => Vec::new(),
        }
    }
}

impl<T: Payload + Copy> Delivery<T> {
    /// The value, and the message acknowledged.
    #[must_use]
    pub fn into_value(self) -> T {
        let value = *self;
        // One that was taken away meanwhile was a value all the same.
        let _ = self.ack();
        value
    }
}

impl<T: Payload + ?Sized> Delivery<T> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Held(held) | Body::Lent(held) => held,
            Body::Copied(Some(copied)) => copied.buffer.get(..copied.len).unwrap_or_default(),
            Body::Copied(None) | Body::Done => &[],
        }
    }

    fn as_held(&self) -> Option<&Held> {
        match &self.body {
            Body::Held(held) | Body::Lent(held) => Some(held),
            Body::Copied(_) | Body::Done => None,
        }
    }

    fn as_copied(&self) -> Option<&Copied> {
        match &self.body {
            Body::Copied(copied) => copied.as_deref(),
            _ => None,
        }
    }

    /// The priority that the message was sent with; 32 for a dead letter of a `shm:` queue.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.as_held()
            .map(|held| Priority(held.priority()))
            .or(self.as_copied().map(|copied| copied.priority))
            .unwrap_or_default()
    }

    /// The `mtype` of a System V message; `None` on other endpoints.
    #[must_use]
    pub fn message_type(&self) -> Option<i64> {
        self.as_copied()?.message_type
    }

    /// How often the message was delivered, this time included; 1 where the endpoint does not redeliver.
    #[must_use]
    pub fn deliveries(&self) -> u32 {
        self.as_held().map_or(1, Held::deliveries)
    }

    /// Whether it was delivered before, and not acknowledged.
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.deliveries() > 1
    }

    /// What travelled with it.
    #[must_use]
    pub fn properties(&self) -> PropertiesRef<'_> {
        PropertiesRef(self.as_held().map_or(&[], Held::properties))
    }

    /// Done with it: it will not be delivered again.
    ///
    /// # Errors
    /// [`NotHeld`].
    #[inline]
    pub fn ack(mut self) -> Result<(), NotHeld> {
        match &mut self.body {
            Body::Held(held) | Body::Lent(held) => held.finish().then_some(()).ok_or(NotHeld),
            Body::Copied(_) | Body::Done => Ok(()),
        }
    }

    /// Gives it back, to be delivered again at once, before others of its priority.
    ///
    /// # Errors
    /// [`NotHeld`]; always on an endpoint that does not acknowledge, where there is no way back.
    pub fn nack(self) -> Result<(), NotHeld> {
        self.nack_after(Duration::ZERO)
    }

    /// Gives it back, to be delivered again after `delay`.
    ///
    /// # Errors
    /// As [`nack`](Self::nack).
    pub fn nack_after(mut self, delay: Duration) -> Result<(), NotHeld> {
        match std::mem::replace(&mut self.body, Body::Done) {
            Body::Held(held) | Body::Lent(held) => held.give_back(delay).then_some(()).ok_or(NotHeld),
            copied => {
                self.body = copied;
                Err(NotHeld)
            }
        }
    }
}

impl<T: Payload + ?Sized> Deref for Delivery<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        T::of(self.bytes(), &self.aside)
    }
}

impl<T: Payload + ?Sized> AsRef<T> for Delivery<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Payload + ?Sized> Drop for Delivery<T> {
    #[inline]
    fn drop(&mut self) {
        match &mut self.body {
            Body::Lent(held) => {
                held.finish();
            }
            Body::Copied(copied) => {
                if let Some(copied) = copied.take() {
                    let pool = Arc::clone(&copied.pool);
                    pool.give_back(copied);
                }
            }
            // Left alone, what is held goes back.
            Body::Held(_) | Body::Done => {}
        }
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("len", &self.bytes().len())
            .field("priority", &self.priority().0)
            .finish_non_exhaustive()
    }
}
