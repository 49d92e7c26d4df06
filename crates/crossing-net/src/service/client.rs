//! The side that asks.

use super::ServiceOptions;
use crate::{RecvHalf, SendHalf, Stream};
use crossing_sys::{Error, ErrorKind, Result};
use crossing_wire::service::{Call as Message, Refusal};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const CALL: &str = "call";

/// What came of a request.
type Answer = std::result::Result<Vec<u8>, (ErrorKind, String)>;

#[derive(Debug, Default)]
struct Slot {
    answer: Mutex<Option<Answer>>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    slots: HashMap<u64, Arc<Slot>>,
    next: u64,
    /// Why no reply can come any more.
    dead: Option<String>,
}

#[derive(Debug)]
struct Shared {
    sender: Mutex<SendHalf>,
    waiting: Mutex<Waiting>,
    /// A request was answered: another may go.
    room: Condvar,
    max_in_flight: usize,
    name: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks a server. Any number of threads may call at the same time; each gets its own answer.
///
/// When the connection ends, everybody who waits is told at once ([`ErrorKind::Disconnected`]), and so is every later
/// call: connect again.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    pub(super) fn new(stream: Stream, name: String, options: &ServiceOptions) -> Result<Self> {
        let (sender, receiver) = stream.split()?;
        let shared = Arc::new(Shared {
            sender: Mutex::new(sender),
            waiting: Mutex::default(),
            room: Condvar::new(),
            max_in_flight: options.max_in_flight,
            name: name.clone(),
        });
        let reading = Arc::clone(&shared);
        let thread = thread::Builder::new().name("service-client".into());
        thread.spawn(move || reading.read(receiver)).map_err(|cause| Error::os(cause, "connect to", name))?;
        Ok(Self { shared })
    }

    /// Sends a request and awaits the reply without end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the server is gone, [`ErrorKind::Os`] with the server's words when it failed,
    /// [`ErrorKind::LimitReached`] when the server lets fewer requests wait than this side,
    /// [`ErrorKind::TooLarge`] when it does not accept requests of this length.
    pub fn call(&self, request: &[u8]) -> Result<Vec<u8>> {
        self.call_deadline(request, None)
    }

    /// As [`call`](Self::call), waiting at most `timeout`; the server is told how much time there is, and when it is
    /// over.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`ErrorKind::TimedOut`].
    pub fn call_timeout(&self, request: &[u8], timeout: Duration) -> Result<Vec<u8>> {
        self.call_deadline(request, Instant::now().checked_add(timeout))
    }

    /// As [`call_timeout`](Self::call_timeout), until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn call_deadline(&self, request: &[u8], deadline: impl Into<Option<Instant>>) -> Result<Vec<u8>> {
        let deadline = deadline.into();
        self.begin(request, deadline)?.wait_deadline(deadline)
    }

    /// Sends a request; the reply is awaited later. Dropping the [`Call`] cancels it. While as many requests wait as may,
    /// this waits too, at most until `deadline` (`None`: without end), which the server is told.
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn begin(&self, request: &[u8], deadline: impl Into<Option<Instant>>) -> Result<Call> {
        let deadline = deadline.into();
        let shared = &self.shared;
        let slot = Arc::new(Slot::default());
        let mut waiting = lock(&shared.waiting);
        let id = loop {
            if let Some(text) = &waiting.dead {
                return Err(shared.fault(ErrorKind::Disconnected).detail(text.clone()));
            }
            if waiting.slots.len() < shared.max_in_flight {
                let id = waiting.next;
                waiting.next += 1;
                waiting.slots.insert(id, Arc::clone(&slot));
                break id;
            }
            waiting = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => shared.room.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    let error = shared.fault(ErrorKind::TimedOut);
                    return Err(error.detail("as many requests as may were waiting for replies"));
                }
                Some(left) => {
                    shared.room.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        drop(waiting);
        // From here on dropping it forgets it.
        let mut call = Call { shared: Arc::clone(shared), slot, id, sent: false };
        let millis = deadline.map_or(0, |at| {
            let left = at.saturating_duration_since(Instant::now()).as_millis();
            u32::try_from(left).unwrap_or(u32::MAX).max(1)
        });
        let mut frame = Vec::with_capacity(crossing_wire::service::CALL_LEN + request.len());
        Message::Request { id, millis, payload: request }.encode(&mut frame);
        lock(&shared.sender).send_deadline(&frame, deadline)?;
        call.sent = true;
        Ok(call)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The server closes then, which ends the thread that reads. A server that does not read must not hold us.
        let mut sender = lock(&self.shared.sender);
        let _ = sender.0.end_sending_timeout(Duration::from_millis(100));
    }
}

/// A request whose reply is awaited. Dropping it tells the server that the reply is not wanted any more.
#[derive(Debug)]
pub struct Call {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    id: u64,
    sent: bool,
}

impl Call {
    /// Awaits the reply without end.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn wait(self) -> Result<Vec<u8>> {
        self.wait_deadline(None)
    }

    /// Awaits the reply until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`Client::call_timeout`].
    pub fn wait_deadline(self, deadline: impl Into<Option<Instant>>) -> Result<Vec<u8>> {
        let deadline = deadline.into();
        let mut answer = lock(&self.slot.answer);
        loop {
            if let Some(answer) = answer.take() {
                return answer.map_err(|(kind, text)| self.shared.fault(kind).detail(text));
            }
            answer = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.slot.came.wait(answer).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    return Err(self
                        .shared
                        .fault(ErrorKind::TimedOut)
                        .detail("the server did not answer in time"));
                }
                Some(left) => {
                    self.slot.came.wait_timeout(answer, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let known = lock(&self.shared.waiting).slots.remove(&self.id).is_some();
        if known {
            self.shared.room.notify_one();
        }
        if known && self.sent {
            let mut frame = Vec::new();
            Message::Cancel { id: self.id }.encode(&mut frame);
            // If there is no room now, the server learns it from the time that the request has.
            let _ = lock(&self.shared.sender).try_send(&frame);
        }
    }
}

impl Shared {
    fn fault(&self, kind: ErrorKind) -> Error {
        Error::new(kind, CALL, self.name.clone())
    }

    fn read(&self, mut receiver: RecvHalf) {
        let reason = loop {
            let frame = match receiver.recv() {
                Ok(frame) => frame,
                Err(error) => break format!("the server is gone: {error}"),
            };
            let answer = match Message::decode(frame) {
                Ok(Message::Reply { id, payload }) => (id, Ok(payload.to_vec())),
                Ok(Message::Failure { id, refusal, text }) => (id, Err(refused(refusal, text))),
                Ok(_) => break "the server breaks the protocol: it sent a request".to_owned(),
                Err(error) => break format!("the server breaks the protocol: {error}"),
            };
            // One that was cancelled is not there any more.
            if let Some(slot) = lock(&self.waiting).slots.remove(&answer.0) {
                slot.put(answer.1);
                self.room.notify_one();
            }
        };
        let mut waiting = lock(&self.waiting);
        for slot in std::mem::take(&mut waiting.slots).into_values() {
            slot.put(Err((ErrorKind::Disconnected, reason.clone())));
        }
        waiting.dead = Some(reason);
        self.room.notify_all();
    }
}

impl Slot {
    fn put(&self, answer: Answer) {
        *lock(&self.answer) = Some(answer);
        self.came.notify_one();
    }
}

fn refused(refusal: Refusal, text: &[u8]) -> (ErrorKind, String) {
    match refusal {
        Refusal::TooMany => {
            (ErrorKind::LimitReached, "the server lets no more requests of this client wait".into())
        }
        Refusal::TimedOut => (ErrorKind::TimedOut, "the server came to it too late".into()),
        Refusal::Dropped => (ErrorKind::Os, "the server let go of the request without an answer".into()),
        _ => (ErrorKind::Os, format!("the server failed: {}", String::from_utf8_lossy(text))),
    }
}
