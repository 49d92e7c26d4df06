//! Sockets of datagrams: each message goes by itself, whole, to whoever has a name on this machine.

mod sender;

pub use sender::DatagramSender;

use crate::allow::{Allow, Door};
use crate::link::until;
use crate::packets::whole_name;
use crate::{Access, Credentials, Endpoint, Error, ErrorKind, Result, ToEndpoint};
use crossing_sys::local::{self, Owner, Tuning, Wait};
use crossing_sys::packet::{self, LocalDatagrams};
use std::io;
use std::time::{Duration, Instant};

const BIND: &str = "listen on";
const RECV: &str = "receive from";

/// The longest datagram to receive unless set, in bytes; longer than systems send unless told.
const DEFAULT_MAX_DATAGRAM_LEN: usize = 256 << 10;

/// How to make a socket of datagrams. Reusable.
#[derive(Debug, Clone)]
pub struct DatagramOptions {
    access: Access,
    owner: Owner,
    max_datagram_len: usize,
    tuning: Tuning,
    allowed: Vec<Allow>,
}

impl Default for DatagramOptions {
    fn default() -> Self {
        Self {
            access: Access::Private,
            owner: Owner::default(),
            max_datagram_len: DEFAULT_MAX_DATAGRAM_LEN,
            tuning: Tuning::default(),
            allowed: Vec::new(),
        }
    }
}

impl DatagramOptions {
    /// The longest datagram to receive, in bytes; 256 KiB unless set. So much memory is kept; a longer one is lost and told
    /// ([`ErrorKind::TooLarge`]).
    pub fn max_datagram_len(&mut self, bytes: usize) -> &mut Self {
        self.max_datagram_len = bytes;
        self
    }

    /// Who may send to the socket; only this user unless set.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.access = access;
        self
    }

    /// To which user id and group id the socket's file is given (`None`: this process's), as
    /// [`ListenerOptions::owner`](crate::ListenerOptions::owner).
    pub fn owner(&mut self, user: impl Into<Option<u32>>, group: impl Into<Option<u32>>) -> &mut Self {
        self.owner = Owner { user: user.into(), group: group.into() };
        self
    }

    /// Receives from whom `allowed` says, of those whom [`access`](Self::access) lets in; called again, from whom it says as
    /// well. Datagrams of all others are dropped and counted ([`Datagram::refused_datagrams`]).
    ///
    /// # Platform-specific behavior
    /// Linux: by the credentials that the kernel adds to each datagram. macOS and FreeBSD: the system does not say who sent one,
    /// so nobody is allowed.
    pub fn allow(&mut self, allowed: Allow) -> &mut Self {
        self.allowed.push(allowed);
        self
    }

    /// How much the system holds that was sent and not delivered, in bytes; it bounds the length of a datagram.
    ///
    /// # Platform-specific behavior
    /// Linux: twice as much, at most what `net.core.wmem_max` allows.
    pub fn send_buffer(&mut self, bytes: usize) -> &mut Self {
        self.tuning.send_buffer = Some(bytes);
        self
    }

    /// How much the system holds that arrived and was not received, in bytes.
    ///
    /// # Platform-specific behavior
    /// Linux: without effect on Unix sockets, which count the sender's buffer. As [`send_buffer`](Self::send_buffer) otherwise.
    pub fn recv_buffer(&mut self, bytes: usize) -> &mut Self {
        self.tuning.recv_buffer = Some(bytes);
        self
    }

    /// Receives at `endpoint`, `unix:PATH` or `unix:@NAME`. A stale socket file is replaced, a live one never.
    ///
    /// # Errors
    /// [`ErrorKind::AddressInUse`], [`ErrorKind::NotFound`] (directory), [`ErrorKind::PermissionDenied`],
    /// [`ErrorKind::AlreadyExists`] (a file that is no socket), [`ErrorKind::Unsupported`] on other endpoints and on systems
    /// that have no such sockets, [`ErrorKind::ApiMisuse`] for text that is no endpoint.
    ///
    /// # Platform-specific behavior
    /// Unix: SOCK_DGRAM of unix(7). Windows: [`ErrorKind::Unsupported`].
    pub fn bind<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<Datagram> {
        let endpoint = endpoint.to_endpoint()?;
        let name = whole_name(BIND, &endpoint, packet::has_datagrams())?;
        let socket = LocalDatagrams::bind(&name, self.access, self.owner)?;
        self.make(socket, endpoint)
    }

    /// A socket that sends to `endpoint` and receives from there alone. It has no name of its own, but can be answered where the
    /// system gives it one.
    ///
    /// When another socket takes the name, this one stays with the old one: sending is [`ErrorKind::ConnectionRefused`] then;
    /// connect again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::ConnectionRefused`] when nobody receives there,
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::Incompatible`] when the socket there is of another type, otherwise as
    /// [`bind`](Self::bind).
    ///
    /// # Platform-specific behavior
    /// Linux: the kernel gives it an abstract name. macOS and FreeBSD: it has none, and cannot be answered. Windows:
    /// [`ErrorKind::Unsupported`].
    pub fn connect<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<Datagram> {
        let endpoint = endpoint.to_endpoint()?;
        let name = whole_name("connect to", &endpoint, packet::has_datagrams())?;
        self.make(LocalDatagrams::connect(&name)?, endpoint)
    }

    fn make(&self, socket: LocalDatagrams, endpoint: Endpoint) -> Result<Datagram> {
        let name = endpoint.to_string();
        local::tune(&socket, &self.tuning)
            .map_err(|cause| Error::os(cause, "set the socket options of", name.clone()))?;
        Ok(Datagram {
            sender: DatagramSender::new(socket),
            endpoint,
            buffer: Vec::new(),
            max_datagram_len: self.max_datagram_len,
            door: Door::new(&self.allowed),
        })
    }
}

/// Who sent a datagram, as the kernel saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// Where it can be answered; `None` when the sender has no name.
    pub endpoint: Option<Endpoint>,
    /// The process that sent it.
    ///
    /// # Platform-specific behavior
    /// Linux: always there. macOS and FreeBSD: `None`, the system does not say.
    pub credentials: Option<Credentials>,
}

/// A socket of datagrams on this machine: no connections, messages whole, in order from each sender, none lost while the
/// receiver lives: who sends waits for room. Dropping it removes its file.
///
/// ```
/// # if !cfg!(unix) { return Ok(()); }
/// use crossing_net::Datagram;
/// let directory = std::env::temp_dir().display().to_string();
/// let [server, client] = ["server", "client"]
///     .map(|name| format!("unix:{directory}/doc-datagram-{}-{name}", std::process::id()));
/// let mut server = Datagram::options().bind(&server)?;
/// let mut client = Datagram::options().bind(&client)?;
/// client.send_to(server.endpoint(), b"question")?;
/// let (question, origin) = server.recv_from()?;
/// assert_eq!(question, b"question");
/// server.send_to(&origin.endpoint.expect("the client has a name"), b"answer")?;
/// assert_eq!(client.recv()?, b"answer");
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug)]
pub struct Datagram {
    sender: DatagramSender,
    /// Its own, or that of whom it is connected to.
    endpoint: Endpoint,
    buffer: Vec<u8>,
    max_datagram_len: usize,
    door: Door,
}

impl Datagram {
    /// Options, to be ended by [`bind`](DatagramOptions::bind) or [`connect`](DatagramOptions::connect).
    #[must_use]
    pub fn options() -> DatagramOptions {
        DatagramOptions::default()
    }

    /// Where it receives, or to whom it is connected.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What sends from this socket, to be cloned for other threads; the socket closes when it and this are dropped.
    #[must_use]
    pub fn sender(&self) -> &DatagramSender {
        &self.sender
    }

    /// How many datagrams were dropped because their sender may not send ([`allow`](DatagramOptions::allow); on names without
    /// a file [`access`](DatagramOptions::access) too).
    #[must_use]
    pub fn refused_datagrams(&self) -> u64 {
        self.sender.socket().refused() + self.door.refused()
    }

    /// Sends a datagram to whom this socket is connected to, waiting for room without end.
    ///
    /// # Errors
    /// As [`DatagramSender::send`].
    pub fn send(&self, datagram: &[u8]) -> Result<()> {
        self.sender.send(datagram)
    }

    /// As [`send`](Self::send) if there is room; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`DatagramSender::send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, datagram: &[u8]) -> Result<bool> {
        self.sender.try_send(datagram)
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`DatagramSender::send`], and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_timeout(&self, datagram: &[u8], timeout: Duration) -> Result<()> {
        self.sender.send_timeout(datagram, timeout)
    }

    /// As [`send`](Self::send), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`DatagramSender::send`], and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_deadline(&self, datagram: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.sender.send_deadline(datagram, deadline)
    }

    /// Sends a datagram to the socket at `endpoint`, waiting for room without end.
    ///
    /// # Errors
    /// As [`DatagramSender::send_to`].
    pub fn send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<()> {
        self.sender.send_to(endpoint, datagram)
    }

    /// As [`send_to`](Self::send_to) if there is room; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`DatagramSender::send_to`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<bool> {
        self.sender.try_send_to(endpoint, datagram)
    }

    /// As [`send_to`](Self::send_to), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`DatagramSender::send_to`], and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_to_timeout<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        datagram: &[u8],
        timeout: Duration,
    ) -> Result<()> {
        self.sender.send_to_timeout(endpoint, datagram, timeout)
    }

    /// As [`send_to`](Self::send_to), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`DatagramSender::send_to`], and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_to_deadline<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        datagram: &[u8],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        self.sender.send_to_deadline(endpoint, datagram, deadline)
    }

    /// Receives the next datagram, waiting for it without end. It is lent until the next call; handles that came with it are
    /// closed. Nothing tells that a sender is gone.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when one was longer than this side accepts: it is lost, and the next one can be received. Those of
    /// the system.
    pub fn recv(&mut self) -> Result<&[u8]> {
        self.recv_deadline(None)
    }

    /// Receives the next datagram if it has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.try_recv_from()?.map(|(datagram, _)| datagram))
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<&[u8]> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    pub fn recv_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<&[u8]> {
        self.recv_from_deadline(deadline).map(|(datagram, _)| datagram)
    }

    /// As [`recv`](Self::recv), and who sent it.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_from(&mut self) -> Result<(&[u8], Origin)> {
        self.recv_from_deadline(None)
    }

    /// As [`recv_from`](Self::recv_from) if a datagram has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv_from(&mut self) -> Result<Option<(&[u8], Origin)>> {
        Ok(self.try_take()?.map(|(len, origin)| (self.taken(len), origin)))
    }

    /// As [`recv_from`](Self::recv_from), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    pub fn recv_from_timeout(&mut self, timeout: Duration) -> Result<(&[u8], Origin)> {
        self.recv_from_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv_from`](Self::recv_from), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    pub fn recv_from_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<(&[u8], Origin)> {
        let (len, origin) = self.take(until(deadline.into()))?;
        Ok((&self.buffer[..len], origin))
    }

    /// Receives a datagram into the buffer, and gives its length and who sent it; `None` when none has arrived.
    pub(crate) fn try_take(&mut self) -> Result<Option<(usize, Origin)>> {
        match self.take(Wait::Never) {
            Ok(taken) => Ok(Some(taken)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The datagram of that length that was received last.
    pub(crate) fn taken(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }

    /// Receives a datagram of somebody who may send into the buffer.
    fn take(&mut self, wait: Wait) -> Result<(usize, Origin)> {
        self.buffer.resize(self.max_datagram_len, 0);
        let failed = |cause| Error::os(cause, RECV, self.endpoint.to_string());
        loop {
            let (len, origin) = self.sender.socket().recv_from(&mut self.buffer, wait).map_err(failed)?;
            if !self.door.admits(origin.credentials.as_ref(), Vec::new) {
                match wait {
                    // Strangers must not keep the caller here beyond its time.
                    Wait::Until(at) if Instant::now() >= at => {
                        return Err(failed(io::ErrorKind::TimedOut.into()));
                    }
                    _ => continue,
                }
            }
            if len > self.buffer.len() {
                let kind = ErrorKind::TooLarge { len: len as u64, max: self.buffer.len() as u64 };
                return Err(Error::new(kind, RECV, self.endpoint.to_string())
                    .detail("a longer datagram came, which is lost")
                    .fix("raise max_datagram_len on this side"));
            }
            let endpoint = origin.name.map(Endpoint::Unix);
            return Ok((len, Origin { endpoint, credentials: origin.credentials }));
        }
    }
}

/// For waiting: readable means that [`try_recv`](Datagram::try_recv) may have a datagram.
#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsFd for Datagram {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.sender.socket().as_fd()
    }
}

#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsRawFd for Datagram {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsFd;
        self.as_fd().as_raw_fd()
    }
}

#[cfg(all(test, any(unix, windows), not(crossing_os_stub)))]
#[path = "datagram_tests.rs"]
mod tests;
