//! Messages that are written where they will be received.

use crate::delivery::Priority;
use crate::error::{SendError, TrySendError};
use crate::message::Message;
use crate::options::Overflow;
use crate::payload::Payload;
use crate::properties::Properties;
use crate::queue::{Sender, after};
use crossing_ring::queue::Draft;
use crossing_sync::Plain;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

/// Where the bytes are.
enum Body {
    /// In a slot of a `shm:` queue, or in its blocks.
    Place(Draft),
    /// The kernel's queues copy.
    Copy(Vec<u8>),
}

/// A message that is being written. In a `shm:` queue it lies where its receiver will read it, so that sending copies nothing;
/// it takes its place in the queue from the beginning. What it holds at first is not told: zeros, or an old message. Dropping
/// it sends nothing.
///
/// ```
/// use crossing_queue::{Priority, Queue};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let name = format!("shm:crossing-loan-doc-{}", std::process::id());
/// let queue = Queue::<[u8]>::options().capacity(4).max_len(1 << 20).unlink_on_drop(true).create(&name)?;
/// let mut loan = queue.sender()?.loan_slice(1 << 20)?;
/// loan.fill(7);
/// loan.priority(Priority(3)).send()?;
/// assert_eq!(queue.receiver()?.recv()?.len(), 1 << 20);
/// # Ok(())
/// # }
/// ```
#[must_use = "a loan that is not sent is dropped"]
pub struct Loan<T: Payload + ?Sized = [u8]> {
    sender: Sender<T>,
    body: Body,
    /// The value, if its bytes lie where no such value may.
    aside: T::Aside,
    priority: Priority,
    ttl: Option<Duration>,
    delay: Duration,
}

impl<T: Plain> Sender<T> {
    /// A value to be written in place, waiting for room without end.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn loan(&self) -> Result<Loan<T>, SendError> {
        self.lend(size_of::<T>(), None, None)
    }

    /// A value to be written in place, if there is room now.
    ///
    /// # Errors
    /// As [`Sender::try_send`].
    pub fn try_loan(&self) -> Result<Loan<T>, TrySendError> {
        self.try_lend(size_of::<T>(), None)
    }

    /// A value to be written in place, waiting for room at most `timeout`.
    ///
    /// # Errors
    /// As [`Sender::send_timeout`].
    pub fn loan_timeout(&self, timeout: Duration) -> Result<Loan<T>, SendError> {
        self.lend(size_of::<T>(), None, after(timeout))
    }

    /// A value to be written in place, with these properties, waiting for room until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`Sender::send_message_deadline`].
    pub fn loan_with(
        &self,
        properties: &Properties,
        deadline: Option<Instant>,
    ) -> Result<Loan<T>, SendError> {
        self.lend(size_of::<T>(), Some(properties), deadline)
    }
}

impl Sender {
    /// `len` bytes to be written in place, waiting for room without end.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn loan_slice(&self, len: usize) -> Result<Loan, SendError> {
        self.lend(len, None, None)
    }

    /// `len` bytes to be written in place, if there is room now.
    ///
    /// # Errors
    /// As [`Sender::try_send`].
    pub fn try_loan_slice(&self, len: usize) -> Result<Loan, TrySendError> {
        self.try_lend(len, None)
    }

    /// `len` bytes to be written in place, waiting for room at most `timeout`.
    ///
    /// # Errors
    /// As [`Sender::send_timeout`].
    pub fn loan_slice_timeout(&self, len: usize, timeout: Duration) -> Result<Loan, SendError> {
        self.lend(len, None, after(timeout))
    }

    /// `len` bytes to be written in place, with these properties, waiting for room until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`Sender::send_message_deadline`].
    pub fn loan_slice_with(
        &self,
        len: usize,
        properties: &Properties,
        deadline: Option<Instant>,
    ) -> Result<Loan, SendError> {
        self.lend(len, Some(properties), deadline)
    }
}

impl<T: Payload + ?Sized> Sender<T> {
    fn lend(
        &self,
        len: usize,
        properties: Option<&Properties>,
        deadline: Option<Instant>,
    ) -> Result<Loan<T>, SendError> {
        match self.try_lend(len, properties) {
            Err(TrySendError::Full) if self.overflow() != Overflow::Fail => {}
            Err(TrySendError::Full) => return Err(SendError::Full),
            Err(TrySendError::TooLarge { len, max }) => return Err(SendError::TooLarge { len, max }),
            Err(TrySendError::Os(error)) => return Err(SendError::Os(error)),
            Ok(loan) => return Ok(loan),
        }
        let draft = self.backend().draft_deadline(len, properties, deadline)?;
        Ok(self.loan_of(draft.map_or_else(|| Body::Copy(vec![0; len]), Body::Place)))
    }

    pub(crate) fn try_lend(
        &self,
        len: usize,
        properties: Option<&Properties>,
    ) -> Result<Loan<T>, TrySendError> {
        self.check_loan(len, properties)?;
        loop {
            match self.backend().try_draft(len, properties) {
                Err(TrySendError::Full)
                    if self.overflow() == Overflow::DropOldest && self.backend().drop_oldest() => {}
                Err(error) => return Err(error),
                Ok(draft) => {
                    return Ok(self.loan_of(draft.map_or_else(|| Body::Copy(vec![0; len]), Body::Place)));
                }
            }
        }
    }

    fn loan_of(&self, body: Body) -> Loan<T> {
        let aside = T::aside(match &body {
            Body::Place(draft) => draft,
            Body::Copy(bytes) => bytes,
        });
        let (priority, ttl, delay) = (Priority(0), None, Duration::ZERO);
        Loan { sender: self.clone(), body, aside, priority, ttl, delay }
    }
}

impl<T: Payload + ?Sized> Loan<T> {
    /// How urgent it is.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How long it is worth anything.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long it stays hidden before it can be received.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Whether it lies where it will be received.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self.body, Body::Place(_))
    }

    /// Sends a copy of it if there is room now. For those that are not in place.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn try_send_copy(&self) -> Result<(), TrySendError> {
        let bytes = T::aside_bytes(&self.aside).unwrap_or(match &self.body {
            Body::Place(draft) => draft,
            Body::Copy(bytes) => bytes,
        });
        let mut message = Message::<[u8]>::of(bytes).priority(self.priority).delay(self.delay);
        message.ttl = self.ttl;
        self.sender.try_send_bytes(&message)
    }

    /// Sends it. On a `shm:` queue it has its place already and this waits for nothing; elsewhere it waits for room.
    ///
    /// # Errors
    /// As [`Sender::send_message`].
    pub fn send(mut self) -> Result<(), SendError> {
        if let Some(bytes) = T::aside_bytes(&self.aside) {
            match &mut self.body {
                Body::Place(draft) => draft.copy_from_slice(bytes),
                Body::Copy(copy) => copy.copy_from_slice(bytes),
            }
        }
        let Self { sender, body, priority, ttl, delay, .. } = self;
        let bytes: &[u8] = match &body {
            Body::Place(draft) => draft,
            Body::Copy(bytes) => bytes,
        };
        let mut message = Message::<[u8]>::of(bytes).priority(priority).delay(delay);
        message.ttl = ttl;
        match &body {
            Body::Copy(_) => sender.send_bytes(&message, None),
            Body::Place(_) => {
                sender.check_terms(&message).map_err(SendError::Os)?;
                let terms =
                    crossing_ring::queue::Message { priority: priority.0, ttl, delay, ..Default::default() };
                let Body::Place(draft) = body else { return Ok(()) };
                draft.commit(&terms).map_err(|(_, error)| SendError::Os(error.into()))
            }
        }
    }
}

impl Loan {
    /// Shortens it to `len` bytes, if it is longer and the queue is not of values.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.body {
            Body::Place(draft) => draft.truncate(len),
            Body::Copy(bytes) => bytes.truncate(len),
        }
    }
}

impl<T: Payload + ?Sized> Deref for Loan<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let bytes = match &self.body {
            Body::Place(draft) => draft,
            Body::Copy(bytes) => &bytes[..],
        };
        T::of(bytes, &self.aside)
    }
}

impl<T: Payload + ?Sized> DerefMut for Loan<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        let bytes = match &mut self.body {
            Body::Place(draft) => &mut draft[..],
            Body::Copy(bytes) => &mut bytes[..],
        };
        T::of_mut(bytes, &mut self.aside)
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("in_place", &self.is_in_place()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "loan_tests.rs"]
mod tests;
