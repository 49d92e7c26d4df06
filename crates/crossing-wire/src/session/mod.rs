//! A session: a conversation that outlives its connections.
//!
//! Messages are numbered, kept until the peer's application took them, and sent again on the next connection from the
//! first that the peer lacks; so none is lost, doubled or reordered, however often connections break. A peer that is
//! silent for longer than the stated time is given up on that connection. Layout and rules: `docs/format/session.md`.
//!
//! [`Session`] is an engine without input or output: whoever drives it makes connections, passes bytes and the time.
//! The side that connects calls [`Session::client`] and [`Session::connected`] for each connection; the side that
//! listens reads an [`Introduction`] from each connection and either makes a [`Session::server`] of it or lets an
//! existing one [`resume`](Session::resume).

mod backoff;
mod engine;
mod inbound;
mod introduction;
mod message;
mod outbound;

pub use backoff::Backoff;
pub use engine::{Phase, Received, SendError, Session};
pub use introduction::Introduction;
pub use message::{NUMBERS_LEN, Refusal, SessionId};

use crate::DecodeError;
use std::fmt;
use std::time::Duration;

/// The shortest time after which a silent peer may be given up.
pub const LEAST_DEAD_AFTER: Duration = Duration::from_millis(20);

/// Limits and times of one side of a session.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The longest message to receive, in bytes.
    pub max_message_len: usize,
    /// How much that the peer has not acknowledged is kept, in bytes (each message counts 64 more).
    pub resend_bytes: usize,
    /// How much that arrived may wait to be taken, in bytes (each message counts 64 more); at most 4 GiB.
    pub window_bytes: usize,
    /// A connection on which nothing was heard for this long is given up; the peer sends something at least every
    /// third of it. At least [`LEAST_DEAD_AFTER`].
    pub dead_after: Duration,
    /// How long the peer may take to answer on a new connection.
    pub handshake_timeout: Duration,
    /// A session without a connection for this long is lost.
    pub lost_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_len: crate::DEFAULT_MAX_FRAME_LEN,
            resend_bytes: 4 << 20,
            window_bytes: 4 << 20,
            dead_after: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            lost_after: Duration::from_secs(60),
        }
    }
}

/// Why a connection of a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The connection closed or broke.
    Cut,
    /// Nothing was heard for the stated time.
    Silent,
    /// The peer did not answer in time.
    NoAnswer,
    /// The listener refuses, for now.
    Refused(Refusal),
    /// The peer came back on another connection.
    Replaced,
}

/// Why a session is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// No connection could be had for as long as the session may be without one.
    Expired,
    /// The peer's side gave it up: it was dropped without being ended.
    Abandoned,
    /// The listener does not take it.
    Refused(Refusal),
    /// The peer broke the protocol.
    Protocol(DecodeError),
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The first connection stands.
    Connected,
    /// The connection is gone; a new one is awaited.
    Reconnecting(Cause),
    /// A new connection stands, and the session goes on.
    Resumed {
        /// How many messages go once more.
        resent: u64,
    },
    /// Both sides ended, and each has everything that the other sent.
    Ended,
    /// It is over; messages may not have arrived.
    Lost(Loss),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("the connection broke"),
            Self::Silent => f.write_str("the peer was silent for too long"),
            Self::NoAnswer => f.write_str("the peer did not answer in time"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Replaced => f.write_str("the peer came back on another connection"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => {
                "the listener does not know the session: it expired, was dropped, or the server is a new one"
            }
            Self::Full => "the listener has as many sessions as it may have",
            Self::Stale => "a later connection of the session is there",
            Self::Denied => "the session belongs to another user",
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("no connection for as long as a session may be without one"),
            Self::Abandoned => f.write_str("the peer dropped it without ending it"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod simulation;
