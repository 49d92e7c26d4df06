//! An answer that comes in parts, as its client sees it.

use super::client::Reply;
use crate::net;
use crate::queue::Payload;
use crate::queue::service as shared;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

enum Carrier<R: Payload + ?Sized> {
    Shared(shared::Replies<R>),
    Socket(net::Replies, String, PhantomData<fn() -> Box<R>>),
}

/// An answer that comes in parts: each is received by itself, `None` is the end. Dropping it before tells the server that no more
/// is wanted. As an iterator it gives each part, or the error, once.
///
/// Over `shm:` a part lies where the server wrote it, and keeps one of the [places](super::ServiceOptions::max_parts) until it is
/// dropped: who keeps them all waits in vain for more.
///
/// ```
/// use crossing::service::{CallError, Service};
/// use std::time::{Duration, Instant};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Service::<u64, u64>::options().serve("tcp:127.0.0.1:0")?;
/// let client = Service::<u64, u64>::options().connect(&server.endpoint())?;
/// let serving = std::thread::spawn(move || {
///     let mut answer = server.recv()?.stream()?;
///     for number in 0..*answer.payload() {
///         answer.send(&number)?;
///     }
///     answer.fail_with(7, "no more numbers")
/// });
/// let mut replies = client.call_stream(&1000, Instant::now() + Duration::from_secs(5))?;
/// let mut sum = 0;
/// let error = loop {
///     match replies.recv() {
///         Ok(Some(part)) => sum += *part,
///         Ok(None) => panic!("it does not end well"),
///         Err(error) => break error,
///     }
/// };
/// assert_eq!(sum, 499_500);
/// assert!(matches!(error.call(), Some(CallError::Application(said)) if said.code() == 7));
/// serving.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an answer that is dropped is cancelled"]
pub struct Replies<R: Payload + ?Sized = [u8]> {
    carrier: Carrier<R>,
    told: bool,
}

impl<R: Payload + ?Sized> Replies<R> {
    pub(super) fn of_shared(replies: shared::Replies<R>) -> Self {
        Self { carrier: Carrier::Shared(replies), told: false }
    }

    pub(super) fn of_socket(replies: net::Replies, endpoint: String) -> Self {
        Self { carrier: Carrier::Socket(replies, endpoint, PhantomData), told: false }
    }

    /// Receives the next part, waiting for it until the deadline of the call; `None`: that was all.
    ///
    /// # Errors
    /// [`Error::call`] says why there is no more: as [`Client::call_timeout`](super::Client::call_timeout). The parts that came
    /// before are received first, and each later receive gives the same. [`ErrorKind::Incompatible`] for a part that is no
    /// value of the type.
    pub fn recv(&mut self) -> Result<Option<Reply<R>>> {
        self.recv_deadline(None)
    }

    /// Receives the next part if it is there.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if it is not; as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<Reply<R>>> {
        match self.recv_deadline(Instant::now()) {
            Err(error) if error.kind() == ErrorKind::TimedOut && error.call().is_none() => {
                Err(error.kinded(ErrorKind::WouldBlock))
            }
            result => result,
        }
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] without a [reason](Error::call): the next may still come. As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Reply<R>>> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: that of the call).
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<Option<Reply<R>>> {
        match &mut self.carrier {
            Carrier::Shared(replies) => Ok(replies.recv_deadline(deadline)?.map(Reply::of_shared)),
            Carrier::Socket(replies, endpoint, _) => {
                replies.recv_deadline(deadline)?.map(|bytes| Reply::read(bytes, endpoint)).transpose()
            }
        }
    }
}

impl<R: Payload + ?Sized> Iterator for Replies<R> {
    type Item = Result<Reply<R>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.told {
            return None;
        }
        let next = self.recv().transpose();
        self.told = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Replies<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.carrier {
            Carrier::Shared(replies) => replies.fmt(f),
            Carrier::Socket(replies, ..) => replies.fmt(f),
        }
    }
}
