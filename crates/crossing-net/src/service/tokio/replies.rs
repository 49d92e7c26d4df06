//! An answer that comes in parts, as its client sees it.

use super::super::replies::Parts;
use super::client::Entered;
use super::reading::Waits;
use super::{before, writable};
use crate::Result;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// An answer that comes in parts, for tokio: each is received by itself, `None` is the end. Dropping it before tells the server
/// that no more is wanted. Otherwise as the blocking [`Replies`](crate::Replies).
#[derive(Debug)]
#[must_use = "an answer that is dropped is cancelled"]
pub struct Replies {
    // Dropped first: it tells the server without waiting, and the other one finds it done.
    entered: Entered,
    inner: crate::Replies,
}

impl Replies {
    pub(super) fn new(entered: Entered, parts: Arc<Parts>, window: u16, deadline: Option<Instant>) -> Self {
        let inner = crate::Replies::new(Arc::clone(&entered.shared), parts, entered.id, window, deadline);
        Self { entered, inner }
    }

    /// Receives the next part, waiting for it until the deadline of the call; `None`: that was all.
    ///
    /// # Cancel safety
    /// Safe: no part was taken.
    ///
    /// # Errors
    /// As [`crate::Replies::recv`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn recv(&mut self) -> Result<Option<Vec<u8>>> {
        // Parts that are always there leave the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let deadline = self.inner.call_deadline();
        match before(deadline, self.next()).await {
            Some(next) => next,
            None => Err(self.inner.expire()),
        }
    }

    /// Receives the next part if it is there.
    ///
    /// # Errors
    /// As [`crate::Replies::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<Vec<u8>>> {
        self.inner.try_recv()
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            // The server may wait for what is granted, so that goes before this waits; what came meanwhile is taken first.
            let owes = self.inner.owes();
            let mut waits = Waits::new(&self.entered.shared);
            let next = poll_fn(|context| match self.inner.recv_or_wait(context.waker()) {
                Some(next) => Poll::Ready(Some(next)),
                None if owes => Poll::Ready(None),
                None => waits.pending(),
            });
            if let Some(next) = next.await {
                return next;
            }
            self.inner.try_grant()?;
            if self.inner.owes() {
                let link = Arc::clone(&self.inner.connection().0.link);
                writable(&link).await?;
            }
        }
    }
}
