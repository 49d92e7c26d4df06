//! An answer in parts, as its server makes it.

use super::loan::PartLoan;
use crate::Result;
use crate::net::{self, Peer};
use crate::queue::Payload;
use crate::queue::service as shared;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

enum Carrier<Q: Payload + ?Sized, R: Payload + ?Sized> {
    Shared(shared::ReplyStream<Q, R>),
    Socket(net::ReplyStream, Q::Aside, PhantomData<fn(&R)>),
}

/// An answer in parts: any number of [`send`](Self::send), then [`finish`](Self::finish) or [`fail`](Self::fail). Dropping it before
/// tells the client that the rest does not come.
///
/// The client takes as many parts as it says ([`max_parts`](super::ServiceOptions::max_parts)); sending further ones waits until
/// its user has taken some, at most until the time of the request is over. Other clients and other requests of this one are
/// answered meanwhile. What waits ends when the client cancels or dies; over sockets also when its process does not read the
/// connection at all for as long as [`slow_client`](super::ServiceOptions::slow_client) says: then it is cut off.
#[must_use = "an answer that is dropped tells the client that the rest does not come"]
pub struct ReplyStream<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(Carrier<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> ReplyStream<Q, R> {
    pub(super) fn of_shared(stream: shared::ReplyStream<Q, R>) -> Self {
        Self(Carrier::Shared(stream))
    }

    pub(super) fn of_socket(stream: net::ReplyStream, aside: Q::Aside) -> Self {
        Self(Carrier::Socket(stream, aside, PhantomData))
    }

    /// What the client sent.
    #[must_use]
    pub fn payload(&self) -> &Q {
        match &self.0 {
            Carrier::Shared(stream) => stream.request().payload(),
            Carrier::Socket(stream, aside, _) => Q::of(stream.request().payload(), aside),
        }
    }

    /// Who asks, where that is known.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match &self.0 {
            Carrier::Shared(_) => None,
            Carrier::Socket(stream, ..) => Some(stream.request().peer()),
        }
    }

    /// How much time the client has left, if it said so.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        match &self.0 {
            Carrier::Shared(stream) => stream.request().time_left(),
            Carrier::Socket(stream, ..) => {
                stream.request().deadline().map(|at| at.saturating_duration_since(Instant::now()))
            }
        }
    }

    /// Whether the client does not want more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Carrier::Shared(stream) => stream.is_cancelled(),
            Carrier::Socket(stream, ..) => stream.is_cancelled(),
        }
    }

    /// Sends a part, waiting until the client takes it.
    ///
    /// # Errors
    /// [`Error::call`](crate::Error::call): [`CallError::Cancelled`](super::CallError::Cancelled) when the client does not want more or is gone,
    /// [`CallError::DeadlinePassed`](super::CallError::DeadlinePassed) when its time is over: nothing can be sent any more.
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when the client does not take parts of this length: others can be sent.
    pub fn send(&mut self, part: &R) -> Result<()> {
        self.send_deadline(part, None)
    }

    /// Sends a part if the client takes it now; `false` if it does not. Over sockets also if another thread is sending to this
    /// client.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, part: &R) -> Result<bool> {
        match &mut self.0 {
            Carrier::Shared(stream) => stream.try_send(part),
            Carrier::Socket(stream, ..) => stream.try_send(part.bytes()),
        }
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`](crate::ErrorKind::TimedOut) without a [reason](crate::Error::call): nothing was sent, and it can be tried again. As
    /// [`send`](Self::send).
    pub fn send_timeout(&mut self, part: &R, timeout: Duration) -> Result<()> {
        self.send_deadline(part, Instant::now().checked_add(timeout))
    }

    /// As [`send_timeout`](Self::send_timeout), until `deadline` (`None`: until the time of the request is over).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&mut self, part: &R, deadline: impl Into<Option<Instant>>) -> Result<()> {
        match &mut self.0 {
            Carrier::Shared(stream) => stream.send_deadline(part, deadline),
            Carrier::Socket(stream, ..) => stream.send_deadline(part.bytes(), deadline),
        }
    }

    /// Tells the client that this was all. What it did not take yet it can still take.
    ///
    /// # Errors
    /// As [`Request::reply`](super::Request::reply).
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Carrier::Shared(stream) => stream.finish(),
            Carrier::Socket(stream, ..) => stream.finish(),
        }
    }

    /// Tells the client that the rest does not come, and why.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn fail(self, text: &str) -> Result<()> {
        self.fail_with(0, text)
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn fail_with(self, code: u32, text: &str) -> Result<()> {
        match self.0 {
            Carrier::Shared(stream) => stream.fail_with(code, text),
            Carrier::Socket(stream, ..) => stream.fail_with(code, text),
        }
    }
}

impl<Q: Payload + ?Sized> ReplyStream<Q, [u8]> {
    /// A part of `len` bytes to be written before it is sent; over `shm:` where the client will read it, so that nothing is copied,
    /// and waiting for a place there until `deadline` (`None`: until the time of the request is over). Over sockets the sending
    /// waits, as long.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn loan_slice(
        &mut self,
        len: usize,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<PartLoan<'_, Q>> {
        Ok(match &mut self.0 {
            Carrier::Shared(stream) => PartLoan::of_shared(stream.loan_slice(len, deadline)?),
            Carrier::Socket(stream, ..) => PartLoan::of_socket(stream, len, deadline.into()),
        })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for ReplyStream<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Carrier::Shared(stream) => stream.fmt(f),
            Carrier::Socket(stream, ..) => stream.fmt(f),
        }
    }
}
