//! What a mechanism does to carry a queue. Small, so that the next one (shared memory, disk) is one file.

use crate::delivery::Priority;
use crate::endpoint::QueueEndpoint;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::options::{How, QueueOptions};
use crate::queue::{Capabilities, Stats};
use crossing_sys::Result;
use crossing_sys::file::Handle;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

mod posix;
mod systemv;

/// What was received into a buffer.
pub(crate) struct Taken {
    pub(crate) len: usize,
    pub(crate) priority: Priority,
    pub(crate) message_type: Option<i64>,
}

pub(crate) trait Backend: Debug + Send + Sync {
    /// The longest message in bytes: the length of the buffers that are received into.
    fn max_len(&self) -> usize;

    /// Whether this object created the queue.
    fn created(&self) -> bool;

    fn stats(&self) -> Result<Stats>;

    fn try_send(&self, message: &[u8], priority: Priority) -> Result<(), TrySendError>;

    fn send_deadline(
        &self,
        message: &[u8],
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<(), SendError>;

    fn try_recv(&self, buffer: &mut [u8]) -> Result<Taken, TryRecvError>;

    fn recv_deadline(&self, buffer: &mut [u8], deadline: Option<Instant>) -> Result<Taken, RecvError>;

    /// What an event loop can wait on, if there is such a thing.
    fn handle(&self) -> Option<&Handle>;

    /// Removes the name if it still names this queue.
    fn unlink_if_same(&self) -> Result<bool>;
}

pub(crate) fn capabilities(address: &QueueEndpoint) -> Capabilities {
    match address {
        QueueEndpoint::Posix(_) => posix::CAPABILITIES,
        QueueEndpoint::SystemV(_) => systemv::CAPABILITIES,
    }
}

pub(crate) fn start(address: &QueueEndpoint, options: &QueueOptions, how: How) -> Result<Arc<dyn Backend>> {
    Ok(match address {
        QueueEndpoint::Posix(name) => Arc::new(posix::Posix::start(name, options, how)?),
        QueueEndpoint::SystemV(key) => Arc::new(systemv::SystemV::start(*key, options, how)?),
    })
}

pub(crate) fn unlink(address: &QueueEndpoint) -> Result<()> {
    match address {
        QueueEndpoint::Posix(name) => crossing_sys::mq::unlink(name),
        QueueEndpoint::SystemV(key) => systemv::unlink(*key),
    }
}
