//! `mq:/NAME`: the POSIX message queues of the kernel, mq_overview(7).

use super::{Backend, Taken, copied, drain};
use crate::delivery::{Delivery, Pool, Priority};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::message::Message as Outgoing;
use crate::options::{How, Terms};
use crate::poll::{Poller, Purpose};
use crate::queue::{Capabilities, Glimpse, Stats};
use crossing_sys::Result;
use crossing_sys::file::Handle;
use crossing_sys::mq::{MAX_PRIORITY, MessageQueue, Options, Received};
use std::sync::Arc;
use std::time::Instant;

pub(super) const CAPABILITIES: Capabilities = Capabilities {
    priorities: MAX_PRIORITY + 1,
    durable: false,
    acknowledge: false,
    expiry: false,
    delay: false,
    properties: false,
    dead_letters: false,
    drop_oldest: false,
    zero_copy: false,
    message_types: false,
    pollable: true,
};

#[derive(Debug)]
pub(super) struct Posix(MessageQueue);

impl Posix {
    pub(super) fn start(name: &str, options: &Terms, how: How) -> Result<Self> {
        let mut wanted = Options::new();
        wanted.access(options.access).direction(options.direction);
        if let Some(capacity) = options.capacity {
            wanted.max_messages(capacity);
        }
        if let Some(max_len) = options.least_len() {
            wanted.max_message_len(max_len);
        }
        match how {
            How::Create => wanted.create(name),
            How::Open => wanted.open(name),
            How::OpenOrCreate => wanted.open_or_create(name),
        }
        .map(Self)
    }
}

fn taken(received: Received) -> Taken {
    Taken { len: received.len, priority: Priority(received.priority), message_type: None }
}

impl Backend for Posix {
    fn max_len(&self) -> usize {
        self.0.max_message_len()
    }

    fn created(&self) -> bool {
        self.0.created()
    }

    fn stats(&self) -> Result<Stats> {
        let attributes = self.0.attributes()?;
        Ok(Stats {
            len: attributes.len,
            capacity: Some(attributes.max_messages),
            max_len: attributes.max_message_len,
            bytes: None,
            max_bytes: None,
            ..Stats::default()
        })
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), TrySendError> {
        Ok(self.0.try_send(message.body, message.priority.0)?)
    }

    fn send_deadline(&self, message: &Outgoing<'_>, deadline: Option<Instant>) -> Result<(), SendError> {
        Ok(self.0.send_deadline(message.body, message.priority.0, deadline)?)
    }

    fn try_recv(&self, pool: &Arc<Pool>) -> Result<Delivery, TryRecvError> {
        copied(pool, |buffer| Ok(taken(self.0.try_recv(buffer)?)))
    }

    fn recv_deadline(&self, pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<Delivery, RecvError> {
        copied(pool, |buffer| Ok(taken(self.0.recv_deadline(buffer, deadline)?)))
    }

    fn purge(&self) -> Result<u64> {
        drain(self, &Arc::new(Pool::new(self.max_len())))
    }

    fn browse(&self, _: usize, _: usize) -> Option<Vec<Glimpse>> {
        None
    }

    fn handle(&self) -> Option<&Handle> {
        Some(self.0.handle())
    }

    fn poller(&self, purpose: Purpose) -> Option<Result<Poller>> {
        // A handle of its own: an event loop takes each descriptor once.
        let handle = self.0.handle().try_clone();
        let error = |cause| crossing_sys::Error::os(cause, "poll", "POSIX message queue");
        Some(handle.map(|handle| Poller::of_kernel(handle, purpose)).map_err(error))
    }

    fn unlink_if_same(&self) -> Result<bool> {
        self.0.unlink_if_same()
    }
}
