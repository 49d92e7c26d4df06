//! An answer in parts, as its server makes it.

use super::super as blocking;
use super::room;
use crate::payload::Payload;
use crossing_sys::Result;
use std::fmt;

/// An answer in parts, for tokio: any number of [`send`](Self::send), then [`finish`](Self::finish) or [`fail`](Self::fail), which
/// never wait. Dropping it before tells the client that the rest does not come. Otherwise as the blocking
/// [`ReplyStream`](blocking::ReplyStream).
#[must_use = "an answer that is dropped tells the client that the rest does not come"]
pub struct ReplyStream<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    inner: blocking::ReplyStream<Q, R>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> ReplyStream<Q, R> {
    pub(super) fn new(inner: blocking::ReplyStream<Q, R>) -> Self {
        Self { inner }
    }

    /// What the client sent, in the memory where it wrote it.
    #[must_use]
    pub fn payload(&self) -> &Q {
        self.inner.request().payload()
    }

    /// Whether the client does not want more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    /// Sends a part, waiting for a place.
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`blocking::ReplyStream::send`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O and time enabled.
    pub async fn send(&mut self, part: &R) -> Result<()> {
        // A client that always has a place leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let (lane, inner) = (self.inner.lane.clone(), &mut self.inner);
        // Looks ten times a second at least, so that a client that is gone, and the end of its time, are noticed.
        room(&lane, || match inner.try_send(part) {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
        .await
    }

    /// Sends a part if there is a place for it now; `false` if there is none.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, part: &R) -> Result<bool> {
        self.inner.try_send(part)
    }

    /// Tells the client that this was all.
    ///
    /// # Errors
    /// As [`blocking::ReplyStream::finish`].
    pub fn finish(self) -> Result<()> {
        self.inner.finish()
    }

    /// Tells the client that the rest does not come, and why.
    ///
    /// # Errors
    /// As [`blocking::ReplyStream::fail`].
    pub fn fail(self, text: &str) -> Result<()> {
        self.inner.fail(text)
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular.
    ///
    /// # Errors
    /// As [`blocking::ReplyStream::fail`].
    pub fn fail_with(self, code: u32, text: &str) -> Result<()> {
        self.inner.fail_with(code, text)
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for ReplyStream<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
