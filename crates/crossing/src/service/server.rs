//! The side that answers.

use super::loan::ReplyLoan;
use super::stream::ReplyStream;
use crate::net::{self, Peer};
use crate::queue::Payload;
use crate::queue::service as shared;
use crate::{ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

pub(super) enum Carrier<Q: Payload + ?Sized, R: Payload + ?Sized> {
    Shared(shared::Server<Q, R>),
    Socket(net::Server),
}

/// Answers requests. Any number of threads may take requests at the same time, of one server or of its clones; it ends with the
/// last of them.
pub struct Server<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(pub(super) Carrier<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Server<Q, R> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Carrier::Shared(server) => Carrier::Shared(server.clone()),
            Carrier::Socket(server) => Carrier::Socket(server.clone()),
        })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Server<Q, R> {
    pub(super) fn of_shared(server: shared::Server<Q, R>) -> Self {
        Self(Carrier::Shared(server))
    }

    pub(super) fn of_socket(server: net::Server) -> Self {
        Self(Carrier::Socket(server))
    }

    /// Where it serves; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match &self.0 {
            Carrier::Shared(server) => format!("shm:{}", server.name()),
            Carrier::Socket(server) => server.endpoint().to_string(),
        }
    }

    /// Takes the next request, waiting for it without end. Requests that were cancelled or whose time is over are passed over.
    ///
    /// # Errors
    /// The operating system's.
    pub fn recv(&self) -> Result<Request<Q, R>> {
        self.recv_deadline(None)
    }

    /// Takes the next request if one waits.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Request<Q, R>>> {
        match self.recv_deadline(Instant::now()) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
            request => request.map(Some),
        }
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; as [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Request<Q, R>> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<Request<Q, R>> {
        let deadline = deadline.into();
        match &self.0 {
            Carrier::Shared(server) => Ok(Request(Asked::Shared(server.recv_deadline(deadline)?))),
            Carrier::Socket(server) => loop {
                let request = server.recv_deadline(deadline)?;
                match shared::read_aside::<Q>(request.payload()) {
                    Some(aside) => return Ok(Request(Asked::Socket(request, aside, PhantomData))),
                    None => {
                        let (len, size) = (request.payload().len(), Q::SHAPE.size.unwrap_or(0));
                        // A client that does not take it is its own loss.
                        let _ = request.fail(&format!(
                            "a request of {len} bytes is none of this service's, which have {size}"
                        ));
                    }
                }
            },
        }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Server<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

enum Asked<Q: Payload + ?Sized, R: Payload + ?Sized> {
    Shared(shared::Request<Q, R>),
    Socket(net::Request, Q::Aside, PhantomData<fn(&R)>),
}

/// A request to be answered: [`reply`](Self::reply), [`stream`](Self::stream) or [`fail`](Self::fail). Dropping it tells the client
/// that there will be no answer.
pub struct Request<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(Asked<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Request<Q, R> {
    /// What the client sent; over `shm:` in the memory where it wrote it.
    #[must_use]
    pub fn payload(&self) -> &Q {
        match &self.0 {
            Asked::Shared(request) => request.payload(),
            Asked::Socket(request, aside, _) => Q::of(request.payload(), aside),
        }
    }

    /// Who asks, where that is known.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match &self.0 {
            Asked::Shared(_) => None,
            Asked::Socket(request, ..) => Some(request.peer()),
        }
    }

    /// How much time the client has left, if it said so.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        match &self.0 {
            Asked::Shared(request) => request.time_left(),
            Asked::Socket(request, ..) => {
                request.deadline().map(|at| at.saturating_duration_since(Instant::now()))
            }
        }
    }

    /// Whether the client does not want the answer any more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Asked::Shared(request) => request.is_cancelled(),
            Asked::Socket(request, ..) => request.is_cancelled(),
        }
    }

    /// Answers it. An answer that nobody wants any more is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the client does not take answers of this length (it is told that there is none),
    /// [`ErrorKind::Disconnected`] when it is gone, [`ErrorKind::TimedOut`] when it does not take its answers.
    pub fn reply(self, reply: &R) -> Result<()> {
        match self.0 {
            Asked::Shared(request) => request.reply(reply),
            Asked::Socket(request, ..) => request.reply(reply.bytes()),
        }
    }

    /// Whether the client takes the answer in parts: [`stream`](Self::stream). [`reply`](Self::reply) is one part then.
    #[must_use]
    pub fn takes_parts(&self) -> bool {
        match &self.0 {
            Asked::Shared(request) => request.takes_parts(),
            Asked::Socket(request, ..) => request.takes_parts(),
        }
    }

    /// Answers it in parts.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the client [awaits one reply](Self::takes_parts); it is told so. As [`reply`](Self::reply).
    pub fn stream(self) -> Result<ReplyStream<Q, R>> {
        Ok(match self.0 {
            Asked::Shared(request) => ReplyStream::of_shared(request.stream()?),
            Asked::Socket(request, aside, _) => ReplyStream::of_socket(request.stream()?, aside),
        })
    }

    /// Tells the client that it failed, and why.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn fail(self, text: &str) -> Result<()> {
        self.fail_with(0, text)
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular. The client has both as a
    /// [`ServiceError`](super::ServiceError); a longer text than 512 bytes is cut.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn fail_with(self, code: u32, text: &str) -> Result<()> {
        match self.0 {
            Asked::Shared(request) => request.fail_with(code, text),
            Asked::Socket(request, ..) => request.fail_with(code, text),
        }
    }
}

impl<Q: Payload + ?Sized> Request<Q, [u8]> {
    /// A reply of `len` bytes to be written before it is sent; over `shm:` where the client will read it, so that nothing is
    /// copied. `None`: the client does not want it any more.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn loan_slice(self, len: usize) -> Result<Option<ReplyLoan<Q>>> {
        Ok(match self.0 {
            Asked::Shared(request) => request.loan_slice(len)?.map(ReplyLoan::of_shared),
            Asked::Socket(..) if self.is_cancelled() => None,
            Asked::Socket(..) => Some(ReplyLoan::of_socket(self, len)),
        })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Request<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("peer", &self.peer().map(|peer| peer.to_string()))
            .finish_non_exhaustive()
    }
}
