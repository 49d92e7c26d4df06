//! `shm:NAME`: a queue in shared memory, over the slot queue of `crossing-ring`.

use super::{Backend, Direct};
use crate::delivery::{Delivery, Pool};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::message::Message;
use crate::options::{How, Terms};
use crate::poll::{Poller, Purpose};
use crate::properties::Properties;
use crate::queue::{Capabilities, Glimpse, Stats};
use crossing_ring::queue::{
    Draft, Held, Message as Put, PutError, QueueHeader, Shape, SlotQueue, Which, Wishes,
};
use crossing_shm::{Segment, registry};
use crossing_sync::Until;
use crossing_sys::file::Handle;
use crossing_sys::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Instant;
use zerocopy::IntoBytes;

/// What the segment of a queue says that it holds.
pub(crate) const SCHEMA: u64 = u64::from_le_bytes(*b"queue\0\0\x01");

const DEFAULT_CAPACITY: u64 = 1024;
const DEFAULT_MAX_LEN: u64 = 8192;
const PRIORITIES: u32 = 32;
/// Room for the properties of a value.
const PROPERTIES: u64 = 512;

pub(super) const CAPABILITIES: Capabilities = Capabilities {
    priorities: PRIORITIES,
    durable: false,
    acknowledge: true,
    expiry: true,
    delay: true,
    properties: true,
    dead_letters: true,
    drop_oldest: true,
    zero_copy: true,
    message_types: false,
    pollable: crossing_sys::doorbell::SUPPORTED,
};

#[derive(Debug, Clone)]
pub(super) struct Shared {
    queue: SlotQueue,
    /// Removes the name if this process created it to be removed.
    segment: Arc<Segment>,
    acknowledge: bool,
    /// The dead letters instead of the living.
    dead: bool,
}

impl Shared {
    pub(super) fn start(name: &str, options: &Terms, how: How) -> Result<Self> {
        let segment = match how {
            How::Create => create(name, options)?,
            How::Open => open(name)?,
            How::OpenOrCreate => open_or_create(name, options)?,
        };
        let queue = SlotQueue::open(&segment).map_err(|error| error.about(format!("shm:{name}")))?;
        if !segment.created() {
            check(name, options, &queue)?;
        }
        Ok(Self { queue, segment: Arc::new(segment), acknowledge: options.acknowledge, dead: false })
    }

    #[inline(always)]
    fn take(&self, until: Until) -> Option<Held> {
        if self.dead { self.queue.take_dead(until) } else { self.queue.take(until) }
    }

    /// Why a child of a fork gets nothing.
    fn forked(&self) -> Option<Error> {
        self.queue.is_forked().then(|| PutError::Forked.into())
    }
}

fn create(name: &str, options: &Terms) -> Result<Segment> {
    let too_large = |what: &str, wanted: u64| {
        Error::new(ErrorKind::ApiMisuse, "create queue", format!("shm:{name}"))
            .detail(format!("{what} {wanted}"))
    };
    let capacity = options.capacity.unwrap_or(DEFAULT_CAPACITY);
    let by_default = options.shape.size.map_or(DEFAULT_MAX_LEN, |size| u64::from(size) + PROPERTIES);
    let max_len = options.max_len.unwrap_or(by_default);
    let wishes = Wishes {
        capacity: u32::try_from(capacity).map_err(|_| too_large("capacity", capacity))?,
        max_len: u32::try_from(max_len).map_err(|_| too_large("max_len", max_len))?,
        max_bytes: options.max_bytes,
        priorities: options.priorities.unwrap_or(PRIORITIES),
        max_deliveries: options.max_deliveries.unwrap_or(0),
        inline: options.inline,
    };
    let header = QueueHeader::new(&wishes).and_then(|header| header.shaped(options.shape));
    let header = header.map_err(|error| error.about(format!("shm:{name}")))?;
    let size =
        usize::try_from(header.total_len()).map_err(|_| too_large("bytes in all", header.total_len()))?;
    let mut segment = Segment::options();
    segment.size(size).schema(SCHEMA).content(header.as_bytes()).access(options.access);
    // Like the kernel's queues it stays when everybody closed it, unless its creator takes it away.
    segment.persist(!options.unlink_on_drop);
    segment.create(name)
}

fn open(name: &str) -> Result<Segment> {
    Segment::options().schema(SCHEMA).open(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "open queue", format!("shm:{name}"))
            .fix(format!("create it first: `crossing queue create shm:{name}`, or open_or_create")),
        _ => error,
    })
}

fn open_or_create(name: &str, options: &Terms) -> Result<Segment> {
    // Another process may create or remove it between the two looks.
    for _ in 0..16 {
        match open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        match create(name, options) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    create(name, options)
}

/// Whether a queue that was found is as large as was asked for.
fn check(name: &str, options: &Terms, queue: &SlotQueue) -> Result<()> {
    let have = [
        ("capacity", options.capacity, u64::from(queue.capacity())),
        ("max_len", options.least_len(), queue.max_len() as u64),
        ("priorities", options.priorities.map(u64::from), u64::from(queue.priorities())),
    ];
    for (what, wanted, have) in have {
        if wanted.is_some_and(|wanted| wanted > have) {
            return Err(Error::new(ErrorKind::Incompatible, "open queue", format!("shm:{name}"))
                .detail(format!("it exists with a {what} of {have}, {} asked for", wanted.unwrap_or(0)))
                .fix("ask for less, or remove the queue and create it again"));
        }
    }
    agree(name, options.shape, queue.shape())
}

/// Whether the messages are what was asked for. Bytes are, whatever they mean: for tools that look at any queue.
fn agree(name: &str, mine: Shape, other: Shape) -> Result<()> {
    if mine == other || mine == Shape::BYTES {
        return Ok(());
    }
    let say = |shape: Shape| {
        let size = shape.size.map_or_else(|| "bytes".to_owned(), |size| format!("size {size}"));
        format!("schema {:#x}, {size}, alignment {}", shape.schema, shape.align)
    };
    Err(Error::new(ErrorKind::Incompatible, "open queue", format!("shm:{name}"))
        .detail(format!("it carries messages of {}; asked for {}", say(other), say(mine)))
        .fix("use the same type and schema, or another name"))
}

pub(super) fn unlink(name: &str) -> Result<()> {
    match registry::inspect(name) {
        // Of what the dead left there may be no more than the name (Windows).
        Ok(entry) if entry.schema != SCHEMA && entry.problem.is_none() && !entry.stale => {
            Err(Error::new(ErrorKind::Incompatible, "remove queue", format!("shm:{name}"))
                .detail("the name is that of a segment that holds no queue")
                .fix(format!("`crossing rm {name}` removes segments")))
        }
        Ok(_) => registry::remove(name),
        Err(error) => Err(error),
    }
}

fn until(deadline: Option<Instant>) -> Until {
    deadline.map_or(Until::Never, Until::At)
}

fn outgoing<'a>(message: &Message<'a>) -> Put<'a> {
    Put {
        body: message.body,
        properties: message.properties.map_or(&[], |properties| properties.encoded()),
        priority: message.priority.0,
        ttl: message.ttl,
        delay: message.delay,
    }
}

#[cold]
pub(super) fn not_sent_now(error: PutError) -> TrySendError {
    match error {
        PutError::Full => TrySendError::Full,
        PutError::TooLong { len, max } => TrySendError::TooLarge { len, max },
        other => TrySendError::Os(other.into()),
    }
}

#[cold]
pub(super) fn not_sent(error: PutError) -> SendError {
    match error {
        PutError::Full => SendError::TimedOut,
        PutError::TooLong { len, max } => SendError::TooLarge { len, max },
        other => SendError::Os(other.into()),
    }
}

impl Backend for Shared {
    fn direct(&self) -> Option<Direct> {
        (!self.dead).then(|| Direct { queue: self.queue.clone(), acknowledge: self.acknowledge })
    }

    fn max_len(&self) -> usize {
        self.queue.max_len()
    }

    fn value_len(&self) -> Option<usize> {
        self.queue.shape().size.map(|size| size as usize)
    }

    fn created(&self) -> bool {
        self.segment.created()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { priorities: self.queue.priorities(), ..CAPABILITIES }
    }

    fn stats(&self) -> Result<Stats> {
        let slots = self.queue.stats();
        Ok(Stats {
            len: if self.dead { slots.dead } else { slots.ready + slots.aside },
            capacity: Some(slots.capacity),
            max_len: slots.max_len,
            bytes: Some(slots.bytes),
            max_bytes: Some(slots.max_bytes),
            held: slots.taken,
            delayed: slots.aside,
            dead_letters: slots.dead,
            sent: slots.sent,
            dropped: slots.dropped,
            expired: slots.expired,
            redelivered: slots.redelivered,
            users: slots.users,
            priorities: Some(self.queue.priorities()),
            value_len: self.queue.shape().size.map(u64::from),
            schema: self.queue.shape().schema,
        })
    }

    #[inline]
    fn try_send(&self, message: &Message<'_>) -> Result<(), TrySendError> {
        self.queue.put(&outgoing(message), Until::Now).map_err(not_sent_now)
    }

    #[inline]
    fn send_deadline(&self, message: &Message<'_>, deadline: Option<Instant>) -> Result<(), SendError> {
        self.queue.put(&outgoing(message), until(deadline)).map_err(not_sent)
    }

    fn try_draft(&self, len: usize, properties: Option<&Properties>) -> Result<Option<Draft>, TrySendError> {
        let properties = properties.map_or(&[][..], Properties::encoded);
        self.queue.draft(len, properties, Until::Now).map(Some).map_err(not_sent_now)
    }

    fn draft_deadline(
        &self,
        len: usize,
        properties: Option<&Properties>,
        deadline: Option<Instant>,
    ) -> Result<Option<Draft>, SendError> {
        let properties = properties.map_or(&[][..], Properties::encoded);
        self.queue.draft(len, properties, until(deadline)).map(Some).map_err(not_sent)
    }

    #[inline]
    fn try_recv(&self, _: &Arc<Pool>) -> Result<Delivery, TryRecvError> {
        match self.take(Until::Now) {
            Some(held) => Ok(Delivery::held(held, self.acknowledge)),
            None => Err(self.forked().map_or(TryRecvError::Empty, TryRecvError::Os)),
        }
    }

    #[inline]
    fn recv_deadline(&self, _: &Arc<Pool>, deadline: Option<Instant>) -> Result<Delivery, RecvError> {
        match self.take(until(deadline)) {
            Some(held) => Ok(Delivery::held(held, self.acknowledge)),
            None => Err(self.forked().map_or(RecvError::TimedOut, RecvError::Os)),
        }
    }

    fn drop_oldest(&self) -> bool {
        self.queue.drop_oldest()
    }

    fn dead_letters(&self) -> Option<Arc<dyn Backend>> {
        Some(Arc::new(Self { dead: true, ..self.clone() }))
    }

    fn purge(&self) -> Result<u64> {
        Ok(self.queue.purge(self.dead))
    }

    fn browse(&self, max: usize, max_len: usize) -> Option<Vec<Glimpse>> {
        let seen = self.queue.browse(max, max_len).into_iter();
        let wanted = seen.filter(|glimpse| (glimpse.state == "dead") == self.dead);
        Some(
            wanted
                .map(|glimpse| Glimpse {
                    state: glimpse.state,
                    priority: glimpse.priority,
                    deliveries: glimpse.deliveries,
                    len: glimpse.len,
                    bytes: glimpse.bytes,
                })
                .collect(),
        )
    }

    fn handle(&self) -> Option<&Handle> {
        None
    }

    fn poller(&self, purpose: Purpose) -> Option<Result<Poller>> {
        let which = match purpose {
            Purpose::Receive => Which::Arrivals,
            Purpose::Send => Which::Room,
        };
        Some(self.queue.doorbell(which).map(Poller::of_shared))
    }

    fn unlink_if_same(&self) -> Result<bool> {
        // The segment does so itself, when its last handle here is dropped.
        Ok(false)
    }
}
