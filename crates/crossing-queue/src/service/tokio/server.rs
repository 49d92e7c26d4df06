//! The side that answers.

use super::super as blocking;
use super::super::server::{LIFE, Peer};
use super::super::{APPLICATION, DROPPED, FAILURE, HEAD, Head, REPLY, TOO_LARGE};
use super::{ReplyStream, before, room};
use crate::error::{SendError, TrySendError};
use crate::payload::Payload;
use crate::queue::Sender;
use crate::tokio::Watched;
use crossing_sys::{Error, ErrorKind, Result, ServiceError};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use zerocopy::IntoBytes;

/// A [`Server`](blocking::Server) for tokio. Any number of tasks may take requests at the same time, of one server or of its clones.
pub struct Server<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    // Dropped first.
    watched: Arc<Watched>,
    inner: blocking::Server<Q, R>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Server<Q, R> {
    fn clone(&self) -> Self {
        Self { watched: Arc::clone(&self.watched), inner: self.inner.clone() }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Server<Q, R> {
    /// Makes one of a server.
    ///
    /// # Errors
    /// As [`crate::Receiver::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn new(server: &blocking::Server<Q, R>) -> Result<Self> {
        let requests = &server.shared.requests;
        let watched = Watched::new(requests.poller()?, requests.endpoint())?;
        Ok(Self { watched: Arc::new(watched), inner: server.clone() })
    }

    /// The server that waits without tokio.
    #[must_use]
    pub fn blocking(&self) -> &blocking::Server<Q, R> {
        &self.inner
    }

    /// The name that it serves.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.name()
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
        let runtime = Handle::current();
        self.watched.until(|| self.next(&runtime).transpose()).await
    }

    /// Takes the next request if one waits.
    ///
    /// # Errors
    /// The operating system's.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub fn try_recv(&self) -> Result<Option<Request<Q, R>>> {
        self.next(&Handle::current())
    }

    /// Nobody who is refused is waited for here.
    fn next(&self, runtime: &Handle) -> Result<Option<Request<Q, R>>> {
        let request = self.inner.try_recv_patient(Duration::ZERO)?;
        Ok(request.map(|inner| Request { inner: Some(inner), runtime: runtime.clone() }))
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Server<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A request to be answered: [`reply`](Self::reply), [`stream`](Self::stream) or [`fail`](Self::fail). Dropping it tells the client
/// that there will be no answer.
pub struct Request<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    /// `None` only while it is consumed.
    inner: Option<blocking::Request<Q, R>>,
    runtime: Handle,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Request<Q, R> {
    fn inner(&self) -> &blocking::Request<Q, R> {
        match &self.inner {
            Some(inner) => inner,
            None => unreachable!("whoever takes it consumes the request"),
        }
    }

    /// What the client sent, in the memory where it wrote it.
    #[must_use]
    pub fn payload(&self) -> &Q {
        self.inner().payload()
    }

    /// How much time the client has left, if it said so.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.inner().time_left()
    }

    /// Whether the client does not want the answer any more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner().is_cancelled()
    }

    /// Waits until the client does not want the answer any more, or is gone: to stop working for it. Nobody is told of that in
    /// shared memory, so it looks fifty times a second.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn cancelled(&self) {
        while !self.is_cancelled() {
            tokio::time::sleep(LIFE).await;
        }
    }

    /// Whether the client takes the answer in parts: [`stream`](Self::stream). [`reply`](Self::reply) is one part then.
    #[must_use]
    pub fn takes_parts(&self) -> bool {
        self.inner().takes_parts()
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
    pub async fn reply(mut self, reply: &R) -> Result<()> {
        let result = self.say(REPLY, 0, 0, reply.bytes()).outcome().await;
        if matches!(&result, Err(error) if matches!(error.kind(), ErrorKind::TooLarge { .. })) {
            if let Some(inner) = &mut self.inner {
                inner.answered = false;
            }
            drop(self.say(FAILURE, TOO_LARGE, 0, &[]));
        }
        result
    }

    /// Answers it in parts.
    ///
    /// # Errors
    /// As [`blocking::Request::stream`].
    pub fn stream(mut self) -> Result<ReplyStream<Q, R>> {
        if !self.takes_parts() {
            let error = self.inner().fault(ErrorKind::Unsupported);
            drop(self.say(FAILURE, APPLICATION, 0, b"the answer comes in parts: ask with call_stream"));
            return Err(error
                .detail("the client awaits one reply")
                .fix("let the client ask with call_stream"));
        }
        match self.inner.take() {
            Some(inner) => Ok(ReplyStream::new(inner.stream()?)),
            None => unreachable!("whoever takes it consumes the request"),
        }
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
    pub async fn fail_with(mut self, code: u32, text: &str) -> Result<()> {
        let text = ServiceError::cut(text).as_bytes();
        self.say(FAILURE, APPLICATION, code.into(), text).outcome().await
    }

    /// Says the last that there is to say, at once or, if there is no room, by a task of its own.
    fn say(&mut self, what: u32, who: u32, number: u64, bytes: &[u8]) -> Saying {
        let Some(inner) = &mut self.inner else { return Saying::Done(Ok(())) };
        if inner.answered {
            return Saying::Done(Ok(()));
        }
        inner.answered = true;
        let Head { id, slot, .. } = inner.head;
        let words = Words {
            peer: Arc::clone(&inner.peer),
            sender: inner.sender().clone(),
            head: Head { what, who, id, number, slot, lane: 0 },
            service: Arc::clone(&inner.shared),
        };
        if let Some(said) = words.say(bytes) {
            return Saying::Done(said);
        }
        let bytes = bytes.to_vec();
        Saying::Later(self.runtime.spawn(async move {
            let patience = Instant::now().checked_add(words.service.slow);
            let saying = room(&words.sender, || words.say(&bytes));
            let slow =
                || Err(words.fault(ErrorKind::TimedOut).detail("the client does not take its replies"));
            before(patience, saying).await.unwrap_or_else(slow)
        }))
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Drop for Request<Q, R> {
    fn drop(&mut self) {
        drop(self.say(FAILURE, DROPPED, 0, &[]));
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Request<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The last words of a request, without the request.
struct Words {
    peer: Arc<Peer>,
    sender: Sender,
    head: Head,
    service: Arc<blocking::server::Shared>,
}

impl Words {
    fn fault(&self, kind: ErrorKind) -> Error {
        Error::new(kind, "reply", format!("shm:{}", self.service.name))
    }

    /// Says them, if there is room or nobody wants them; `None`: there is no room now.
    fn say(&self, bytes: &[u8]) -> Option<Result<()>> {
        if !self.peer.wants(self.head.slot, self.head.id) {
            return Some(Ok(()));
        }
        let mut loan = match self.sender.try_loan_slice(bytes.len() + HEAD) {
            Ok(loan) => loan,
            Err(TrySendError::Full) if !self.peer.owner.is_alive() => {
                return Some(Err(self.fault(ErrorKind::Disconnected).detail("the client is gone")));
            }
            Err(TrySendError::Full) => return None,
            Err(TrySendError::TooLarge { len, max }) => {
                let (len, max) = (len.saturating_sub(HEAD as u64), max.saturating_sub(HEAD as u64));
                let error = self.fault(ErrorKind::TooLarge { len, max });
                return Some(Err(error.fix("let the client have a larger max_reply_len")));
            }
            Err(TrySendError::Os(error)) => return Some(Err(error)),
        };
        loan[..HEAD].copy_from_slice(self.head.as_bytes());
        loan[HEAD..].copy_from_slice(bytes);
        Some(loan.send().map_err(|error| match error {
            SendError::Os(error) => error,
            error => self.fault(ErrorKind::Os).detail(error.to_string()),
        }))
    }
}

/// Words on their way to a client.
enum Saying {
    Done(Result<()>),
    /// There was no room; dropping this does not end it.
    Later(tokio::task::JoinHandle<Result<()>>),
}

impl Saying {
    async fn outcome(self) -> Result<()> {
        match self {
            Self::Done(result) => result,
            Self::Later(task) => task.await.unwrap_or_else(|_| {
                let error = Error::new(ErrorKind::Disconnected, "reply", "client");
                Err(error.detail("the runtime is ending"))
            }),
        }
    }
}
