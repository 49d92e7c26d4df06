//! How long a peer may take nothing of what is sent to it.

use crossing_sys::local::Wait;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limit, and how things stand.
#[derive(Debug)]
pub(crate) struct Slow {
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when nothing could be sent.
    since: Option<Instant>,
    /// For ever: a frame may have been broken off.
    given_up: bool,
}

/// Says in an [`io::Error`] that the peer was given up.
#[derive(Debug)]
pub(crate) struct TookNothing(Duration);

impl fmt::Display for TookNothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer took nothing for {:?}, and is given up", self.0)
    }
}

impl std::error::Error for TookNothing {}

impl Slow {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionAborted, TookNothing(self.patience))
    }

    /// When the peer is given up unless something can be sent before; `None` while nothing waits.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn limit(&self) -> Option<Instant> {
        self.lock().since?.checked_add(self.patience)
    }

    /// Sends, waiting no longer than the peer may take nothing.
    pub(crate) fn send<T>(&self, wait: Wait, send: impl FnOnce(Wait) -> io::Result<T>) -> io::Result<T> {
        let (began, since) = {
            let state = self.lock();
            if state.given_up {
                return Err(self.over());
            }
            let now = Instant::now();
            (now, state.since.unwrap_or(now))
        };
        let limit = since.checked_add(self.patience);
        let result = send(limit.map_or(wait, |limit| wait.no_later_than(limit)));
        let mut state = self.lock();
        match result {
            Err(cause) if cause.raw_os_error().is_none() && waits(&cause) => {
                state.since.get_or_insert(began);
                state.given_up = limit.is_some_and(|limit| limit <= Instant::now());
                Err(if state.given_up { self.over() } else { cause })
            }
            result => {
                state.since = None;
                result
            }
        }
    }
}

fn waits(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
