//! Why a message was not sent or not received: small, to be matched on, and turned into the full error where wanted.

use crossing_sys::{Error, ErrorKind};
use std::fmt;

/// Why a message was not published at once; no part of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrySendError {
    /// A subscriber has not yet read what would be overwritten, and the topic's policy is to wait for it.
    Full {
        /// The slowest subscriber's process, as it says.
        slowest: u32,
    },
    /// The message is longer than the topic takes; both in bytes.
    TooLarge {
        /// Length of the message.
        len: u64,
        /// Largest length that the topic takes.
        max: u64,
    },
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

/// Why a message was not published; no part of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// A subscriber has not yet read what would be overwritten, and the topic's policy is to fail.
    Full {
        /// The slowest subscriber's process, as it says.
        slowest: u32,
    },
    /// A subscriber did not read what would be overwritten until the deadline.
    TimedOut {
        /// The slowest subscriber's process, as it says.
        slowest: u32,
    },
    /// The message is longer than the topic takes; both in bytes.
    TooLarge {
        /// Length of the message.
        len: u64,
        /// Largest length that the topic takes.
        max: u64,
    },
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

/// Why there is no loan.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoanError {
    /// As many messages are on loan as may be: send or drop one, or give the topic more `max_loans`.
    TooMany {
        /// How many may be.
        max: u32,
    },
    /// The message would be longer than the topic takes; both in bytes.
    TooLarge {
        /// Length that was asked for.
        len: u64,
        /// Largest length that the topic takes.
        max: u64,
    },
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

/// Why no message was received at once; none was lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is none.
    Empty,
    /// As many samples are held in place as may be: drop one, or give the topic more `max_borrowed`.
    TooManyHeld {
        /// How many may be.
        max: u32,
    },
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

/// Why no message was received; none was lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// None came until the deadline.
    TimedOut,
    /// As many samples are held in place as may be: drop one, or give the topic more `max_borrowed`.
    TooManyHeld {
        /// How many may be.
        max: u32,
    },
    /// The call was wrong, or the operating system refused.
    Os(Error),
}

const SEND: &str = "publish to topic";
const RECV: &str = "receive from topic";

impl TrySendError {
    /// The same as an [`Error`] that names the topic and what to do.
    #[must_use]
    pub fn explain(self, topic: &str) -> Error {
        match self {
            Self::Full { slowest } => Error::new(ErrorKind::WouldBlock, SEND, topic)
                .detail(format!("subscriber process {slowest} has not read the oldest message yet")),
            Self::TooLarge { len, max } => Error::new(ErrorKind::TooLarge { len, max }, SEND, topic)
                .fix(format!("send less at a time, or give the topic a max_len of {len} or more")),
            Self::Os(error) => error,
        }
    }
}

impl SendError {
    /// The same as an [`Error`] that names the topic and what to do.
    #[must_use]
    pub fn explain(self, topic: &str) -> Error {
        match self {
            Self::TimedOut { slowest } => Error::new(ErrorKind::TimedOut, SEND, topic)
                .detail(format!("subscriber process {slowest} did not read the oldest message"))
                .fix("continue or end that process, wait longer, or use Overflow::DropOldest"),
            Self::Full { slowest } => TrySendError::Full { slowest }.explain(topic),
            Self::TooLarge { len, max } => TrySendError::TooLarge { len, max }.explain(topic),
            Self::Os(error) => error,
        }
    }
}

impl LoanError {
    /// The same as an [`Error`] that names the topic and what to do.
    #[must_use]
    pub fn explain(self, topic: &str) -> Error {
        match self {
            Self::TooMany { max } => Error::new(ErrorKind::LimitReached, "lend message of topic", topic)
                .detail(format!("{max} are on loan"))
                .fix("send or drop one, or give the topic more max_loans"),
            Self::TooLarge { len, max } => TrySendError::TooLarge { len, max }.explain(topic),
            Self::Os(error) => error,
        }
    }
}

fn too_many_held(topic: &str, max: u32) -> Error {
    Error::new(ErrorKind::LimitReached, RECV, topic)
        .detail(format!("{max} samples are held in place"))
        .fix("drop one, or give the topic more max_borrowed")
}

impl TryRecvError {
    /// The same as an [`Error`] that names the topic.
    #[must_use]
    pub fn explain(self, topic: &str) -> Error {
        match self {
            Self::Empty => Error::new(ErrorKind::WouldBlock, RECV, topic).detail("there is no message"),
            Self::TooManyHeld { max } => too_many_held(topic, max),
            Self::Os(error) => error,
        }
    }
}

impl RecvError {
    pub(crate) fn from_try(error: TryRecvError) -> Self {
        match error {
            TryRecvError::TooManyHeld { max } => Self::TooManyHeld { max },
            TryRecvError::Os(error) => Self::Os(error),
            TryRecvError::Empty => Self::TimedOut,
        }
    }

    /// The same as an [`Error`] that names the topic.
    #[must_use]
    pub fn explain(self, topic: &str) -> Error {
        match self {
            Self::TimedOut => Error::new(ErrorKind::TimedOut, RECV, topic).detail("no message came"),
            Self::TooManyHeld { max } => too_many_held(topic, max),
            Self::Os(error) => error,
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { slowest } => write!(f, "subscriber process {slowest} is too slow"),
            Self::TooLarge { len, max } => {
                write!(f, "the message is {len} bytes long, the topic takes at most {max}")
            }
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for LoanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { max } => write!(f, "{max} messages are on loan"),
            Self::TooLarge { len, max } => {
                write!(f, "the message would be {len} bytes long, the topic takes at most {max}")
            }
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { slowest } => write!(f, "subscriber process {slowest} is too slow"),
            Self::TimedOut { slowest } => {
                write!(f, "timed out: subscriber process {slowest} is too slow")
            }
            Self::TooLarge { len, max } => {
                write!(f, "the message is {len} bytes long, the topic takes at most {max}")
            }
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no message"),
            Self::TooManyHeld { max } => write!(f, "{max} samples are held"),
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("timed out"),
            Self::TooManyHeld { max } => write!(f, "{max} samples are held"),
            Self::Os(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError {}
impl std::error::Error for SendError {}
impl std::error::Error for LoanError {}
impl std::error::Error for TryRecvError {}
impl std::error::Error for RecvError {}
