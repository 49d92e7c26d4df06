//! A received message, whose buffer goes back to the queue when it is dropped: no allocation per message.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// How urgent a message is: the highest number is received first; 0 is the lowest, and what `send` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Priority(pub u32);

/// The most buffers that are kept for reuse.
const MAX_KEPT_BUFFERS: usize = 16;

/// Buffers of the length of the queue's longest message.
#[derive(Debug)]
pub(crate) struct Pool {
    len: usize,
    kept: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    pub(crate) fn new(len: usize) -> Self {
        Self { len, kept: Mutex::new(Vec::with_capacity(MAX_KEPT_BUFFERS)) }
    }

    /// A buffer of exactly the pool's length; its bytes are of no meaning.
    pub(crate) fn take(&self) -> Vec<u8> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; self.len])
    }

    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() == self.len && kept.len() < MAX_KEPT_BUFFERS {
            kept.push(buffer);
        }
    }
}

/// A message that was received: derefs to its bytes.
///
/// The kernel's queues hand a message over for good: there is nothing to acknowledge, and a delivery that is dropped is
/// gone.
pub struct Delivery {
    buffer: Vec<u8>,
    len: usize,
    priority: Priority,
    message_type: Option<i64>,
    pool: Arc<Pool>,
}

impl Delivery {
    pub(crate) fn new(
        buffer: Vec<u8>,
        len: usize,
        priority: Priority,
        message_type: Option<i64>,
        pool: Arc<Pool>,
    ) -> Self {
        let len = len.min(buffer.len());
        Self { buffer, len, priority, message_type, pool }
    }

    /// The priority that the message was sent with.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// The `mtype` of a System V message; `None` on other endpoints.
    #[must_use]
    pub fn message_type(&self) -> Option<i64> {
        self.message_type
    }

    /// The bytes as a vector, without copying them.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.truncate(self.len);
        bytes
    }
}

impl Deref for Delivery {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl AsRef<[u8]> for Delivery {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("len", &self.len)
            .field("priority", &self.priority.0)
            .finish_non_exhaustive()
    }
}
