//! Streams as tasks use them: each step is done at once, or not at all.

use super::{SEND, Stream};
use crate::Result;
use crate::link::Link;
use crossing_sys::file::Handle;
use crossing_sys::local::Wait;
use crossing_wire::Kind;
use std::io;
use std::sync::Arc;
use std::time::Instant;

impl Stream {
    pub(crate) fn shared_link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Takes the peer's introduction; `false` while it has not come.
    pub(crate) fn try_introduce(&mut self) -> Result<bool> {
        self.handshake(Wait::Never)
    }

    /// Whether the peer's introduction is awaited, and until when at most.
    pub(crate) fn awaits_introduction(&self) -> Option<Option<Instant>> {
        let introduced = self.introduced || self.decoder.peer().is_some();
        (!introduced).then_some(self.handshake_until)
    }

    /// Whether bytes of taken frames did not go yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.out.len() || !self.link.flush().unwrap_or(true)
    }

    /// Passes on what was taken before; `false` while there is no room.
    pub(crate) fn try_flush(&mut self) -> Result<bool> {
        if !self.flush_wait(Wait::Never)? {
            return Ok(false);
        }
        self.link.flush().map_err(|cause| self.link.error(cause, SEND))
    }

    /// Whether the next frame, or why there is none, is to be read first.
    pub(crate) fn needs_reading(&self) -> bool {
        !self.decoder.is_ready() && !self.decoder.ended()
    }

    /// Whether what the system has is all that there is to receive: nothing lies between it and the frames, as with TLS.
    pub(crate) fn is_plain(&self) -> bool {
        self.arrived.max() == 0 && !self.link.is_tls()
    }

    /// Whether the last read took all that the system had; it is forgotten.
    pub(crate) fn take_drained(&mut self) -> bool {
        std::mem::take(&mut self.drained)
    }

    /// Reads until a frame (or an error) is ready; `false` when there is nothing more to read now.
    pub(crate) fn try_fill(&mut self) -> Result<bool> {
        self.fill_until_ready(Wait::Never)
    }

    /// What [`try_fill`](Self::try_fill) made ready.
    pub(crate) fn ready_frame(&mut self) -> Result<&[u8]> {
        self.take()
    }

    /// As [`ready_frame`](Self::ready_frame), with its handles.
    pub(crate) fn ready_frame_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        self.take_with_handles()
    }

    /// Takes the end of sending; `false` while there is no room.
    pub(crate) fn try_end_sending(&mut self) -> Result<bool> {
        if self.send_ended {
            return Ok(true);
        }
        if !self.send_wait_kind(Kind::End, &[], Wait::Never)? {
            return Ok(false);
        }
        self.send_ended = true;
        Ok(true)
    }

    /// Ends the direction of the connection, after everything went; `false` while there is no room for what TLS says then.
    pub(crate) fn try_end_direction(&self) -> Result<bool> {
        match self.link.try_end_sending() {
            // As in `end_sending_wait`.
            Err(cause) if cause.kind() == io::ErrorKind::NotConnected => Ok(true),
            other => other.map_err(|cause| self.link.error(cause, "end sending to")),
        }
    }
}
