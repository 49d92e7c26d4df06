//! The queue, and its two ends.

use crate::backend::{self, Backend, Direct};
use crate::delivery::{Delivery, Pool, Priority};
use crate::endpoint::QueueEndpoint;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::message::Message;
use crate::options::{Overflow, QueueOptions, Terms, Waiting};
use crate::payload::Payload;
use crate::properties::Properties;
use crossing_sync::Until;
use crossing_sys::file::Handle;
use crossing_sys::mq::Direction;
use crossing_sys::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often one that spins looks before it looks at the clock.
const LOOKS: u32 = 64;
/// Of so many looks one is thorough.
const THOROUGH: u32 = 8;

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
    /// Whether a message can expire.
    pub expiry: bool,
    /// Whether a message can be sent, or given back, for later.
    pub delay: bool,
    /// Whether properties travel with a message.
    pub properties: bool,
    /// Whether what was delivered too often goes to a lane of its own.
    pub dead_letters: bool,
    /// Whether the oldest message can be dropped for a newer one.
    pub drop_oldest: bool,
    /// Whether a message reaches the receiver without being copied.
    pub zero_copy: bool,
    /// Whether messages carry a type by which they can be received.
    pub message_types: bool,
    /// Whether there is a handle for an event loop to wait on: [`Receiver::poller`], [`Sender::poller`].
    pub pollable: bool,
}

/// How full a queue is, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages in the queue that wait for a receiver.
    pub len: u64,
    /// The most messages, where the limit counts messages.
    pub capacity: Option<u64>,
    /// The longest message, in bytes.
    pub max_len: u64,
    /// Bytes in the queue, where they are counted.
    pub bytes: Option<u64>,
    /// The most bytes in the queue, where the limit counts bytes.
    pub max_bytes: Option<u64>,
    /// Messages that receivers hold and have not acknowledged. This and what follows: 0 where it is not known.
    pub held: u64,
    /// Of the messages that wait: those sent or given back for later.
    pub delayed: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Messages sent since the queue was created.
    pub sent: u64,
    /// Messages dropped for newer ones.
    pub dropped: u64,
    /// Messages that expired.
    pub expired: u64,
    /// Deliveries beyond a message's first.
    pub redelivered: u64,
    /// Processes that have the queue open.
    pub users: u64,
    /// How many priorities it has, where that is known.
    pub priorities: Option<u32>,
    /// Bytes of each message, if it is a queue of values and knows it.
    pub value_len: Option<u64>,
    /// The number that its creator gave to the meaning of the messages; 0: none.
    pub schema: u64,
}

/// A copy of a message that stays in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Glimpse {
    /// `ready`, `taken`, `aside` (for later, or given back) or `dead`.
    pub state: &'static str,
    /// The priority that it was sent with.
    pub priority: u32,
    /// How often it was delivered so far.
    pub deliveries: u32,
    /// Bytes of its body.
    pub len: usize,
    /// As many of its first bytes as were asked for.
    pub bytes: Vec<u8>,
}

/// What all handles of one opened queue share.
#[derive(Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    /// The same, where it is a queue in shared memory.
    direct: Option<Direct>,
    endpoint: String,
    capabilities: Capabilities,
    overflow: Overflow,
    direction: Direction,
    waiting: Waiting,
    /// Bytes that every message must have.
    value_len: Option<usize>,
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

/// Defines one of the handles that share `Inner`.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T: Payload + ?Sized = [u8]>(Arc<Inner>, PhantomData<fn(&T)>);

        impl<T: Payload + ?Sized> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self(Arc::clone(&self.0), PhantomData)
            }
        }

        impl<T: Payload + ?Sized> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
}

handle! {
    /// A queue of bytes, or of values of one type: each message goes to exactly one receiver, in any process.
    ///
    /// A `shm:` queue knows the type's size and alignment, and its [schema](QueueOptions::schema): who opens it with another is
    /// refused, but for those who ask for bytes, who may look, and send what has the right length. The kernel's queues carry
    /// the bytes of the value and know nothing of types: a message of another length is a
    /// [`Mismatch`](crate::RecvError::Mismatch) for who receives values.
    ///
    /// # Platform-specific behavior
    /// 32-bit x86 aligns 64-bit numbers to 4: for processes of both widths say `#[repr(C, align(8))]`.
    ///
    /// ```
    /// use crossing_queue::Queue;
    /// use zerocopy::{FromBytes, Immutable, IntoBytes};
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable, Debug, Clone, Copy, PartialEq)]
    /// #[repr(C)]
    /// struct Order { id: u64, pieces: u64 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let name = format!("shm:crossing-typed-doc-{}", std::process::id());
    /// let orders = Queue::<Order>::options().capacity(10).unlink_on_drop(true).create(&name)?;
    /// orders.sender()?.send(&Order { id: 1, pieces: 12 })?;
    /// let order = orders.receiver()?.recv()?;
    /// assert_eq!(order.pieces, 12);
    /// # Ok(())
    /// # }
    /// ```
    Queue
}

impl Queue {
    /// What the segment of a `shm:` queue says that lies in it: its [schema](crossing_shm::registry::Entry::schema).
    pub const SEGMENT_SCHEMA: u64 = backend::SEGMENT_SCHEMA;

    /// Removes the queue's name. What is open stays usable for `mq:`; a `sysv:` queue is gone at once for everybody; a `shm:`
    /// queue is not removed while anybody has it open.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Busy`] with the processes that use it; [`ErrorKind::PermissionDenied`]; and as [`QueueEndpoint::parse`].
    pub fn unlink(endpoint: &str) -> Result<()> {
        backend::unlink(&QueueEndpoint::parse(endpoint)?)
    }
}

impl<T: Payload + ?Sized> Queue<T> {
    /// Options with the defaults; `Queue::<[u8]>::options().capacity(10).open_or_create("mq:/jobs")`.
    #[must_use]
    pub fn options() -> QueueOptions<T> {
        QueueOptions::new()
    }

    pub(crate) fn new(backend: Arc<dyn Backend>, endpoint: &str, options: &Terms) -> Self {
        let capabilities = backend.capabilities();
        let inner = Inner {
            pool: Arc::new(Pool::new(backend.max_len())),
            value_len: backend.value_len(),
            unlink: options.unlink_on_drop && backend.created(),
            endpoint: endpoint.to_owned(),
            capabilities,
            overflow: options.overflow,
            direction: options.direction,
            waiting: options.waiting,
            direct: backend.direct(),
            backend,
        };
        Self(Arc::new(inner), PhantomData)
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
    pub fn sender(&self) -> Result<Sender<T>> {
        self.refuse(Direction::Receive, "it was opened to receive only")?;
        Ok(Sender(Arc::clone(&self.0), PhantomData))
    }

    /// The receiving end.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] if the queue was opened to send.
    pub fn receiver(&self) -> Result<Receiver<T>> {
        self.refuse(Direction::Send, "it was opened to send only")?;
        Ok(Receiver(Arc::clone(&self.0), PhantomData))
    }

    /// The receiving end of the messages that were delivered too often.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where there is no such thing; [`ErrorKind::ApiMisuse`] if the queue was opened to send.
    pub fn dead_letters(&self) -> Result<Receiver<T>> {
        self.refuse(Direction::Send, "it was opened to send only")?;
        let backend = self.0.backend.dead_letters().ok_or_else(|| self.lacks("has no dead letters"))?;
        let endpoint = format!("{} (dead letters)", self.endpoint());
        let inner = Inner {
            pool: Arc::clone(&self.0.pool),
            value_len: self.0.value_len,
            unlink: false,
            endpoint,
            capabilities: self.0.capabilities,
            overflow: self.0.overflow,
            direction: Direction::Receive,
            waiting: self.0.waiting,
            direct: backend.direct(),
            backend,
        };
        Ok(Receiver(Arc::new(inner), PhantomData))
    }

    /// Drops every message that waits; says how many.
    ///
    /// # Errors
    /// If the operating system refuses; [`ErrorKind::ApiMisuse`] if the queue was opened to send.
    pub fn purge(&self) -> Result<u64> {
        self.refuse(Direction::Send, "it was opened to send only")?;
        self.0.backend.purge()
    }

    /// Copies of at most `max` messages, each cut to `max_len` bytes, without receiving any.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the only way to see a message is to receive it.
    pub fn browse(&self, max: usize, max_len: usize) -> Result<Vec<Glimpse>> {
        self.0.backend.browse(max, max_len).ok_or_else(|| self.lacks("shows its messages to receivers alone"))
    }

    fn lacks(&self, what: &str) -> Error {
        let scheme = self.endpoint().split(':').next().unwrap_or_default();
        Error::new(ErrorKind::Unsupported, "use queue", self.endpoint())
            .detail(format!("a {scheme}: queue {what}"))
            .fix("use a shm: queue")
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
pub(crate) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

handle! {
    /// The sending end of a [`Queue`]; any number of them, in any thread.
    Sender
}

impl<T: Payload + ?Sized> Sender<T> {
    /// The longest message that the queue takes, in bytes.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.0.backend.max_len()
    }

    /// Sends with the lowest priority, waiting for room without end.
    ///
    /// # Errors
    /// [`SendError::TooLarge`], [`SendError::Os`]; [`SendError::Full`] with [`Overflow::Fail`].
    #[inline]
    pub fn send(&self, message: &T) -> Result<(), SendError> {
        self.send_message_deadline(&Message::of(message), None)
    }

    /// Sends with `priority`, waiting for room without end.
    ///
    /// # Errors
    /// As [`Sender::send`]; [`SendError::Os`] also for a priority that the endpoint does not have.
    #[inline]
    pub fn send_with(&self, message: &T, priority: Priority) -> Result<(), SendError> {
        self.send_message_deadline(&Message::of(message).priority(priority), None)
    }

    /// Sends with the lowest priority if there is room now.
    ///
    /// # Errors
    /// [`TrySendError::Full`], [`TrySendError::TooLarge`], [`TrySendError::Os`].
    #[inline]
    pub fn try_send(&self, message: &T) -> Result<(), TrySendError> {
        self.try_send_message(&Message::of(message))
    }

    /// Sends with `priority` if there is room now.
    ///
    /// # Errors
    /// As [`Sender::try_send`]; [`TrySendError::Os`] also for a priority that the endpoint does not have.
    #[inline]
    pub fn try_send_with(&self, message: &T, priority: Priority) -> Result<(), TrySendError> {
        self.try_send_message(&Message::of(message).priority(priority))
    }

    /// Sends with the lowest priority, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send`].
    pub fn send_timeout(&self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.send_message_deadline(&Message::of(message), after(timeout))
    }

    /// Sends with the lowest priority, waiting for room until `deadline`.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send`].
    pub fn send_deadline(&self, message: &T, deadline: Instant) -> Result<(), SendError> {
        self.send_message_deadline(&Message::of(message), Some(deadline))
    }

    /// Sends with `priority`, waiting for room until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send_with`].
    pub fn send_deadline_with(
        &self,
        message: &T,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        self.send_message_deadline(&Message::of(message).priority(priority), deadline)
    }

    /// Sends a message with its priority, time to live, delay and properties, waiting for room without end.
    ///
    /// # Errors
    /// As [`Sender::send_with`]; [`SendError::Os`] also for what the endpoint lacks.
    #[inline]
    pub fn send_message(&self, message: &Message<'_, T>) -> Result<(), SendError> {
        self.send_message_deadline(message, None)
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`TrySendError::Full`], and as [`Sender::send_message`].
    #[inline]
    pub fn try_send_message(&self, message: &Message<'_, T>) -> Result<(), TrySendError> {
        if let Some(direct) = self.direct(message) {
            return direct.try_send(message.body, message.priority);
        }
        self.try_send_bytes(&message.erased())
    }

    #[inline]
    pub(crate) fn try_send_bytes(&self, message: &Message<'_>) -> Result<(), TrySendError> {
        self.check(message).map_err(TrySendError::Os)?;
        if self.0.overflow == Overflow::DropOldest {
            return self.displace(message);
        }
        self.0.backend.try_send(message)
    }

    /// Sends a message, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send_message`].
    pub fn send_message_timeout(&self, message: &Message<'_, T>, timeout: Duration) -> Result<(), SendError> {
        self.send_message_deadline(message, after(timeout))
    }

    /// Sends a message, waiting for room until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`Sender::send_message`].
    #[inline]
    pub fn send_message_deadline(
        &self,
        message: &Message<'_, T>,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        if let Some(direct) = self.direct(message) {
            return direct.send(message.body, message.priority, deadline);
        }
        self.send_bytes(&message.erased(), deadline)
    }

    /// The queue itself, where it lies in shared memory and the message is no more than a body that it can take.
    #[inline]
    fn direct(&self, message: &Message<'_, T>) -> Option<&Direct> {
        let inner = &*self.0;
        let plain = message.ttl.is_none() && message.delay.is_zero() && message.properties.is_none();
        let fits = message.priority.0 < inner.capabilities.priorities
            && inner.value_len.is_none_or(|len| len == message.body.len());
        let direct = inner.direct.as_ref()?;
        (plain && fits && inner.overflow == Overflow::Block).then_some(direct)
    }

    #[inline]
    pub(crate) fn send_bytes(
        &self,
        message: &Message<'_>,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        self.check(message).map_err(SendError::Os)?;
        let at_once = |outcome| match outcome {
            Ok(()) => Ok(()),
            Err(TrySendError::Full) => Err(SendError::Full),
            Err(TrySendError::TooLarge { len, max }) => Err(SendError::TooLarge { len, max }),
            Err(TrySendError::Os(error)) => Err(SendError::Os(error)),
        };
        match self.0.overflow {
            Overflow::Block => self.0.backend.send_deadline(message, deadline),
            Overflow::Fail => at_once(self.0.backend.try_send(message)),
            Overflow::DropOldest => match self.displace(message) {
                // Everything is in the hands of receivers: there is nothing to drop, so it waits.
                Err(TrySendError::Full) => self.0.backend.send_deadline(message, deadline),
                outcome => at_once(outcome),
            },
        }
    }

    /// Sends, dropping the oldest messages as long as there is no room.
    fn displace(&self, message: &Message<'_>) -> Result<(), TrySendError> {
        loop {
            match self.0.backend.try_send(message) {
                Err(TrySendError::Full) if self.0.backend.drop_oldest() => {}
                outcome => return outcome,
            }
        }
    }

    /// Sends several messages with the lowest priority, in order, waiting for room; says how many were sent.
    ///
    /// # Errors
    /// As [`Sender::send`], if not even the first was sent.
    pub fn send_many(&self, messages: &[&T]) -> Result<usize, SendError> {
        for (sent, message) in messages.iter().enumerate() {
            match self.send(message) {
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
                Ok(()) => {}
            }
        }
        Ok(messages.len())
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.0.backend
    }

    /// Whether a message of `len` bytes with these properties may be lent.
    pub(crate) fn check_loan(&self, len: usize, properties: Option<&Properties>) -> Result<(), TrySendError> {
        let max = self.max_len();
        if len > max {
            return Err(TrySendError::TooLarge { len: len as u64, max: max as u64 });
        }
        let can = self.0.capabilities.properties || properties.is_none_or(Properties::is_empty);
        if can && self.0.value_len.is_none_or(|wanted| wanted == len) {
            return Ok(());
        }
        // As the message would be refused.
        let bytes = vec![0; len];
        let mut message = Message::<[u8]>::of(&bytes);
        message.properties = properties;
        Err(TrySendError::Os(self.refusal(&message)))
    }

    /// Whether the endpoint has what the message asks for.
    pub(crate) fn check_terms(&self, message: &Message<'_>) -> Result<()> {
        self.check(message)
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.0.overflow
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The descriptor of a queue of the kernel: writable while there is room. `None` where the endpoint has none; all that
    /// are [pollable](Capabilities::pollable) have a [`poller`](Self::poller).
    #[must_use]
    pub fn handle(&self) -> Option<&Handle> {
        self.0.backend.handle()
    }

    #[inline]
    fn check(&self, message: &Message<'_>) -> Result<()> {
        let can = &self.0.capabilities;
        if message.priority.0 < can.priorities
            && self.0.value_len.is_none_or(|len| len == message.body.len())
            && (can.expiry || message.ttl.is_none())
            && (can.delay || message.delay.is_zero())
            && (can.properties || message.properties.is_none_or(Properties::is_empty))
        {
            return Ok(());
        }
        Err(self.refusal(message))
    }

    #[cold]
    fn refusal(&self, message: &Message<'_>) -> Error {
        let can = &self.0.capabilities;
        let error = |kind, detail| Error::new(kind, "send to queue", self.0.endpoint.as_str()).detail(detail);
        if message.priority.0 >= can.priorities {
            let highest = can.priorities.saturating_sub(1);
            let detail =
                format!("priority {}, the highest of this endpoint is {highest}", message.priority.0);
            return error(ErrorKind::ApiMisuse, detail);
        }
        if let Some(len) = self.0.value_len.filter(|len| *len != message.body.len()) {
            let detail = format!("{} bytes, the queue's values have {len}", message.body.len());
            return error(ErrorKind::ApiMisuse, detail);
        }
        let what = if !can.expiry && message.ttl.is_some() {
            "its messages do not expire"
        } else if !can.delay && !message.delay.is_zero() {
            "its messages cannot be sent for later"
        } else {
            "nothing but the body travels with its messages"
        };
        error(ErrorKind::Unsupported, what.to_owned()).fix("use a shm: queue")
    }
}

handle! {
    /// The receiving end of a [`Queue`]; any number of them, in any thread.
    Receiver
}

impl<T: Payload + ?Sized> Receiver<T> {
    /// Receives, waiting without end.
    ///
    /// # Errors
    /// [`RecvError::Os`]; [`RecvError::Mismatch`].
    #[inline(always)]
    pub fn recv(&self) -> Result<Delivery<T>, RecvError> {
        self.recv_until(None)
    }

    /// Receives if a message is there.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`], [`TryRecvError::Os`]; [`TryRecvError::Mismatch`].
    #[inline]
    pub fn try_recv(&self) -> Result<Delivery<T>, TryRecvError> {
        if let Some(direct) = &self.0.direct {
            return match direct.recv(Until::Now) {
                Some(delivery) => T::received(Ok(delivery)),
                None => Err(direct.forked().map_or(TryRecvError::Empty, TryRecvError::Os)),
            };
        }
        T::received(self.0.backend.try_recv(&self.0.pool))
    }

    /// Receives at most `max` messages that are there, waiting for the first until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`Receiver::recv_deadline`], if there is not even one.
    pub fn recv_many(&self, max: usize, deadline: Option<Instant>) -> Result<Vec<Delivery<T>>, RecvError> {
        let mut all = Vec::new();
        if max == 0 {
            return Ok(all);
        }
        all.push(self.recv_until(deadline)?);
        while all.len() < max {
            // What went wrong will go wrong again, with nothing in hand.
            let Ok(delivery) = self.try_recv() else { break };
            all.push(delivery);
        }
        Ok(all)
    }

    /// Receives, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`], [`RecvError::Os`]; [`RecvError::Mismatch`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Delivery<T>, RecvError> {
        self.recv_until(after(timeout))
    }

    /// Receives, waiting until `deadline`.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`], [`RecvError::Os`]; [`RecvError::Mismatch`].
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Delivery<T>, RecvError> {
        self.recv_until(Some(deadline))
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.0.backend
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The descriptor of a queue of the kernel: readable while a message is there. `None` where the endpoint has none; all
    /// that are [pollable](Capabilities::pollable) have a [`poller`](Self::poller).
    #[must_use]
    pub fn handle(&self) -> Option<&Handle> {
        self.0.backend.handle()
    }

    #[inline(always)]
    fn recv_until(&self, deadline: Option<Instant>) -> Result<Delivery<T>, RecvError> {
        let inner = &*self.0;
        // In place: a delivery is not moved on its way.
        if let (Waiting::Sleep, Some(direct)) = (inner.waiting, &inner.direct) {
            return match direct.recv(deadline.map_or(Until::Never, Until::At)) {
                Some(delivery) => T::received(Ok(delivery)),
                None => Err(direct.forked().map_or(RecvError::TimedOut, RecvError::Os)),
            };
        }
        self.recv_otherwise(deadline)
    }

    /// By the mechanism.
    fn recv_otherwise(&self, deadline: Option<Instant>) -> Result<Delivery<T>, RecvError> {
        let inner = &*self.0;
        let spun = match inner.waiting {
            // Not moved on its way.
            Waiting::Sleep => return T::received(inner.backend.recv_deadline(&inner.pool, deadline)),
            Waiting::Spin => self.spin(deadline),
            Waiting::Adaptive(time) => {
                let end = after(time);
                let end =
                    deadline.map_or(end, |deadline| Some(end.map_or(deadline, |end| end.min(deadline))));
                self.spin(end)
            }
        };
        T::received(spun.unwrap_or_else(|| inner.backend.recv_deadline(&inner.pool, deadline)))
    }

    /// Looks again and again until `end`; `None`: nothing came.
    fn spin(&self, end: Option<Instant>) -> Option<Result<Delivery, RecvError>> {
        let inner = &*self.0;
        loop {
            for look in 1..=LOOKS {
                if let Some(direct) = inner.direct.as_ref().filter(|_| !look.is_multiple_of(THOROUGH)) {
                    match direct.glance() {
                        Some(delivery) => return Some(Ok(delivery)),
                        None => std::hint::spin_loop(),
                    }
                    continue;
                }
                match inner.backend.try_recv(&inner.pool) {
                    Err(TryRecvError::Empty) => std::hint::spin_loop(),
                    Err(TryRecvError::Os(error)) => return Some(Err(RecvError::Os(error))),
                    Err(TryRecvError::Mismatch(mismatch)) => return Some(Err(RecvError::Mismatch(mismatch))),
                    Ok(delivery) => return Some(Ok(delivery)),
                }
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return None;
            }
        }
    }
}
