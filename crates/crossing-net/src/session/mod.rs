//! Sessions: streams that outlive their connections.

pub(crate) mod core;
mod listener;
mod options;

pub use crossing_wire::session::{
    Cause as SessionCause, Event as SessionEvent, Loss as SessionLoss, Refusal as SessionRefusal,
};
pub use listener::SessionListener;
pub use options::{SessionConnector, SessionListenerOptions, SessionOptions};

use self::core::{Core, State};
use crossing_sys::local::Wait;
use crossing_sys::{Error, ErrorKind, Result};
use crossing_wire::session::{Phase, Received};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SEND: &str = "send to";
const RECV: &str = "receive from";

/// A stream of messages that survives the loss of its connection: nothing is lost, doubled or reordered.
///
/// Made by [`StreamOptions::session`](crate::StreamOptions::session) on one side and accepted by a [`SessionListener`]
/// on the other. When the connection breaks, the connecting side makes another one, with growing waits; each side then
/// goes on from the first message that the other lacks. Sending goes on meanwhile as long as the resend buffer has
/// room. What happens can be watched ([`try_event`](Self::try_event)) and need not be.
///
/// Dropping it gives the session up, and the peer is told; [`close`](Self::close) ends it so that the peer has
/// everything.
///
/// ```
/// use crossing_net::{Listener, SessionOptions, Stream};
/// let listener = Listener::options().session(&SessionOptions::default()).bind("tcp:127.0.0.1:0")?;
/// let mut client = Stream::options().session(&SessionOptions::default()).connect(listener.endpoint())?;
/// let (mut server, _peer) = listener.accept()?;
/// client.send(b"hello")?;
/// assert_eq!(server.recv()?, b"hello");
/// # Ok::<(), crossing_net::Error>(())
/// ```
///
/// # Platform-specific behavior
/// Everywhere: each session has one thread that reads, and one more once its connection was full.
#[derive(Debug)]
pub struct Session {
    core: Arc<Core>,
    message: Vec<u8>,
}

impl Session {
    fn new(core: Arc<Core>) -> Self {
        Self { core, message: Vec::new() }
    }

    /// Sends a message, waiting for room in the resend buffer without end: it has room again when the peer's application
    /// took what was sent.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the peer does not accept messages of this length, [`ErrorKind::Disconnected`] when
    /// the session is lost, [`ErrorKind::ApiMisuse`] after [`end_sending`](Self::end_sending).
    pub fn send(&self, message: &[u8]) -> Result<()> {
        self.send_deadline(message, None)
    }

    /// Sends a message if the resend buffer has room; `false` if not.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, message: &[u8]) -> Result<bool> {
        self.core.send(message, Wait::Never)
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_timeout(&self, message: &[u8], timeout: Duration) -> Result<()> {
        self.send_deadline(message, Instant::now().checked_add(timeout))
    }

    /// As [`send`](Self::send), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, message: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.core.send_until(message, crate::link::until(deadline.into()))
    }

    /// Another handle to send with, for other threads.
    #[must_use]
    pub fn sender(&self) -> SessionSender {
        SessionSender { core: Arc::clone(&self.core) }
    }

    /// Receives the next message, waiting for it without end. It is lent until the next call.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the peer ended ([`peer_ended`](Self::peer_ended)), or when the session is lost
    /// and everything that had arrived was taken.
    pub fn recv(&mut self) -> Result<&[u8]> {
        self.recv_deadline(None)
    }

    /// Receives the next message if it has arrived; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        Ok(if self.recv_wait(Wait::Never)? { Some(&self.message) } else { None })
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
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<&[u8]> {
        match self.recv_wait(crate::link::until(deadline.into()))? {
            true => Ok(&self.message),
            false => Err(self.core.fault(ErrorKind::TimedOut, RECV)),
        }
    }

    fn recv_wait(&mut self, wait: Wait) -> Result<bool> {
        let core = Arc::clone(&self.core);
        let mut state = core.lock();
        loop {
            if self.take(&mut state)? {
                return Ok(true);
            }
            match core.rest(state, wait) {
                Some(woken) => state = woken,
                None => return Ok(false),
            }
        }
    }

    /// Takes the next message into `message`, if it has arrived.
    pub(crate) fn take(&mut self, state: &mut State) -> Result<bool> {
        let core = &self.core;
        let over = state.engine.phase() == Phase::Over;
        match state.engine.recv() {
            Received::Message(message) => {
                self.message.clear();
                self.message.extend_from_slice(message);
                if state.engine.owes_ack() {
                    core.flush(state);
                }
                Ok(true)
            }
            Received::Ended => {
                core.flush(state);
                let error = core.fault(ErrorKind::Disconnected, RECV);
                Err(error.detail("it ended its stream; everything that it sent was received"))
            }
            Received::Nothing if over => Err(core.over(state, RECV)),
            Received::Nothing => {
                core.flush(state);
                Ok(false)
            }
        }
    }

    /// Whether the peer said that it sends nothing more, and everything before that arrived here.
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.core.lock().engine.peer_ended()
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.lock().engine.phase() == Phase::Up
    }

    /// What happened since the last call: connected, reconnecting, resumed, ended, lost. The latest 256 are kept.
    pub fn try_event(&self) -> Option<SessionEvent> {
        self.core.lock().events.pop_front()
    }

    /// The next thing that happens, waiting for it at most `timeout`; `None` when nothing did.
    pub fn event_timeout(&self, timeout: Duration) -> Option<SessionEvent> {
        let wait = Wait::at_most(timeout);
        let mut state = self.core.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                return Some(event);
            }
            state = self.core.rest(state, wait)?;
        }
    }

    /// Waits until the peer's application took everything that was sent, at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], [`ErrorKind::Disconnected`] when the session is lost.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<()> {
        let wait = Wait::at_most(timeout);
        let mut state = self.core.lock();
        loop {
            if self.drained(&state)? {
                return Ok(());
            }
            let Some(woken) = self.core.rest(state, wait) else {
                let error = self.core.fault(ErrorKind::TimedOut, "await the peer's acknowledgement on");
                return Err(error.detail("the peer did not take everything yet"));
            };
            state = woken;
        }
    }

    /// Whether the peer took everything.
    pub(crate) fn drained(&self, state: &State) -> Result<bool> {
        match state.engine.phase() {
            _ if state.engine.is_drained() => Ok(true),
            Phase::Over => Err(self.core.over(state, SEND)),
            _ => Ok(false),
        }
    }

    /// Says that nothing more will be sent; the peer learns it after everything that was sent. Receiving goes on.
    pub fn end_sending(&self) {
        let mut state = self.core.lock();
        state.engine.end_sending();
        self.core.flush(&mut state);
    }

    /// Ends the session: ends sending, and waits at most `timeout` until the peer took everything, dropping what it still
    /// sends. Once the peer ends too, the session is over on both sides.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] when the peer did not take everything in time, [`ErrorKind::Disconnected`] when the
    /// session was lost before that.
    pub fn close(mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now().checked_add(timeout);
        self.end_sending();
        let core = Arc::clone(&self.core);
        let mut state = core.lock();
        let result = loop {
            if let Some(result) = self.ended(&mut state) {
                drop(state);
                break result;
            }
            match core.rest(state, crate::link::until(deadline)) {
                Some(woken) => state = woken,
                None => break self.expired(),
            }
        };
        drop(self);
        result
    }

    /// Whether the end has come on both sides. What the peer still sends is taken, or it might never come to reading.
    pub(crate) fn ended(&mut self, state: &mut State) -> Option<Result<()>> {
        loop {
            let received = self.take(state);
            return match (received, state.engine.phase()) {
                (_, Phase::Over) if state.loss.is_none() => Some(Ok(())),
                (Err(error), Phase::Over) => Some(Err(error)),
                (Ok(true), _) => continue,
                // Its end has come; its acknowledgement of ours is awaited.
                _ => None,
            };
        }
    }

    /// What came of ending it when the time is over.
    pub(crate) fn expired(&self) -> Result<()> {
        match self.core.lock().engine.is_drained() {
            true => Ok(()),
            false => Err(self.late()),
        }
    }

    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// What [`take`](Self::take) took.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn message(&self) -> &[u8] {
        &self.message
    }

    fn late(&self) -> Error {
        self.core.fault(ErrorKind::TimedOut, "end").detail("the peer did not take everything in time")
    }
}

/// Sends in a [`Session`] from other threads; made by [`Session::sender`]. It does not keep the session: once that is
/// dropped, sending fails.
#[derive(Debug, Clone)]
pub struct SessionSender {
    core: Arc<Core>,
}

impl SessionSender {
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// As [`Session::send`].
    ///
    /// # Errors
    /// As [`Session::send`].
    pub fn send(&self, message: &[u8]) -> Result<()> {
        self.send_deadline(message, None)
    }

    /// As [`Session::try_send`].
    ///
    /// # Errors
    /// As [`Session::try_send`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&self, message: &[u8]) -> Result<bool> {
        self.core.send(message, Wait::Never)
    }

    /// As [`Session::send_deadline`].
    ///
    /// # Errors
    /// As [`Session::send_deadline`].
    pub fn send_deadline(&self, message: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        self.core.send_until(message, crate::link::until(deadline.into()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.core.abandon();
    }
}

#[cfg(test)]
mod tests;
