//! Handles of the operating system that go with frames, and the process at the other end of a stream.

use super::{PeerProcess, RecvHalf, SendHalf, Stream};
use crate::{Handle, Result};
use tokio::io::Interest;

impl Stream {
    /// Sends a frame with copies of `handles`, as [`crate::Stream::send_with_handles`]: it is ready when the system took all
    /// of it.
    ///
    /// # Cancel safety
    /// Safe: the frame goes whole and with its handles, or not at all. If it was begun, all handles went with its first byte,
    /// and its rest goes with the following calls of any kind ([`flush`](Self::flush) does nothing else).
    ///
    /// # Errors
    /// As [`crate::Stream::send_with_handles`].
    pub async fn send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<()> {
        self.attempt(Interest::WRITABLE, |stream| stream.try_send_with_handles(frame, handles)).await?;
        self.flush().await
    }

    /// As [`send_with_handles`](Self::send_with_handles) if there is room for the frame's beginning now; `false` if not, and
    /// nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Stream::try_send_with_handles`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<bool> {
        let Self { inner, watched, .. } = self;
        watched.get_ref().with(|| inner.try_send_with_handles(frame, handles))
    }

    /// Receives the next frame with the handles that came with it, as [`crate::Stream::recv_with_handles`].
    /// [`recv`](Self::recv) closes them.
    ///
    /// # Cancel safety
    /// Safe: what has arrived is kept, and no frame and no handle is lost.
    ///
    /// # Errors
    /// As [`crate::Stream::recv_with_handles`].
    pub async fn recv_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        self.attempt(Interest::READABLE, crate::Stream::try_fill).await?;
        self.inner.ready_frame_with_handles()
    }

    /// As [`recv_with_handles`](Self::recv_with_handles) if a frame has arrived whole; `None` if not.
    ///
    /// # Errors
    /// As [`crate::Stream::try_recv_with_handles`].
    pub fn try_recv_with_handles(&mut self) -> Result<Option<(&[u8], Vec<Handle>)>> {
        let Self { inner, watched, .. } = self;
        watched.get_ref().with(|| inner.try_recv_with_handles())
    }

    /// The process at the other end, to wait for its death. Over local sockets alone.
    ///
    /// # Errors
    /// As [`crate::Stream::peer_process`].
    pub fn peer_process(&self) -> Result<PeerProcess> {
        PeerProcess::from_blocking(self.inner.peer_process()?)
    }
}

impl SendHalf {
    /// As [`Stream::send_with_handles`].
    ///
    /// # Cancel safety
    /// As [`Stream::send_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::send_with_handles`].
    pub async fn send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<()> {
        self.0.send_with_handles(frame, handles).await
    }

    /// As [`Stream::try_send_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::try_send_with_handles`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<bool> {
        self.0.try_send_with_handles(frame, handles)
    }
}

impl RecvHalf {
    /// As [`Stream::recv_with_handles`].
    ///
    /// # Cancel safety
    /// As [`Stream::recv_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::recv_with_handles`].
    pub async fn recv_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        self.0.recv_with_handles().await
    }

    /// As [`Stream::try_recv_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::try_recv_with_handles`].
    pub fn try_recv_with_handles(&mut self) -> Result<Option<(&[u8], Vec<Handle>)>> {
        self.0.try_recv_with_handles()
    }
}
