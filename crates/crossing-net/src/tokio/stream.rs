//! Streams of frames.

use super::{RecvHalf, SendHalf, Turn, elsewhere, failed, forget, register};
use crate::link::Link;
use crate::{Error, ErrorKind, Peer, Result, StreamOptions, ToEndpoint};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A connection, as the reactor knows it: both halves of a stream share it.
#[derive(Debug)]
pub(super) struct Watched {
    link: Arc<Link>,
    turn: Turn,
}

impl Watched {
    /// Has the reactor watch the connection.
    pub(super) fn register(link: Arc<Link>, name: &str) -> Result<Arc<AsyncFd<Self>>> {
        let watched = Self { turn: Turn::of(&link), link };
        match register(watched, Interest::READABLE | Interest::WRITABLE) {
            Ok(watched) => Ok(Arc::new(watched)),
            Err(cause) => Err(failed(cause, name)),
        }
    }

    /// When a peer that takes nothing is given up by the next attempt to send.
    pub(super) fn slow_limit(&self) -> Option<Instant> {
        self.link.slow_limit()
    }

    /// Takes its turn with what uses the connection.
    pub(super) fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        self.turn.with(work)
    }
}

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.link.descriptor().as_raw_fd()
    }
}

/// A [`Stream`](crate::Stream) for tokio. Dropping it cuts the connection; [`close`](Self::close) ends it.
#[derive(Debug)]
pub struct Stream {
    pub(super) inner: crate::Stream,
    pub(super) watched: Arc<AsyncFd<Watched>>,
    name: String,
}

impl Stream {
    pub(super) fn new(inner: crate::Stream, name: String) -> Result<Self> {
        Ok(Self { watched: Watched::register(inner.shared_link(), &name)?, inner, name })
    }

    /// Connects with the usual options.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`crate::Stream::connect`].
    pub async fn connect<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::connect_with(&StreamOptions::default(), endpoint).await
    }

    /// Connects with these options. Host names are resolved, and the connection made, on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub async fn connect_with<E: ToEndpoint + ?Sized>(options: &StreamOptions, endpoint: &E) -> Result<Self> {
        let endpoint = endpoint.to_endpoint()?;
        let name = endpoint.to_string();
        let options = options.clone();
        let inner = elsewhere("connect to", name.clone(), move || options.connect(&endpoint)).await?;
        Self::new(inner, name)
    }

    /// Makes one of a stream that was made otherwise.
    ///
    /// # Errors
    /// Those of the system.
    pub fn from_blocking(stream: crate::Stream) -> Result<Self> {
        Self::new(stream, "stream".into())
    }

    /// The stream that waits without tokio. What was received and not taken, and what was not passed on yet, stays in it.
    #[must_use]
    pub fn into_blocking(self) -> crate::Stream {
        self.inner
    }

    /// What TLS agreed with the peer, as [`crate::Stream::tls_agreed`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_agreed(&self) -> Option<(Option<Vec<u8>>, bool)> {
        self.inner.tls_agreed()
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when nobody is any more.
    pub fn peer(&self) -> Result<Peer> {
        self.inner.peer()
    }

    /// As [`crate::Stream::peer_ended`].
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.inner.peer_ended()
    }

    /// Sends a frame: it is ready when the system took all of it.
    ///
    /// # Cancel safety
    /// Safe: a frame goes whole or not at all. If it was begun, its rest goes with the following calls of any
    /// kind ([`flush`](Self::flush) does nothing else).
    ///
    /// # Errors
    /// As [`crate::Stream::send`].
    pub async fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.attempt(Interest::WRITABLE, |stream| stream.try_send(frame)).await?;
        // Mostly all of it went at once.
        if self.watched.get_ref().turn.with(|| self.inner.has_unsent()) { self.flush().await } else { Ok(()) }
    }

    /// Sends one frame that is made of all `parts`, as [`crate::Stream::send_vectored`]: it is ready when the system took all of
    /// it.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`crate::Stream::send`].
    pub async fn send_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.attempt(Interest::WRITABLE, |stream| stream.try_send_vectored(parts)).await?;
        self.flush().await
    }

    /// Sends a frame if there is room for its beginning now; `false` if not, and nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Stream::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, frame: &[u8]) -> Result<bool> {
        let Self { inner, watched, .. } = self;
        watched.get_ref().with(|| inner.try_send(frame))
    }

    /// Sends many frames with few calls of the system: it is ready when the system took all of them.
    ///
    /// # Cancel safety
    /// Safe as far as it goes: the first so many of the frames went, each whole, but not how many is told. Use
    /// [`send_some`](Self::send_some) to know.
    ///
    /// # Errors
    /// As [`crate::Stream::send_many`].
    pub async fn send_many<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<()> {
        let mut left = frames;
        while !left.is_empty() {
            let taken = self.send_some(left).await?;
            left = &left[taken..];
        }
        self.flush().await
    }

    /// Waits until there is room, sends as many of the frames as that is for, and gives how many these are: one at least,
    /// unless there are none. The rest of the last one goes with the following calls.
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Stream::send_many`].
    #[must_use = "the frames beyond that number were not sent"]
    pub async fn send_some<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<usize> {
        let mut taken = 0;
        let attempt = |stream: &mut crate::Stream| {
            taken = stream.try_send_many(frames)?;
            Ok(taken > 0 || frames.is_empty())
        };
        self.attempt(Interest::WRITABLE, attempt).await?;
        Ok(taken)
    }

    /// Sends as many of the frames as there is room for now.
    ///
    /// # Errors
    /// As [`crate::Stream::try_send_many`].
    #[must_use = "the frames beyond that number were not sent"]
    pub fn try_send_many<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<usize> {
        let Self { inner, watched, .. } = self;
        watched.get_ref().with(|| inner.try_send_many(frames))
    }

    /// Splits it into a half that sends and a half that receives, for two tasks; awaits the peer's introduction for that.
    /// The connection closes when both are dropped.
    ///
    /// # Cancel safety
    /// Not safe: the connection is cut then.
    ///
    /// # Errors
    /// As [`crate::Stream::split`].
    pub async fn split(mut self) -> Result<(SendHalf, RecvHalf)> {
        self.attempt(Interest::READABLE, crate::Stream::try_introduce).await?;
        let Self { inner, watched, name } = self;
        // It was introduced, so this waits for nothing.
        let (sending, receiving) = inner.split()?;
        let half = |inner, watched, name| Self { inner, watched, name };
        Ok((
            SendHalf(half(sending.0, Arc::clone(&watched), name.clone())),
            RecvHalf(half(receiving.0, watched, name)),
        ))
    }

    /// Passes on what interrupted calls left.
    ///
    /// # Cancel safety
    /// Safe: what is left goes with the following calls.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`], and those of the system.
    pub async fn flush(&mut self) -> Result<()> {
        self.attempt(Interest::WRITABLE, crate::Stream::try_flush).await
    }

    /// Receives the next frame. It is lent until the next call.
    ///
    /// # Cancel safety
    /// Safe: what has arrived is kept, and no frame is lost.
    ///
    /// # Errors
    /// As [`crate::Stream::recv`].
    pub async fn recv(&mut self) -> Result<&[u8]> {
        if self.inner.needs_reading() {
            // The reactor tells each change once, the first of all that there is something: so it is asked before the system,
            // unless bytes may lie between the system and the frames.
            let directly = !self.inner.is_plain();
            self.attempt_by(directly, true, Interest::READABLE, crate::Stream::try_fill).await?;
        } else {
            tokio::task::coop::consume_budget().await;
        }
        self.inner.ready_frame()
    }

    /// Receives the next frame if it has arrived whole; `None` if not.
    ///
    /// # Errors
    /// As [`crate::Stream::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        let Self { inner, watched, .. } = self;
        watched.get_ref().with(|| inner.try_recv())
    }

    /// Says that nothing more will be sent, and passes on what is left. Receiving goes on.
    ///
    /// # Cancel safety
    /// Safe: call it again to finish it.
    ///
    /// # Errors
    /// As [`crate::Stream::end_sending`].
    pub async fn end_sending(&mut self) -> Result<()> {
        self.attempt(Interest::WRITABLE, crate::Stream::try_end_sending).await?;
        self.flush().await?;
        self.attempt(Interest::WRITABLE, |stream| stream.try_end_direction()).await
    }

    /// Ends the connection so that the peer gets everything that was sent: ends sending, then takes and drops what the peer
    /// still sends until it ends too, at most `patience`.
    ///
    /// # Cancel safety
    /// Not safe: the connection is cut then.
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
    pub(super) async fn attempt(
        &mut self,
        interest: Interest,
        attempt: impl FnMut(&mut crate::Stream) -> Result<bool>,
    ) -> Result<()> {
        self.attempt_by(true, false, interest, attempt).await
    }

    /// The same; the first attempt is made at once, or only when the reactor says that it is worth it.
    async fn attempt_by(
        &mut self,
        mut directly: bool,
        receives: bool,
        interest: Interest,
        mut attempt: impl FnMut(&mut crate::Stream) -> Result<bool>,
    ) -> Result<()> {
        // A connection that always has something leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let Self { inner, watched, name } = self;
        let turn = watched.get_ref();
        let plain = inner.is_plain();
        loop {
            if directly && turn.with(|| attempt(inner))? {
                return Ok(());
            }
            let introduction = inner.awaits_introduction();
            // Nothing but the peer's introduction lets sending begin, and there is always room before.
            let mut interest = if introduction.is_some() { Interest::READABLE } else { interest };
            if turn.with(|| inner.has_unsent()) {
                interest |= Interest::WRITABLE;
            }
            let waiting = async {
                // Receivers wait in a place of their own, which costs less than tokio's list of all who wait; there is one of
                // them at most.
                if receives && interest == Interest::READABLE {
                    return std::future::poll_fn(|cx| watched.poll_read_ready(cx)).await;
                }
                watched.ready(interest).await
            };
            let slow = turn.slow_limit().filter(|_| interest.is_writable());
            let waited = match [introduction.flatten(), slow].into_iter().flatten().min() {
                None => waiting.await,
                Some(limit) => match tokio::time::timeout_at(limit.into(), waiting).await {
                    Ok(waited) => waited,
                    // The next attempt tells that the time is over.
                    Err(_) => {
                        directly = true;
                        continue;
                    }
                },
            };
            let mut guard = waited.map_err(|cause| failed(cause, name))?;
            inner.take_drained();
            let done = turn.with(|| attempt(inner))?;
            let drained = inner.take_drained();
            // The attempt used up what it was told of. What came since is not forgotten by this.
            if !done || drained && interest.is_readable() {
                forget(&mut guard, if done { Interest::READABLE } else { interest });
            }
            if done {
                return Ok(());
            }
            directly = !plain;
        }
    }
}
