//! Sending datagrams, from any thread.

use crate::link::until;
use crate::packets::whole_name;
use crate::{ErrorKind, Result, ToEndpoint};
use crossing_sys::local::Wait;
use crossing_sys::packet::{self, LocalDatagrams};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What sends from a [`Datagram`](crate::Datagram); clones send from the same socket
/// ([`Datagram::sender`](crate::Datagram::sender)).
#[derive(Debug, Clone)]
pub struct DatagramSender(Arc<LocalDatagrams>);

impl DatagramSender {
    pub(super) fn new(socket: LocalDatagrams) -> Self {
        Self(Arc::new(socket))
    }

    /// Whether this socket may send now, whatever the receiver has room for.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn has_room(&self) -> Result<bool> {
        let interest = crossing_sys::local::Ready { readable: false, writable: true };
        match crossing_sys::local::wait_ready(&*self.0, interest, Some(Instant::now())) {
            Ok(ready) => Ok(ready.writable),
            Err(cause) => Err(crate::Error::os(cause, "send from", "a socket of datagrams")),
        }
    }

    pub(crate) fn socket(&self) -> &LocalDatagrams {
        &self.0
    }

    /// Sends a datagram to whom the socket is connected to, waiting for room without end.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] when it is not connected, otherwise as [`send_to`](Self::send_to).
    pub fn send(&self, datagram: &[u8]) -> Result<()> {
        self.send_deadline(datagram, None)
    }

    /// As [`send`](Self::send) if there is room; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, datagram: &[u8]) -> Result<bool> {
        sent(self.0.send(datagram, Wait::Never))
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_timeout(&self, datagram: &[u8], timeout: Duration) -> Result<()> {
        self.send_deadline(datagram, Instant::now().checked_add(timeout))
    }

    /// As [`send`](Self::send), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, datagram: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.0.send(datagram, until(deadline.into()))
    }

    /// Sends a datagram to the socket at `endpoint`, waiting for room without end.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::ConnectionRefused`] when nobody receives there, [`ErrorKind::TooLarge`] when it
    /// is longer than this socket sends, [`ErrorKind::PermissionDenied`], also when the socket there is connected to another
    /// one, [`ErrorKind::Incompatible`] when it is of another type, [`ErrorKind::Unsupported`] on other endpoints than `unix:`,
    /// and those of the system. Nothing was sent then.
    pub fn send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<()> {
        self.send_to_deadline(endpoint, datagram, None)
    }

    /// As [`send_to`](Self::send_to) if there is room; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<bool> {
        sent(self.put(endpoint, datagram, Wait::Never))
    }

    /// As [`send_to`](Self::send_to), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_to_timeout<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        datagram: &[u8],
        timeout: Duration,
    ) -> Result<()> {
        self.send_to_deadline(endpoint, datagram, Instant::now().checked_add(timeout))
    }

    /// As [`send_to`](Self::send_to), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_to_timeout`](Self::send_to_timeout).
    pub fn send_to_deadline<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        datagram: &[u8],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        self.put(endpoint, datagram, until(deadline.into()))
    }

    fn put<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8], wait: Wait) -> Result<()> {
        let name = whole_name("send to", &endpoint.to_endpoint()?, packet::has_datagrams())?;
        self.0.send_to(&name, datagram, wait)
    }
}

fn sent(result: Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
