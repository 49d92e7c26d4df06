//! System V message queues: messages with a type, in the order of sending.

use super::Key;
use crate::file::Access;
use crate::mq::{Direction, RecvError, SendError};
use crate::{Error, ErrorKind, Result};
use std::time::{Duration, Instant, SystemTime};

/// What the kernel knows of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStat {
    /// The number the kernel gave it.
    pub id: i32,
    /// Its key.
    pub key: Key,
    /// Messages in it.
    pub len: u64,
    /// Bytes of messages in it.
    pub bytes: u64,
    /// The most bytes of messages that it holds; `None` in a listing, of a queue that this user may not read.
    pub max_bytes: Option<u64>,
    /// The process that sent last; 0 if none did.
    pub last_sender_pid: u32,
    /// The process that received last; 0 if none did.
    pub last_receiver_pid: u32,
    /// The number of the user who owns it.
    pub owner: u32,
    /// The permissions: the low 9 bits of a file mode.
    pub mode: u32,
    /// When a message was sent last.
    pub sent_at: Option<SystemTime>,
    /// When a message was received last.
    pub received_at: Option<SystemTime>,
    /// When it was created or changed otherwise.
    pub changed_at: Option<SystemTime>,
}

/// Which messages to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Select {
    /// The oldest message.
    #[default]
    Any,
    /// The oldest message of this type, from 1 on.
    Type(i64),
    /// The oldest message of the lowest type that is not above this one.
    LowestUpTo(i64),
}

/// A message that was received: how many bytes of the buffer it takes, and its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The length in bytes.
    pub len: usize,
    /// The `mtype` it was sent with.
    pub message_type: i64,
}

/// A System V message queue, named by a key. Dropping this object does nothing to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageQueue {
    id: i32,
    key: Key,
    max_message_len: usize,
    created: bool,
}

impl MessageQueue {
    /// Creates the queue of `key`; how many bytes it holds is the system's default, see
    /// [`MessageQueue::set_max_bytes`].
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitReached`] naming `kernel.msgmni` with its value.
    pub fn create(key: Key, access: Access) -> Result<Self> {
        let id = crate::os::sysv::msg_create(key, access)?;
        Ok(Self { id, key, max_message_len: crate::os::sysv::msg_max_len(), created: true })
    }

    /// Finds the queue of `key`, whatever this user may do with it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn open(key: Key) -> Result<Self> {
        Self::found(key, None)
    }

    /// Finds the queue of `key`, which this user may use in this direction.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`].
    pub fn open_for(key: Key, direction: Direction) -> Result<Self> {
        Self::found(key, Some(direction))
    }

    fn found(key: Key, direction: Option<Direction>) -> Result<Self> {
        let id = crate::os::sysv::msg_open(key, direction)?;
        Ok(Self { id, key, max_message_len: crate::os::sysv::msg_max_len(), created: false })
    }

    /// Finds the queue of `key`, or creates it.
    ///
    /// # Errors
    /// As [`MessageQueue::create`] and [`MessageQueue::open`].
    pub fn open_or_create(key: Key, access: Access) -> Result<Self> {
        open_or_create(
            "open or create System V queue",
            key,
            access,
            |found: &Self| Ok(found.stat()?.owner),
            || Self::create(key, access),
            || Self::open(key),
        )
    }

    /// The queue of an entry of [`list_queues`].
    #[must_use]
    pub fn from_listed(stat: &QueueStat) -> Self {
        Self { id: stat.id, key: stat.key, max_message_len: crate::os::sysv::msg_max_len(), created: false }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Whether this object created the queue (and did not find it).
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// The longest message that the system takes, in bytes (`kernel.msgmax`); a buffer to receive needs this length.
    /// A queue that holds fewer bytes takes no more than it holds.
    #[must_use]
    pub fn max_message_len(&self) -> usize {
        self.max_message_len
    }

    /// Sends if there is room now; `message_type` is at least 1.
    ///
    /// # Errors
    /// [`SendError::Full`]; [`SendError::TooLarge`]; [`SendError::Os`], with [`ErrorKind::NotFound`] if the queue was
    /// removed.
    pub fn try_send(&self, message: &[u8], message_type: i64) -> Result<(), SendError> {
        self.check_send(message, message_type)?;
        match crate::os::sysv::msg_send(self.id, self.key, message, message_type, false) {
            Err(SendError::Full) => {
                // It would stay so for ever if the message is longer than the whole queue.
                let max = self.stat().ok().and_then(|stat| stat.max_bytes).unwrap_or(u64::MAX);
                if message.len() as u64 > max {
                    return Err(SendError::TooLarge { len: message.len() as u64, max });
                }
                Err(SendError::Full)
            }
            outcome => outcome,
        }
    }

    /// Sends, waiting for room until `deadline` (`None`: without end).
    ///
    /// The system has no timed form: without a deadline this sleeps in the kernel; with one it looks again after 50 µs,
    /// then after twice that, up to every 10 ms.
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`MessageQueue::try_send`].
    pub fn send_deadline(
        &self,
        message: &[u8],
        message_type: i64,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        let mut pause = BackOff::new();
        loop {
            match self.try_send(message, message_type) {
                Err(SendError::Full) => {}
                outcome => return outcome,
            }
            match deadline {
                None => return crate::os::sysv::msg_send(self.id, self.key, message, message_type, true),
                Some(deadline) if !pause.sleep_until(deadline) => return Err(SendError::TimedOut),
                Some(_) => {}
            }
        }
    }

    /// Receives into `buffer` if a message that `select` names is there.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; [`RecvError::BufferTooSmall`], and the message stays in the queue; [`RecvError::Os`], with
    /// [`ErrorKind::NotFound`] if the queue was removed.
    pub fn try_recv(&self, buffer: &mut [u8], select: Select) -> Result<Message, RecvError> {
        self.check_select(select)?;
        crate::os::sysv::msg_recv(self.id, self.key, buffer, select, false)
    }

    /// Receives into `buffer`, waiting for a message that `select` names until `deadline` (`None`: without end).
    ///
    /// The system has no timed form: without a deadline this sleeps in the kernel; with one it looks again after 50 µs,
    /// then after twice that, up to every 10 ms.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`], and as [`MessageQueue::try_recv`].
    pub fn recv_deadline(
        &self,
        buffer: &mut [u8],
        select: Select,
        deadline: Option<Instant>,
    ) -> Result<Message, RecvError> {
        self.check_select(select)?;
        let Some(deadline) = deadline else {
            return crate::os::sysv::msg_recv(self.id, self.key, buffer, select, true);
        };
        let mut pause = BackOff::new();
        loop {
            match self.try_recv(buffer, select) {
                Err(RecvError::Empty) => {}
                outcome => return outcome,
            }
            if !pause.sleep_until(deadline) {
                return Err(RecvError::TimedOut);
            }
        }
    }

    /// What the kernel knows of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it was removed; [`ErrorKind::PermissionDenied`] without the right to read it.
    pub fn stat(&self) -> Result<QueueStat> {
        crate::os::sysv::msg_stat(self.id, self.key)
    }

    /// Sets how many bytes of messages the queue holds (`msg_qbytes`).
    ///
    /// # Errors
    /// [`ErrorKind::LimitReached`] naming `kernel.msgmnb` with its value; [`ErrorKind::PermissionDenied`] for another
    /// user's queue.
    pub fn set_max_bytes(&self, bytes: u64) -> Result<()> {
        crate::os::sysv::msg_set_max_bytes(self.id, self.key, bytes)
    }

    /// Removes the queue with its messages at once; whoever waits on it gets an error.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`] for another user's queue.
    pub fn remove(&self) -> Result<()> {
        crate::os::sysv::msg_remove(self.id, self.key)
    }

    fn check_send(&self, message: &[u8], message_type: i64) -> Result<(), SendError> {
        if message_type < 1 {
            return Err(SendError::Os(
                Error::new(ErrorKind::ApiMisuse, "send to System V queue", self.key.to_string())
                    .detail(format!("message type {message_type}; types begin at 1")),
            ));
        }
        if message.len() > self.max_message_len {
            return Err(SendError::TooLarge { len: message.len() as u64, max: self.max_message_len as u64 });
        }
        Ok(())
    }

    fn check_select(&self, select: Select) -> Result<(), RecvError> {
        match select {
            Select::Type(number) | Select::LowestUpTo(number) if number < 1 => Err(RecvError::Os(
                Error::new(ErrorKind::ApiMisuse, "receive from System V queue", self.key.to_string())
                    .detail(format!("message type {number}; types begin at 1")),
            )),
            _ => Ok(()),
        }
    }
}

/// Pauses that grow from 50 µs to 10 ms.
struct BackOff(Duration);

impl BackOff {
    fn new() -> Self {
        Self(Duration::from_micros(50))
    }

    /// Sleeps for the next pause, not beyond `deadline`; false if that has passed.
    fn sleep_until(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(self.0.min(left));
        self.0 = (self.0 * 2).min(Duration::from_millis(10));
        true
    }
}

/// Creates, or opens what exists, when others do the same and remove it at the same time. What is asked for as private
/// and exists must be this user's: it may have been put there to read what was meant for its namesake.
pub(super) fn open_or_create<T>(
    operation: &'static str,
    key: Key,
    access: Access,
    owner: impl Fn(&T) -> Result<u32>,
    create: impl Fn() -> Result<T>,
    open: impl Fn() -> Result<T>,
) -> Result<T> {
    for _ in 0..100 {
        match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            outcome => return outcome,
        }
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(found) if access == Access::Private => {
                let (owner, user) = (owner(&found)?, crate::os::sysv::user());
                if owner != user {
                    return Err(Error::new(ErrorKind::PermissionDenied, operation, key.to_string())
                        .detail(format!("it belongs to user {owner}, not to this user ({user})"))
                        .fix("open it without creating, create it with wider access, or use another key"));
                }
                return Ok(found);
            }
            outcome => return outcome,
        }
    }
    Err(Error::new(ErrorKind::Busy, operation, key.to_string())
        .detail("it was created and removed by others a hundred times meanwhile"))
}

/// All queues that the kernel shows to this user.
///
/// # Errors
/// Only if the system does not show them.
pub fn list_queues() -> Result<Vec<QueueStat>> {
    crate::os::sysv::msg_list()
}
