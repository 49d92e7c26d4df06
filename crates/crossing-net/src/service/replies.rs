//! An answer that comes in parts, as its client sees it.
//!
//! The server may send as many parts as the window says, and then as many as it is granted. Parts are kept here until they are
//! taken; when half a window was taken, as many are granted anew. So the thread that reads the connection never waits for the
//! user of a stream, and other replies pass.

use super::client::{CALL, Fault, Shared, late, lock};
use crossing_sys::copy::copied;
use crossing_sys::{Error, ErrorKind, Result};
use crossing_wire::service::{CALL_LEN, Call as Message};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Parts that came and were not taken.
#[derive(Debug)]
pub(super) struct Parts {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    /// How many more the server may send.
    allowed: u32,
    /// Nothing comes any more.
    end: Option<std::result::Result<(), Fault>>,
    /// The task that waits for the next, if no thread does.
    waker: Option<Waker>,
}

impl Parts {
    pub(super) fn new(window: u16) -> Self {
        let state = State { waiting: VecDeque::new(), allowed: window.into(), end: None, waker: None };
        Self { state: Mutex::new(state), came: Condvar::new() }
    }

    /// A part came; an error if it may not.
    pub(super) fn put(&self, payload: &[u8]) -> std::result::Result<(), String> {
        let mut state = lock(&self.state);
        let Some(allowed) = state.allowed.checked_sub(1) else {
            return Err("it sent more parts than it may".to_owned());
        };
        state.allowed = allowed;
        state.waiting.push_back(copied(payload));
        self.came.notify_one();
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    /// The last came, maybe with a part.
    pub(super) fn end(&self, last: Option<&[u8]>, end: std::result::Result<(), Fault>) {
        let mut state = lock(&self.state);
        state.waiting.extend(last.map(<[u8]>::to_vec));
        state.end = Some(end);
        self.came.notify_one();
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// An answer that comes in parts: each is received by itself, `None` is the end. Dropping it before tells the server that no more
/// is wanted.
///
/// As many parts as [`max_parts`](super::ServiceOptions::max_parts) wait here; the server waits with further ones, and other calls
/// go on. As an iterator it gives each part, or the error, once.
///
/// ```
/// use crossing_net::Service;
/// use std::time::{Duration, Instant};
///
/// let server = Service::options().serve("tcp:127.0.0.1:0")?;
/// let client = Service::options().connect(server.endpoint())?;
/// let serving = std::thread::spawn(move || {
///     let mut answer = server.recv()?.stream()?;
///     for number in 0..100_u8 {
///         answer.send(&[number])?;
///     }
///     answer.finish()
/// });
/// let replies = client.call_stream(b"count", Instant::now() + Duration::from_secs(5))?;
/// let parts: Vec<Vec<u8>> = replies.collect::<Result<_, _>>()?;
/// assert_eq!(parts.len(), 100);
/// serving.join().unwrap()?;
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "an answer that is dropped is cancelled"]
pub struct Replies {
    shared: Arc<Shared>,
    parts: Arc<Parts>,
    id: u64,
    window: u32,
    deadline: Option<Instant>,
    /// Parts that were taken, and not granted anew.
    taken: u32,
    /// Something was granted that may not have gone all the way to the system.
    unflushed: bool,
    told: bool,
}

impl Replies {
    pub(super) fn new(
        shared: Arc<Shared>,
        parts: Arc<Parts>,
        id: u64,
        window: u16,
        deadline: Option<Instant>,
    ) -> Self {
        let window = window.into();
        Self { shared, parts, id, window, deadline, taken: 0, unflushed: false, told: false }
    }

    /// Receives the next part, waiting for it until the deadline of the call; `None`: that was all.
    ///
    /// # Errors
    /// [`Error::call`] says why there is no more: as [`Client::call_timeout`](super::Client::call_timeout). The parts that came
    /// before are received first, and each later receive gives the same.
    pub fn recv(&mut self) -> Result<Option<Vec<u8>>> {
        self.recv_deadline(None)
    }

    /// Receives the next part if it is there.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if it is not; as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<Vec<u8>>> {
        match self.recv_deadline(Instant::now()) {
            Err(error) if error.kind() == ErrorKind::TimedOut && error.call().is_none() => {
                Err(error.kinded(ErrorKind::WouldBlock))
            }
            result => result,
        }
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] without a [reason](Error::call): the next may still come. As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Vec<u8>>> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: that of the call).
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<Option<Vec<u8>>> {
        let until = [self.deadline, deadline.into()].into_iter().flatten().min();
        loop {
            let mut state = lock(&self.parts.state);
            if let Some(part) = state.waiting.pop_front() {
                let over = state.end.is_some();
                drop(state);
                self.taken += 1;
                if !over && self.taken >= self.window.div_ceil(2) {
                    self.grant_now();
                }
                return Ok(Some(part));
            }
            if let Some(end) = state.end.clone() {
                return end.map(|()| None).map_err(|fault| self.shared.error(fault));
            }
            if self.taken >= self.window.div_ceil(2) || self.unflushed {
                drop(state);
                self.grant(until);
                state = lock(&self.parts.state);
                if !state.waiting.is_empty() || state.end.is_some() {
                    continue;
                }
            }
            match until.map(|at| at.saturating_duration_since(Instant::now())) {
                None => drop(self.parts.came.wait(state).unwrap_or_else(PoisonError::into_inner)),
                Some(Duration::ZERO) => {
                    if self.deadline.is_some_and(|at| at <= Instant::now()) {
                        state.end = Some(Err(late()));
                        drop(state);
                        self.shared.leave(self.id);
                        continue;
                    }
                    let error = Error::new(ErrorKind::TimedOut, CALL, self.shared.name());
                    return Err(error.detail("the next part did not come in time"));
                }
                Some(left) => {
                    drop(self.parts.came.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// Grants what was taken, if that is possible without waiting.
    fn grant_now(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Ok(mut sender) = shared.sender.try_lock() else { return };
        let (parts, frame) = self.credit();
        match sender.try_send(&frame) {
            Ok(true) => self.unflushed = true,
            _ => self.revoke(parts),
        }
    }

    /// Grants what was taken, before waiting for more.
    fn grant(&mut self, until: Option<Instant>) {
        let shared = Arc::clone(&self.shared);
        let mut sender = lock(&shared.sender);
        if self.taken >= self.window.div_ceil(2) {
            let (parts, frame) = self.credit();
            if sender.send_deadline(&frame, until).is_err() {
                // If the connection is broken, the thread that reads it tells everybody.
                self.revoke(parts);
                return;
            }
        }
        self.unflushed = sender.flush_deadline(until).is_err();
    }

    fn credit(&mut self) -> (u32, Vec<u8>) {
        let parts = std::mem::take(&mut self.taken);
        // Before it goes: with it, parts may come.
        lock(&self.parts.state).allowed += parts;
        let mut frame = Vec::with_capacity(CALL_LEN);
        Message::Credit { id: self.id, parts }.encode(&mut frame);
        (parts, frame)
    }

    fn revoke(&mut self, parts: u32) {
        let mut state = lock(&self.parts.state);
        state.allowed = state.allowed.saturating_sub(parts);
        drop(state);
        self.taken += parts;
    }
}

/// For tasks, which wait for nothing here.
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
impl Replies {
    /// The next part or the end, if it is there; if not, the task of `waker` waits for it.
    pub(super) fn recv_or_wait(&mut self, waker: &Waker) -> Option<Result<Option<Vec<u8>>>> {
        {
            let mut state = lock(&self.parts.state);
            if state.waiting.is_empty() && state.end.is_none() {
                state.waker = Some(waker.clone());
                return None;
            }
        }
        // It does not wait: there is something.
        Some(self.recv_deadline(Instant::now()))
    }

    /// Whether something is to be granted before waiting for more.
    pub(super) fn owes(&self) -> bool {
        self.taken >= self.window.div_ceil(2) || self.unflushed
    }

    /// Grants it, as far as that goes now; the rest is [owed](Self::owes).
    pub(super) fn try_grant(&mut self) -> Result<()> {
        if self.taken >= self.window.div_ceil(2) {
            self.grant_now();
        }
        if self.unflushed {
            self.unflushed = !super::now::at_once(&self.shared.sender, |sender| sender.try_flush())?;
        }
        Ok(())
    }

    /// The time of the call is over.
    pub(super) fn expire(&mut self) -> Error {
        lock(&self.parts.state).end = Some(Err(late()));
        self.shared.error(late())
    }

    pub(super) fn connection(&self) -> (&Arc<Shared>, u64) {
        (&self.shared, self.id)
    }

    pub(super) fn call_deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Iterator for Replies {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.told {
            return None;
        }
        let next = self.recv().transpose();
        self.told = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.shared.leave(self.id);
    }
}
