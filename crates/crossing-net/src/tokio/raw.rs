//! Bare bytes, for peers that know nothing of Crossing.

use super::{Turn, elsewhere, failed, forget, register};
use crate::raw::RawOptions;
use crate::{Peer, Result, StreamOptions, ToEndpoint};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// How much [`RawStream::read_to_end`] asks the system for at once, in bytes.
const PIECE: usize = 64 << 10;

/// A wait that outlives a call of `poll_read` or `poll_write`. tokio keeps one waker for each direction, which is its
/// reader's or its writer's; who waits for the other direction as well, as TLS may have to, needs a place of its own.
type Wait = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// The stream, as the reactor knows it.
#[derive(Debug)]
struct Shared {
    stream: crate::RawStream,
    turn: Turn,
}

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

/// A [`RawStream`](crate::RawStream) for tokio. Dropping it closes it.
///
/// Reading and writing by its own methods need no exclusive access: one task may read while another writes. It is an
/// [`AsyncRead`] and an [`AsyncWrite`] as well, for what knows those: shutting it down is
/// [`shutdown_write`](Self::shutdown_write), and flushing passes on what TLS holds back.
///
/// ```
/// use crossing_net::tokio::{Listener, RawStream};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let listener = Listener::bind("tcp:127.0.0.1:0")?;
/// let client = RawStream::connect(listener.endpoint()).await?;
/// let (server, _peer) = listener.accept_raw().await?;
/// client.write_all(b"hello").await?;
/// client.shutdown_write().await?;
/// assert_eq!(server.read_to_end(1024).await?, b"hello");
/// # Ok::<(), crossing_net::Error>(())
/// # }).unwrap();
/// ```
pub struct RawStream {
    inner: Arc<AsyncFd<Shared>>,
    name: String,
    reading: Option<Wait>,
    writing: Option<Wait>,
}

impl RawStream {
    pub(super) fn new(stream: crate::RawStream, name: String) -> Result<Self> {
        let shared = Shared { turn: Turn::of(stream.link()), stream };
        match register(shared, Interest::READABLE | Interest::WRITABLE) {
            Ok(inner) => Ok(Self { inner: Arc::new(inner), name, reading: None, writing: None }),
            Err(cause) => Err(failed(cause, &name)),
        }
    }

    /// Connects with the usual options.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub async fn connect<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::connect_with(&StreamOptions::default().raw(), endpoint).await
    }

    /// Connects with these options. Host names are resolved, and the connection made, on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`RawOptions::connect`].
    pub async fn connect_with<E: ToEndpoint + ?Sized>(options: &RawOptions, endpoint: &E) -> Result<Self> {
        let endpoint = endpoint.to_endpoint()?;
        let (name, options) = (endpoint.to_string(), options.clone());
        let stream = elsewhere("connect to", name.clone(), move || options.connect(&endpoint)).await?;
        Self::new(stream, name)
    }

    /// Makes one of a stream that was made otherwise.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn from_blocking(stream: crate::RawStream) -> Result<Self> {
        Self::new(stream, "stream".into())
    }

    /// The stream that waits without tokio. What TLS holds back stays in it.
    ///
    /// # Panics
    /// Never: what waits of it was dropped.
    #[must_use]
    pub fn into_blocking(self) -> crate::RawStream {
        let Self { inner, reading, writing, .. } = self;
        drop((reading, writing));
        match Arc::try_unwrap(inner) {
            Ok(inner) => inner.into_inner().stream,
            Err(_) => unreachable!("only the waits share it"),
        }
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// [`Disconnected`](crate::ErrorKind::Disconnected) when nobody is any more.
    pub fn peer(&self) -> Result<Peer> {
        self.inner.get_ref().stream.peer()
    }

    /// Reads what has arrived, at least one byte, waiting for it; 0 when the peer has ended its direction.
    ///
    /// # Cancel safety
    /// Safe: nothing was read.
    ///
    /// # Errors
    /// As [`crate::RawStream::read`].
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        self.attempt(Interest::READABLE, |stream| stream.try_read(buffer)).await
    }

    /// Reads what has arrived already; `None` if nothing has.
    ///
    /// # Errors
    /// As [`crate::RawStream::try_read`].
    pub fn try_read(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let shared = self.inner.get_ref();
        shared.turn.with(|| shared.stream.try_read(buffer))
    }

    /// Reads until the peer ends its direction, at most `max_len` bytes.
    ///
    /// # Cancel safety
    /// Not safe: what was read is lost. The connection stays; [`read`](Self::read) is safe.
    ///
    /// # Errors
    /// As [`crate::RawStream::read_to_end`].
    pub async fn read_to_end(&self, max_len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let len = bytes.len();
            // One byte beyond the limit is room enough to see that there is more.
            bytes.resize(len + PIECE.min((max_len - len).saturating_add(1)), 0);
            let read = self.read(&mut bytes[len..]).await?;
            bytes.truncate(len + read);
            if read == 0 {
                return Ok(bytes);
            }
            if bytes.len() > max_len {
                return Err(self.inner.get_ref().stream.too_much(bytes.len(), max_len));
            }
        }
    }

    /// Writes some of `bytes`, waiting for room for at least one, and gives how many.
    ///
    /// # Cancel safety
    /// Safe: nothing was written.
    ///
    /// # Errors
    /// As [`crate::RawStream::write_all`].
    pub async fn write(&self, bytes: &[u8]) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let attempt =
            |stream: &crate::RawStream| stream.write_now(bytes).map_err(|cause| stream.write_error(cause));
        self.attempt(Interest::WRITABLE, attempt).await
    }

    /// Writes at least one of `bytes` if there is room already, and gives how many; 0 if there is none.
    ///
    /// # Errors
    /// As [`crate::RawStream::try_write`].
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        let shared = self.inner.get_ref();
        shared.turn.with(|| shared.stream.try_write(bytes))
    }

    /// Writes all of `bytes`, and passes on what TLS holds back.
    ///
    /// # Cancel safety
    /// Not safe: the first so many of the bytes were written. [`write`](Self::write) is safe, and tells how many.
    ///
    /// # Errors
    /// As [`crate::RawStream::write_all`].
    pub async fn write_all(&self, bytes: &[u8]) -> Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let result = self.write(&bytes[written..]).await;
            let partly = |error: crate::Error| {
                error.more_detail(format!("{written} of {} bytes were written", bytes.len()))
            };
            written += result.map_err(partly)?;
        }
        self.flush().await
    }

    /// Passes on what TLS holds back; without TLS there is nothing.
    ///
    /// # Cancel safety
    /// Safe: what is left goes with the following calls.
    ///
    /// # Errors
    /// [`Disconnected`](crate::ErrorKind::Disconnected), and those of the system.
    pub async fn flush(&self) -> Result<()> {
        self.attempt(Interest::WRITABLE, |stream| stream.flush_now()).await
    }

    /// Ends the direction to the peer, which reads what was written and then the end. Reading goes on.
    ///
    /// # Cancel safety
    /// Safe: call it again to finish it.
    ///
    /// # Errors
    /// [`Disconnected`](crate::ErrorKind::Disconnected) when the connection is gone.
    pub async fn shutdown_write(&self) -> Result<()> {
        self.flush().await?;
        self.attempt(Interest::WRITABLE, |stream| stream.end_now()).await
    }

    /// What there is to wait for until an attempt may succeed that is one of `wanted`.
    fn interest(stream: &crate::RawStream, wanted: Interest) -> Interest {
        // Writing begins when hands were shaken, for which TLS reads; and reading may need that something goes before.
        let shaking = wanted == Interest::WRITABLE && stream.link().is_shaking_hands();
        let interest = if shaking { Interest::READABLE } else { wanted };
        if stream.link().flush().unwrap_or(true) { interest } else { interest | Interest::WRITABLE }
    }

    /// Tries until it succeeds; waits in between. Nothing is awaited after it succeeded.
    async fn attempt<T>(
        &self,
        wanted: Interest,
        mut attempt: impl FnMut(&crate::RawStream) -> Result<Option<T>>,
    ) -> Result<T> {
        // A connection that always has something leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let shared = self.inner.get_ref();
        let mut attempt = || shared.turn.with(|| attempt(&shared.stream));
        loop {
            if let Some(done) = attempt()? {
                return Ok(done);
            }
            let interest = shared.turn.with(|| Self::interest(&shared.stream, wanted));
            let mut waiting = pin!(self.inner.ready(interest));
            let at_once = poll_fn(|context| match waiting.as_mut().poll(context) {
                Poll::Ready(waited) => Poll::Ready(Some(waited)),
                Poll::Pending => Poll::Ready(None),
            });
            let waited = match at_once.await {
                Some(waited) => waited,
                None => {
                    // Who writes may have read for it, as long as hands are shaken, before this waited.
                    if shared.stream.link().is_tls()
                        && let Some(done) = attempt()?
                    {
                        return Ok(done);
                    }
                    // A peer that takes nothing is given up by the next attempt to write.
                    let slow = shared.stream.link().slow_limit().filter(|_| wanted.is_writable());
                    match slow {
                        None => waiting.await,
                        Some(limit) => match tokio::time::timeout_at(limit.into(), waiting).await {
                            Ok(waited) => waited,
                            Err(_) => continue,
                        },
                    }
                }
            };
            let mut guard = waited.map_err(|cause| failed(cause, &self.name))?;
            if let Some(done) = attempt()? {
                return Ok(done);
            }
            forget(&mut guard, interest);
        }
    }

    /// As [`attempt`](Self::attempt), in steps: `Pending` with the waker of `context` left with whom it takes.
    fn poll_attempt<T>(
        &mut self,
        context: &mut Context<'_>,
        wanted: Interest,
        mut attempt: impl FnMut(&crate::RawStream) -> io::Result<Option<T>>,
    ) -> Poll<io::Result<T>> {
        let place = if wanted == Interest::READABLE { &mut self.reading } else { &mut self.writing };
        let shared = self.inner.get_ref();
        let mut attempt = || shared.turn.with(|| attempt(&shared.stream));
        loop {
            if let Some(done) = attempt()? {
                return Poll::Ready(Ok(done));
            }
            if place.is_none() && shared.turn.with(|| Self::interest(&shared.stream, wanted)) != wanted {
                *place = Some(Box::pin(settle(Arc::clone(&self.inner), wanted)));
            }
            if let Some(wait) = place {
                let settled = ready!(wait.as_mut().poll(context));
                *place = None;
                settled?;
            }
            let waited = match wanted {
                Interest::READABLE => self.inner.poll_read_ready(context),
                _ => self.inner.poll_write_ready(context),
            };
            let Poll::Ready(waited) = waited else {
                // As in `attempt`.
                return match shared.stream.link().is_tls() {
                    true => attempt()?.map_or(Poll::Pending, |done| Poll::Ready(Ok(done))),
                    false => Poll::Pending,
                };
            };
            let mut guard = waited?;
            if let Some(done) = attempt()? {
                return Poll::Ready(Ok(done));
            }
            guard.clear_ready();
        }
    }
}

/// Until TLS lets go on with what is `wanted`: hands were shaken, for writing; what it held back went, or something came, for
/// reading.
async fn settle(inner: Arc<AsyncFd<Shared>>, wanted: Interest) -> io::Result<()> {
    let shared = inner.get_ref();
    let link = shared.stream.link();
    let settled =
        || shared.turn.with(|| if wanted == Interest::READABLE { link.flush() } else { link.shake_hands() });
    loop {
        if settled()? {
            return Ok(());
        }
        let interest = match link.is_shaking_hands() || wanted == Interest::READABLE {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::WRITABLE,
        };
        let mut guard = inner.ready(interest).await?;
        if settled()? || (wanted == Interest::READABLE && guard.ready().is_readable()) {
            return Ok(());
        }
        forget(&mut guard, interest);
    }
}

impl AsyncRead for RawStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let space = buffer.initialize_unfilled();
        let len = ready!(self.poll_attempt(context, Interest::READABLE, |stream| stream.read_now(space)))?;
        buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_attempt(context, Interest::WRITABLE, |stream| stream.write_now(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_attempt(context, Interest::WRITABLE, |stream| Ok(stream.link().flush()?.then_some(())))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_attempt(context, Interest::WRITABLE, |stream| {
            Ok(stream.link().try_end_sending()?.then_some(()))
        })
    }
}

impl fmt::Debug for RawStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStream").field("name", &self.name).finish_non_exhaustive()
    }
}
