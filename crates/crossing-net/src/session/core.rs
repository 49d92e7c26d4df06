//! What both sides of a session share: the engine of `crossing-wire` under a lock, the connection that it has, and the
//! thread that reads from that.
//!
//! Threads: each connection has one that reads and keeps the time. Whoever changes the engine writes what it has to say
//! at once, without waiting; if the connection has no room, a second thread (made at the first such moment) waits for
//! room. So heartbeats go and a silent peer is found whatever the application does.

use super::SEND;
use crate::link::Link;
use crossing_sys::local::Wait;
use crossing_sys::wakers::Wakers;
use crossing_sys::{Error, ErrorKind, Result};
use crossing_wire::session::{Cause, Event, Loss, Phase, SendError, Session as Engine};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much is read at once, in bytes.
const READ_LEN: usize = 64 << 10;
/// How long the last words of a session may take, and how long its peer may take to hang up.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a thread waits for room before it looks whether the connection is still in use.
const ROOM_SLICE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) engine: Engine,
    link: Option<Arc<Link>>,
    /// Counts the connections, so that a thread knows when its own is not the one in use any more.
    generation: u64,
    blocked: bool,
    has_writer: bool,
    pub(crate) events: VecDeque<Event>,
    /// Why it was lost.
    pub(crate) loss: Option<Loss>,
    /// The application let go of it.
    pub(crate) dropped: bool,
    /// Connections can be made or accepted; without that a broken one is the end.
    pub(crate) can_resume: bool,
    /// Tasks that wait, beside the threads that do.
    pub(crate) wakers: Wakers,
}

#[derive(Debug)]
pub(crate) struct Core {
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) name: String,
}

/// The state, locked; what happened while it was is passed on when it is let go.
pub(crate) type Locked<'a> = MutexGuard<'a, State>;

impl Core {
    pub(crate) fn new(engine: Engine, name: String) -> Arc<Self> {
        let state = State {
            engine,
            link: None,
            generation: 0,
            blocked: false,
            has_writer: false,
            events: VecDeque::new(),
            loss: None,
            dropped: false,
            can_resume: true,
            wakers: Wakers::default(),
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), name })
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until something changed or `deadline` (`None`: without end).
    pub(crate) fn sleep<'a>(&self, state: Locked<'a>, deadline: Option<Instant>) -> Locked<'a> {
        match deadline {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Puts a new connection to use; the engine was told by `begin`. Gives its number, `None` if the session did not
    /// take it.
    pub(crate) fn install<E>(
        self: &Arc<Self>,
        link: Arc<Link>,
        begin: impl FnOnce(&mut Engine) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E> {
        let mut state = self.lock();
        begin(&mut state.engine)?;
        state.generation += 1;
        state.link = Some(link);
        state.blocked = false;
        let generation = state.generation;
        self.flush(&mut state);
        Ok(generation)
    }

    /// Writes what goes without waiting, collects events, and wakes who waits.
    pub(crate) fn flush(self: &Arc<Self>, state: &mut State) {
        let now = Instant::now();
        if state.engine.phase() == Phase::Down {
            // The engine gave the connection up.
            state.link = None;
        }
        if let Some(link) = state.link.clone() {
            while !state.blocked {
                let bytes = state.engine.output();
                let result = match bytes.is_empty() {
                    false => link.send(bytes, Wait::Never),
                    true => match link.flush() {
                        Ok(true) => break,
                        Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
                        Err(cause) => Err(cause),
                    },
                };
                match result {
                    Ok(len) => state.engine.consume(len, now),
                    Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                        state.blocked = true;
                        if !state.has_writer {
                            let core = Arc::clone(self);
                            let made = thread::Builder::new().name("session-writer".into());
                            state.has_writer = made.spawn(move || core.write_when_there_is_room()).is_ok();
                        }
                    }
                    Err(_) => {
                        state.engine.disconnected(Cause::Cut, now);
                        state.link = None;
                        break;
                    }
                }
            }
        }
        if state.engine.phase() == Phase::Down && !state.can_resume {
            state.engine.expire();
        }
        while let Some(event) = state.engine.poll_event() {
            if let Event::Lost(loss) = event {
                state.loss = Some(loss);
            }
            state.events.push_back(event);
        }
        self.tell(state);
    }

    /// Wakes who waits.
    fn tell(&self, state: &mut State) {
        self.changed.notify_all();
        state.wakers.wake_all();
    }

    fn write_when_there_is_room(self: Arc<Self>) {
        let mut state = self.lock();
        loop {
            let link = state.link.clone().filter(|_| state.blocked);
            let Some(link) = link else {
                if state.engine.phase() == Phase::Over {
                    state.has_writer = false;
                    return;
                }
                state = self.sleep(state, None);
                continue;
            };
            let generation = state.generation;
            drop(state);
            let ready = link.wait_writable(Instant::now() + ROOM_SLICE);
            state = self.lock();
            if state.generation == generation && !matches!(ready, Ok(false)) {
                state.blocked = false;
                self.flush(&mut state);
            }
        }
    }

    /// Reads from connection `generation` and keeps the time until the session has done with the connection.
    pub(crate) fn read(self: &Arc<Self>, link: &Link, generation: u64) {
        let mut buffer = vec![0; READ_LEN];
        loop {
            let deadline = {
                let state = self.lock();
                if state.generation != generation || state.link.is_none() {
                    return;
                }
                if state.engine.phase() == Phase::Over {
                    break;
                }
                state.engine.next_timeout()
            };
            let result = link.recv(&mut buffer, crate::link::until(deadline));
            let now = Instant::now();
            let mut state = self.lock();
            if state.generation != generation {
                return;
            }
            match result {
                Ok(len) if len > 0 => state.engine.feed(&buffer[..len], now),
                Err(cause) if cause.raw_os_error().is_none() && cause.kind() == io::ErrorKind::TimedOut => {}
                _ => state.engine.disconnected(Cause::Cut, now),
            }
            state.engine.handle_timeout(now);
            self.flush(&mut state);
        }
        self.say_farewell(link, generation, &mut buffer);
    }

    /// The session is over: its last words go, and the peer gets the time to read them.
    fn say_farewell(&self, link: &Link, generation: u64, buffer: &mut [u8]) {
        let wait = Wait::at_most(FAREWELL);
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        let mut left = state.engine.output().to_vec();
        state.engine.consume(left.len(), Instant::now());
        state.link = None;
        self.tell(&mut state);
        drop(state);
        while !left.is_empty() {
            match link.send(&left, wait) {
                Ok(len) => drop(left.drain(..len)),
                Err(_) => return,
            }
        }
        let _ = link.end_sending();
        while link.recv(buffer, wait).is_ok_and(|len| len > 0) {}
    }

    /// Takes a message to send; `false` when the wait ended before.
    pub(crate) fn send(self: &Arc<Self>, message: &[u8], wait: Wait) -> Result<bool> {
        let mut state = self.lock();
        loop {
            if self.take(&mut state, message)? {
                return Ok(true);
            }
            match self.rest(state, wait) {
                Some(woken) => state = woken,
                None => return Ok(false),
            }
        }
    }

    /// Takes a message to send, if there is room now.
    pub(crate) fn take(self: &Arc<Self>, state: &mut State, message: &[u8]) -> Result<bool> {
        match state.engine.send(message) {
            Ok(()) => {
                self.flush(state);
                Ok(true)
            }
            Err(SendError::Full) => Ok(false),
            Err(SendError::TooLarge { max }) => {
                let kind = ErrorKind::TooLarge { len: message.len() as u64, max: max as u64 };
                let error = self.fault(kind, SEND).detail("the peer accepts no longer messages");
                Err(error.fix("split the message, or raise max_frame_len on the receiving side"))
            }
            Err(SendError::Over) => Err(self.over(state, SEND)),
            Err(_) => {
                let error = self.fault(ErrorKind::ApiMisuse, SEND);
                Err(error.detail("sending was ended on this side"))
            }
        }
    }

    /// Sleeps until something changed; `None` when the wait is over.
    pub(crate) fn rest<'a>(&self, state: Locked<'a>, wait: Wait) -> Option<Locked<'a>> {
        match wait {
            Wait::Never => None,
            Wait::Until(at) if Instant::now() >= at => None,
            Wait::Until(at) => Some(self.sleep(state, Some(at))),
            Wait::Forever => Some(self.sleep(state, None)),
        }
    }

    /// As [`send`](Self::send); the end of the wait is an error.
    pub(crate) fn send_until(self: &Arc<Self>, message: &[u8], wait: Wait) -> Result<()> {
        match self.send(message, wait)? {
            true => Ok(()),
            false => Err(self
                .fault(ErrorKind::TimedOut, SEND)
                .detail("the resend buffer is full of messages that the peer did not take yet")),
        }
    }

    /// The application lets go.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let mut state = self.lock();
        state.dropped = true;
        if state.engine.phase() == Phase::Over {
            return;
        }
        state.engine.abandon();
        self.flush(&mut state);
        if let Some(link) = &state.link {
            // The peer hangs up, and so wakes the thread that reads.
            let _ = link.end_sending();
        }
    }

    pub(crate) fn fault(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.name.clone())
    }

    /// The error that a session that is over means.
    pub(crate) fn over(&self, state: &State, operation: &'static str) -> Error {
        let error = self.fault(ErrorKind::Disconnected, operation);
        match state.loss {
            Some(loss) => {
                let error = error.detail(format!("the session is lost: {loss}"));
                match loss {
                    Loss::Expired => error.fix("raise lost_after, or begin a new session"),
                    _ => error
                        .fix("begin a new session; messages that were not acknowledged may not have arrived"),
                }
            }
            None => error.detail("the session has ended; everything that was sent arrived"),
        }
    }
}
