//! A message with more than a body.

use crate::delivery::Priority;
use crate::properties::Properties;
use std::time::Duration;

/// A message to send: its bytes, and how it is to be treated.
///
/// ```
/// use crossing_queue::{Message, Priority};
/// use std::time::Duration;
/// let message = Message::new(b"tick").priority(Priority(3)).ttl(Duration::from_secs(1));
/// # let _ = message;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) priority: Priority,
    pub(crate) ttl: Option<Duration>,
    pub(crate) delay: Duration,
    pub(crate) properties: Option<&'a Properties>,
}

impl<'a> Message<'a> {
    /// A message of the lowest priority, that never expires, to be received at once, without properties.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, priority: Priority(0), ttl: None, delay: Duration::ZERO, properties: None }
    }

    /// How urgent it is.
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
