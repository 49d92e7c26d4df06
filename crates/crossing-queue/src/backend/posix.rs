//! `mq:/NAME`: the POSIX message queues of the kernel, mq_overview(7).

use super::{Backend, Taken};
use crate::delivery::Priority;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::options::{How, QueueOptions};
use crate::queue::{Capabilities, Stats};
use crossing_sys::Result;
use crossing_sys::file::Handle;
use crossing_sys::mq::{MAX_PRIORITY, MessageQueue, Options, Received};
use std::time::Instant;

pub(super) const CAPABILITIES: Capabilities = Capabilities {
    priorities: MAX_PRIORITY + 1,
    durable: false,
    acknowledge: false,
    zero_copy: false,
    message_types: false,
    pollable: true,
};

#[derive(Debug)]
pub(super) struct Posix(MessageQueue);

impl Posix {
    pub(super) fn start(name: &str, options: &QueueOptions, how: How) -> Result<Self> {
        let mut wanted = Options::new();
        wanted.access(options.access).direction(options.direction);
        if let Some(capacity) = options.capacity {
            wanted.max_messages(capacity);
        }
        if let Some(max_len) = options.max_len {
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
        })
    }

    fn try_send(&self, message: &[u8], priority: Priority) -> Result<(), TrySendError> {
        Ok(self.0.try_send(message, priority.0)?)
    }

    fn send_deadline(
        &self,
        message: &[u8],
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        Ok(self.0.send_deadline(message, priority.0, deadline)?)
    }

    fn try_recv(&self, buffer: &mut [u8]) -> Result<Taken, TryRecvError> {
        Ok(taken(self.0.try_recv(buffer)?))
    }

    fn recv_deadline(&self, buffer: &mut [u8], deadline: Option<Instant>) -> Result<Taken, RecvError> {
        Ok(taken(self.0.recv_deadline(buffer, deadline)?))
    }

    fn handle(&self) -> Option<&Handle> {
        Some(self.0.handle())
    }

    fn unlink_if_same(&self) -> Result<bool> {
        self.0.unlink_if_same()
    }
}
