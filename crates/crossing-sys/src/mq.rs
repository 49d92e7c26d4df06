//! Message queues of the kernel that any program can open by name: POSIX message queues.
//!
//! A queue keeps messages whole and exact (any bytes, any length from 0 to its limit), the highest priority first and
//! in the order of sending within a priority. It lives until it is unlinked or the machine restarts, whether or not a
//! process has it open. Each message goes to exactly one receiver.
//!
//! Waiting is by the monotonic clock: setting the clock of the machine neither prolongs nor cuts short a wait. (The
//! system's own `mq_timedsend` counts by the clock that can be set, so it is not used.)
//!
//! # Platform-specific behavior
//! Linux: mq_overview(7); a queue is a pollable file descriptor. Elsewhere: [`ErrorKind::Unsupported`].

use crate::file::{Access, Handle};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::time::Instant;

/// The highest priority that every POSIX system takes is 31; Linux takes up to this one.
pub const MAX_PRIORITY: u32 = 32_767;

/// The longest name in bytes, not counting the leading slash.
pub const MAX_NAME_LEN: usize = 255;

/// What a queue is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Direction {
    /// Sending and receiving.
    #[default]
    Both,
    /// Sending only: enough where the owner gives only the right to write.
    Send,
    /// Receiving only: enough where the owner gives only the right to read.
    Receive,
}

/// How large a queue is, and how full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// The most messages that the queue holds.
    pub max_messages: u64,
    /// The longest message that it takes, in bytes.
    pub max_message_len: u64,
    /// The messages in it now.
    pub len: u64,
}

/// A message that was received: how many bytes of the buffer it takes, and its priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The length of the message in bytes.
    pub len: usize,
    /// The priority that it was sent with.
    pub priority: u32,
}

/// Why a message was not sent; it was not, not even in part.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full.
    Full,
    /// The queue stayed full until the deadline.
    TimedOut,
    /// The message is longer than the queue takes; both in bytes.
    TooLarge {
        /// Length of the message.
        len: u64,
        /// Largest length that the queue takes.
        max: u64,
    },
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

/// Why no message was received; none was lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// The queue is empty.
    Empty,
    /// The queue stayed empty until the deadline.
    TimedOut,
    /// The buffer is shorter than a message of this queue may be; both in bytes.
    BufferTooSmall {
        /// Length of the buffer.
        len: u64,
        /// The length it needs; 0 if the system does not say.
        need: u64,
    },
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::TimedOut => f.write_str("the queue stayed full until the deadline"),
            Self::TooLarge { len, max } => {
                write!(f, "the message is {len} bytes long, the queue takes at most {max}")
            }
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the queue is empty"),
            Self::TimedOut => f.write_str("the queue stayed empty until the deadline"),
            Self::BufferTooSmall { len, need: 0 } => {
                write!(f, "the message is longer than the buffer of {len} bytes")
            }
            Self::BufferTooSmall { len, need } => {
                write!(f, "the buffer has {len} bytes, messages of this queue may have {need}")
            }
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os(error) => error.source(),
            _ => None,
        }
    }
}

impl std::error::Error for RecvError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os(error) => error.source(),
            _ => None,
        }
    }
}

/// How to create or open a queue; in the manner of `std::fs::OpenOptions`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    max_messages: Option<u64>,
    max_message_len: Option<u64>,
    access: Access,
    direction: Direction,
}

impl Options {
    /// 10 messages of at most 8192 bytes (what Linux allows everybody by default), private, both directions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The most messages that a new queue holds. On a queue that exists: the least it must hold.
    pub fn max_messages(&mut self, count: u64) -> &mut Self {
        self.max_messages = Some(count);
        self
    }

    /// The longest message that a new queue takes, in bytes. On a queue that exists: the least it must take.
    pub fn max_message_len(&mut self, bytes: u64) -> &mut Self {
        self.max_message_len = Some(bytes);
        self
    }

    /// Who may open a new queue; the umask of the process does not change it.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.access = access;
        self
    }

    /// What this process will do with the queue.
    pub fn direction(&mut self, direction: Direction) -> &mut Self {
        self.direction = direction;
        self
    }

    /// Creates the queue `name` (`/NAME`).
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitReached`] with the limit and its present value;
    /// [`ErrorKind::ApiMisuse`] for a name or a size that no system takes; [`ErrorKind::PermissionDenied`].
    pub fn create(&self, name: &str) -> Result<MessageQueue> {
        const OPERATION: &str = "create message queue";
        check_name(OPERATION, name)?;
        let (messages, len) = (self.max_messages.unwrap_or(10), self.max_message_len.unwrap_or(8192));
        if messages == 0 || len == 0 {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, name)
                .detail("a queue of no messages, or of messages of no bytes")
                .fix("give at least 1 for both"));
        }
        let handle = crate::os::mq::create(name, messages, len, self.access, self.direction)?;
        MessageQueue::from_handle(handle, name, true)
    }

    /// Opens the queue `name` (`/NAME`), which exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`]; [`ErrorKind::Incompatible`] if the queue holds or takes
    /// less than was asked for.
    pub fn open(&self, name: &str) -> Result<MessageQueue> {
        const OPERATION: &str = "open message queue";
        check_name(OPERATION, name)?;
        let handle = crate::os::mq::open(name, self.direction)?;
        let queue = MessageQueue::from_handle(handle, name, false)?;
        self.check_size(OPERATION, &queue)?;
        Ok(queue)
    }

    /// Opens the queue `name` (`/NAME`), or creates it; when two processes do so at once, one creates and one opens.
    ///
    /// # Errors
    /// As [`Options::create`] and [`Options::open`]. A private queue that another user made is refused with
    /// [`ErrorKind::PermissionDenied`]: it may have been put there to read what was meant for its own namesake.
    pub fn open_or_create(&self, name: &str) -> Result<MessageQueue> {
        // Two processes that create and unlink the same name in turns could keep us busy: bounded.
        for _ in 0..100 {
            match self.create(name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                outcome => return outcome,
            }
            match self.open(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Ok(queue) => {
                    if self.access == Access::Private {
                        crate::os::mq::check_owner(&queue.handle, name)?;
                    }
                    return Ok(queue);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Busy, "open or create message queue", name)
            .detail("it was created and unlinked by others a hundred times meanwhile"))
    }

    fn check_size(&self, operation: &'static str, queue: &MessageQueue) -> Result<()> {
        let Attributes { max_messages, max_message_len, .. } = queue.fixed;
        let (messages, len) = (self.max_messages.unwrap_or(0), self.max_message_len.unwrap_or(0));
        if messages <= max_messages && len <= max_message_len {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Incompatible, operation, queue.name.as_str())
            .detail(format!(
                "it exists with {max_messages} messages of {max_message_len} bytes, asked for are {messages} of {len}"
            ))
            .fix("ask for less, or unlink the queue and create it again"))
    }
}

/// A POSIX message queue that this process has open; closed on drop. The name stays until [`unlink`].
///
/// ```
/// use crossing_sys::mq::{self, Options};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let name = format!("/crossing-doc-{}", std::process::id());
/// let queue = Options::new().max_messages(4).max_message_len(64).create(&name)?;
/// queue.try_send(b"later", 1)?;
/// queue.try_send(b"first", 7)?;
/// let mut buffer = [0; 64];
/// let received = queue.try_recv(&mut buffer)?;
/// assert_eq!((&buffer[..received.len], received.priority), (&b"first"[..], 7));
/// mq::unlink(&name)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MessageQueue {
    name: String,
    handle: Handle,
    /// The sizes, which never change; its `len` is that of the moment of opening.
    fixed: Attributes,
    created: bool,
}

impl MessageQueue {
    fn from_handle(handle: Handle, name: &str, created: bool) -> Result<Self> {
        let fixed = crate::os::mq::attributes(&handle, name)?;
        Ok(Self { name: name.to_owned(), handle, fixed, created })
    }

    /// The name, with its slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this object created the queue (and did not find it).
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// The most messages that the queue holds.
    #[must_use]
    pub fn max_messages(&self) -> u64 {
        self.fixed.max_messages
    }

    /// The longest message that the queue takes, in bytes; a buffer to receive needs this length.
    #[must_use]
    pub fn max_message_len(&self) -> usize {
        usize::try_from(self.fixed.max_message_len).unwrap_or(usize::MAX)
    }

    /// The sizes, and how many messages are in the queue now.
    ///
    /// # Errors
    /// Only if the system refuses; see mq_getattr(3).
    pub fn attributes(&self) -> Result<Attributes> {
        crate::os::mq::attributes(&self.handle, &self.name)
    }

    /// What can be waited on: readable while a message is there, writable while there is room.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::TooLarge`]; [`SendError::Os`] also for a priority above [`MAX_PRIORITY`] and
    /// for a queue opened to receive.
    pub fn try_send(&self, message: &[u8], priority: u32) -> Result<(), SendError> {
        if message.len() as u64 > self.fixed.max_message_len {
            return Err(SendError::TooLarge { len: message.len() as u64, max: self.fixed.max_message_len });
        }
        if priority > MAX_PRIORITY {
            return Err(SendError::Os(
                Error::new(ErrorKind::ApiMisuse, "send to message queue", self.name.as_str())
                    .detail(format!("priority {priority}, the highest is {MAX_PRIORITY}")),
            ));
        }
        crate::os::mq::try_send(&self.handle, &self.name, message, priority)
    }

    /// Sends, waiting for room until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`SendError::TimedOut`], and as [`MessageQueue::try_send`].
    pub fn send_deadline(
        &self,
        message: &[u8],
        priority: u32,
        deadline: Option<Instant>,
    ) -> Result<(), SendError> {
        loop {
            match self.try_send(message, priority) {
                Err(SendError::Full) => {}
                outcome => return outcome,
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(SendError::TimedOut);
            }
            crate::os::mq::wait_writable(&self.handle, &self.name, deadline).map_err(SendError::Os)?;
        }
    }

    /// Receives into `buffer` if a message is there; the buffer has at least [`MessageQueue::max_message_len`] bytes.
    ///
    /// # Errors
    /// [`RecvError::Empty`], [`RecvError::BufferTooSmall`]; [`RecvError::Os`] also for a queue opened to send.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Received, RecvError> {
        if (buffer.len() as u64) < self.fixed.max_message_len {
            return Err(RecvError::BufferTooSmall {
                len: buffer.len() as u64,
                need: self.fixed.max_message_len,
            });
        }
        crate::os::mq::try_recv(&self.handle, &self.name, buffer)
    }

    /// Receives into `buffer`, waiting for a message until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`RecvError::TimedOut`], and as [`MessageQueue::try_recv`].
    pub fn recv_deadline(&self, buffer: &mut [u8], deadline: Option<Instant>) -> Result<Received, RecvError> {
        loop {
            match self.try_recv(buffer) {
                Err(RecvError::Empty) => {}
                outcome => return outcome,
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(RecvError::TimedOut);
            }
            crate::os::mq::wait_readable(&self.handle, &self.name, deadline).map_err(RecvError::Os)?;
        }
    }

    /// Unlinks the name if it still names this very queue, and says whether it did.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and the like; a name that is gone is no error.
    pub fn unlink_if_same(&self) -> Result<bool> {
        crate::os::mq::unlink_if_same(&self.handle, &self.name)
    }
}

/// Removes the name; the queue itself goes when the last process closes it.
///
/// # Errors
/// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`] for another user's queue.
pub fn unlink(name: &str) -> Result<()> {
    check_name("unlink message queue", name)?;
    crate::os::mq::unlink(name)
}

/// A name is one slash and then 1 to 255 bytes without slash and NUL (mq_overview(7)).
fn check_name(operation: &'static str, name: &str) -> Result<()> {
    let wrong = match name.strip_prefix('/') {
        None => "the name does not begin with a slash",
        Some("") => "the name is empty",
        Some("." | "..") => "the name is that of a directory",
        Some(rest) if rest.contains('/') => "the name has a second slash",
        Some(rest) if rest.contains('\0') => "the name has a NUL byte",
        Some(rest) if rest.len() > MAX_NAME_LEN => "the name is longer than 255 bytes",
        Some(_) => return Ok(()),
    };
    Err(Error::new(ErrorKind::ApiMisuse, operation, name)
        .detail(wrong)
        .fix("use a slash and then at most 255 bytes without a slash, as in \"/jobs\""))
}

#[cfg(all(test, unix, not(crossing_os_stub)))]
#[path = "mq_tests.rs"]
mod tests;
