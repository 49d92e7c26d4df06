//! Limits and times of sessions, and connecting.

use super::core::Core;
use super::{Session, SessionListener};
use crate::link::Link;
use crate::{ListenerOptions, StreamOptions, ToEndpoint};
use crossing_sys::{Error, ErrorKind, Result};
use crossing_wire::session::{Backoff, Config, Phase, Session as Engine, SessionId};
use std::convert::Infallible;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const CONNECT: &str = "begin a session with";

/// Limits and times of a session. Reusable; each side has its own.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    pub(crate) config: Config,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) max_sessions: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            config: Config::default(),
            backoff: (Duration::from_millis(20), Duration::from_secs(5)),
            max_sessions: 1024,
        }
    }
}

impl SessionOptions {
    /// How much may be sent that the peer's application did not take yet, in bytes (each message counts 64 more); 4 MiB
    /// unless set. One message alone may be longer.
    pub fn resend_bytes(&mut self, bytes: usize) -> &mut Self {
        self.config.resend_bytes = bytes;
        self
    }

    /// How much that arrived may wait to be received, in bytes (each message counts 64 more); 4 MiB unless set. One
    /// message alone may be longer.
    pub fn window_bytes(&mut self, bytes: usize) -> &mut Self {
        self.config.window_bytes = bytes;
        self
    }

    /// A connection on which nothing was heard for this long is given up; 10 s unless set, at least 20 ms. The peer
    /// sends something at least every third of it.
    pub fn dead_after(&mut self, time: Duration) -> &mut Self {
        self.config.dead_after = time;
        self
    }

    /// A session that had no connection for this long is lost; 60 s unless set.
    pub fn lost_after(&mut self, time: Duration) -> &mut Self {
        self.config.lost_after = time;
        self
    }

    /// The first and the longest wait between attempts to connect again; 20 ms and 5 s unless set. Each is shortened by
    /// chance, by up to a half.
    pub fn backoff(&mut self, first: Duration, longest: Duration) -> &mut Self {
        self.backoff = (first, longest);
        self
    }

    /// How many sessions a listener has at most; 1024 unless set. Others are told so, and try again later.
    pub fn max_sessions(&mut self, sessions: usize) -> &mut Self {
        self.max_sessions = sessions;
        self
    }
}

impl StreamOptions {
    /// The same options for a session. The frame limit is that of its messages, the handshake timeout and the connect
    /// timeout are those of each connection.
    #[must_use]
    pub fn session(&self, session: &SessionOptions) -> SessionConnector {
        SessionConnector { stream: self.clone(), session: session.clone() }
    }
}

impl ListenerOptions {
    /// The same options for a listener of sessions. The frame limit is that of their messages.
    #[must_use]
    pub fn session(&self, session: &SessionOptions) -> SessionListenerOptions {
        SessionListenerOptions { listener: self.clone(), session: session.clone() }
    }
}

/// How to begin a session. Reusable.
#[derive(Debug, Clone)]
pub struct SessionConnector {
    stream: StreamOptions,
    session: SessionOptions,
}

/// How to listen for sessions. Reusable.
#[derive(Debug, Clone)]
pub struct SessionListenerOptions {
    listener: ListenerOptions,
    session: SessionOptions,
}

impl SessionListenerOptions {
    /// Listens at `endpoint` for sessions.
    ///
    /// # Errors
    /// As [`ListenerOptions::bind`].
    pub fn bind<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<SessionListener> {
        let mut session = self.session.clone();
        let settings = self.listener.settings();
        session.config.max_message_len = settings.max_frame_len;
        session.config.handshake_timeout = settings.handshake_timeout;
        SessionListener::new(self.listener.bind(endpoint)?, session)
    }
}

impl SessionConnector {
    /// Begins a session with the listener at `endpoint`. The first connection must succeed; later ones are made and
    /// tried again by themselves.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`]; [`ErrorKind::Incompatible`] when the listener has no sessions or speaks another
    /// protocol, [`ErrorKind::TimedOut`] when it does not answer, [`ErrorKind::Busy`] when it has as many sessions as it
    /// may.
    pub fn connect<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<Session> {
        let endpoint = endpoint.to_endpoint()?;
        let settings = self.stream.settings();
        let mut config = self.session.config;
        config.max_message_len = settings.max_frame_len;
        config.handshake_timeout = settings.handshake_timeout;
        let failed = |cause| Error::os(cause, CONNECT, endpoint.to_string());
        let id = crossing_sys::process::random_identity().map_err(failed)?;
        let link = Arc::new(self.stream.link(&endpoint, None)?);
        let core = Core::new(Engine::client(SessionId(id), config, Instant::now()), endpoint.to_string());
        let (least, most) = self.session.backoff;
        let seed = u64::from_le_bytes(id[8..].try_into().unwrap_or_default()).rotate_left(17);
        let driver = Driver {
            core: Arc::clone(&core),
            backoff: Backoff::new(least, most, seed),
            connect: Box::new({
                let options = self.stream.clone();
                move |deadline| options.link(&endpoint, Some(deadline))
            }),
            patience: config.handshake_timeout,
        };
        let thread = thread::Builder::new().name("session".into());
        thread
            .spawn(move || driver.run(link))
            .map_err(|cause| Error::os(cause, CONNECT, core.name.clone()))?;
        let session = Session::new(Arc::clone(&core));
        let mut state = core.lock();
        loop {
            match state.engine.phase() {
                Phase::Up => {
                    drop(state);
                    return Ok(session);
                }
                Phase::Over if state.loss.is_some() => {
                    let error = core.over(&state, CONNECT).kinded(ErrorKind::Incompatible);
                    drop(state);
                    return Err(error);
                }
                Phase::Over => {
                    drop(state);
                    return Ok(session);
                }
                _ if state.engine.first_failure().is_some() => {
                    let cause = state.engine.first_failure();
                    drop(state);
                    let detail = cause.map(|cause| cause.to_string()).unwrap_or_default();
                    let kind = match cause {
                        Some(crossing_wire::session::Cause::NoAnswer) => ErrorKind::TimedOut,
                        Some(crossing_wire::session::Cause::Refused(_)) => ErrorKind::Busy,
                        _ => ErrorKind::Disconnected,
                    };
                    return Err(core.fault(kind, CONNECT).detail(detail));
                }
                _ => state = core.sleep(state, None),
            }
        }
    }
}

type Connect = dyn Fn(Instant) -> Result<Link> + Send;

/// The thread of a client's session: connects, reads, and connects again.
struct Driver {
    core: Arc<Core>,
    backoff: Backoff,
    connect: Box<Connect>,
    patience: Duration,
}

impl Driver {
    fn run(mut self, first: Arc<Link>) {
        let mut link = Some(first);
        loop {
            if let Some(link) = link.take() {
                let now = Instant::now();
                let begun = self.core.install(Arc::clone(&link), |engine| {
                    engine.connected(now);
                    Ok::<_, Infallible>(())
                });
                let Ok(generation) = begun;
                self.core.read(&link, generation);
            }
            if !self.wait() {
                return;
            }
            let deadline = Instant::now() + self.patience;
            link = (self.connect)(deadline).ok().map(Arc::new);
        }
    }

    /// Waits before the next attempt; `false` when the session is over.
    fn wait(&mut self) -> bool {
        let mut state = self.core.lock();
        if state.engine.take_rose() {
            self.backoff.reset();
        }
        let wait = self.backoff.next().unwrap_or_default();
        let until = Instant::now() + wait;
        loop {
            let now = Instant::now();
            state.engine.handle_timeout(now);
            self.core.flush(&mut state);
            if state.engine.phase() == Phase::Over {
                return false;
            }
            if now >= until {
                return true;
            }
            let next = state.engine.next_timeout().map_or(until, |at| at.min(until));
            state = self.core.sleep(state, Some(next));
        }
    }
}
