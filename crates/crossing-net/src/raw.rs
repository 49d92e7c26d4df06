//! Bare bytes, for peers that know nothing of Crossing.

use crate::link::{Link, Peer, until};
use crate::stream::{Settings, StreamOptions};
use crate::{ErrorKind, Result, ToEndpoint};
use crossing_sys::local::Wait;
use std::io;
use std::time::{Duration, Instant};

const READ: &str = "receive from";
const WRITE: &str = "send to";

/// How much [`RawStream::read_to_end`] asks the system for at once, in bytes.
const PIECE: usize = 64 << 10;

/// Stream options whose connections carry bare bytes.
#[derive(Debug, Clone)]
pub struct RawOptions(pub(crate) StreamOptions);

impl RawOptions {
    /// Connects to `endpoint`.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub fn connect<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<RawStream> {
        self.0.link(endpoint, None).map(|link| RawStream { link })
    }

    /// Connects to `endpoint` until `deadline` (`None`: as long as the connect timeout says).
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub fn connect_deadline<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<RawStream> {
        self.0.link(endpoint, deadline.into()).map(|link| RawStream { link })
    }
}

/// A connection that carries bytes as they are. Dropping it closes it.
///
/// Reading and writing need no exclusive access: one thread may read while another writes.
///
/// ```
/// use crossing_net::{Listener, Stream};
/// let listener = Listener::bind("tcp:127.0.0.1:0")?;
/// let client = Stream::options().raw().connect(listener.endpoint())?;
/// let (server, _peer) = listener.accept_raw()?;
/// client.write_all(b"hello")?;
/// client.shutdown_write()?;
/// assert_eq!(server.read_to_end(1024)?, b"hello");
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug)]
pub struct RawStream {
    link: Link,
}

impl RawStream {
    pub(crate) fn new(link: Link, _: &Settings) -> Self {
        Self { link }
    }

    /// Connects with the usual options until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub fn connect_deadline<E: ToEndpoint + ?Sized>(
        endpoint: &E,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<Self> {
        StreamOptions::default().raw().connect_deadline(endpoint, deadline)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Reads what has arrived already, for tokio.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        would_block(self.link.recv(buffer, Wait::Never))
    }

    /// Writes some of `bytes`, of which there are some, if hands were shaken and there is room, for tokio.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn write_now(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        if !self.link.shake_hands()? {
            return Ok(None);
        }
        would_block(self.link.send(bytes, Wait::Never))
    }

    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn write_error(&self, cause: io::Error) -> crate::Error {
        self.link.error(cause, WRITE)
    }

    /// Passes on what TLS holds back; `None` while there is no room, for tokio.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn flush_now(&self) -> Result<Option<()>> {
        self.link.flush().map(|all| all.then_some(())).map_err(|cause| self.write_error(cause))
    }

    /// Ends the direction; `None` while there is no room for what TLS says then, for tokio.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn end_now(&self) -> Result<Option<()>> {
        let ended = self.link.try_end_sending().map(|ended| ended.then_some(()));
        ended.map_err(|cause| self.link.error(cause, "end sending to"))
    }

    /// The error of more bytes than were wanted.
    pub(crate) fn too_much(&self, len: usize, max: usize) -> crate::Error {
        let kind = ErrorKind::TooLarge { len: len as u64, max: max as u64 };
        self.link.fault(kind, READ).detail("the peer sent more")
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when nobody is any more.
    pub fn peer(&self) -> Result<Peer> {
        self.link.peer().map_err(|cause| self.link.error(cause, "ask for the peer of"))
    }

    /// Reads what has arrived, at least one byte, waiting for it without end; 0 when the peer has ended its direction.
    /// What a peer sent at once comes at once if it has arrived whole and the buffer has room.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the connection was cut, and those of the system.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        self.read_wait(buffer, Wait::Forever)
    }

    /// Reads what has arrived already; `None` if nothing has.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        match self.link.recv(buffer, Wait::Never) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some).map_err(|cause| self.link.error(cause, READ)),
        }
    }

    /// As [`read`](Self::read), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`ErrorKind::TimedOut`].
    pub fn read_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        self.read_wait(buffer, Wait::at_most(timeout))
    }

    /// As [`read`](Self::read), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`ErrorKind::TimedOut`].
    pub fn read_deadline(&self, buffer: &mut [u8], deadline: impl Into<Option<Instant>>) -> Result<usize> {
        self.read_wait(buffer, until(deadline.into()))
    }

    /// Reads until the peer ends its direction, at most `max_len` bytes, waiting without end.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when more than that came, otherwise as [`read`](Self::read). What was read is lost then.
    pub fn read_to_end(&self, max_len: usize) -> Result<Vec<u8>> {
        self.read_to_end_deadline(max_len, None)
    }

    /// As [`read_to_end`](Self::read_to_end), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`read_to_end`](Self::read_to_end), and [`ErrorKind::TimedOut`].
    pub fn read_to_end_deadline(
        &self,
        max_len: usize,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<Vec<u8>> {
        let wait = until(deadline.into());
        let mut bytes = Vec::new();
        loop {
            let len = bytes.len();
            // One byte beyond the limit is room enough to see that there is more.
            let room = PIECE.min((max_len - len).saturating_add(1));
            bytes.resize(len + room, 0);
            let read = self.read_wait(&mut bytes[len..], wait)?;
            bytes.truncate(len + read);
            if read == 0 {
                return Ok(bytes);
            }
            if bytes.len() > max_len {
                return Err(self.too_much(bytes.len(), max_len));
            }
        }
    }

    /// Writes at least one of `bytes` if there is room already, and gives how many; 0 if there is none.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        match self.link.send(bytes, Wait::Never) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result.map_err(|cause| self.link.error(cause, WRITE)),
        }
    }

    /// Writes all of `bytes`, waiting for room without end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the peer is gone, and those of the system. Some of the bytes may have gone.
    pub fn write_all(&self, bytes: &[u8]) -> Result<()> {
        self.write_wait(bytes, Wait::Forever)
    }

    /// As [`write_all`](Self::write_all), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all), and [`ErrorKind::TimedOut`] with how many bytes went.
    pub fn write_all_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<()> {
        self.write_wait(bytes, Wait::at_most(timeout))
    }

    /// As [`write_all`](Self::write_all), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all), and [`ErrorKind::TimedOut`] with how many bytes went.
    pub fn write_all_deadline(&self, bytes: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.write_wait(bytes, until(deadline.into()))
    }

    /// Ends the direction to the peer, which reads what was written and then the end. Reading goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the connection is gone.
    pub fn shutdown_write(&self) -> Result<()> {
        self.link.end_sending().map_err(|cause| self.link.error(cause, "end sending to"))
    }

    fn read_wait(&self, buffer: &mut [u8], wait: Wait) -> Result<usize> {
        self.link.recv(buffer, wait).map_err(|cause| self.link.error(cause, READ))
    }

    fn write_wait(&self, bytes: &[u8], wait: Wait) -> Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match self.link.send(&bytes[written..], wait) {
                Ok(len) => written += len,
                Err(cause) => {
                    let detail = format!("{written} of {} bytes were written", bytes.len());
                    return Err(self.link.error(cause, WRITE).more_detail(detail));
                }
            }
        }
        Ok(())
    }
}

/// `None` where there is nothing now.
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

impl io::Read for RawStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.link.recv(buffer, Wait::Forever)
    }
}

impl io::Write for RawStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.link.send(bytes, Wait::Forever)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        // As many as systems take at once.
        self.link.send_vectored(&parts[..parts.len().min(64)], Wait::Forever)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
