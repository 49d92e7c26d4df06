//! A sender that gathers frames while the receiver is behind.
//!
//! One thread, the carrier, shares the state with the sender, under one lock:
//!
//! | the connection is | `called` | who sends |
//! |---|---|---|
//! | in the state | no | the sender itself, at once: the carrier sleeps |
//! | in the state | yes | nobody: frames are gathered, the carrier is about to wake |
//! | with the carrier | yes | the carrier, all that was gathered by one call; meanwhile frames are gathered |
//!
//! The sender calls the carrier when one call of the system follows the other, or when the system has no room. The carrier
//! puts the connection back when nothing has come for a moment, or as soon as everything went if the sender waits for it
//! (`wanted`).

use super::faults::too_large;
use super::{COPIED_LEN, SEND, Stream};
use crate::halves::SendHalf;
use crate::link::{Link, until};
use crate::{Error, ErrorKind, Result};
use crossing_sys::local::Wait;
use crossing_wire::{Encoder, FRAME_HEADER_LEN, Kind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A frame sent so shortly after the call for the one before follows it closely: there was no time to receive an answer.
const CLOSELY: Duration = Duration::from_nanos(500);
/// So many that follow closely make a flood.
const FLOOD: u32 = 8;
/// How often the carrier looks for more before it sleeps, others of its core running in between.
const LOOKS: u32 = 100;
/// How long the carrier waits for room before it looks whether it is still wanted.
const SLICE: Duration = Duration::from_millis(50);
/// How long dropping waits for what was gathered to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// The half of a stream that sends, and gathers frames while the receiver is behind; made by [`SendHalf::gathering`].
///
/// A frame that comes alone goes to the system before `send` returns, as that of a [`SendHalf`]. Where one frame follows the
/// other, or the system has no room, they are gathered, and a thread passes them on, as many as there are with one call. So
/// who sends many small frames one by one pays for few calls of the system.
///
/// What was gathered is lost if this process dies; how much that is tells [`gathered`](Self::gathered). Dropping it waits until that
/// went, at most 2 s.
///
/// ```
/// use crossing_net::{Listener, Stream};
/// let listener = Listener::bind("tcp:127.0.0.1:0")?;
/// let near = Stream::connect(listener.endpoint())?;
/// let (mut far, _peer) = listener.accept()?;
/// far.send(b"welcome")?;
/// let (sending, mut receiving) = near.split()?;
/// assert_eq!(receiving.recv()?, b"welcome");
///
/// let mut sending = sending.gathering(64 << 10)?;
/// for number in 0..1000_u32 {
///     sending.send(&number.to_le_bytes())?;
/// }
/// sending.flush_deadline(None)?;
/// for number in 0..1000_u32 {
///     assert_eq!(far.recv()?, number.to_le_bytes());
/// }
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug)]
pub struct GatheringSender {
    shared: Arc<Shared>,
    carrier: Option<thread::JoinHandle<()>>,
    link: Arc<Link>,
    encoder: Encoder,
    max_gathered: usize,
    pace: Pace,
}

/// Whether frames follow each other closely, while each is sent by itself.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    closely: u32,
}

impl Pace {
    /// Whether the next frame may go by itself.
    fn is_calm(&mut self) -> bool {
        let closely = self.last.is_some_and(|last| last.elapsed() < CLOSELY);
        self.closely = if closely { self.closely + 1 } else { 0 };
        self.closely < FLOOD
    }

    fn sent(&mut self) {
        self.last = Some(Instant::now());
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The carrier has something to do.
    work: Condvar,
    /// It has made room, or has put the connection back.
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    /// The connection, while the carrier rests.
    resting: Option<Stream>,
    /// Frames that the carrier has not taken.
    gathered: Vec<u8>,
    /// The bytes that it has taken and not passed on.
    carried: usize,
    /// It was called, and has not rested since.
    called: bool,
    /// The sender wants the connection back.
    wanted: bool,
    /// The sender waits for `moved`.
    waits: bool,
    /// The carrier is to end.
    over: bool,
    /// That the connection failed, and why, until that was told.
    failed: Option<(ErrorKind, Option<Error>)>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the carrier to move something; `false` when the time is over.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, wait: Wait) -> (MutexGuard<'a, State>, bool) {
        state.waits = true;
        let (mut state, in_time) = match wait {
            Wait::Never => (state, false),
            Wait::Forever => (self.moved.wait(state).unwrap_or_else(PoisonError::into_inner), true),
            Wait::Until(at) => match at.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => {
                    let waited = self.moved.wait_timeout(state, left);
                    (waited.unwrap_or_else(PoisonError::into_inner).0, true)
                }
                _ => (state, false),
            },
        };
        state.waits = false;
        (state, in_time)
    }

    /// Tells the sender, if it waits: it costs a call of the system.
    fn tell(&self, state: &State) {
        if state.waits {
            self.moved.notify_all();
        }
    }

    /// Has the carrier pass on what there is.
    fn call(&self, state: &mut State) {
        if !state.called {
            state.called = true;
            self.work.notify_one();
        }
    }
}

impl SendHalf {
    /// Makes it a sender that gathers frames while the receiver is behind, at most `max_gathered` bytes of them, headers of 8
    /// bytes included; up to as many again are being passed on meanwhile, or one longer frame. It starts a thread.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] if `max_gathered` is 0; that of the system if it starts no thread.
    pub fn gathering(self, max_gathered: usize) -> Result<GatheringSender> {
        let link = Arc::clone(&self.0.link);
        if max_gathered == 0 {
            let error = link.fault(ErrorKind::ApiMisuse, SEND).detail("max_gathered is 0");
            return Err(error.fix("say how many bytes may be gathered, such as 64 KiB"));
        }
        let encoder = self.0.encoder.clone();
        let state = State {
            resting: Some(self.0),
            gathered: Vec::new(),
            carried: 0,
            called: false,
            wanted: false,
            waits: false,
            over: false,
            failed: None,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), moved: Condvar::new() });
        let carried = Arc::clone(&shared);
        let carrier = thread::Builder::new()
            .name("crossing-gather".into())
            .spawn(move || carry(&carried))
            .map_err(|cause| link.error(cause, "start a thread for"))?;
        Ok(GatheringSender {
            shared,
            carrier: Some(carrier),
            link,
            encoder,
            max_gathered,
            pace: Pace::default(),
        })
    }
}

impl GatheringSender {
    /// Sends a frame, or gathers it; waits without end for room among what is gathered.
    ///
    /// # Errors
    /// As [`SendHalf::send`]. A connection that fails later is told by the calls that follow, with the bytes that did not
    /// go.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.send_deadline(frame, None)
    }

    /// As [`send`](Self::send) if that needs no waiting; `false` if it does, and nothing was sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, frame: &[u8]) -> Result<bool> {
        self.send_wait(frame, Wait::Never)
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_timeout(&mut self, frame: &[u8], timeout: Duration) -> Result<()> {
        self.send_deadline(frame, Instant::now().checked_add(timeout))
    }

    /// As [`send_timeout`](Self::send_timeout), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&mut self, frame: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        if self.send_wait(frame, until(deadline.into()))? { Ok(()) } else { Err(self.timed_out()) }
    }

    /// Waits until the system has everything, at most until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]: what is left goes on by itself; as [`send`](Self::send).
    pub fn flush_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<()> {
        let wait = until(deadline.into());
        let Some(mut state) = self.rested(wait)? else { return Err(self.timed_out()) };
        // Something is left only of a frame that failed when it went directly: it fails again.
        state.resting.as_mut().map_or(Ok(true), |stream| stream.pass_on(wait)).map(drop)
    }

    /// How many bytes were sent and are not with the system.
    #[must_use]
    pub fn gathered(&self) -> usize {
        let state = self.shared.lock();
        state.gathered.len() + state.carried + state.resting.as_ref().map_or(0, Stream::unsent)
    }

    /// Waits until the system has everything, at most until `deadline` (`None`: without end), and gives the half back that
    /// sends each frame by itself.
    ///
    /// # Errors
    /// As [`flush_deadline`](Self::flush_deadline); what is left is lost then.
    pub fn into_inner(mut self, deadline: impl Into<Option<Instant>>) -> Result<SendHalf> {
        let flushed = self.flush_deadline(deadline);
        let stream = self.end();
        flushed?;
        stream.map(SendHalf).ok_or_else(|| self.link.fault(ErrorKind::Disconnected, SEND))
    }

    fn timed_out(&self) -> Error {
        self.link.fault(ErrorKind::TimedOut, SEND).detail("the peer does not read")
    }

    #[inline]
    fn send_wait(&mut self, frame: &[u8], wait: Wait) -> Result<bool> {
        if frame.len() > COPIED_LEN {
            return self.send_by_itself(frame, wait);
        }
        let Self { shared, link, encoder, max_gathered, pace, .. } = self;
        let mut state = shared.lock();
        loop {
            check(link, &mut state)?;
            if !state.called && pace.is_calm() && send_directly(shared, &mut state, frame)? {
                pace.sent();
                return Ok(true);
            }
            // One frame is always taken, or one that is longer than all may be would never go.
            let len = state.gathered.len() + FRAME_HEADER_LEN + frame.len();
            if len <= *max_gathered || state.gathered.is_empty() {
                break;
            }
            let (held, in_time) = shared.wait(state, wait);
            state = held;
            if !in_time {
                return Ok(false);
            }
        }
        if encoder.encode(Kind::Data, frame, &mut state.gathered).is_err() {
            drop(state);
            return Err(too_large(link, encoder, frame.len()));
        }
        shared.call(&mut state);
        Ok(true)
    }

    /// A frame that is too long to be copied.
    fn send_by_itself(&mut self, frame: &[u8], wait: Wait) -> Result<bool> {
        let shared = Arc::clone(&self.shared);
        let Some(mut state) = self.rested(wait)? else { return Ok(false) };
        let Some(stream) = state.resting.as_mut() else { return Ok(false) };
        let sent = stream.send_wait(frame, wait)?;
        if !stream.pass_on(Wait::Never)? {
            shared.call(&mut state);
        }
        Ok(sent)
    }

    /// Waits until everything went and the carrier rests; `None` when the time is over.
    fn rested(&self, wait: Wait) -> Result<Option<MutexGuard<'_, State>>> {
        let mut state = self.shared.lock();
        loop {
            check(&self.link, &mut state)?;
            if state.resting.is_some() && !state.called {
                return Ok(Some(state));
            }
            state.wanted = true;
            let (held, in_time) = self.shared.wait(state, wait);
            state = held;
            state.wanted = false;
            if !in_time {
                return Ok(None);
            }
        }
    }

    /// Ends the carrier, and takes the connection if it rests.
    fn end(&mut self) -> Option<Stream> {
        let stream = {
            let mut state = self.shared.lock();
            state.over = true;
            self.shared.work.notify_one();
            state.resting.take()
        };
        if let Some(carrier) = self.carrier.take() {
            // It does not panic; if it did, that was said.
            let _ = carrier.join();
        }
        stream
    }
}

impl Drop for GatheringSender {
    fn drop(&mut self) {
        if self.carrier.is_some() {
            // What fails now is told by nobody: who wants to know flushes before.
            let _ = self.flush_deadline(Instant::now().checked_add(PATIENCE));
            self.end();
        }
    }
}

/// The error of a connection that has failed.
fn check(link: &Link, state: &mut State) -> Result<()> {
    let left = state.gathered.len() + state.carried;
    let Some((kind, error)) = &mut state.failed else { return Ok(()) };
    let error =
        error.take().unwrap_or_else(|| link.fault(*kind, SEND).detail("the connection failed before"));
    Err(if left == 0 { error } else { error.more_detail(format!("{left} gathered bytes did not go")) })
}

/// Sends a frame if the connection rests and there is room.
#[inline(never)]
fn send_directly(shared: &Shared, state: &mut State, frame: &[u8]) -> Result<bool> {
    let Some(stream) = state.resting.as_mut() else { return Ok(false) };
    let sent = stream.send_wait(frame, Wait::Never)?;
    if sent && !stream.pass_on(Wait::Never)? {
        shared.call(state);
    }
    Ok(sent)
}

/// Passes on what is gathered, whenever it is called.
fn carry(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        while !state.called && !state.over {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(mut stream) = state.resting.take().filter(|_| state.called) else { return };
        let outcome;
        (state, outcome) = carry_all(shared, state, &mut stream);
        match outcome {
            Ok(()) => {
                state.called = false;
                state.resting = Some(stream);
            }
            Err(error) => state.failed = Some((error.kind(), Some(error))),
        }
        shared.tell(&state);
    }
}

/// Until there is nothing, and nothing has come for a moment.
fn carry_all<'a>(
    shared: &'a Shared,
    mut state: MutexGuard<'a, State>,
    stream: &mut Stream,
) -> (MutexGuard<'a, State>, Result<()>) {
    let (mut went, mut looks) = (false, 0);
    loop {
        if went && state.gathered.is_empty() {
            if looks == LOOKS || state.wanted || state.over {
                return (state, Ok(()));
            }
            looks += 1;
            drop(state);
            thread::yield_now();
            state = shared.lock();
            continue;
        }
        if stream.out.is_empty() {
            std::mem::swap(&mut stream.out, &mut state.gathered);
            state.carried = stream.unsent();
            looks = 0;
            shared.tell(&state);
        }
        drop(state);
        let passed = stream.pass_on(Wait::at_most(SLICE));
        state = shared.lock();
        state.carried = stream.unsent();
        match passed {
            Ok(all) => went = all,
            Err(error) => return (state, Err(error)),
        }
        if !went && state.over {
            return (state, Ok(()));
        }
    }
}

impl Stream {
    /// How many bytes of taken frames did not go yet.
    fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Passes on what was taken before, in TLS, too; `false` when the wait ended before all of it went.
    fn pass_on(&mut self, wait: Wait) -> Result<bool> {
        if !self.flush_wait(wait)? {
            return Ok(false);
        }
        loop {
            if self.link.flush().map_err(|cause| self.link.error(cause, SEND))? {
                return Ok(true);
            }
            let at = match wait {
                Wait::Never => return Ok(false),
                Wait::Until(at) => at,
                Wait::Forever => Instant::now() + SLICE,
            };
            if !self.link.wait_writable(at).map_err(|cause| self.link.error(cause, SEND))?
                && wait != Wait::Forever
            {
                return Ok(false);
            }
        }
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
