//! Connections that keep messages whole: packets (SOCK_SEQPACKET) of local sockets.

mod listener;
mod sender;

pub use listener::{PacketListener, PacketListenerOptions};
pub use sender::PacketSender;

use crate::link::{Link, Peer, local_name, no_device, until};
use crate::stream::{Settings, StreamOptions};
use crate::{Endpoint, Error, ErrorKind, PeerProcess, Result, ToEndpoint};
use crossing_sys::file::Handle;
use crossing_sys::local::{LocalName, LocalStream, Wait};
use crossing_sys::packet::{self, Packet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONNECT: &str = "connect to";
const RECV: &str = "receive from";

/// The longest packet to receive unless set, in bytes; longer than systems send unless told.
const DEFAULT_MAX_PACKET_LEN: usize = 1 << 20;

/// Stream options whose connections carry packets.
#[derive(Debug, Clone)]
pub struct PacketOptions {
    stream: StreamOptions,
    max_packet_len: usize,
}

impl StreamOptions {
    /// The same options for a connection that carries packets: whole messages of any program that uses SOCK_SEQPACKET, without
    /// frames. On the endpoints `unix:PATH` and `unix:@NAME`; limits of frames do not count there.
    #[must_use]
    pub fn packets(&self) -> PacketOptions {
        PacketOptions { stream: self.clone(), max_packet_len: DEFAULT_MAX_PACKET_LEN }
    }
}

impl PacketOptions {
    /// The longest packet to receive, in bytes; 1 MiB unless set. A longer one is lost and told
    /// ([`ErrorKind::TooLarge`]).
    pub fn max_packet_len(&mut self, bytes: usize) -> &mut Self {
        self.max_packet_len = bytes;
        self
    }

    /// How many handles of the operating system the peer may send with one packet; none unless set, at most 64 (see
    /// [`PacketStream::recv_with_handles`]).
    pub fn max_handles(&mut self, handles: usize) -> &mut Self {
        self.stream.max_handles(handles);
        self
    }

    /// Connects to `endpoint`, where a [`PacketListener`] or another program's SOCK_SEQPACKET listens.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`]; [`ErrorKind::Unsupported`] on other endpoints than `unix:` and on systems that have no
    /// such sockets, [`ErrorKind::Incompatible`] when the socket there is of another type.
    ///
    /// # Platform-specific behavior
    /// Linux and FreeBSD: unix(7). macOS and Windows: [`ErrorKind::Unsupported`].
    pub fn connect<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<PacketStream> {
        self.connect_deadline(endpoint, None)
    }

    /// Connects to `endpoint` until `deadline` (`None`: as long as the connect timeout says).
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_deadline<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<PacketStream> {
        let link = self.stream.link_by(endpoint, deadline.into(), connect)?;
        Ok(PacketStream::new(link, self.stream.settings().max_handles, self.max_packet_len))
    }
}

fn connect(endpoint: &Endpoint, wait: Wait, settings: &Settings) -> Result<Link> {
    let name = whole_name(CONNECT, endpoint, packet::is_supported())?;
    if settings.device.is_some() {
        return Err(no_device(CONNECT, endpoint));
    }
    let stream = LocalStream::connect_packets(&name, wait)?;
    Ok(Link::of_local(stream, endpoint.to_string()))
}

/// The name of a socket that keeps messages whole, where this system has them.
pub(crate) fn whole_name(
    operation: &'static str,
    endpoint: &Endpoint,
    is_supported: bool,
) -> Result<LocalName> {
    match local_name(endpoint) {
        Some(name) if is_supported && name.is_supported() => Ok(name),
        _ => Err(Error::new(ErrorKind::Unsupported, operation, endpoint.to_string())
            .detail("packets and datagrams are of local sockets, unix:, where the system has them")
            .fix("use unix:PATH on a Unix system, or a stream: its frames keep messages whole over every socket")),
    }
}

/// A connection that carries packets: each is received as it was sent, whole, or not at all, and in order. Dropping it closes
/// it.
///
/// Made by `Stream::options().packets()` and [`PacketListener::accept`]. The peer may be any program: nothing but the packets
/// goes over. How long a packet may be is the system's choice ([`longest`](PacketSender::longest)).
///
/// ```
/// # if !cfg!(unix) { return Ok(()); }
/// use crossing_net::{Listener, Stream};
/// let path = std::env::temp_dir().join(format!("doc-packets-{}", std::process::id()));
/// let endpoint = format!("unix:{}", path.display());
/// let listener = Listener::options().packets().bind(&endpoint)?;
/// let client = Stream::options().packets().connect(&endpoint)?;
/// let (mut server, _peer) = listener.accept()?;
/// client.send(b"one")?;
/// client.send(b"two")?;
/// assert_eq!(server.recv()?, b"one");
/// assert_eq!(server.recv()?, b"two");
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug)]
pub struct PacketStream {
    sender: PacketSender,
    buffer: Vec<u8>,
    max_packet_len: usize,
    max_handles: usize,
}

impl PacketStream {
    fn new(link: Link, max_handles: usize, max_packet_len: usize) -> Self {
        Self { sender: PacketSender(Arc::new(link)), buffer: Vec::new(), max_packet_len, max_handles }
    }

    fn link(&self) -> &Link {
        &self.sender.0
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when nobody is any more.
    pub fn peer(&self) -> Result<Peer> {
        self.link().peer().map_err(|cause| self.link().error(cause, "ask for the peer of"))
    }

    /// The process at the other end, to wait for its death.
    ///
    /// # Errors
    /// As [`Stream::peer_process`](crate::Stream::peer_process).
    pub fn peer_process(&self) -> Result<PeerProcess> {
        PeerProcess::of(self.link())
    }

    /// What sends on this connection, to be cloned for other threads. It has all ways to send; the connection closes when it
    /// and the stream are dropped.
    #[must_use]
    pub fn sender(&self) -> &PacketSender {
        &self.sender
    }

    /// Sends a packet, waiting for room without end.
    ///
    /// # Errors
    /// As [`PacketSender::send`].
    pub fn send(&self, packet: &[u8]) -> Result<()> {
        self.sender.send(packet)
    }

    /// Sends a packet if there is room for it; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`PacketSender::send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, packet: &[u8]) -> Result<bool> {
        self.sender.try_send(packet)
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`PacketSender::send`], and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_timeout(&self, packet: &[u8], timeout: Duration) -> Result<()> {
        self.sender.send_timeout(packet, timeout)
    }

    /// As [`send`](Self::send), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`PacketSender::send`], and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_deadline(&self, packet: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.sender.send_deadline(packet, deadline)
    }

    /// As [`PacketSender::send_with_handles`].
    ///
    /// # Errors
    /// As [`PacketSender::send_with_handles`].
    pub fn send_with_handles(&self, packet: &[u8], handles: &[&Handle]) -> Result<()> {
        self.sender.send_with_handles(packet, handles)
    }

    /// Receives the next packet, waiting for it without end. It is lent until the next call; handles that came with it are
    /// closed.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the peer ended its direction or is gone; [`ErrorKind::TooLarge`] when a packet was
    /// longer than this side accepts and [`ErrorKind::LimitReached`] when it came with more handles: it is lost then, its
    /// handles are closed, and the next one can be received. Those of the system.
    pub fn recv(&mut self) -> Result<&[u8]> {
        self.recv_deadline(None)
    }

    /// Receives the next packet if it has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.try_recv_with_handles()?.map(|(packet, _)| packet))
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
        self.recv_with_handles_deadline(deadline).map(|(packet, _)| packet)
    }

    /// As [`recv`](Self::recv), with the handles that came with the packet, at most as many as `max_handles` of the options.
    /// None stays open in programs started later.
    ///
    /// What came is whatever the peer sent: check what it is before relying on it.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        self.recv_with_handles_deadline(None)
    }

    /// As [`recv_with_handles`](Self::recv_with_handles) if a packet has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv_with_handles(&mut self) -> Result<Option<(&[u8], Vec<Handle>)>> {
        Ok(self.try_take()?.map(|handles| (self.taken(), handles)))
    }

    /// As [`recv_with_handles`](Self::recv_with_handles), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    pub fn recv_with_handles_timeout(&mut self, timeout: Duration) -> Result<(&[u8], Vec<Handle>)> {
        self.recv_with_handles_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv_with_handles`](Self::recv_with_handles), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    pub fn recv_with_handles_deadline(
        &mut self,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<(&[u8], Vec<Handle>)> {
        let handles = self.take(until(deadline.into()))?;
        Ok((&self.buffer, handles))
    }

    /// Ends the direction to the peer, which receives what was sent and then the end. Receiving goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the connection is gone.
    pub fn end_sending(&self) -> Result<()> {
        self.link().end_sending().map_err(|cause| self.link().error(cause, "end sending to"))
    }

    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn shared_link(&self) -> Arc<Link> {
        Arc::clone(&self.sender.0)
    }

    /// Receives a packet into the buffer, with its handles; `None` when none has arrived.
    pub(crate) fn try_take(&mut self) -> Result<Option<Vec<Handle>>> {
        match self.take(Wait::Never) {
            Ok(handles) => Ok(Some(handles)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The packet that was received last.
    pub(crate) fn taken(&self) -> &[u8] {
        &self.buffer
    }

    /// Receives a packet into the buffer.
    fn take(&mut self, wait: Wait) -> Result<Vec<Handle>> {
        let link = &self.sender.0;
        let local = self.sender.local(RECV)?;
        let mut handles = Vec::new();
        let (max_len, max_handles) = (self.max_packet_len, self.max_handles);
        match packet::recv(local, &mut self.buffer, max_len, &mut handles, max_handles, wait) {
            Ok(Packet::Message) => Ok(handles),
            Ok(Packet::TooLong { len }) => {
                let kind = ErrorKind::TooLarge { len: len as u64, max: max_len as u64 };
                Err(link
                    .fault(kind, RECV)
                    .detail("the peer sent a longer packet, which is lost")
                    .fix("raise max_packet_len on this side"))
            }
            Ok(Packet::End) => {
                Err(link.fault(ErrorKind::Disconnected, RECV).detail("everything that it sent was received"))
            }
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => Err(link
                .fault(ErrorKind::LimitReached, RECV)
                .detail(format!("{cause}; the packet is lost"))
                .fix("raise max_handles on this side, or the limit of open files (`ulimit -n`)")),
            Err(cause) => Err(link.error(cause, RECV)),
        }
    }
}

/// For waiting: readable means that [`try_recv`](PacketStream::try_recv) may have a packet.
#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsFd for PacketStream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.link().descriptor()
    }
}

#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsRawFd for PacketStream {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsFd;
        self.as_fd().as_raw_fd()
    }
}

#[cfg(all(test, any(unix, windows), not(crossing_os_stub)))]
#[path = "packets_tests.rs"]
mod tests;
