//! The queue, and its two ends.

use crate::backend::{self, Backend};
use crate::delivery::{Delivery, Pool, Priority};
use crate::endpoint::QueueEndpoint;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::options::QueueOptions;
use crossing_sys::file::Handle;
use crossing_sys::mq::Direction;
use crossing_sys::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an endpoint can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// How many priorities there are; 1: none to choose from.
    pub priorities: u32,
    /// Whether messages survive a restart of the machine.
    pub durable: bool,
    /// Whether a receiver acknowledges a message, and an unacknowledged one is delivered again.
    pub acknowledge: bool,
    /// Whether a message reaches the receiver without being copied.
    pub zero_copy: bool,
    /// Whether messages carry a type by which they can be received.
    pub message_types: bool,
    /// Whether there is a handle for an event loop to wait on.
    pub pollable: bool,
}

/// How full a queue is, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages in the queue.
    pub len: u64,
    /// The most messages, where the limit counts messages.
    pub capacity: Option<u64>,
    /// The longest message, in bytes.
    pub max_len: u64,
    /// Bytes in the queue, where they are counted.
    pub bytes: Option<u64>,
    /// The most bytes in the queue, where the limit counts bytes.
    pub max_bytes: Option<u64>,
}

/// What all handles of one opened queue share.
#[derive(Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    endpoint: String,
    capabilities: Capabilities,
    direction: Direction,
    unlink: bool,
    pool: Arc<Pool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.unlink {
            // Nobody is left to be told; a name that stays can be removed with `Queue::unlink`.
            let _ = self.backend.unlink_if_same();
        }
    }
}

/// A queue: each message goes to exactly one receiver, in any process. See the crate's page for an example.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Inner>);

impl Queue {
    /// Options with the defaults; `Queue::options().capacity(10).open_or_create("mq:/jobs")`.
    #[must_use]
    pub fn options() -> QueueOptions {
        QueueOptions::new()
    }

    /// Removes the queue's name. What is open stays usable for `mq:`; a `sysv:` queue is gone at once for everybody.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`]; and as [`QueueEndpoint::parse`].
    pub fn unlink(endpoint: &str) -> Result<()> {
        backend::unlink(&QueueEndpoint::parse(endpoint)?)
    }

    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        endpoint: &str,
        capabilities: Capabilities,
        options: &QueueOptions,
    ) -> Self {
        Self(Arc::new(Inner {
            pool: Arc::new(Pool::new(backend.max_len())),
            unlink: options.unlink_on_drop && backend.created(),
            endpoint: endpoint.to_owned(),
            capabilities,
            direction: options.direction,
            backend,
        }))
    }

    /// The endpoint that the queue was opened by.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Whether this process created the queue (and did not find it).
    #[must_use]
    pub fn created(&self) -> bool {
        self.0.backend.created()
    }

    /// What the endpoint can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    /// How full the queue is now, and how large.
    ///
    /// # Errors
    /// If the operating system refuses, or the queue was removed.
    pub fn stats(&self) -> Result<Stats> {
        self.0.backend.stats()
    }

    /// The sending end.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] if the queue was opened to receive.
    pub fn sender(&self) -> Result<Sender> {
        self.refuse(Direction::Receive, "it was opened to receive only")?;
        Ok(Sender(Arc::clone(&self.0)))
    }

    /// The receiving end.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] if the queue was opened to send.
    pub fn receiver(&self) -> Result<Receiver> {
        self.refuse(Direction::Send, "it was opened to send only")?;
        Ok(Receiver(Arc::clone(&self.0)))
    }

    fn refuse(&self, direction: Direction, why: &'static str) -> Result<()> {
        if self.0.direction == direction {
            return Err(Error::new(ErrorKind::ApiMisuse, "use queue", self.endpoint())
                .detail(why)
                .fix("open it for both directions"));
        }
        Ok(())
    }
}

/// `None`, which is "no end", if the moment is too far away to be told.
fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// The sending end of a [`Queue`]; any number of them, in any thread.
#[derive(Debug, Clone)]
pub struct Sender(Arc<Inner>);

impl Sender {
    /// The longest message that the queue takes, in bytes.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.0.backend.max_len()
    }

    /// Sends with the lowest priority, waiting for room without end.
    ///
    /// # Errors
    /// [`SendError::TooLarge`], [`SendError::Os`].
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        self.send_deadline_with(message, Priority(0), None)
    }

    /// Sends with `priority`, waiting for room without end.
    ///
    /// # Errors
    /// As [`Sender::send`]; [`SendError::Os`] also for a priority that the endpoint does not have.
    pub fn send_with(&self, message: &[u8], priority: Priority) -> Result<(), SendError> {
        self.send_deadline_with(message, priority, None)
    }

    /// Sends with the lowest priority if there is room now.
    ///
    /// # Errors
    /// [`TrySendError::Full`], [`TrySendError::TooLarge`], [`TrySendError::Os`].
    pub fn try_send(&self, message: &[u8]) -> Result<(), TrySendError> {
        self.try_send_with(message, Priority(0))
    }

    /// Sends with `priority` if there is room now.
    ///
    /// # Errors
    /// As [`Sender::try_send`]; [`TrySendError::Os`] also for a priority that the endpoint does not have.
    pub fn try_send_with(&self, message: &[u8], priority: Priority) -> Result<(), TrySendError> {
        self.check(priority).map_err(TrySendError::Os)?;
        self.0.backend.try_send(message, priority)
    }

    /// Sends with the lowest priority, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send`].
    pub fn send_timeout(&self, message: &[u8], timeout: Duration) -> Result<(), SendError> {
        self.send_deadline_with(message, Priority(0), after(timeout))
    }

    /// Sends with the lowest priority, waiting for room until `deadline`.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send`].
    pub fn send_deadline(&self, message: &[u8], deadline: Instant) -> Result<(), SendError> {
        self.send_deadline_with(message, Priority(0), Some(deadline))
    }

    /// Sends with `priority`, waiting for room until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send_with`].
    pub fn send_deadline_with(
        &self,
        message: &[u8],
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        self.check(priority).map_err(SendError::Os)?;
        self.0.backend.send_deadline(message, priority, deadline)
    }

    /// What an event loop can wait on: writable while there is room. `None` where the endpoint has none.
    #[must_use]
    pub fn handle(&self) -> Option<&Handle> {
        self.0.backend.handle()
    }

    fn check(&self, priority: Priority) -> Result<()> {
        let levels = self.0.capabilities.priorities;
        if priority.0 < levels {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ApiMisuse, "send to queue", self.0.endpoint.as_str()).detail(format!(
            "priority {}, the highest of this endpoint is {}",
            priority.0,
            levels - 1
        )))
    }
}

/// The receiving end of a [`Queue`]; any number of them, in any thread.
#[derive(Debug, Clone)]
pub struct Receiver(Arc<Inner>);

impl Receiver {
    /// Receives, waiting without end.
    ///
    /// # Errors
    /// [`RecvError::Os`].
    pub fn recv(&self) -> Result<Delivery, RecvError> {
        self.recv_until(None)
    }

    /// Receives if a message is there.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`], [`TryRecvError::Os`].
    pub fn try_recv(&self) -> Result<Delivery, TryRecvError> {
        let mut buffer = self.0.pool.take();
        match self.0.backend.try_recv(&mut buffer) {
            Ok(taken) => Ok(self.delivery(buffer, &taken)),
            Err(error) => {
                self.0.pool.give_back(buffer);
                Err(error)
            }
        }
    }

    /// Receives, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`], [`RecvError::Os`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Delivery, RecvError> {
        self.recv_until(after(timeout))
    }

    /// Receives, waiting until `deadline`.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`], [`RecvError::Os`].
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Delivery, RecvError> {
        self.recv_until(Some(deadline))
    }

    /// What an event loop can wait on: readable while a message is there. `None` where the endpoint has none.
    #[must_use]
    pub fn handle(&self) -> Option<&Handle> {
        self.0.backend.handle()
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<Delivery, RecvError> {
        let mut buffer = self.0.pool.take();
        match self.0.backend.recv_deadline(&mut buffer, deadline) {
            Ok(taken) => Ok(self.delivery(buffer, &taken)),
            Err(error) => {
                self.0.pool.give_back(buffer);
                Err(error)
            }
        }
    }

    fn delivery(&self, buffer: Vec<u8>, taken: &backend::Taken) -> Delivery {
        Delivery::new(buffer, taken.len, taken.priority, taken.message_type, Arc::clone(&self.0.pool))
    }
}
