//! A message with more than a body.

use crate::delivery::Priority;
use crate::payload::Payload;
use crate::properties::Properties;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A message to send: its bytes or value, and how it is to be treated.
///
/// ```
/// use crossing_queue::{Message, Priority};
/// use std::time::Duration;
/// let message = Message::new(b"tick").priority(Priority(3)).ttl(Duration::from_secs(1));
/// # let _ = message;
/// ```
pub struct Message<'a, T: Payload + ?Sized = [u8]> {
    pub(crate) body: &'a [u8],
    pub(crate) priority: Priority,
    pub(crate) ttl: Option<Duration>,
    pub(crate) delay: Duration,
    pub(crate) properties: Option<&'a Properties>,
    payload: PhantomData<fn(&T)>,
}

impl<T: Payload + ?Sized> Clone for Message<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Payload + ?Sized> Copy for Message<'_, T> {}

impl<T: Payload + ?Sized> fmt::Debug for Message<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("len", &self.body.len())
            .field("priority", &self.priority.0)
            .finish_non_exhaustive()
    }
}

impl<'a> Message<'a> {
    /// A message of bytes, of the lowest priority, that never expires, to be received at once, without properties.
    #[inline]
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self::of(body)
    }
}

impl<'a, T: Payload + ?Sized> Message<'a, T> {
    /// A message with that value, for a [`Queue<T>`](crate::Queue); otherwise as [`new`](Message::new).
    #[inline]
    #[must_use]
    pub fn of(value: &'a T) -> Self {
        Self {
            body: value.bytes(),
            priority: Priority(0),
            ttl: None,
            delay: Duration::ZERO,
            properties: None,
            payload: PhantomData,
        }
    }

    /// The same, as bytes.
    #[inline]
    pub(crate) fn erased(&self) -> Message<'a> {
        let Self { body, priority, ttl, delay, properties, .. } = *self;
        Message { body, priority, ttl, delay, properties, payload: PhantomData }
    }

    /// How urgent it is.
    #[inline]
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How long it is worth anything: it is dropped, and counted, if it was not received by then.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long it stays hidden before it can be received.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// What travels with it. Its length counts as part of the message's.
    #[must_use]
    pub fn properties(mut self, properties: &'a Properties) -> Self {
        self.properties = Some(properties);
        self
    }
}
