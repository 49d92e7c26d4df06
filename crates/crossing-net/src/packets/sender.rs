//! Sending packets, from any thread.

use crate::link::{Link, until};
use crate::{Error, ErrorKind, Result};
use crossing_sys::file::Handle;
use crossing_sys::local::{LocalStream, MAX_HANDLES, Wait};
use crossing_sys::packet;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SEND: &str = "send to";

/// What sends on a [`PacketStream`](crate::PacketStream); clones send on the same connection, each packet whole
/// ([`PacketStream::sender`](crate::PacketStream::sender)).
#[derive(Debug, Clone)]
pub struct PacketSender(pub(super) Arc<Link>);

impl PacketSender {
    /// Sends a packet, waiting for room without end. An empty one is a packet too; programs that do not use Crossing may take
    /// it for the end.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when it is longer than the socket sends ([`longest`](Self::longest)),
    /// [`ErrorKind::Disconnected`] when the peer is gone, and those of the system. Nothing was sent then.
    pub fn send(&self, packet: &[u8]) -> Result<()> {
        self.send_deadline(packet, None)
    }

    /// Sends a packet if there is room for it; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, packet: &[u8]) -> Result<bool> {
        self.try_send_with_handles(packet, &[])
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_timeout(&self, packet: &[u8], timeout: Duration) -> Result<()> {
        self.send_deadline(packet, Instant::now().checked_add(timeout))
    }

    /// As [`send`](Self::send), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, packet: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.send_with_handles_deadline(packet, &[], deadline)
    }

    /// As [`send`](Self::send), with copies of `handles`: they arrive with the packet, and what they name stays open here too.
    ///
    /// How many the peer takes is its own choice: with more, the packet is lost there.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::ApiMisuse`] for more than 64 handles.
    pub fn send_with_handles(&self, packet: &[u8], handles: &[&Handle]) -> Result<()> {
        self.send_with_handles_deadline(packet, handles, None)
    }

    /// As [`send_with_handles`](Self::send_with_handles) if there is room; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`send_with_handles`](Self::send_with_handles).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_with_handles(&self, packet: &[u8], handles: &[&Handle]) -> Result<bool> {
        match self.put(packet, handles, Wait::Never) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`send_with_handles`](Self::send_with_handles), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send_with_handles`](Self::send_with_handles), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_with_handles_timeout(
        &self,
        packet: &[u8],
        handles: &[&Handle],
        timeout: Duration,
    ) -> Result<()> {
        self.send_with_handles_deadline(packet, handles, Instant::now().checked_add(timeout))
    }

    /// As [`send_with_handles`](Self::send_with_handles), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_with_handles_timeout`](Self::send_with_handles_timeout).
    pub fn send_with_handles_deadline(
        &self,
        packet: &[u8],
        handles: &[&Handle],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        self.put(packet, handles, until(deadline.into()))
    }

    /// The longest packet that this side sends, in bytes; a larger `send_buffer` raises it. The peer may accept less.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.0.local().map_or(0, packet::longest)
    }

    /// The socket; packets come about on local ones alone.
    pub(super) fn local(&self, operation: &'static str) -> Result<&LocalStream> {
        self.0.local().ok_or_else(|| self.0.fault(ErrorKind::Unsupported, operation))
    }

    fn put(&self, bytes: &[u8], handles: &[&Handle], wait: Wait) -> Result<()> {
        let local = self.local(SEND)?;
        if handles.len() > MAX_HANDLES {
            let detail = format!("{} handles, at most {MAX_HANDLES} go together", handles.len());
            return Err(self.0.fault(ErrorKind::ApiMisuse, SEND).detail(detail));
        }
        let parts = [IoSlice::new(bytes)];
        let sent = self.0.send_by(wait, |wait| packet::send(local, &parts, handles, wait));
        sent.map_err(|cause| {
            if !packet::is_too_long(&cause) {
                return self.0.error(cause, SEND);
            }
            let kind = ErrorKind::TooLarge { len: bytes.len() as u64, max: packet::longest(local) as u64 };
            Error::os(cause, SEND, self.0.name())
                .kinded(kind)
                .detail("the packet is longer than this socket sends")
                .fix("split the message, raise send_buffer, or use a stream for long messages")
        })
    }
}
