//! How a queue is created or opened.

use crate::backend;
use crate::endpoint::QueueEndpoint;
use crate::payload::Payload;
use crate::queue::Queue;
use crossing_ring::queue::Shape;
use crossing_sys::file::Access;
use crossing_sys::mq::Direction;
use crossing_sys::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// How to create or open a queue of bytes, or of values of type `T`; in the manner of `std::fs::OpenOptions`.
pub struct QueueOptions<T: Payload + ?Sized = [u8]> {
    terms: Terms,
    payload: PhantomData<fn(&T)>,
}

impl<T: Payload + ?Sized> Clone for QueueOptions<T> {
    fn clone(&self) -> Self {
        Self { terms: self.terms.clone(), payload: PhantomData }
    }
}

impl<T: Payload + ?Sized> Default for QueueOptions<T> {
    fn default() -> Self {
        Self { terms: Terms { shape: T::SHAPE, ..Terms::default() }, payload: PhantomData }
    }
}

impl<T: Payload + ?Sized> fmt::Debug for QueueOptions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.terms, f)
    }
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) shape: Shape,
    pub(crate) capacity: Option<u64>,
    pub(crate) max_len: Option<u64>,
    pub(crate) access: Access,
    pub(crate) direction: Direction,
    pub(crate) unlink_on_drop: bool,
    pub(crate) message_type: Option<i64>,
    pub(crate) priorities: Option<u32>,
    pub(crate) max_bytes: Option<u64>,
    /// Bytes of a message that a new `shm:` queue keeps in its slot.
    pub(crate) inline: u32,
    pub(crate) max_deliveries: Option<u32>,
    pub(crate) acknowledge: bool,
    pub(crate) overflow: Overflow,
    durable: bool,
    pub(crate) waiting: Waiting,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            shape: Shape::BYTES,
            capacity: None,
            max_len: None,
            access: Access::default(),
            direction: Direction::default(),
            unlink_on_drop: false,
            message_type: None,
            priorities: None,
            max_bytes: None,
            inline: 0,
            max_deliveries: None,
            acknowledge: false,
            overflow: Overflow::default(),
            durable: false,
            waiting: Waiting::default(),
        }
    }
}

impl Terms {
    /// The longest message that must fit, if anything was said of it.
    pub(crate) fn least_len(&self) -> Option<u64> {
        self.max_len.or(self.shape.size.map(u64::from))
    }
}

/// What a sender does when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It waits for room, as long as its call says.
    #[default]
    Block,
    /// It drops the oldest message of the lowest priority that waits, and counts it.
    DropOldest,
    /// It is refused at once, whatever its call says.
    Fail,
}

/// How a receiver waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Waiting {
    /// It sleeps: no processor time while nothing comes. Over `shm:` it looks again for some microseconds before, as long as that
    /// helps.
    #[default]
    Sleep,
    /// It looks again and again for so long, then sleeps.
    Adaptive(Duration),
    /// It looks again and again: the least delay, and a whole processor.
    Spin,
}

/// Which of the three ways to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Create,
    Open,
    OpenOrCreate,
}

impl<T: Payload + ?Sized> QueueOptions<T> {
    /// The defaults of the endpoint, private, both directions, kept when dropped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The most messages that a new queue holds. On a queue that exists: the least it must hold.
    pub fn capacity(&mut self, messages: u64) -> &mut Self {
        self.terms.capacity = Some(messages);
        self
    }

    /// The longest message that a new queue takes, in bytes, its properties included. On a queue that exists: the least it
    /// must take. Queues of values have room for the value, and in shared memory for 512 bytes of properties, by default.
    pub fn max_len(&mut self, bytes: u64) -> &mut Self {
        self.terms.max_len = Some(bytes);
        self
    }

    /// A number for the meaning of the messages, the same for all who open the queue. Who asks for another is refused, where
    /// the queue can tell (`shm:`).
    pub fn schema(&mut self, schema: u64) -> &mut Self {
        self.terms.shape.schema = schema;
        self
    }

    /// Who may open a new queue.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.terms.access = access;
        self
    }

    /// How receivers of this process wait.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.terms.waiting = waiting;
        self
    }

    /// What this process will do with the queue.
    pub fn direction(&mut self, direction: Direction) -> &mut Self {
        self.terms.direction = direction;
        self
    }

    /// Removes the name when the last handle of this process is dropped, if this process created the queue.
    pub fn unlink_on_drop(&mut self, unlink: bool) -> &mut Self {
        self.terms.unlink_on_drop = unlink;
        self
    }

    /// Bytes of memory for messages that a new queue sets aside, all together, beside a place of 128 bytes for each of its
    /// `capacity`; for endpoints whose memory is this library's. By default room for `capacity` messages of `max_len`, at
    /// most 64 MiB.
    pub fn max_bytes(&mut self, bytes: u64) -> &mut Self {
        self.terms.max_bytes = Some(bytes);
        self
    }

    /// Messages of at most so many bytes lie in their slots, which are as much longer; for `shm:`. At most 4096.
    pub(crate) fn inline(&mut self, bytes: u64) -> &mut Self {
        self.terms.inline = u32::try_from(bytes).unwrap_or(u32::MAX);
        self
    }

    /// After how many deliveries a message that is given back is moved to the [dead
    /// letters](crate::Queue::dead_letters) of a new queue; never by default. An endpoint without them is refused.
    pub fn max_deliveries(&mut self, deliveries: u32) -> &mut Self {
        self.terms.max_deliveries = Some(deliveries);
        self
    }

    /// Whether what this process receives must be acknowledged: a [`Delivery`](crate::Delivery) that is dropped without a
    /// word then goes to another receiver. An endpoint that cannot do so is refused. By default dropping it means done.
    pub fn acknowledge(&mut self, acknowledge: bool) -> &mut Self {
        self.terms.acknowledge = acknowledge;
        self
    }

    /// What senders of this process do when the queue is full. An endpoint that cannot is refused.
    pub fn overflow(&mut self, overflow: Overflow) -> &mut Self {
        self.terms.overflow = overflow;
        self
    }

    /// How many priorities are needed; an endpoint with fewer is refused. A new `shm:` queue gets so many, by default 32;
    /// each takes memory: 16 bytes for each message of the capacity. On `sysv:` priorities are message types: of n, priority
    /// p is type n - p; all parties must ask for the same n, and without it there is one priority.
    pub fn priorities(&mut self, levels: u32) -> &mut Self {
        self.terms.priorities = Some(levels);
        self
    }

    /// Whether messages must survive a restart of the machine; an endpoint that cannot do so is refused.
    pub fn durable(&mut self, durable: bool) -> &mut Self {
        self.terms.durable = durable;
        self
    }

    /// The `mtype` of a System V queue: what is sent carries it (1 if it is not given), and only such messages are
    /// received (all, if it is not given). An endpoint without types is refused.
    pub fn message_type(&mut self, message_type: i64) -> &mut Self {
        self.terms.message_type = Some(message_type);
        self
    }

    /// Creates the queue, which does not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitReached`] with the limit and its value;
    /// [`ErrorKind::Unsupported`] if the endpoint lacks what was asked for; and as [`QueueEndpoint::parse`].
    pub fn create(&self, endpoint: &str) -> Result<Queue<T>> {
        self.start(endpoint, How::Create)
    }

    /// Opens the queue, which exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`]; [`ErrorKind::Incompatible`] if it is smaller than was
    /// asked for; [`ErrorKind::Unsupported`] if the endpoint lacks what was asked for.
    pub fn open(&self, endpoint: &str) -> Result<Queue<T>> {
        self.start(endpoint, How::Open)
    }

    /// Opens the queue, or creates it.
    ///
    /// # Errors
    /// As [`QueueOptions::create`] and [`QueueOptions::open`].
    pub fn open_or_create(&self, endpoint: &str) -> Result<Queue<T>> {
        self.start(endpoint, How::OpenOrCreate)
    }

    fn start(&self, endpoint: &str, how: How) -> Result<Queue<T>> {
        let address = QueueEndpoint::parse(endpoint)?;
        let can = backend::capabilities(&address);
        let lacks = |what: String| {
            Err(Error::new(ErrorKind::Unsupported, "open queue", endpoint)
                .detail(what)
                .fix("use another endpoint"))
        };
        if self.terms.priorities.is_some_and(|levels| levels > can.priorities) {
            return lacks(format!(
                "{} priorities asked for, the endpoint has {}",
                self.terms.priorities.unwrap_or(0),
                can.priorities
            ));
        }
        if self.terms.durable && !can.durable {
            return lacks("its messages do not survive a restart of the machine".to_owned());
        }
        if self.terms.acknowledge && !can.acknowledge {
            return lacks("its messages are handed over for good, none can be acknowledged".to_owned());
        }
        if self.terms.max_deliveries.is_some() && !can.dead_letters {
            return lacks("it has no dead letters".to_owned());
        }
        if self.terms.overflow == Overflow::DropOldest && !can.drop_oldest {
            return lacks("its oldest message cannot be dropped for a newer one".to_owned());
        }
        if let (Some(size), Some(max_len)) = (self.terms.shape.size, self.terms.max_len)
            && max_len < u64::from(size)
        {
            return Err(Error::new(ErrorKind::ApiMisuse, "open queue", endpoint)
                .detail(format!("max_len {max_len}, a value has {size} bytes"))
                .fix("leave max_len out"));
        }
        match self.terms.message_type {
            Some(_) if !can.message_types => return lacks("its messages have no type".to_owned()),
            Some(wrong) if wrong < 1 => {
                return Err(Error::new(ErrorKind::ApiMisuse, "open queue", endpoint)
                    .detail(format!("message type {wrong}; types begin at 1")));
            }
            _ => {}
        }
        let backend = backend::start(&address, &self.terms, how)?;
        Ok(Queue::new(backend, endpoint, &self.terms))
    }
}
