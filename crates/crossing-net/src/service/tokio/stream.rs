//! An answer in parts, as its server makes it.

use super::super::server::REPLY;
use super::server::{Request, slow, told, try_pass};
use super::{before, until_done};
use crate::{Error, ErrorKind, Result};
use crossing_sys::CallError;
use crossing_wire::service::{Call as Message, Refusal};
use std::sync::Arc;
use std::time::Instant;

/// An answer in parts, for tokio: any number of [`send`](Self::send), then [`finish`](Self::finish) or [`fail`](Self::fail). Dropping
/// it before tells the client that the rest does not come. Otherwise as the blocking [`ReplyStream`](crate::ReplyStream).
#[derive(Debug)]
#[must_use = "an answer that is dropped tells the client that the rest does not come"]
pub struct ReplyStream {
    request: Request,
    /// The right to send a part that was taken, and whose part was not sent.
    credit: bool,
}

impl ReplyStream {
    pub(super) fn new(request: Request) -> Self {
        Self { request, credit: false }
    }

    /// The request that it answers.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether the client does not want more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Sends a part, waiting until the client takes it.
    ///
    /// # Cancel safety
    /// Safe: a part goes whole or not at all. If it was begun, its rest goes by itself.
    ///
    /// # Errors
    /// As [`crate::ReplyStream::send`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn send(&mut self, part: &[u8]) -> Result<()> {
        // A client that always takes more leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let deadline = self.request.deadline();
        if !self.credit {
            // Taken at the moment that this is ready, so nothing is lost if it is dropped before.
            let taken = before(deadline, self.request.changed(true)).await;
            if self.request.inner.is_cancelled() {
                let error = Error::of_call(CallError::Cancelled, REPLY, self.request.peer().to_string());
                return Err(error.detail("the client wants no more, or is gone"));
            }
            self.credit = taken.is_some();
        }
        if deadline.is_some_and(|at| at <= Instant::now()) || !self.credit {
            let late =
                self.request.finish(|id| Message::Failure { id, refusal: Refusal::TimedOut, text: &[] });
            let _ = late.await;
            return Err(Error::of_call(CallError::DeadlinePassed, REPLY, self.request.peer().to_string()));
        }
        let connection = Arc::clone(&self.request.inner.connection);
        let (head, payload) = Message::Part { id: self.request.inner.id, payload: part }.split();
        let mut rest = Rest { request: &self.request, began: false };
        let passing = until_done(&connection.link, || {
            let done = try_pass(&connection, (&head, payload), &mut rest.began);
            self.credit = !rest.began;
            done
        });
        let patience = Instant::now().checked_add(connection.slow);
        let result = before(patience, passing).await.unwrap_or_else(|| Err(slow(&connection)));
        // It went, or cannot any more.
        rest.began = false;
        told(&connection, result).map_err(|error| match error.kind() {
            ErrorKind::TooLarge { .. } => error,
            // It is cut off, or gone.
            _ => {
                self.request.inner.ticket.cancel();
                let over = Error::of_call(CallError::Cancelled, REPLY, self.request.peer().to_string());
                over.detail(error.to_string())
            }
        })
    }

    /// Tells the client that this was all.
    ///
    /// # Cancel safety
    /// As [`Request::reply`].
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub async fn finish(mut self) -> Result<()> {
        self.request.finish(|id| Message::End { id }).await
    }

    /// Tells the client that the rest does not come, and why.
    ///
    /// # Cancel safety
    /// As [`Request::reply`].
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub async fn fail(self, text: &str) -> Result<()> {
        self.request.fail(text).await
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular.
    ///
    /// # Cancel safety
    /// As [`Request::reply`].
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub async fn fail_with(self, code: u32, text: &str) -> Result<()> {
        self.request.fail_with(code, text).await
    }
}

/// The rest of a part that was begun and whose future was dropped.
struct Rest<'a> {
    request: &'a Request,
    began: bool,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.began {
            let connection = Arc::clone(&self.request.inner.connection);
            self.request.runtime.spawn(async move {
                let patience = Instant::now().checked_add(connection.slow);
                let passing = until_done(&connection.link, || try_pass(&connection, (&[], &[]), &mut true));
                let _ = told(
                    &connection,
                    before(patience, passing).await.unwrap_or_else(|| Err(slow(&connection))),
                );
            });
        }
    }
}
