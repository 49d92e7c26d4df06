//! Sessions. The threads that blocking ones have do the work; here tasks wait for them.

use super::elsewhere;
use crate::session::core::{Core, State};
use crate::{Endpoint, Peer, Result, SessionConnector, SessionEvent, ToEndpoint};
use crossing_sys::wakers::Place;
use crossing_wire::session::Phase;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A task that waits for something to change in a session.
struct Waiting<'a> {
    core: &'a Arc<Core>,
    place: Place,
    woken: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.woken {
            self.core.lock().wakers.leave(&mut self.place);
        }
    }
}

/// Looks until it gives something, each time that the session changed. Nothing is awaited after it gave something, so whoever
/// drops the future drops nothing else.
async fn until<T>(core: &Arc<Core>, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
    // A session that always has something leaves the other tasks their turn.
    tokio::task::coop::consume_budget().await;
    let mut waiting = Waiting { core, place: Place::default(), woken: true };
    poll_fn(|context| {
        let mut state = core.lock();
        // Before the look, which may tell all who wait.
        state.wakers.leave(&mut waiting.place);
        let seen = look(&mut state);
        waiting.woken = seen.is_some();
        match seen {
            Some(seen) => Poll::Ready(seen),
            None => {
                state.wakers.wait(&mut waiting.place, context.waker());
                Poll::Pending
            }
        }
    })
    .await
}

/// Until there was room for the message, and the session has it.
async fn send(core: &Arc<Core>, message: &[u8]) -> Result<()> {
    until(core, |state| match core.take(state, message) {
        Ok(false) => None,
        result => Some(result.map(drop)),
    })
    .await
}

/// A [`Session`](crate::Session) for tokio. Dropping it gives the session up, and the peer is told;
/// [`close`](Self::close) ends it so that the peer has everything.
///
/// ```
/// use crossing_net::tokio::{Session, SessionListener};
/// use crossing_net::{Listener, SessionOptions, Stream};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let options = SessionOptions::default();
/// let listener = SessionListener::from_blocking(Listener::options().session(&options).bind("tcp:127.0.0.1:0")?);
/// let client = Session::connect_with(&Stream::options().session(&options), listener.endpoint()).await?;
/// let (mut server, _peer) = listener.accept().await?;
/// client.send(b"hello").await?;
/// assert_eq!(server.recv().await?, b"hello");
/// # Ok::<(), crossing_net::Error>(())
/// # }).unwrap();
/// ```
///
/// # Platform-specific behavior
/// As [`crate::Session`], whose threads it has.
#[derive(Debug)]
pub struct Session {
    inner: crate::Session,
}

impl Session {
    /// Begins a session with the listener at `endpoint`. The first connection is made on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no session comes about, or it is given up at once.
    ///
    /// # Errors
    /// As [`SessionConnector::connect`].
    pub async fn connect_with<E: ToEndpoint + ?Sized>(
        options: &SessionConnector,
        endpoint: &E,
    ) -> Result<Self> {
        let endpoint = endpoint.to_endpoint()?;
        let (name, options) = (endpoint.to_string(), options.clone());
        let connect = move || options.connect(&endpoint);
        Ok(Self { inner: elsewhere("begin a session with", name, connect).await? })
    }

    /// Makes one of a session that was begun otherwise.
    #[must_use]
    pub fn from_blocking(session: crate::Session) -> Self {
        Self { inner: session }
    }

    /// The session that waits without tokio.
    #[must_use]
    pub fn into_blocking(self) -> crate::Session {
        self.inner
    }

    /// Sends a message: it is ready when the resend buffer has it.
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Session::send`].
    pub async fn send(&self, message: &[u8]) -> Result<()> {
        send(self.inner.core(), message).await
    }

    /// As [`crate::Session::try_send`].
    ///
    /// # Errors
    /// As [`crate::Session::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, message: &[u8]) -> Result<bool> {
        self.inner.try_send(message)
    }

    /// Another handle to send with, for other tasks.
    #[must_use]
    pub fn sender(&self) -> SessionSender {
        SessionSender { inner: self.inner.sender() }
    }

    /// Receives the next message. It is lent until the next call.
    ///
    /// # Cancel safety
    /// Safe: no message was taken.
    ///
    /// # Errors
    /// As [`crate::Session::recv`].
    pub async fn recv(&mut self) -> Result<&[u8]> {
        let core = Arc::clone(self.inner.core());
        let inner = &mut self.inner;
        until(&core, |state| match inner.take(state) {
            Ok(false) => None,
            result => Some(result.map(drop)),
        })
        .await?;
        Ok(self.inner.message())
    }

    /// As [`crate::Session::try_recv`].
    ///
    /// # Errors
    /// As [`crate::Session::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        self.inner.try_recv()
    }

    /// As [`crate::Session::peer_ended`].
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.inner.peer_ended()
    }

    /// As [`crate::Session::is_connected`].
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    /// As [`crate::Session::try_event`].
    pub fn try_event(&self) -> Option<SessionEvent> {
        self.inner.try_event()
    }

    /// The next thing that happens; `None` when the session is over and everything was told. The latest 256 are kept.
    ///
    /// # Cancel safety
    /// Safe: no event was taken.
    pub async fn event(&self) -> Option<SessionEvent> {
        until(self.inner.core(), |state| match state.events.pop_front() {
            None if state.engine.phase() == Phase::Over => Some(None),
            event => event.map(Some),
        })
        .await
    }

    /// Waits until the peer's application took everything that was sent.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    ///
    /// # Errors
    /// [`Disconnected`](crate::ErrorKind::Disconnected) when the session is lost.
    pub async fn flush(&self) -> Result<()> {
        until(self.inner.core(), |state| match self.inner.drained(state) {
            Ok(false) => None,
            result => Some(result.map(drop)),
        })
        .await
    }

    /// As [`crate::Session::end_sending`]; it waits for nothing.
    pub fn end_sending(&self) {
        self.inner.end_sending();
    }

    /// Ends the session: ends sending, and waits at most `patience` until the peer took everything, dropping what it still
    /// sends. Once the peer ends too, the session is over on both sides.
    ///
    /// # Cancel safety
    /// Not safe: the session is given up then.
    ///
    /// # Errors
    /// As [`crate::Session::close`].
    pub async fn close(mut self, patience: Duration) -> Result<()> {
        self.inner.end_sending();
        let core = Arc::clone(self.inner.core());
        let ending = until(&core, |state| self.inner.ended(state));
        match tokio::time::timeout(patience, ending).await {
            Ok(result) => result,
            Err(_) => self.inner.expired(),
        }
    }
}

/// Sends in a [`Session`] from other tasks; made by [`Session::sender`]. It does not keep the session: once that is dropped,
/// sending fails.
#[derive(Debug, Clone)]
pub struct SessionSender {
    inner: crate::SessionSender,
}

impl SessionSender {
    /// Makes one of a sender of a session that was begun otherwise.
    #[must_use]
    pub fn from_blocking(sender: crate::SessionSender) -> Self {
        Self { inner: sender }
    }

    /// As [`Session::send`].
    ///
    /// # Cancel safety
    /// Safe: nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Session::send`].
    pub async fn send(&self, message: &[u8]) -> Result<()> {
        send(self.inner.core(), message).await
    }

    /// As [`crate::Session::try_send`].
    ///
    /// # Errors
    /// As [`crate::Session::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, message: &[u8]) -> Result<bool> {
        self.inner.try_send(message)
    }
}

/// A [`SessionListener`](crate::SessionListener) for tokio. Dropping it waits for the thread that accepts, which ends at once
/// unless the system is short of files or memory.
///
/// # Platform-specific behavior
/// As [`crate::SessionListener`], whose threads it has.
#[derive(Debug)]
pub struct SessionListener {
    inner: crate::SessionListener,
}

impl SessionListener {
    /// Makes one of a listener ([`SessionListenerOptions::bind`](crate::SessionListenerOptions::bind)).
    #[must_use]
    pub fn from_blocking(listener: crate::SessionListener) -> Self {
        Self { inner: listener }
    }

    /// The listener that waits without tokio.
    #[must_use]
    pub fn into_blocking(self) -> crate::SessionListener {
        self.inner
    }

    /// Where it listens; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    /// As [`crate::SessionListener::sessions`].
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.inner.sessions()
    }

    /// Takes the next new session if one waits already.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn try_accept(&self) -> Result<Option<(Session, Peer)>> {
        Ok(self.inner.try_accept()?.map(|(session, peer)| (Session::from_blocking(session), peer)))
    }

    /// Takes the next new session.
    ///
    /// # Cancel safety
    /// Safe: no session was taken.
    ///
    /// # Errors
    /// None so far.
    pub async fn accept(&self) -> Result<(Session, Peer)> {
        struct Waiting<'a>(&'a crate::SessionListener, Place);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.leave(&mut self.1);
            }
        }
        tokio::task::coop::consume_budget().await;
        let mut waiting = Waiting(&self.inner, Place::default());
        let accepted = poll_fn(|context| {
            let Waiting(listener, place) = &mut waiting;
            listener.accept_or_wait(place, context.waker()).map_or(Poll::Pending, Poll::Ready)
        });
        let (session, peer) = accepted.await;
        Ok((Session::from_blocking(session), peer))
    }
}
