//! Listening for sessions: new ones go to `accept`, those that come back go on where they were.

use super::core::Core;
use super::{Session, SessionOptions};
use crate::link::Link;
use crate::{Endpoint, Listener, Peer};
use crossing_sys::local::Wait;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use crossing_sys::wakers::Place;
use crossing_sys::wakers::Wakers;
use crossing_sys::{Error, ErrorKind, Result};
use crossing_wire::session::{Introduction, Phase, Refusal, Session as Engine, SessionId};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const ACCEPT: &str = "accept a session on";
/// How many connections may be introducing themselves at a time; further ones are closed.
const MAX_INTRODUCTIONS: usize = 256;
/// How long accepting rests when the system has no more files, memory or threads.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Known {
    core: Arc<Core>,
    peer: Peer,
    /// From when on it may be forgotten: both sides ended, or it was lost.
    over_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<SessionId, Known>,
    waiting: VecDeque<(Session, Peer)>,
    /// Tasks that wait for one, beside the threads that do.
    wakers: Wakers,
}

#[derive(Debug)]
struct Shared {
    listener: Listener,
    options: SessionOptions,
    table: Mutex<Table>,
    came: Condvar,
    introducing: AtomicUsize,
    closed: AtomicBool,
}

/// Waits for sessions. Dropping it stops that: sessions go on as long as their connections last, and cannot be resumed.
///
/// # Platform-specific behavior
/// Everywhere: it has one thread, which accepts connections (also while the application does not call
/// [`accept`](Self::accept)), and each connection has one.
#[derive(Debug)]
pub struct SessionListener {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SessionListener {
    pub(super) fn new(listener: Listener, options: SessionOptions) -> Result<Self> {
        let name = listener.endpoint().to_string();
        let shared = Arc::new(Shared {
            listener,
            options,
            table: Mutex::default(),
            came: Condvar::new(),
            introducing: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::Builder::new().name("session-listener".into()).spawn(move || accepting.run());
        let thread = thread.map_err(|cause| Error::os(cause, "listen on", name))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Where it listens; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.shared.listener.endpoint()
    }

    /// How many sessions it knows: with and without a connection, and those that ended a short time ago.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.lock().sessions.len()
    }

    /// Takes the next new session, waiting for it without end.
    ///
    /// # Errors
    /// None so far; a system that is short of files or memory makes it wait.
    pub fn accept(&self) -> Result<(Session, Peer)> {
        self.accept_deadline(None)
    }

    /// Takes the next new session if one waits already.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn try_accept(&self) -> Result<Option<(Session, Peer)>> {
        Ok(self.shared.lock().waiting.pop_front())
    }

    /// Takes the next new session; if there is none, the task of `waker` waits in `place`.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn accept_or_wait(&self, place: &mut Place, waker: &Waker) -> Option<(Session, Peer)> {
        let mut table = self.shared.lock();
        let taken = table.waiting.pop_front();
        if taken.is_none() {
            table.wakers.wait(place, waker);
        }
        taken
    }

    /// It does not wait any more.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn leave(&self, place: &mut Place) {
        self.shared.lock().wakers.leave(place);
    }

    /// Takes the next new session, waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and as [`accept`](Self::accept).
    pub fn accept_timeout(&self, timeout: Duration) -> Result<(Session, Peer)> {
        self.accept_deadline(Instant::now().checked_add(timeout))
    }

    /// Takes the next new session, waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`accept_timeout`](Self::accept_timeout).
    pub fn accept_deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<(Session, Peer)> {
        let deadline = deadline.into();
        let fault = |kind| Error::new(kind, ACCEPT, self.endpoint().to_string());
        let mut table = self.shared.lock();
        loop {
            if let Some(taken) = table.waiting.pop_front() {
                return Ok(taken);
            }
            table = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.shared.came.wait(table).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Err(fault(ErrorKind::TimedOut)),
                Some(left) => {
                    self.shared.came.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Drop for SessionListener {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // The thread that accepts wakes from a connection, or by itself a little later.
        Link::knock(self.endpoint(), Wait::at_most(Duration::from_millis(100)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut table = self.shared.lock();
        let waiting = std::mem::take(&mut table.waiting);
        for known in table.sessions.values() {
            let mut state = known.core.lock();
            state.can_resume = false;
            known.core.flush(&mut state);
        }
        table.sessions.clear();
        drop(table);
        drop(waiting);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(self: Arc<Self>) {
        let slice =
            (self.options.config.lost_after / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
        while !self.closed.load(Ordering::Acquire) {
            let accepted = self.listener.accept_link(Wait::at_most(slice));
            self.expire(Instant::now());
            match accepted {
                Ok(_) if self.closed.load(Ordering::Acquire) => {}
                Ok((link, peer)) => self.begin(link, peer),
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                // Too many open files and the like pass; the connections wait in the system's queue meanwhile.
                Err(_) => thread::sleep(EXHAUSTED_REST),
            }
        }
    }

    /// Forgets sessions that are over, and loses those that were without a connection for too long.
    fn expire(&self, now: Instant) {
        let lost_after = self.options.config.lost_after;
        self.lock().sessions.retain(|_, known| {
            let mut state = known.core.lock();
            if state.engine.phase() != Phase::Over {
                // Those with a connection have a thread that does it in time.
                if state.engine.phase() == Phase::Down {
                    state.engine.handle_timeout(now);
                    known.core.flush(&mut state);
                }
                return true;
            }
            // A client that missed the end of its session comes back for it; a lost one is lost.
            let since = *known.over_since.get_or_insert(now);
            state.loss.is_none() && now.saturating_duration_since(since) < lost_after
        });
    }

    fn begin(self: &Arc<Self>, link: Link, peer: Peer) {
        if self.introducing.fetch_add(1, Ordering::Relaxed) >= MAX_INTRODUCTIONS {
            self.introducing.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let shared = Arc::clone(self);
        let thread = thread::Builder::new().name("session".into());
        let begun = thread.spawn(move || {
            let link = Arc::new(link);
            let taken = shared.introduce(&link, peer);
            shared.introducing.fetch_sub(1, Ordering::Relaxed);
            if let Some((core, generation)) = taken {
                drop(shared);
                core.read(&link, generation);
            }
        });
        if begun.is_err() {
            self.introducing.fetch_sub(1, Ordering::Relaxed);
            thread::sleep(EXHAUSTED_REST);
        }
    }

    /// Learns which session a connection belongs to, and gives it to that.
    fn introduce(&self, link: &Arc<Link>, peer: Peer) -> Option<(Arc<Core>, u64)> {
        let config = self.options.config;
        let wait = Wait::at_most(config.handshake_timeout);
        let mut introduction = Introduction::new(&config);
        write_all(link, &introduction.preamble(), wait).ok()?;
        let id = loop {
            let len = link.recv(introduction.space(), wait).ok().filter(|len| *len > 0)?;
            if let Some(id) = introduction.advance(len).ok()? {
                break id;
            }
        };
        let refused = {
            let notice = |refusal| (refusal, introduction.refuse(refusal));
            [Refusal::Unknown, Refusal::Full, Refusal::Stale, Refusal::Denied].map(notice)
        };
        match self.place(id, introduction, link, peer) {
            Ok(taken) => Some(taken),
            Err(refusal) => {
                let bytes = refused.into_iter().find(|(known, _)| *known == refusal).map(|(_, bytes)| bytes);
                let _ = write_all(link, &bytes.unwrap_or_default(), wait);
                let _ = link.end_sending();
                let mut dropped = [0; 512];
                let wait = Wait::at_most(Duration::from_millis(200));
                while link.recv(&mut dropped, wait).is_ok_and(|len| len > 0) {}
                None
            }
        }
    }

    fn place(
        &self,
        id: SessionId,
        introduction: Introduction,
        link: &Arc<Link>,
        peer: Peer,
    ) -> std::result::Result<(Arc<Core>, u64), Refusal> {
        let now = Instant::now();
        let mut table = self.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(Refusal::Full);
        }
        if let Some(known) = table.sessions.get(&id) {
            if !is_same_user(&known.peer, &peer) {
                return Err(Refusal::Denied);
            }
            let core = Arc::clone(&known.core);
            drop(table);
            let generation = core.install(Arc::clone(link), |engine| engine.resume(introduction, now))?;
            return Ok((core, generation));
        }
        if table.sessions.len() >= self.options.max_sessions {
            return Err(Refusal::Full);
        }
        let engine = Engine::server(&introduction, self.options.config, now)?;
        let core = Core::new(engine, format!("{} ({peer})", self.listener.endpoint()));
        let generation = core.install(Arc::clone(link), |engine| engine.resume(introduction, now))?;
        let session = Session::new(Arc::clone(&core));
        table.sessions.insert(id, Known { core: Arc::clone(&core), peer, over_since: None });
        table.waiting.push_back((session, peer));
        self.came.notify_one();
        table.wakers.wake_all();
        Ok((core, generation))
    }
}

/// Whether `now` may go on with what `before` began: over local sockets only the same user may.
fn is_same_user(before: &Peer, now: &Peer) -> bool {
    match (before, now) {
        (Peer::Local(before), Peer::Local(now)) => {
            let user = |ids: Option<(u32, u32)>| ids.map(|(user, _)| user);
            user(before.ids()) == user(now.ids()) && before.sid() == now.sid()
        }
        (Peer::Tcp(_), Peer::Tcp(_)) => true,
        _ => false,
    }
}

fn write_all(link: &Link, mut bytes: &[u8], wait: Wait) -> io::Result<()> {
    while !bytes.is_empty() {
        let len = link.send(bytes, wait)?;
        bytes = &bytes[len..];
    }
    Ok(())
}
