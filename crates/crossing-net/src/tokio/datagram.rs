//! Sockets of datagrams.

use super::{attempt, failed, register};
use crate::{Endpoint, Origin, Result, ToEndpoint};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long to rest where the system does not tell when a receiver has room again.
const REST: Duration = Duration::from_millis(1);

/// The socket, as the reactor knows it.
#[derive(Debug)]
struct Watched(crate::DatagramSender);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.socket().as_fd().as_raw_fd()
    }
}

/// A [`Datagram`](crate::Datagram) for tokio. Dropping it removes its file.
///
/// ```
/// use crossing_net::tokio::Datagram;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let path = std::env::temp_dir().join(format!("doc-tokio-datagram-{}", std::process::id()));
/// let mut server = Datagram::bind(&format!("unix:{}", path.display()))?;
/// let client = Datagram::connect(server.endpoint())?;
/// client.send(b"question").await?;
/// assert_eq!(server.recv().await?, b"question");
/// # Ok::<(), crossing_net::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Datagram {
    inner: crate::Datagram,
    sender: DatagramSender,
}

/// A [`DatagramSender`](crate::DatagramSender) for tokio; clones send from the same socket ([`Datagram::sender`]).
#[derive(Debug, Clone)]
pub struct DatagramSender {
    inner: crate::DatagramSender,
    watched: Arc<AsyncFd<Watched>>,
    name: Arc<str>,
}

impl Datagram {
    /// Receives at `endpoint` with the usual options.
    ///
    /// # Errors
    /// As [`DatagramOptions::bind`](crate::DatagramOptions::bind).
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn bind<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::from_blocking(crate::Datagram::options().bind(endpoint)?)
    }

    /// A socket with the usual options that sends to `endpoint` and receives from there alone. It waits for nothing.
    ///
    /// # Errors
    /// As [`DatagramOptions::connect`](crate::DatagramOptions::connect).
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn connect<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::from_blocking(crate::Datagram::options().connect(endpoint)?)
    }

    /// Makes one of a socket that was made with other options.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn from_blocking(socket: crate::Datagram) -> Result<Self> {
        let name: Arc<str> = socket.endpoint().to_string().into();
        let inner = socket.sender().clone();
        match register(Watched(inner.clone()), Interest::READABLE | Interest::WRITABLE) {
            Ok(watched) => {
                let sender = DatagramSender { inner, watched: Arc::new(watched), name };
                Ok(Self { inner: socket, sender })
            }
            Err(cause) => Err(failed(cause, &name)),
        }
    }

    /// The socket that waits without tokio.
    #[must_use]
    pub fn into_blocking(self) -> crate::Datagram {
        self.inner
    }

    /// Where it receives, or to whom it is connected.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    /// What sends from this socket, to be cloned for other tasks; the socket closes when it and this are dropped.
    #[must_use]
    pub fn sender(&self) -> &DatagramSender {
        &self.sender
    }

    /// As [`crate::Datagram::refused_datagrams`].
    #[must_use]
    pub fn refused_datagrams(&self) -> u64 {
        self.inner.refused_datagrams()
    }

    /// As [`DatagramSender::send`].
    ///
    /// # Cancel safety
    /// As [`DatagramSender::send`].
    ///
    /// # Errors
    /// As [`DatagramSender::send`].
    pub async fn send(&self, datagram: &[u8]) -> Result<()> {
        self.sender.send(datagram).await
    }

    /// As [`DatagramSender::try_send`].
    ///
    /// # Errors
    /// As [`DatagramSender::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, datagram: &[u8]) -> Result<bool> {
        self.sender.try_send(datagram)
    }

    /// As [`DatagramSender::send_to`].
    ///
    /// # Cancel safety
    /// As [`DatagramSender::send_to`].
    ///
    /// # Errors
    /// As [`DatagramSender::send_to`].
    pub async fn send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<()> {
        self.sender.send_to(endpoint, datagram).await
    }

    /// As [`DatagramSender::try_send_to`].
    ///
    /// # Errors
    /// As [`DatagramSender::try_send_to`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<bool> {
        self.sender.try_send_to(endpoint, datagram)
    }

    /// Receives the next datagram. It is lent until the next call; handles that came with it are closed.
    ///
    /// # Cancel safety
    /// Safe: no datagram is lost.
    ///
    /// # Errors
    /// As [`crate::Datagram::recv`].
    pub async fn recv(&mut self) -> Result<&[u8]> {
        self.recv_from().await.map(|(datagram, _)| datagram)
    }

    /// Receives the next datagram if it has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`crate::Datagram::recv`].
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        self.inner.try_recv()
    }

    /// As [`recv`](Self::recv), and who sent it.
    ///
    /// # Cancel safety
    /// Safe: no datagram is lost.
    ///
    /// # Errors
    /// As [`crate::Datagram::recv`].
    pub async fn recv_from(&mut self) -> Result<(&[u8], Origin)> {
        let Self { inner, sender } = self;
        let take = || inner.try_take();
        let (len, origin) =
            attempt(&sender.watched, Interest::READABLE, &sender.name, |_| None, take).await?;
        Ok((self.inner.taken(len), origin))
    }

    /// As [`recv_from`](Self::recv_from) if a datagram has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`crate::Datagram::recv`].
    pub fn try_recv_from(&mut self) -> Result<Option<(&[u8], Origin)>> {
        self.inner.try_recv_from()
    }
}

impl DatagramSender {
    /// Sends a datagram to whom the socket is connected to, when there is room for it.
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`crate::DatagramSender::send`].
    ///
    /// # Platform-specific behavior
    /// macOS and FreeBSD do not tell when there is room again: it is looked for every millisecond.
    pub async fn send(&self, datagram: &[u8]) -> Result<()> {
        if !crossing_sys::packet::tells_room() {
            while !self.try_send(datagram)? {
                tokio::time::sleep(REST).await;
            }
            return Ok(());
        }
        let send = || Ok(self.try_send(datagram)?.then_some(()));
        attempt(&self.watched, Interest::WRITABLE, &self.name, |_| None, send).await
    }

    /// As [`send`](Self::send) if there is room now; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`crate::DatagramSender::send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, datagram: &[u8]) -> Result<bool> {
        self.inner.try_send(datagram)
    }

    /// Sends a datagram to the socket at `endpoint`, when there is room for it.
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`crate::DatagramSender::send_to`].
    ///
    /// # Platform-specific behavior
    /// As [`send`](Self::send).
    pub async fn send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<()> {
        let endpoint = endpoint.to_endpoint()?;
        tokio::task::coop::consume_budget().await;
        while !self.try_send_to(&endpoint, datagram)? {
            self.room(&endpoint).await?;
        }
        Ok(())
    }

    /// As [`send_to`](Self::send_to) if there is room now; `false` if there is none, and nothing was sent.
    ///
    /// # Errors
    /// As [`crate::DatagramSender::send_to`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_to<E: ToEndpoint + ?Sized>(&self, endpoint: &E, datagram: &[u8]) -> Result<bool> {
        self.inner.try_send_to(endpoint, datagram)
    }

    /// Waits until this socket may send and the one at `endpoint` has room.
    async fn room(&self, endpoint: &Endpoint) -> Result<()> {
        let may_send = || Ok(self.inner.has_room()?.then_some(()));
        attempt(&self.watched, Interest::WRITABLE, &self.name, |_| None, may_send).await?;
        // The reactor knows the receiver of a connected socket only.
        let probe = match crate::Datagram::options().connect(endpoint) {
            Ok(probe) if crossing_sys::packet::tells_room() => probe,
            // Sending again tells what is the matter.
            _ => {
                tokio::time::sleep(REST).await;
                return Ok(());
            }
        };
        let wait = async { register(probe, Interest::WRITABLE)?.writable().await.map(drop) };
        wait.await.map_err(|cause| failed(cause, &self.name))
    }
}
