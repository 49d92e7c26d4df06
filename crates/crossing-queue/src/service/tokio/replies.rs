//! An answer that comes in parts, as its client sees it.

use super::super as blocking;
use super::super::client::Reply;
use super::before;
use crate::payload::Payload;
use crate::tokio::Watched;
use crossing_sys::Result;
use std::fmt;

/// An answer that comes in parts, for tokio: each is received by itself, in the memory where the server wrote it; `None` is the end.
/// Dropping it before tells the server that no more is wanted. Otherwise as the blocking [`Replies`](blocking::Replies).
#[must_use = "an answer that is dropped is cancelled"]
pub struct Replies<R: Payload + ?Sized = [u8]> {
    // Dropped first.
    watched: Option<Watched>,
    inner: blocking::Replies<R>,
}

impl<R: Payload + ?Sized> Replies<R> {
    pub(super) fn new(inner: blocking::Replies<R>) -> Self {
        Self { watched: None, inner }
    }

    /// Receives the next part, waiting for it until the deadline of the call; `None`: that was all.
    ///
    /// # Cancel safety
    /// Safe: no part was taken.
    ///
    /// # Errors
    /// As [`blocking::Replies::recv`]; as [`crate::Receiver::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O and time enabled.
    pub async fn recv(&mut self) -> Result<Option<Reply<R>>> {
        // Parts that are always there leave the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let Self { watched, inner } = self;
        loop {
            if let Some(next) = inner.try_next() {
                return next;
            }
            let watched = match watched {
                Some(watched) => watched,
                None => match inner.poller() {
                    Some(poller) => watched.insert(Watched::new(poller?, "parts")?),
                    None => continue,
                },
            };
            if let Some(next) = before(inner.call_deadline(), watched.until(|| inner.try_next())).await {
                return next;
            }
            // The time of the call is over, which the next look tells.
        }
    }

    /// Receives the next part if it is there.
    ///
    /// # Errors
    /// As [`blocking::Replies::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<Reply<R>>> {
        self.inner.try_recv()
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Replies<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
