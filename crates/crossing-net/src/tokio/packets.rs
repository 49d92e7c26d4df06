//! Connections that carry packets.

use super::listener::accept;
use super::stream::Watched;
use super::{PeerProcess, attempt, elsewhere, failed, register};
use crate::packets::PacketOptions;
use crate::{Endpoint, Handle, Listener, Peer, Result, Stream, ToEndpoint};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A [`PacketStream`](crate::PacketStream) for tokio. Dropping it closes it.
///
/// ```
/// use crossing_net::tokio::{PacketListener, PacketStream};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = std::env::temp_dir().join(format!("doc-tokio-packets-{}", std::process::id()));
/// let listener = PacketListener::bind(&format!("unix:{}", path.display()))?;
/// let client = PacketStream::connect(listener.endpoint()).await?;
/// let (mut server, _peer) = listener.accept().await?;
/// client.send(b"one").await?;
/// client.send(b"two").await?;
/// assert_eq!(server.recv().await?, b"one");
/// assert_eq!(server.recv().await?, b"two");
/// # Ok::<(), crossing_net::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct PacketStream {
    inner: crate::PacketStream,
    sender: PacketSender,
}

/// A [`PacketSender`](crate::PacketSender) for tokio; clones send on the same connection, each packet whole
/// ([`PacketStream::sender`]).
#[derive(Debug, Clone)]
pub struct PacketSender {
    inner: crate::PacketSender,
    watched: Arc<AsyncFd<Watched>>,
    name: Arc<str>,
}

impl PacketStream {
    fn new(inner: crate::PacketStream, name: &str) -> Result<Self> {
        let watched = Watched::register(inner.shared_link(), name)?;
        let sender = PacketSender { inner: inner.sender().clone(), watched, name: name.into() };
        Ok(Self { inner, sender })
    }

    /// Connects with the usual options.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`PacketOptions::connect`].
    pub async fn connect<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::connect_with(&Stream::options().packets(), endpoint).await
    }

    /// Connects with these options, on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`PacketOptions::connect`].
    pub async fn connect_with<E: ToEndpoint + ?Sized>(options: &PacketOptions, endpoint: &E) -> Result<Self> {
        let endpoint = endpoint.to_endpoint()?;
        let (name, options) = (endpoint.to_string(), options.clone());
        let inner = elsewhere("connect to", name.clone(), move || options.connect(&endpoint)).await?;
        Self::new(inner, &name)
    }

    /// Makes one of a stream that was made otherwise.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn from_blocking(stream: crate::PacketStream) -> Result<Self> {
        Self::new(stream, "stream of packets")
    }

    /// The stream that waits without tokio.
    #[must_use]
    pub fn into_blocking(self) -> crate::PacketStream {
        self.inner
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// As [`crate::PacketStream::peer`].
    pub fn peer(&self) -> Result<Peer> {
        self.inner.peer()
    }

    /// The process at the other end, to wait for its death.
    ///
    /// # Errors
    /// As [`crate::PacketStream::peer_process`].
    pub fn peer_process(&self) -> Result<PeerProcess> {
        PeerProcess::from_blocking(self.inner.peer_process()?)
    }

    /// What sends on this connection, to be cloned for other tasks; the connection closes when it and the stream are dropped.
    #[must_use]
    pub fn sender(&self) -> &PacketSender {
        &self.sender
    }

    /// As [`PacketSender::send`].
    ///
    /// # Cancel safety
    /// As [`PacketSender::send`].
    ///
    /// # Errors
    /// As [`PacketSender::send`].
    pub async fn send(&self, packet: &[u8]) -> Result<()> {
        self.sender.send(packet).await
    }

    /// As [`PacketSender::try_send`].
    ///
    /// # Errors
    /// As [`PacketSender::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, packet: &[u8]) -> Result<bool> {
        self.sender.try_send(packet)
    }

    /// As [`PacketSender::send_with_handles`].
    ///
    /// # Cancel safety
    /// As [`PacketSender::send_with_handles`].
    ///
    /// # Errors
    /// As [`PacketSender::send_with_handles`].
    pub async fn send_with_handles(&self, packet: &[u8], handles: &[&Handle]) -> Result<()> {
        self.sender.send_with_handles(packet, handles).await
    }

    /// Receives the next packet. It is lent until the next call; handles that came with it are closed.
    ///
    /// # Cancel safety
    /// Safe: no packet is lost.
    ///
    /// # Errors
    /// As [`crate::PacketStream::recv`].
    pub async fn recv(&mut self) -> Result<&[u8]> {
        self.recv_with_handles().await.map(|(packet, _)| packet)
    }

    /// Receives the next packet if it has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`crate::PacketStream::recv`].
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        self.inner.try_recv()
    }

    /// As [`recv`](Self::recv), with the handles that came with the packet, as [`crate::PacketStream::recv_with_handles`].
    ///
    /// # Cancel safety
    /// Safe: no packet and no handle is lost.
    ///
    /// # Errors
    /// As [`crate::PacketStream::recv`].
    pub async fn recv_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        let Self { inner, sender } = self;
        let take = || inner.try_take();
        let handles = attempt(&sender.watched, Interest::READABLE, &sender.name, |_| None, take).await?;
        Ok((self.inner.taken(), handles))
    }

    /// As [`recv_with_handles`](Self::recv_with_handles) if a packet has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`crate::PacketStream::recv`].
    pub fn try_recv_with_handles(&mut self) -> Result<Option<(&[u8], Vec<Handle>)>> {
        self.inner.try_recv_with_handles()
    }

    /// As [`crate::PacketStream::end_sending`]; it waits for nothing.
    ///
    /// # Errors
    /// As [`crate::PacketStream::end_sending`].
    pub fn end_sending(&self) -> Result<()> {
        self.inner.end_sending()
    }
}

impl PacketSender {
    /// Sends a packet.
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`crate::PacketSender::send`].
    pub async fn send(&self, packet: &[u8]) -> Result<()> {
        self.send_with_handles(packet, &[]).await
    }

    /// Sends a packet if there is room for it now; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`crate::PacketSender::send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, packet: &[u8]) -> Result<bool> {
        self.inner.try_send(packet)
    }

    /// As [`send`](Self::send), with copies of `handles`, as [`crate::PacketSender::send_with_handles`].
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`crate::PacketSender::send_with_handles`].
    pub async fn send_with_handles(&self, packet: &[u8], handles: &[&Handle]) -> Result<()> {
        let send = || Ok(self.inner.try_send_with_handles(packet, handles)?.then_some(()));
        attempt(&self.watched, Interest::WRITABLE, &self.name, Watched::slow_limit, send).await
    }

    /// As [`send_with_handles`](Self::send_with_handles) if there is room; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`crate::PacketSender::send_with_handles`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_with_handles(&self, packet: &[u8], handles: &[&Handle]) -> Result<bool> {
        self.inner.try_send_with_handles(packet, handles)
    }

    /// As [`crate::PacketSender::longest`].
    #[must_use]
    pub fn longest(&self) -> usize {
        self.inner.longest()
    }
}

/// A [`PacketListener`](crate::PacketListener) for tokio.
#[derive(Debug)]
pub struct PacketListener {
    inner: AsyncFd<crate::PacketListener>,
}

impl PacketListener {
    /// Listens with the usual options.
    ///
    /// # Errors
    /// As [`PacketListenerOptions::bind`](crate::PacketListenerOptions::bind).
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn bind<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::from_blocking(Listener::options().packets().bind(endpoint)?)
    }

    /// Makes one of a listener that was made with other options.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn from_blocking(listener: crate::PacketListener) -> Result<Self> {
        let name = listener.endpoint().to_string();
        match register(listener, Interest::READABLE) {
            Ok(inner) => Ok(Self { inner }),
            Err(cause) => Err(failed(cause, &name)),
        }
    }

    /// The listener that waits without tokio.
    #[must_use]
    pub fn into_blocking(self) -> crate::PacketListener {
        self.inner.into_inner()
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.inner.get_ref().endpoint()
    }

    /// As [`crate::PacketListener::is_full`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.get_ref().is_full()
    }

    /// As [`crate::PacketListener::refused_connections`].
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.inner.get_ref().refused_connections()
    }

    /// Takes the next connection. When the system has no more files or memory, it rests and tries again.
    ///
    /// # Cancel safety
    /// Safe: no connection is lost.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn accept(&self) -> Result<(PacketStream, Peer)> {
        let full = crate::PacketListener::is_full;
        let taken = accept(&self.inner, self.endpoint(), full, crate::PacketListener::try_accept).await;
        let (stream, peer) = taken?;
        Ok((PacketStream::new(stream, &format!("{} ({peer})", self.endpoint()))?, peer))
    }
}
