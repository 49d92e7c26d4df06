//! How a queue is created or opened.

use crate::backend;
use crate::endpoint::QueueEndpoint;
use crate::queue::Queue;
use crossing_sys::file::Access;
use crossing_sys::mq::Direction;
use crossing_sys::{Error, ErrorKind, Result};

/// How to create or open a queue; in the manner of `std::fs::OpenOptions`.
#[derive(Debug, Clone, Default)]
pub struct QueueOptions {
    pub(crate) capacity: Option<u64>,
    pub(crate) max_len: Option<u64>,
    pub(crate) access: Access,
    pub(crate) direction: Direction,
    pub(crate) unlink_on_drop: bool,
    pub(crate) message_type: Option<i64>,
    pub(crate) priorities: Option<u32>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_deliveries: Option<u32>,
    pub(crate) acknowledge: bool,
    pub(crate) overflow: Overflow,
    durable: bool,
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

/// Which of the three ways to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Create,
    Open,
    OpenOrCreate,
}

impl QueueOptions {
    /// The defaults of the endpoint, private, both directions, kept when dropped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The most messages that a new queue holds. On a queue that exists: the least it must hold.
    pub fn capacity(&mut self, messages: u64) -> &mut Self {
        self.capacity = Some(messages);
        self
    }

    /// The longest message that a new queue takes, in bytes. On a queue that exists: the least it must take.
    pub fn max_len(&mut self, bytes: u64) -> &mut Self {
        self.max_len = Some(bytes);
        self
    }

    /// Who may open a new queue.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.access = access;
        self
    }

    /// What this process will do with the queue.
    pub fn direction(&mut self, direction: Direction) -> &mut Self {
        self.direction = direction;
        self
    }

    /// Removes the name when the last handle of this process is dropped, if this process created the queue.
    pub fn unlink_on_drop(&mut self, unlink: bool) -> &mut Self {
        self.unlink_on_drop = unlink;
        self
    }

    /// Bytes of memory for messages that a new queue sets aside, all together, beside a place of 128 bytes for each of its
    /// `capacity`; for endpoints whose memory is this library's. By default room for `capacity` messages of `max_len`, at
    /// most 64 MiB.
    pub fn max_bytes(&mut self, bytes: u64) -> &mut Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// After how many deliveries a message that is given back is moved to the [dead
    /// letters](crate::Queue::dead_letters) of a new queue; never by default. An endpoint without them is refused.
    pub fn max_deliveries(&mut self, deliveries: u32) -> &mut Self {
        self.max_deliveries = Some(deliveries);
        self
    }

    /// Whether what this process receives must be acknowledged: a [`Delivery`](crate::Delivery) that is dropped without a
    /// word then goes to another receiver. An endpoint that cannot do so is refused. By default dropping it means done.
    pub fn acknowledge(&mut self, acknowledge: bool) -> &mut Self {
        self.acknowledge = acknowledge;
        self
    }

    /// What senders of this process do when the queue is full. An endpoint that cannot is refused.
    pub fn overflow(&mut self, overflow: Overflow) -> &mut Self {
        self.overflow = overflow;
        self
    }

    /// How many priorities are needed; an endpoint with fewer is refused. A new `shm:` queue gets so many, by default 32;
    /// each takes memory: 16 bytes for each message of the capacity. On `sysv:` priorities are message types: of n, priority
    /// p is type n - p; all parties must ask for the same n, and without it there is one priority.
    pub fn priorities(&mut self, levels: u32) -> &mut Self {
        self.priorities = Some(levels);
        self
    }

    /// Whether messages must survive a restart of the machine; an endpoint that cannot do so is refused.
    pub fn durable(&mut self, durable: bool) -> &mut Self {
        self.durable = durable;
        self
    }

    /// The `mtype` of a System V queue: what is sent carries it (1 if it is not given), and only such messages are
    /// received (all, if it is not given). An endpoint without types is refused.
    pub fn message_type(&mut self, message_type: i64) -> &mut Self {
        self.message_type = Some(message_type);
        self
    }

    /// Creates the queue, which does not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitReached`] with the limit and its value;
    /// [`ErrorKind::Unsupported`] if the endpoint lacks what was asked for; and as [`QueueEndpoint::parse`].
    pub fn create(&self, endpoint: &str) -> Result<Queue> {
        self.start(endpoint, How::Create)
    }

    /// Opens the queue, which exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`]; [`ErrorKind::Incompatible`] if it is smaller than was
    /// asked for; [`ErrorKind::Unsupported`] if the endpoint lacks what was asked for.
    pub fn open(&self, endpoint: &str) -> Result<Queue> {
        self.start(endpoint, How::Open)
    }

    /// Opens the queue, or creates it.
    ///
    /// # Errors
    /// As [`QueueOptions::create`] and [`QueueOptions::open`].
    pub fn open_or_create(&self, endpoint: &str) -> Result<Queue> {
        self.start(endpoint, How::OpenOrCreate)
    }

    fn start(&self, endpoint: &str, how: How) -> Result<Queue> {
        let address = QueueEndpoint::parse(endpoint)?;
        let can = backend::capabilities(&address);
        let lacks = |what: String| {
            Err(Error::new(ErrorKind::Unsupported, "open queue", endpoint)
                .detail(what)
                .fix("use another endpoint"))
        };
        if self.priorities.is_some_and(|levels| levels > can.priorities) {
            return lacks(format!(
                "{} priorities asked for, the endpoint has {}",
                self.priorities.unwrap_or(0),
                can.priorities
            ));
        }
        if self.durable && !can.durable {
            return lacks("its messages do not survive a restart of the machine".to_owned());
        }
        if self.acknowledge && !can.acknowledge {
            return lacks("its messages are handed over for good, none can be acknowledged".to_owned());
        }
        if self.max_deliveries.is_some() && !can.dead_letters {
            return lacks("it has no dead letters".to_owned());
        }
        if self.overflow == Overflow::DropOldest && !can.drop_oldest {
            return lacks("its oldest message cannot be dropped for a newer one".to_owned());
        }
        match self.message_type {
            Some(_) if !can.message_types => return lacks("its messages have no type".to_owned()),
            Some(wrong) if wrong < 1 => {
                return Err(Error::new(ErrorKind::ApiMisuse, "open queue", endpoint)
                    .detail(format!("message type {wrong}; types begin at 1")));
            }
            _ => {}
        }
        let backend = backend::start(&address, self, how)?;
        Ok(Queue::new(backend, endpoint, self))
    }
}
