//! The side that answers.

use super::super as blocking;
use super::super::server::Carrier as Blocking;
use crate::Result;
use crate::net::Peer;
use crate::net::tokio as socket;
use crate::queue::Payload;
use crate::queue::service::read_aside;
use crate::queue::service::tokio as shared;
use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

enum Carrier<Q: Payload + ?Sized, R: Payload + ?Sized> {
    Shared(shared::Server<Q, R>),
    Socket(socket::Server),
}

/// A [`Server`](blocking::Server) for tokio. Any number of tasks may take requests at the same time, of one server or of its clones;
/// it ends with the last of them.
pub struct Server<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(Carrier<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Server<Q, R> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Carrier::Shared(server) => Carrier::Shared(server.clone()),
            Carrier::Socket(server) => Carrier::Socket(server.clone()),
        })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Server<Q, R> {
    /// Makes one of a server ([`ServiceOptions::serve`](blocking::ServiceOptions::serve)).
    ///
    /// # Errors
    /// `shm:`: as [`Receiver::poller`](crate::queue::Receiver::poller).
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn from_blocking(server: blocking::Server<Q, R>) -> Result<Self> {
        Ok(Self(match server.0 {
            Blocking::Shared(server) => Carrier::Shared(shared::Server::new(&server)?),
            Blocking::Socket(server) => Carrier::Socket(socket::Server::from_blocking(server)),
        }))
    }

    /// Where it serves; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match &self.0 {
            Carrier::Shared(server) => format!("shm:{}", server.name()),
            Carrier::Socket(server) => server.endpoint().to_string(),
        }
    }

    /// Takes the next request. Requests that were cancelled or whose time is over are passed over.
    ///
    /// # Cancel safety
    /// Safe: no request was taken.
    ///
    /// # Errors
    /// The operating system's.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub async fn recv(&self) -> Result<Request<Q, R>> {
        match &self.0 {
            Carrier::Shared(server) => Ok(Request(Asked::Shared(server.recv().await?))),
            Carrier::Socket(server) => loop {
                if let Some(request) = Request::fitting(server.recv().await?) {
                    return Ok(request);
                }
            },
        }
    }

    /// Takes the next request if one waits.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub fn try_recv(&self) -> Result<Option<Request<Q, R>>> {
        match &self.0 {
            Carrier::Shared(server) => Ok(server.try_recv()?.map(|request| Request(Asked::Shared(request)))),
            Carrier::Socket(server) => {
                while let Some(request) = server.try_recv()? {
                    if let Some(request) = Request::fitting(request) {
                        return Ok(Some(request));
                    }
                }
                Ok(None)
            }
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
    Socket(socket::Request, Q::Aside, PhantomData<fn(&R)>),
}

/// A request to be answered: [`reply`](Self::reply), [`stream`](Self::stream) or [`fail`](Self::fail). Dropping it tells the client
/// that there will be no answer.
pub struct Request<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(Asked<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Request<Q, R> {
    /// `None`: it is none of this service's, and its client is told so.
    fn fitting(request: socket::Request) -> Option<Self> {
        if let Some(aside) = read_aside::<Q>(request.payload()) {
            return Some(Self(Asked::Socket(request, aside, PhantomData)));
        }
        let (len, size) = (request.payload().len(), Q::SHAPE.size.unwrap_or(0));
        let text = format!("a request of {len} bytes is none of this service's, which have {size}");
        // Once it was polled it goes on by itself.
        let _ = pin!(request.fail(&text)).poll(&mut Context::from_waker(Waker::noop()));
        None
    }

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
            Asked::Socket(request, ..) => time_left(request),
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

    /// Waits until the client does not want the answer any more, or is gone: to stop working for it. Over `shm:` it looks fifty
    /// times a second.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn cancelled(&self) {
        match &self.0 {
            Asked::Shared(request) => request.cancelled().await,
            Asked::Socket(request, ..) => request.cancelled().await,
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

    /// Answers it. An answer that nobody wants any more is dropped.
    ///
    /// # Cancel safety
    /// Safe: once it was polled, the answer goes on by itself.
    ///
    /// # Errors
    /// As [`blocking::Request::reply`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled, if there is no room for the answer.
    pub async fn reply(self, reply: &R) -> Result<()> {
        match self.0 {
            Asked::Shared(request) => request.reply(reply).await,
            Asked::Socket(request, ..) => request.reply(reply.bytes()).await,
        }
    }

    /// Answers it in parts.
    ///
    /// # Errors
    /// As [`blocking::Request::stream`].
    pub fn stream(self) -> Result<ReplyStream<Q, R>> {
        Ok(ReplyStream(match self.0 {
            Asked::Shared(request) => Going::Shared(request.stream()?),
            Asked::Socket(request, aside, _) => Going::Socket(request.stream()?, aside, PhantomData),
        }))
    }

    /// Tells the client that it failed, and why.
    ///
    /// # Cancel safety
    /// As [`reply`](Self::reply).
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub async fn fail(self, text: &str) -> Result<()> {
        self.fail_with(0, text).await
    }

    /// As [`fail`](Self::fail), with a number of the application's own, as [`blocking::Request::fail_with`].
    ///
    /// # Cancel safety
    /// As [`reply`](Self::reply).
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub async fn fail_with(self, code: u32, text: &str) -> Result<()> {
        match self.0 {
            Asked::Shared(request) => request.fail_with(code, text).await,
            Asked::Socket(request, ..) => request.fail_with(code, text).await,
        }
    }
}

fn time_left(request: &socket::Request) -> Option<Duration> {
    request.deadline().map(|at| at.saturating_duration_since(Instant::now()))
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Request<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("peer", &self.peer().map(|peer| peer.to_string()))
            .finish_non_exhaustive()
    }
}

enum Going<Q: Payload + ?Sized, R: Payload + ?Sized> {
    Shared(shared::ReplyStream<Q, R>),
    Socket(socket::ReplyStream, Q::Aside, PhantomData<fn(&R)>),
}

/// An answer in parts, for tokio: any number of [`send`](Self::send), then [`finish`](Self::finish) or [`fail`](Self::fail). Dropping
/// it before tells the client that the rest does not come. Otherwise as the blocking [`ReplyStream`](blocking::ReplyStream).
#[must_use = "an answer that is dropped tells the client that the rest does not come"]
pub struct ReplyStream<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(Going<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> ReplyStream<Q, R> {
    /// What the client sent.
    #[must_use]
    pub fn payload(&self) -> &Q {
        match &self.0 {
            Going::Shared(stream) => stream.payload(),
            Going::Socket(stream, aside, _) => Q::of(stream.request().payload(), aside),
        }
    }

    /// Who asks, where that is known.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match &self.0 {
            Going::Shared(_) => None,
            Going::Socket(stream, ..) => Some(stream.request().peer()),
        }
    }

    /// Whether the client does not want more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Going::Shared(stream) => stream.is_cancelled(),
            Going::Socket(stream, ..) => stream.is_cancelled(),
        }
    }

    /// Sends a part, waiting until the client takes it.
    ///
    /// # Cancel safety
    /// Safe: a part goes whole or not at all. If it was begun, its rest goes by itself.
    ///
    /// # Errors
    /// As [`blocking::ReplyStream::send`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O and time enabled.
    pub async fn send(&mut self, part: &R) -> Result<()> {
        match &mut self.0 {
            Going::Shared(stream) => stream.send(part).await,
            Going::Socket(stream, ..) => stream.send(part.bytes()).await,
        }
    }

    /// Tells the client that this was all. What it did not take yet it can still take.
    ///
    /// # Cancel safety
    /// As [`Request::reply`].
    ///
    /// # Errors
    /// As [`blocking::ReplyStream::finish`].
    pub async fn finish(self) -> Result<()> {
        match self.0 {
            Going::Shared(stream) => stream.finish(),
            Going::Socket(stream, ..) => stream.finish().await,
        }
    }

    /// Tells the client that the rest does not come, and why.
    ///
    /// # Cancel safety
    /// As [`Request::reply`].
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub async fn fail(self, text: &str) -> Result<()> {
        self.fail_with(0, text).await
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular.
    ///
    /// # Cancel safety
    /// As [`Request::reply`].
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub async fn fail_with(self, code: u32, text: &str) -> Result<()> {
        match self.0 {
            Going::Shared(stream) => stream.fail_with(code, text),
            Going::Socket(stream, ..) => stream.fail_with(code, text).await,
        }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for ReplyStream<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Going::Shared(stream) => stream.fmt(f),
            Going::Socket(stream, ..) => stream.fmt(f),
        }
    }
}
