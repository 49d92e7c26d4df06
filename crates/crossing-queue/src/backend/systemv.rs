//! `sysv:PATH,PROJ` and `sysv:0xKEY`: the System V message queues of the kernel, sysvipc(7).
//!
//! Messages have a type, from 1 on, and no priority. Where priorities are asked for (`options.priorities(n)`), they are
//! types: priority `p` is type `n - p`, and receivers take the lowest type up to `n` first (msgrcv(2) with a negative
//! type). All parties must ask for the same `n`, since the kernel does not keep it; messages of types above it, which
//! foreign programs may have sent, stay where they are.

use super::{Backend, Taken, copied, drain};
use crate::delivery::{Delivery, Pool, Priority};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::message::Message as Outgoing;
use crate::options::{How, Terms};
use crate::queue::{Capabilities, Glimpse, Stats};
use crossing_sys::file::Handle;
use crossing_sys::sysv::{Key, Message, MessageQueue, Select};
use crossing_sys::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Instant;

/// The most priorities that can be asked for.
const LEVELS: u32 = 32;

pub(super) const CAPABILITIES: Capabilities = Capabilities {
    priorities: LEVELS,
    durable: false,
    acknowledge: false,
    expiry: false,
    delay: false,
    properties: false,
    dead_letters: false,
    drop_oldest: false,
    zero_copy: false,
    message_types: true,
    pollable: false,
};

#[derive(Debug)]
pub(super) struct SystemV {
    queue: MessageQueue,
    /// What is sent carries this type, less its priority.
    send_type: i64,
    select: Select,
    /// How many priorities there are; 1: types mean nothing.
    levels: u32,
}

impl SystemV {
    pub(super) fn start(key: Key, options: &Terms, how: How) -> Result<Self> {
        let levels = options.priorities.unwrap_or(1).max(1);
        if levels > 1 && options.message_type.is_some() {
            return Err(Error::new(ErrorKind::ApiMisuse, "open queue", key.to_string())
                .detail("both priorities and a message type were asked for")
                .fix("choose one: on this queue priorities are message types"));
        }
        let queue = match how {
            How::Create => MessageQueue::create(key, options.access)?,
            How::Open => MessageQueue::open_for(key, options.direction)?,
            How::OpenOrCreate => MessageQueue::open_or_create(key, options.access)?,
        };
        if how == How::OpenOrCreate && !queue.created() {
            // What was found must be of use to this user; else the error would come with the first message only.
            MessageQueue::open_for(key, options.direction)?;
        }
        if let Err(error) = make_room(&queue, options) {
            if queue.created() {
                let _ = queue.remove();
            }
            return Err(error);
        }
        let (send_type, select) = match options.message_type {
            Some(message_type) => (message_type, Select::Type(message_type)),
            None if levels > 1 => (i64::from(levels), Select::LowestUpTo(i64::from(levels))),
            None => (1, Select::Any),
        };
        Ok(Self { queue, send_type, select, levels })
    }

    /// The type that a message is sent with.
    fn type_of(&self, message: &Outgoing<'_>) -> i64 {
        // Below `levels`, as the queue has checked.
        self.send_type - i64::from(message.priority.0.min(self.levels - 1))
    }

    fn taken(&self, message: Message) -> Taken {
        let priority = match i64::from(self.levels) - message.message_type {
            priority if self.levels > 1 => Priority(u32::try_from(priority).unwrap_or(0)),
            _ => Priority(0),
        };
        Taken { len: message.len, priority, message_type: Some(message.message_type) }
    }
}

/// The limit of these queues counts bytes: what was asked for in messages is checked, and on a new queue set, in bytes.
fn make_room(queue: &MessageQueue, options: &Terms) -> Result<()> {
    const OPERATION: &str = "open queue";
    if let Some(len) = options.least_len()
        && len > queue.max_message_len() as u64
    {
        return Err(Error::new(ErrorKind::LimitReached, OPERATION, queue.key().to_string())
            .detail(format!("messages of {len} bytes asked for"))
            .fix(format!(
                "ask for less, or as root raise `sysctl kernel.msgmax` (now {})",
                queue.max_message_len()
            )));
    }
    let need = match (options.capacity, options.least_len()) {
        (None, None) => return Ok(()),
        (Some(_), None) => {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, queue.key().to_string())
                .detail("the limit of this queue counts bytes, not messages")
                .fix("give the longest message (max_len) together with the capacity"));
        }
        (capacity, Some(len)) => capacity.unwrap_or(1).saturating_mul(len),
    };
    let have = queue.stat()?.max_bytes.unwrap_or(0);
    if need <= have {
        return Ok(());
    }
    if queue.created() {
        return queue.set_max_bytes(need);
    }
    Err(Error::new(ErrorKind::Incompatible, OPERATION, queue.key().to_string())
        .detail(format!("it exists and holds {have} bytes, {need} asked for"))
        .fix("ask for less, or remove the queue and create it again"))
}

pub(super) fn unlink(key: Key) -> Result<()> {
    MessageQueue::open(key)?.remove()
}

impl Backend for SystemV {
    fn max_len(&self) -> usize {
        self.queue.max_message_len()
    }

    fn created(&self) -> bool {
        self.queue.created()
    }

    fn stats(&self) -> Result<Stats> {
        let stat = self.queue.stat()?;
        let most = self.queue.max_message_len() as u64;
        Ok(Stats {
            len: stat.len,
            capacity: None,
            max_len: stat.max_bytes.map_or(most, |bytes| most.min(bytes)),
            bytes: Some(stat.bytes),
            max_bytes: stat.max_bytes,
            ..Stats::default()
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { priorities: self.levels, ..CAPABILITIES }
    }

    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), TrySendError> {
        Ok(self.queue.try_send(message.body, self.type_of(message))?)
    }

    fn send_deadline(&self, message: &Outgoing<'_>, deadline: Option<Instant>) -> Result<(), SendError> {
        Ok(self.queue.send_deadline(message.body, self.type_of(message), deadline)?)
    }

    fn try_recv(&self, pool: &Arc<Pool>) -> Result<Delivery, TryRecvError> {
        copied(pool, |buffer| Ok(self.taken(self.queue.try_recv(buffer, self.select)?)))
    }

    fn recv_deadline(&self, pool: &Arc<Pool>, deadline: Option<Instant>) -> Result<Delivery, RecvError> {
        copied(pool, |buffer| Ok(self.taken(self.queue.recv_deadline(buffer, self.select, deadline)?)))
    }

    fn purge(&self) -> Result<u64> {
        drain(self, &Arc::new(Pool::new(self.max_len())))
    }

    fn browse(&self, _: usize, _: usize) -> Option<Vec<Glimpse>> {
        None
    }

    fn handle(&self) -> Option<&Handle> {
        None
    }

    fn unlink_if_same(&self) -> Result<bool> {
        // By id, not by key: the kernel puts a sequence number into the id, so that it names this queue and no later one.
        match self.queue.remove() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
