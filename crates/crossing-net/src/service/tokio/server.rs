//! The side that answers.

use super::super::now::at_once;
use super::super::server::{Connection, REPLY};
use super::{ReplyStream, before, until_done};
use crate::{Endpoint, Error, ErrorKind, Peer, Result, ServiceOptions, ToEndpoint};
use crossing_sys::ServiceError;
use crossing_sys::wakers::Place;
use crossing_wire::service::{Call as Message, Refusal};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::runtime::Handle;

/// A [`Server`](crate::Server) for tokio. Any number of tasks may take requests at the same time, of one server or of its clones;
/// it ends with the last of them. Dropping that waits for the thread that accepts, which ends at once unless the system is short of
/// files or memory.
///
/// Its clients' connections are read by tasks of the runtime of the first task that waits for a request, so that one must run; from then
/// on by threads, as those of [`crate::Server`], once requests are taken by threads or by tasks of another runtime as well. `tls:` is
/// read by threads.
///
/// # Platform-specific behavior
/// As [`crate::Server`], whose threads it has.
#[derive(Debug, Clone)]
pub struct Server {
    inner: crate::Server,
}

impl Server {
    /// Serves at `endpoint` with the usual options.
    ///
    /// # Errors
    /// As [`ServiceOptions::serve`].
    pub fn bind<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Ok(Self::from_blocking(ServiceOptions::default().serve(endpoint)?))
    }

    /// Makes one of a server that was made otherwise.
    #[must_use]
    pub fn from_blocking(server: crate::Server) -> Self {
        Self { inner: server }
    }

    /// The server that waits without tokio.
    #[must_use]
    pub fn blocking(&self) -> &crate::Server {
        &self.inner
    }

    /// Where it serves; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.inner.clients()
    }

    /// Takes the next request. Requests that were cancelled or whose time is over are passed over.
    ///
    /// # Cancel safety
    /// Safe: no request was taken.
    ///
    /// # Errors
    /// None so far.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub async fn recv(&self) -> Result<Request> {
        struct Waiting<'a>(&'a crate::Server, Place);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.leave_place(&mut self.1);
            }
        }
        // A server that always has a request leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let runtime = Handle::current();
        let mut waiting = Waiting(&self.inner, Place::default());
        poll_fn(|context| {
            let Waiting(server, place) = &mut waiting;
            loop {
                match server.recv_or_wait(&runtime, place, context.waker()) {
                    None => return Poll::Pending,
                    Some(next) => {
                        if let Some(request) = Request::timely(next, &runtime) {
                            return Poll::Ready(Ok(request));
                        }
                    }
                }
            }
        })
        .await
    }

    /// Takes the next request if one waits.
    ///
    /// # Errors
    /// None so far.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub fn try_recv(&self) -> Result<Option<Request>> {
        let runtime = Handle::current();
        while let Some(next) = self.inner.next() {
            if let Some(request) = Request::timely(next, &runtime) {
                return Ok(Some(request));
            }
        }
        Ok(None)
    }
}

/// A request to be answered: [`reply`](Self::reply), [`stream`](Self::stream) or [`fail`](Self::fail). Dropping it tells the client
/// that there will be no answer.
#[derive(Debug)]
pub struct Request {
    pub(super) inner: crate::Request,
    pub(super) runtime: Handle,
}

impl Request {
    /// `None`: it came too late, and its client is told so.
    fn timely((inner, late): (crate::Request, bool), runtime: &Handle) -> Option<Self> {
        let mut request = Self { inner, runtime: runtime.clone() };
        if !late {
            return Some(request);
        }
        drop(request.pass(|id| Message::Failure { id, refusal: Refusal::TimedOut, text: &[] }));
        None
    }

    /// What the client sent.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.inner.payload()
    }

    /// Who asks.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.inner.peer()
    }

    /// When the client gives up, if it said so.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    /// Whether the client does not want the answer any more, or is gone: as far as the system knows, though no other task has run.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        if !self.inner.is_cancelled() {
            // The task that reads may wait for this one to let go of the processor.
            self.inner.connection.read_now();
        }
        self.inner.is_cancelled()
    }

    /// Waits until the client does not want the answer any more, or is gone: to stop working for it.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    pub async fn cancelled(&self) {
        self.changed(false).await;
    }

    /// Until it is cancelled, or with `take` until a part may be sent.
    pub(super) async fn changed(&self, take: bool) {
        struct Waiting<'a>(&'a crate::Request, Place);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.ticket.leave_place(&mut self.1);
            }
        }
        let mut waiting = Waiting(&self.inner, Place::default());
        poll_fn(|context| {
            let Waiting(request, place) = &mut waiting;
            match request.ticket.changed_or_wait(take, place, context.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Whether the client takes the answer in parts: [`stream`](Self::stream). [`reply`](Self::reply) is one part then.
    #[must_use]
    pub fn takes_parts(&self) -> bool {
        self.inner.takes_parts()
    }

    /// Answers it. An answer that nobody wants any more is dropped.
    ///
    /// # Cancel safety
    /// Safe: once it was polled, the answer goes on by itself.
    ///
    /// # Errors
    /// As [`crate::Request::reply`].
    pub async fn reply(mut self, payload: &[u8]) -> Result<()> {
        self.finish(|id| Message::Reply { id, payload }).await
    }

    /// Answers it in parts.
    ///
    /// # Errors
    /// As [`crate::Request::stream`].
    pub fn stream(mut self) -> Result<ReplyStream> {
        if self.takes_parts() {
            return Ok(ReplyStream::new(self));
        }
        let error = Error::new(ErrorKind::Unsupported, REPLY, self.peer().to_string());
        let text = b"the answer comes in parts: ask with call_stream";
        drop(self.pass(|id| Message::Failure { id, refusal: Refusal::Application, text }));
        Err(error.detail("the client awaits one reply").fix("let the client ask with call_stream"))
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

    /// As [`fail`](Self::fail), with a number of the application's own, as [`crate::Request::fail_with`].
    ///
    /// # Cancel safety
    /// As [`reply`](Self::reply).
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub async fn fail_with(mut self, code: u32, text: &str) -> Result<()> {
        let text = ServiceError::cut(text).as_bytes();
        self.finish(|id| match code {
            0 => Message::Failure { id, refusal: Refusal::Application, text },
            code => Message::Error { id, code, text },
        })
        .await
    }

    /// Says the last that there is to say, unless that was done.
    pub(super) async fn finish<'a>(&mut self, message: impl FnOnce(u64) -> Message<'a>) -> Result<()> {
        let passing = self.pass(message);
        let result = passing.outcome().await;
        if matches!(&result, Err(error) if matches!(error.kind(), ErrorKind::TooLarge { .. })) {
            // Too long an answer is followed by the notice that there is none.
            let message = Message::Failure { id: self.inner.id, refusal: Refusal::Dropped, text: &[] };
            drop(pass(&self.inner.connection, &message, &self.runtime));
        }
        result
    }

    fn pass<'a>(&mut self, message: impl FnOnce(u64) -> Message<'a>) -> Passing {
        match self.inner.last_words(message) {
            Some(message) => pass(&self.inner.connection, &message, &self.runtime),
            None => Passing::Done(Ok(())),
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        drop(self.pass(|id| Message::Failure { id, refusal: Refusal::Dropped, text: &[] }));
    }
}

/// A frame on its way to a client.
pub(super) enum Passing {
    Done(Result<()>),
    /// There was no room; dropping this does not end it.
    Later(tokio::task::JoinHandle<Result<()>>),
}

impl Passing {
    pub(super) async fn outcome(self) -> Result<()> {
        match self {
            Self::Done(result) => result,
            Self::Later(task) => task.await.unwrap_or_else(|_| {
                let error = Error::new(ErrorKind::Disconnected, REPLY, "client");
                Err(error.detail("the runtime is ending"))
            }),
        }
    }
}

/// Passes a message on: at once, or if there is no room, by a task of its own.
pub(super) fn pass(connection: &Arc<Connection>, message: &Message<'_>, runtime: &Handle) -> Passing {
    let mut began = false;
    let (head, payload) = message.split();
    let at_first = try_pass(connection, (&head, payload), &mut began);
    if !matches!(at_first, Ok(false)) {
        return Passing::Done(told(connection, at_first.map(drop)));
    }
    // What began has been copied as far as it did not go.
    let mut frame = Vec::new();
    if !began {
        message.encode(&mut frame);
    }
    let connection = Arc::clone(connection);
    Passing::Later(runtime.spawn(async move {
        let patience = Instant::now().checked_add(connection.slow);
        let passing = until_done(&connection.link, || try_pass(&connection, (&[], &frame), &mut began));
        let result = before(patience, passing).await;
        let result = result.unwrap_or_else(|| Err(slow(&connection)));
        told(&connection, result)
    }))
}

/// Takes the frame, in two pieces, which `began` tells, and passes on the rest; `false`: there is no room now.
pub(super) fn try_pass(connection: &Connection, frame: (&[u8], &[u8]), began: &mut bool) -> Result<bool> {
    at_once(&connection.sender, |sender| {
        if !*began {
            *began = sender.try_send_two(frame)?;
        }
        Ok(*began && sender.try_flush()?)
    })
}

/// The error of a client that does not take what is sent.
pub(super) fn slow(connection: &Connection) -> Error {
    let error = Error::new(ErrorKind::TimedOut, REPLY, connection.peer.to_string());
    error.detail("the client does not read")
}

/// Cuts off a client that could not be told.
pub(super) fn told<T>(connection: &Connection, result: Result<T>) -> Result<T> {
    if result.as_ref().is_err_and(|error| !matches!(error.kind(), ErrorKind::TooLarge { .. })) {
        connection.cut_off();
    }
    result
}
