//! Why a message was not sent or not received: small, to be matched on, and turned into the full error where that is wanted.

use crossing_sys::mq;
use crossing_sys::{Error, ErrorKind};
use std::fmt;

/// Why a message was not sent at once; no part of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full.
    Full,
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

/// Why a message was not sent; no part of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The queue stayed full until the deadline.
    TimedOut,
    /// The queue is full, and was opened with [`Overflow::Fail`](crate::Overflow::Fail).
    Full,
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

/// A message that is not as long as the queue's values: its sender is no `Queue` of that type. It was received and is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// Bytes of the message.
    pub len: u64,
    /// Bytes of a value.
    pub size: u64,
}

/// Why no message was received at once; none was lost, but a [`Mismatch`](Self::Mismatch).
#[derive(Debug)]
#[non_exhaustive]
pub enum TryRecvError {
    /// The queue is empty.
    Empty,
    /// Queues of values: a message was none.
    Mismatch(Mismatch),
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

/// Why no message was received; none was lost, but a [`Mismatch`](Self::Mismatch).
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// The queue stayed empty until the deadline.
    TimedOut,
    /// Queues of values: a message was none.
    Mismatch(Mismatch),
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

impl From<Mismatch> for TryRecvError {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

impl From<Mismatch> for RecvError {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

fn mismatch(Mismatch { len, size }: Mismatch, endpoint: &str) -> Error {
    Error::new(ErrorKind::Incompatible, RECV, endpoint)
        .detail(format!("a message of {len} bytes, the queue's values have {size}; it was dropped"))
        .fix("open the queue with the same type everywhere, or receive bytes (Queue<[u8]>)")
}

const SEND: &str = "send to queue";
const RECV: &str = "receive from queue";

fn too_large(endpoint: &str, len: u64, max: u64) -> Error {
    Error::new(ErrorKind::TooLarge { len, max }, SEND, endpoint)
        .fix(format!("send less at a time, or create the queue with a max_len of {len} or more"))
}

impl TrySendError {
    /// The same as an [`Error`] that names the endpoint and what to do.
    #[must_use]
    pub fn explain(self, endpoint: &str) -> Error {
        match self {
            Self::Full => Error::new(ErrorKind::WouldBlock, SEND, endpoint).detail("the queue is full"),
            Self::TooLarge { len, max } => too_large(endpoint, len, max),
            Self::Os(error) => error,
        }
    }
}

impl SendError {
    /// The same as an [`Error`] that names the endpoint and what to do.
    #[must_use]
    pub fn explain(self, endpoint: &str) -> Error {
        match self {
            Self::TimedOut => Error::new(ErrorKind::TimedOut, SEND, endpoint)
                .detail("the queue stayed full")
                .fix("start a receiver, or wait longer"),
            Self::Full => TrySendError::Full.explain(endpoint),
            Self::TooLarge { len, max } => too_large(endpoint, len, max),
            Self::Os(error) => error,
        }
    }
}

impl TryRecvError {
    /// The same as an [`Error`] that names the endpoint.
    #[must_use]
    pub fn explain(self, endpoint: &str) -> Error {
        match self {
            Self::Empty => Error::new(ErrorKind::WouldBlock, RECV, endpoint).detail("the queue is empty"),
            Self::Mismatch(what) => mismatch(what, endpoint),
            Self::Os(error) => error,
        }
    }
}

impl RecvError {
    /// The same as an [`Error`] that names the endpoint.
    #[must_use]
    pub fn explain(self, endpoint: &str) -> Error {
        match self {
            Self::TimedOut => {
                Error::new(ErrorKind::TimedOut, RECV, endpoint).detail("the queue stayed empty")
            }
            Self::Mismatch(what) => mismatch(what, endpoint),
            Self::Os(error) => error,
        }
    }
}

impl From<mq::SendError> for TrySendError {
    fn from(error: mq::SendError) -> Self {
        match error {
            mq::SendError::TooLarge { len, max } => Self::TooLarge { len, max },
            mq::SendError::Os(error) => Self::Os(error),
            _ => Self::Full,
        }
    }
}

impl From<mq::SendError> for SendError {
    fn from(error: mq::SendError) -> Self {
        match error {
            mq::SendError::TooLarge { len, max } => Self::TooLarge { len, max },
            mq::SendError::Os(error) => Self::Os(error),
            _ => Self::TimedOut,
        }
    }
}

/// The buffers of a receiver have the length that the queue asks for; a message that is longer all the same was put
/// there by a change of the queue's limits from outside.
fn outgrown(len: u64) -> Error {
    Error::new(ErrorKind::Incompatible, RECV, "queue")
        .detail(format!("a message is longer than the {len} bytes that the queue took when it was opened"))
        .fix("open the queue again")
}

impl From<mq::RecvError> for TryRecvError {
    fn from(error: mq::RecvError) -> Self {
        match error {
            mq::RecvError::BufferTooSmall { len, .. } => Self::Os(outgrown(len)),
            mq::RecvError::Os(error) => Self::Os(error),
            _ => Self::Empty,
        }
    }
}

impl From<mq::RecvError> for RecvError {
    fn from(error: mq::RecvError) -> Self {
        match error {
            mq::RecvError::BufferTooSmall { len, .. } => Self::Os(outgrown(len)),
            mq::RecvError::Os(error) => Self::Os(error),
            _ => Self::TimedOut,
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::TooLarge { len, max } => {
                write!(f, "the message is {len} bytes long, the queue takes at most {max}")
            }
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the queue stayed full until the deadline"),
            Self::Full => f.write_str("the queue is full"),
            Self::TooLarge { len, max } => {
                write!(f, "the message is {len} bytes long, the queue takes at most {max}")
            }
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, size } = self;
        write!(f, "a message of {len} bytes is none of the queue's values of {size} bytes; it was dropped")
    }
}

impl std::error::Error for Mismatch {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the queue is empty"),
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the queue stayed empty until the deadline"),
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Os(error) => error.fmt(f),
        }
    }
}

macro_rules! source_of_os {
    ($($error:ty),*) => { $(
        impl std::error::Error for $error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    Self::Os(error) => error.source(),
                    _ => None,
                }
            }
        }
    )* };
}

source_of_os!(TrySendError, SendError, TryRecvError, RecvError);
