//! Streams and listeners for tokio: the same nouns, the same protocol, the same endpoints (`tcp:`, `unix:`, `tls:`).
//!
//! Every method that waits says what happens if its future is dropped before it is ready (`select!`, a timeout). Waiting is
//! done by tokio's reactor, so a runtime with I/O and time enabled must be there.
//!
//! ```
//! use crossing_net::tokio::{Listener, Stream};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let listener = Listener::bind("tcp:127.0.0.1:0")?;
//! let mut client = Stream::connect(listener.endpoint()).await?;
//! let (mut server, _peer) = listener.accept().await?;
//! client.send(b"hello").await?;
//! assert_eq!(server.recv().await?, b"hello");
//! # Ok::<(), crossing_net::Error>(())
//! # }).unwrap();
//! ```

use crate::{Endpoint, Error, ErrorKind, Peer, Result, StreamOptions, ToEndpoint};
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// How long accepting rests when the system has no more files or memory.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);

/// How long accepting rests while as many connections are open as may.
const FULL_REST: Duration = Duration::from_millis(5);

/// A [`Stream`](crate::Stream) for tokio. Dropping it cuts the connection; [`close`](Self::close) ends it.
#[derive(Debug)]
pub struct Stream {
    inner: AsyncFd<crate::Stream>,
    name: String,
}

/// A [`Listener`](crate::Listener) for tokio.
#[derive(Debug)]
pub struct Listener {
    inner: AsyncFd<crate::Listener>,
}

fn failed(cause: io::Error, name: &str) -> Error {
    Error::os(cause, "wait with tokio on", name)
}

/// Lets tokio's reactor watch it.
fn register<T: AsRawFd>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // Deprecated, since a type may lie about its descriptor; the other way is unsafe. Ours own theirs as long as they live.
    #[allow(deprecated)]
    AsyncFd::with_interest(inner, interest)
}

impl Stream {
    fn new(stream: crate::Stream, name: String) -> Result<Self> {
        match register(stream, Interest::READABLE | Interest::WRITABLE) {
            Ok(inner) => Ok(Self { inner, name }),
            Err(cause) => Err(failed(cause, &name)),
        }
    }

    /// Connects with the usual options.
    ///
    /// Cancel safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`crate::Stream::connect`].
    pub async fn connect<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::connect_with(&StreamOptions::default(), endpoint).await
    }

    /// Connects with these options. Host names are resolved, and the connection made, on a thread for blocking work.
    ///
    /// Cancel safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub async fn connect_with<E: ToEndpoint + ?Sized>(options: &StreamOptions, endpoint: &E) -> Result<Self> {
        let endpoint = endpoint.to_endpoint()?;
        let name = endpoint.to_string();
        let options = options.clone();
        match tokio::task::spawn_blocking(move || options.connect(&endpoint)).await {
            Ok(stream) => Self::new(stream?, name),
            Err(_) => {
                Err(Error::new(ErrorKind::Disconnected, "connect to", name).detail("the runtime is ending"))
            }
        }
    }

    /// Makes one of a stream that was made otherwise.
    ///
    /// # Errors
    /// Those of the system.
    pub fn from_blocking(stream: crate::Stream) -> Result<Self> {
        Self::new(stream, "stream".into())
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when nobody is any more.
    pub fn peer(&self) -> Result<Peer> {
        self.inner.get_ref().peer()
    }

    /// As [`crate::Stream::peer_ended`].
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.inner.get_ref().peer_ended()
    }

    /// Sends a frame: it is ready when the system took all of it.
    ///
    /// Cancel safe: a frame goes whole or not at all. If it was begun, its rest goes with the following calls of any
    /// kind ([`flush`](Self::flush) does nothing else).
    ///
    /// # Errors
    /// As [`crate::Stream::send`].
    pub async fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.attempt(Interest::WRITABLE, |stream| stream.try_send(frame)).await?;
        self.flush().await
    }

    /// Sends a frame if there is room for its beginning now; `false` if not, and nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Stream::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, frame: &[u8]) -> Result<bool> {
        self.inner.get_mut().try_send(frame)
    }

    /// Passes on what interrupted calls left.
    ///
    /// Cancel safe: what is left goes with the following calls.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`], and those of the system.
    pub async fn flush(&mut self) -> Result<()> {
        self.attempt(Interest::WRITABLE, crate::Stream::try_flush).await
    }

    /// Receives the next frame. It is lent until the next call.
    ///
    /// Cancel safe: what has arrived is kept, and no frame is lost.
    ///
    /// # Errors
    /// As [`crate::Stream::recv`].
    pub async fn recv(&mut self) -> Result<&[u8]> {
        self.attempt(Interest::READABLE, crate::Stream::try_fill).await?;
        self.inner.get_mut().ready_frame()
    }

    /// Receives the next frame if it has arrived whole; `None` if not.
    ///
    /// # Errors
    /// As [`crate::Stream::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        self.inner.get_mut().try_recv()
    }

    /// Says that nothing more will be sent, and passes on what is left. Receiving goes on.
    ///
    /// Cancel safe: call it again to finish it.
    ///
    /// # Errors
    /// As [`crate::Stream::end_sending`].
    pub async fn end_sending(&mut self) -> Result<()> {
        self.attempt(Interest::WRITABLE, crate::Stream::try_end_sending).await?;
        self.flush().await?;
        self.inner.get_ref().end_direction()
    }

    /// Ends the connection so that the peer gets everything that was sent: ends sending, then takes and drops what the peer
    /// still sends until it ends too, at most `patience`.
    ///
    /// Not cancel safe: the connection is cut then.
    ///
    /// # Errors
    /// As [`crate::Stream::close`].
    pub async fn close(mut self, patience: Duration) -> Result<()> {
        let name = self.name.clone();
        let ending = async {
            self.end_sending().await?;
            while self.recv().await.is_ok() {}
            Ok(())
        };
        match tokio::time::timeout(patience, ending).await {
            Ok(result) => result,
            Err(_) => {
                Err(Error::new(ErrorKind::TimedOut, "end", name)
                    .detail("the peer does not take what was sent"))
            }
        }
    }

    /// Tries until it succeeds; between the attempts waits for `interest`, and for what else can help.
    async fn attempt(
        &mut self,
        interest: Interest,
        mut attempt: impl FnMut(&mut crate::Stream) -> Result<bool>,
    ) -> Result<()> {
        loop {
            // Directly: tokio hears of changes only, so all that is there must be used up before waiting.
            if attempt(self.inner.get_mut())? {
                return Ok(());
            }
            let introduction = self.inner.get_ref().awaits_introduction();
            // Nothing but the peer's introduction lets sending begin, and there is always room before.
            let mut interest = if introduction.is_some() { Interest::READABLE } else { interest };
            if self.inner.get_ref().has_unsent() {
                interest |= Interest::WRITABLE;
            }
            let waiting = self.inner.ready_mut(interest);
            let waited = match introduction.flatten() {
                None => waiting.await,
                Some(limit) => match tokio::time::timeout_at(limit.into(), waiting).await {
                    Ok(waited) => waited,
                    // The next attempt tells that the time is over.
                    Err(_) => continue,
                },
            };
            let mut guard = waited.map_err(|cause| failed(cause, &self.name))?;
            if attempt(guard.get_inner_mut())? {
                return Ok(());
            }
            // The attempt used up what it was told of. What came since is not forgotten by this.
            if interest.is_readable() {
                guard.clear_ready_matching(Ready::READABLE);
            }
            if interest.is_writable() {
                guard.clear_ready_matching(Ready::WRITABLE);
            }
        }
    }
}

impl Listener {
    /// Listens with the usual options.
    ///
    /// # Errors
    /// As [`crate::Listener::bind`].
    pub fn bind<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::from_blocking(crate::Listener::bind(endpoint)?)
    }

    /// Makes one of a listener that was made with other options.
    ///
    /// # Errors
    /// Those of the system.
    pub fn from_blocking(listener: crate::Listener) -> Result<Self> {
        let name = listener.endpoint().to_string();
        match register(listener, Interest::READABLE) {
            Ok(inner) => Ok(Self { inner }),
            Err(cause) => Err(failed(cause, &name)),
        }
    }

    /// Where it listens; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.inner.get_ref().endpoint()
    }

    /// Takes the next connection. When the system has no more files or memory, it rests and tries again.
    ///
    /// Cancel safe: no connection is lost.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn accept(&self) -> Result<(Stream, Peer)> {
        loop {
            let waited = self.inner.readable().await;
            let mut guard = waited.map_err(|cause| failed(cause, &self.endpoint().to_string()))?;
            match self.inner.get_ref().try_accept() {
                Ok(Some((stream, peer))) => {
                    let name = format!("{} ({peer})", self.endpoint());
                    return Ok((Stream::new(stream, name)?, peer));
                }
                // A client may wait: what tokio knows of it must stay.
                Ok(None) if self.inner.get_ref().is_full() => {
                    tokio::time::sleep_until((Instant::now() + FULL_REST).into()).await;
                }
                Ok(None) => guard.clear_ready(),
                Err(error) if error.kind() == ErrorKind::LimitReached => {
                    tokio::time::sleep_until((Instant::now() + EXHAUSTED_REST).into()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
