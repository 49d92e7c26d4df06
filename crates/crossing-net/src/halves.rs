//! The two halves of a stream.

use crate::{Result, Stream};
use std::time::{Duration, Instant};

/// The half of a [`Stream`] that sends; made by [`Stream::split`].
#[derive(Debug)]
pub struct SendHalf(pub(crate) Stream);

/// The half of a [`Stream`] that receives; made by [`Stream::split`].
#[derive(Debug)]
pub struct RecvHalf(pub(crate) Stream);

impl SendHalf {
    /// As [`Stream::send`].
    ///
    /// # Errors
    /// As [`Stream::send`].
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.0.send(frame)
    }

    /// As [`Stream::try_send`].
    ///
    /// # Errors
    /// As [`Stream::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, frame: &[u8]) -> Result<bool> {
        self.0.try_send(frame)
    }

    /// As [`Stream::send_timeout`].
    ///
    /// # Errors
    /// As [`Stream::send_timeout`].
    pub fn send_timeout(&mut self, frame: &[u8], timeout: Duration) -> Result<()> {
        self.0.send_timeout(frame, timeout)
    }

    /// As [`Stream::send_deadline`].
    ///
    /// # Errors
    /// As [`Stream::send_deadline`].
    pub fn send_deadline(&mut self, frame: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.0.send_deadline(frame, deadline)
    }

    /// As [`Stream::send_many`].
    ///
    /// # Errors
    /// As [`Stream::send_many`].
    pub fn send_many<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<()> {
        self.0.send_many(frames)
    }

    /// As [`Stream::flush_deadline`].
    ///
    /// # Errors
    /// As [`Stream::flush_deadline`].
    pub fn flush_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.0.flush_deadline(deadline)
    }

    /// As [`Stream::end_sending`].
    ///
    /// # Errors
    /// As [`Stream::end_sending`].
    pub fn end_sending(&mut self) -> Result<()> {
        self.0.end_sending()
    }

    /// Ends the connection of both halves so that the peer gets everything that was sent, as [`Stream::close`]: what the peer still
    /// sends is dropped.
    ///
    /// # Errors
    /// As [`Stream::close`].
    pub fn close(self, receiving: RecvHalf) -> Result<()> {
        let closed = self.0.close();
        drop(receiving);
        closed
    }
}

impl RecvHalf {
    /// As [`Stream::recv`].
    ///
    /// # Errors
    /// As [`Stream::recv`].
    pub fn recv(&mut self) -> Result<&[u8]> {
        self.0.recv()
    }

    /// As [`Stream::try_recv`].
    ///
    /// # Errors
    /// As [`Stream::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        self.0.try_recv()
    }

    /// As [`Stream::recv_timeout`].
    ///
    /// # Errors
    /// As [`Stream::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<&[u8]> {
        self.0.recv_timeout(timeout)
    }

    /// As [`Stream::recv_deadline`].
    ///
    /// # Errors
    /// As [`Stream::recv_deadline`].
    pub fn recv_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<&[u8]> {
        self.0.recv_deadline(deadline)
    }

    /// As [`Stream::peer_ended`].
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.0.peer_ended()
    }
}
