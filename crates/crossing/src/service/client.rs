//! The side that asks.

use super::loan::RequestLoan;
use super::replies::Replies;
use crate::net;
use crate::queue::Payload;
use crate::queue::service as shared;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::{Duration, Instant};

pub(super) enum Carrier<Q: Payload + ?Sized, R: Payload + ?Sized> {
    Shared(shared::Client<Q, R>),
    Socket(net::Client, String),
}

/// Asks a server, or several by turns. Any number of threads may call at the same time; each gets its own answer. Clones are the
/// same client.
pub struct Client<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(pub(super) Carrier<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Client<Q, R> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Carrier::Shared(client) => Carrier::Shared(client.clone()),
            Carrier::Socket(client, endpoint) => Carrier::Socket(client.clone(), endpoint.clone()),
        })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Client<Q, R> {
    pub(super) fn of_shared(client: shared::Client<Q, R>) -> Self {
        Self(Carrier::Shared(client))
    }

    pub(super) fn of_socket(client: net::Client, endpoint: &str) -> Self {
        Self(Carrier::Socket(client, endpoint.to_owned()))
    }

    /// Sends a request and awaits the reply without end.
    ///
    /// # Errors
    /// [`Error::call`] says why there is no reply, as a [`CallError`](super::CallError): the server's application failed it, with
    /// its number and its words; no server is there; it died with the request; the server let go of the request; it lets no more
    /// requests of this client wait. [`ErrorKind::TooLarge`], and [`ErrorKind::Incompatible`] for a reply of another size.
    pub fn call(&self, request: &Q) -> Result<Reply<R>> {
        self.call_deadline(request, None)
    }

    /// As [`call`](Self::call), waiting at most `timeout`; the server is told how much time there is.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`CallError::DeadlinePassed`](super::CallError::DeadlinePassed).
    pub fn call_timeout(&self, request: &Q, timeout: Duration) -> Result<Reply<R>> {
        self.call_deadline(request, Instant::now().checked_add(timeout))
    }

    /// As [`call_timeout`](Self::call_timeout), until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn call_deadline(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        let deadline = deadline.into();
        self.begin(request, deadline)?.wait_deadline(deadline)
    }

    /// Sends a request; the reply is awaited later. Dropping the [`Call`] cancels it. While as many requests wait as may,
    /// this waits too, at most until `deadline` (`None`: without end), which the server is told.
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn begin(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Call<R>> {
        Ok(Call(match &self.0 {
            Carrier::Shared(client) => Waiting::Shared(client.begin(request, deadline)?),
            Carrier::Socket(client, endpoint) => {
                Waiting::Socket(client.begin(request.bytes(), deadline)?, endpoint.clone(), PhantomData)
            }
        }))
    }

    /// Sends a request that may be answered in any number of parts. The whole of the answer is awaited at most until
    /// `deadline` (`None`: without end), which the server is told. Dropping the [`Replies`] cancels it. It is one of the requests
    /// [in flight](super::ServiceOptions::max_in_flight) until its end came.
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn call_stream(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Replies<R>> {
        Ok(match &self.0 {
            Carrier::Shared(client) => Replies::of_shared(client.call_stream(request, deadline)?),
            Carrier::Socket(client, endpoint) => {
                Replies::of_socket(client.call_stream(request.bytes(), deadline)?, endpoint.clone())
            }
        })
    }

    /// How many servers are known to live.
    #[must_use]
    pub fn servers(&self) -> usize {
        match &self.0 {
            Carrier::Shared(client) => client.servers(),
            Carrier::Socket(client, _) => client.servers(),
        }
    }
}

impl<R: Payload + ?Sized> Client<[u8], R> {
    /// A request of `len` bytes to be written before it is sent; over `shm:` where the server will read it, so that nothing is
    /// copied.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn loan_slice(&self, len: usize, deadline: impl Into<Option<Instant>>) -> Result<RequestLoan<R>> {
        let deadline = deadline.into();
        Ok(match &self.0 {
            Carrier::Shared(client) => RequestLoan::of_shared(client.loan_slice(len, deadline)?),
            Carrier::Socket(..) => RequestLoan::of_socket(self.clone(), len, deadline),
        })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Client<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Carrier::Shared(client) => client.fmt(f),
            Carrier::Socket(client, _) => client.fmt(f),
        }
    }
}

enum Waiting<R: Payload + ?Sized> {
    Shared(shared::Call<R>),
    Socket(net::Call, String, PhantomData<fn() -> Box<R>>),
}

/// A request whose reply is awaited. Dropping it tells the server that the reply is not wanted any more.
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<R: Payload + ?Sized = [u8]>(Waiting<R>);

impl<R: Payload + ?Sized> Call<R> {
    /// Awaits the reply without end.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn wait(self) -> Result<Reply<R>> {
        self.wait_deadline(None)
    }

    /// Awaits the reply at most `timeout`.
    ///
    /// # Errors
    /// As [`Client::call_timeout`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<Reply<R>> {
        self.wait_deadline(Instant::now().checked_add(timeout))
    }

    /// Awaits the reply until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`Client::call_timeout`].
    pub fn wait_deadline(self, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        match self.0 {
            Waiting::Shared(call) => Ok(Reply(Answer::Shared(call.wait_deadline(deadline)?))),
            Waiting::Socket(call, endpoint, _) => Reply::read(call.wait_deadline(deadline)?, &endpoint),
        }
    }

    pub(super) fn of_shared(call: shared::Call<R>) -> Self {
        Self(Waiting::Shared(call))
    }
}

/// Bytes of the type, if it has any number fixed.
fn size<R: Payload + ?Sized>() -> u32 {
    R::SHAPE.size.unwrap_or(0)
}

impl<R: Payload + ?Sized> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Waiting::Shared(call) => call.fmt(f),
            Waiting::Socket(call, ..) => call.fmt(f),
        }
    }
}

enum Answer<R: Payload + ?Sized> {
    Shared(shared::Reply<R>),
    Socket(Vec<u8>, R::Aside),
}

/// A reply; over `shm:` in the memory where the server wrote it.
pub struct Reply<R: Payload + ?Sized = [u8]>(Answer<R>);

impl<R: Payload + ?Sized> Reply<R> {
    pub(super) fn of_shared(reply: shared::Reply<R>) -> Self {
        Self(Answer::Shared(reply))
    }

    /// The value that came as these bytes.
    pub(super) fn read(bytes: Vec<u8>, endpoint: &str) -> Result<Self> {
        match shared::read_aside::<R>(&bytes) {
            Some(aside) => Ok(Self(Answer::Socket(bytes, aside))),
            None => Err(Error::new(ErrorKind::Incompatible, "call", endpoint)
                .detail(format!("the reply has {} bytes, {} wanted", bytes.len(), size::<R>()))
                .fix("let client and server have the same types")),
        }
    }
}

impl<R: Payload + ?Sized> Deref for Reply<R> {
    type Target = R;

    fn deref(&self) -> &R {
        match &self.0 {
            Answer::Shared(reply) => reply,
            Answer::Socket(bytes, aside) => R::of(bytes, aside),
        }
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("len", &self.bytes().len()).finish_non_exhaustive()
    }
}
