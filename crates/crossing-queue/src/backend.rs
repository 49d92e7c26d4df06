//! What a mechanism does to carry a queue. Small, so that the next one (shared memory, disk) is one file.

use crate::delivery::{Delivery, Pool, Priority};
use crate::endpoint::QueueEndpoint;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::message::Message;
use crate::options::{How, Terms};
use crate::poll::{Poller, Purpose};
use crate::properties::Properties;
use crate::queue::{Capabilities, Glimpse, Stats};
use crossing_ring::queue::{Draft, PutError, SlotQueue};
use crossing_sync::Until;
use crossing_sys::file::Handle;
use crossing_sys::{Error, Result};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

mod posix;
mod shared;
mod systemv;

/// What was received into a buffer.
pub(crate) struct Taken {
    pub(crate) len: usize,
    pub(crate) priority: Priority,
    pub(crate) message_type: Option<i64>,
}

/// A queue in shared memory, without a mechanism in between.
#[derive(Debug)]
pub(crate) struct Direct {
    pub(crate) queue: SlotQueue,
    /// Whether deliveries are to be acknowledged.
    pub(crate) acknowledge: bool,
}

impl Direct {
    /// Receives, waiting for a message until then.
    // In place, as all that leads to a delivery.
    #[inline(always)]
    pub(crate) fn recv(&self, until: Until) -> Option<Delivery> {
        Some(Delivery::held(self.queue.take(until)?, self.acknowledge))
    }

    /// Receives what a short look finds, which is mostly all there is.
    #[inline(always)]
    pub(crate) fn glance(&self) -> Option<Delivery> {
        Some(Delivery::held(self.queue.take_soon()?, self.acknowledge))
    }

    /// Why a child of a fork gets nothing.
    #[cold]
    pub(crate) fn forked(&self) -> Option<Error> {
        self.queue.is_forked().then(|| PutError::Forked.into())
    }

    /// As [`Backend::send_deadline`], of what is no more than a body.
    #[inline]
    pub(crate) fn send(
        &self,
        body: &[u8],
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        let until = deadline.map_or(Until::Never, Until::At);
        self.queue.put_body(body, priority.0, until).map_err(shared::not_sent)
    }

    /// As [`Backend::try_send`], of what is no more than a body.
    #[inline]
    pub(crate) fn try_send(&self, body: &[u8], priority: Priority) -> Result<(), TrySendError> {
        self.queue.put_body(body, priority.0, Until::Now).map_err(shared::not_sent_now)
    }
}

pub(crate) trait Backend: Debug + Send + Sync {
    /// The shared queue itself, if its living messages are what this carries: for calls that the compiler can see through.
    fn direct(&self) -> Option<Direct> {
        None
    }

    /// The longest message in bytes.
    fn max_len(&self) -> usize;

    /// Bytes that every message has; `None`: any number up to `max_len`, or it is not known.
    fn value_len(&self) -> Option<usize> {
        None
    }

    /// Whether this object created the queue.
    fn created(&self) -> bool;

    /// What this very queue can do.
    fn capabilities(&self) -> Capabilities;

    fn stats(&self) -> Result<Stats>;

    /// Sends, if there is room now.
    fn try_send(&self, message: &Message<'_>) -> Result<(), TrySendError>;

    /// Sends, waiting for room.
    fn send_deadline(&self, message: &Message<'_>, deadline: Option<Instant>) -> Result<(), SendError>;

    /// Room for a message to be written in place, if there is any now; `Ok(None)`: there is no such place.
    fn try_draft(&self, _: usize, _: Option<&Properties>) -> Result<Option<Draft>, TrySendError> {
        Ok(None)
    }

    /// The same, waiting for room.
    fn draft_deadline(
        &self,
        _: usize,
        _: Option<&Properties>,
        _: Option<Instant>,
    ) -> Result<Option<Draft>, SendError> {
        Ok(None)
    }

    /// Receives, if there is a message; `pool` is for those who copy.
    fn try_recv(&self, pool: &Arc<Pool>) -> Result<Delivery, TryRecvError>;

    /// Receives, waiting for a message.
    fn recv_deadline(&self, pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<Delivery, RecvError>;

    /// Drops the oldest message of the lowest priority; `false`: there is none, or no way to.
    fn drop_oldest(&self) -> bool {
        false
    }

    /// The dead letters of the queue, as a queue that can be received from; `None` where there are none.
    fn dead_letters(&self) -> Option<Arc<dyn Backend>> {
        None
    }

    /// Drops every message that waits; says how many.
    fn purge(&self) -> Result<u64>;

    /// Copies of messages that stay, each cut to `max_len` bytes; `None` where there is no way to look.
    fn browse(&self, max: usize, max_len: usize) -> Option<Vec<Glimpse>>;

    /// The kernel's descriptor of the queue, if there is such a thing.
    fn handle(&self) -> Option<&Handle>;

    /// What an event loop can wait on; `None`: there is no such thing.
    fn poller(&self, _: Purpose) -> Option<Result<Poller>> {
        None
    }

    /// Removes the name if it still names this queue.
    fn unlink_if_same(&self) -> Result<bool>;
}

/// Receives by `receive` into a buffer of the pool.
fn copied<E>(
    pool: &Arc<Pool>,
    receive: impl FnOnce(&mut [u8]) -> std::result::Result<Taken, E>,
) -> std::result::Result<Delivery, E> {
    let mut copied = pool.take();
    match receive(&mut copied.buffer) {
        Ok(Taken { len, priority, message_type }) => {
            (copied.len, copied.priority, copied.message_type) = (len, priority, message_type);
            Ok(Delivery::copied(copied))
        }
        Err(error) => {
            pool.give_back(copied);
            Err(error)
        }
    }
}

/// Receives until nothing is left; says how much that was.
fn drain(backend: &dyn Backend, pool: &Arc<Pool>) -> Result<u64> {
    let mut dropped = 0;
    loop {
        match backend.try_recv(pool) {
            Ok(_) | Err(TryRecvError::Mismatch(_)) => dropped += 1,
            Err(TryRecvError::Empty) => return Ok(dropped),
            Err(TryRecvError::Os(error)) => return Err(error),
        }
    }
}

pub(crate) const SEGMENT_SCHEMA: u64 = shared::SCHEMA;

pub(crate) fn capabilities(address: &QueueEndpoint) -> Capabilities {
    match address {
        QueueEndpoint::Shared(_) => shared::CAPABILITIES,
        QueueEndpoint::Posix(_) => posix::CAPABILITIES,
        QueueEndpoint::SystemV(_) => systemv::CAPABILITIES,
    }
}

pub(crate) fn start(address: &QueueEndpoint, options: &Terms, how: How) -> Result<Arc<dyn Backend>> {
    Ok(match address {
        QueueEndpoint::Shared(name) => Arc::new(shared::Shared::start(name, options, how)?),
        QueueEndpoint::Posix(name) => Arc::new(posix::Posix::start(name, options, how)?),
        QueueEndpoint::SystemV(key) => Arc::new(systemv::SystemV::start(*key, options, how)?),
    })
}

pub(crate) fn unlink(address: &QueueEndpoint) -> Result<()> {
    match address {
        QueueEndpoint::Shared(name) => shared::unlink(name),
        QueueEndpoint::Posix(name) => crossing_sys::mq::unlink(name),
        QueueEndpoint::SystemV(key) => systemv::unlink(*key),
    }
}
