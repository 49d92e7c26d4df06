//! The two halves of a stream.

use super::Stream;
use crate::Result;

/// The half of a [`Stream`] that sends; made by [`Stream::split`].
#[derive(Debug)]
pub struct SendHalf(pub(super) Stream);

/// The half of a [`Stream`] that receives; made by [`Stream::split`].
#[derive(Debug)]
pub struct RecvHalf(pub(super) Stream);

impl SendHalf {
    /// As [`Stream::send`].
    ///
    /// # Cancel safety
    /// As [`Stream::send`].
    ///
    /// # Errors
    /// As [`Stream::send`].
    pub async fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.0.send(frame).await
    }

    /// As [`Stream::send_vectored`].
    ///
    /// # Cancel safety
    /// As [`Stream::send`].
    ///
    /// # Errors
    /// As [`Stream::send`].
    pub async fn send_vectored(&mut self, parts: &[std::io::IoSlice<'_>]) -> Result<()> {
        self.0.send_vectored(parts).await
    }

    /// As [`Stream::try_send`].
    ///
    /// # Errors
    /// As [`Stream::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, frame: &[u8]) -> Result<bool> {
        self.0.try_send(frame)
    }

    /// As [`Stream::send_many`].
    ///
    /// # Cancel safety
    /// As [`Stream::send_many`].
    ///
    /// # Errors
    /// As [`Stream::send_many`].
    pub async fn send_many<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<()> {
        self.0.send_many(frames).await
    }

    /// As [`Stream::send_some`].
    ///
    /// # Cancel safety
    /// As [`Stream::send_some`].
    ///
    /// # Errors
    /// As [`Stream::send_some`].
    #[must_use = "the frames beyond that number were not sent"]
    pub async fn send_some<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<usize> {
        self.0.send_some(frames).await
    }

    /// As [`Stream::flush`].
    ///
    /// # Cancel safety
    /// As [`Stream::flush`].
    ///
    /// # Errors
    /// As [`Stream::flush`].
    pub async fn flush(&mut self) -> Result<()> {
        self.0.flush().await
    }

    /// As [`Stream::end_sending`].
    ///
    /// # Cancel safety
    /// As [`Stream::end_sending`].
    ///
    /// # Errors
    /// As [`Stream::end_sending`].
    pub async fn end_sending(&mut self) -> Result<()> {
        self.0.end_sending().await
    }
}

impl RecvHalf {
    /// As [`Stream::recv`].
    ///
    /// # Cancel safety
    /// As [`Stream::recv`].
    ///
    /// # Errors
    /// As [`Stream::recv`].
    pub async fn recv(&mut self) -> Result<&[u8]> {
        self.0.recv().await
    }

    /// As [`Stream::try_recv`].
    ///
    /// # Errors
    /// As [`Stream::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        self.0.try_recv()
    }

    /// As [`Stream::peer_ended`].
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.0.peer_ended()
    }
}
