//! The side that asks.

use super::ServiceOptions;
use super::replies::{Parts, Replies};
use super::several::Servers;
use super::turn::Turn;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use crate::link::Link;
use crate::{SendHalf, Stream};
use crossing_sys::copy::copied;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use crossing_sys::wakers::Place;
use crossing_sys::wakers::Wakers;
use crossing_sys::{CallError, Error, ErrorKind, Result, ServiceError};
use crossing_wire::service::{CALL_LEN, Call as Message, Refusal};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CALL: &str = "call";

/// Why there is no reply, and what more is to be said of it.
#[derive(Debug, Clone)]
pub(super) struct Fault(pub(super) CallError, pub(super) Option<String>);

/// What came of a request.
type Answer = std::result::Result<Vec<u8>, Fault>;

/// Where the answer comes.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<SlotState>,
    /// The answer came, or the turn to read.
    came: Condvar,
}

#[derive(Debug, Default)]
struct SlotState {
    answer: Option<Answer>,
    /// The task that waits for it, if no thread does.
    waker: Option<Waker>,
    /// A thread waits for it that does not read.
    sleeps: bool,
    /// Nobody else reads: that thread may.
    turn: bool,
}

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Awaited {
    One(Arc<Slot>),
    Many(Arc<Parts>),
}

#[derive(Debug, Default)]
struct Waiting {
    slots: HashMap<u64, Awaited>,
    next: u64,
    /// Why no reply can come any more.
    dead: Option<String>,
    /// Threads that wait until another request may go.
    crowd: usize,
    /// Tasks that do.
    wakers: Wakers,
}

/// One connection to a server.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sender: Mutex<SendHalf>,
    waiting: Mutex<Waiting>,
    /// A request was answered: another may go.
    room: Condvar,
    dead: AtomicBool,
    pub(super) turn: Turn,
    max_in_flight: usize,
    name: String,
    /// Requests that are not wanted any more, which the server was not told yet: as many as may wait, at most.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) owed: Mutex<Vec<u64>>,
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) link: Arc<Link>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that a client keeps; dropped, it is ended.
#[derive(Debug)]
pub(super) struct Connection(pub(super) Arc<Shared>);

impl Connection {
    pub(super) fn new(stream: Stream, name: String, options: &ServiceOptions) -> Result<Self> {
        let (sender, receiver) = stream.split()?;
        let shared = Arc::new(Shared {
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            link: sender.0.shared_link(),
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            owed: Mutex::default(),
            sender: Mutex::new(sender),
            waiting: Mutex::default(),
            room: Condvar::new(),
            dead: AtomicBool::new(false),
            turn: Turn::new(receiver),
            max_in_flight: options.max_in_flight,
            name: name.clone(),
        });
        let reading = Arc::clone(&shared);
        let thread = thread::Builder::new().name("service-client".into());
        thread.spawn(move || reading.keep_reading()).map_err(|cause| Error::os(cause, "connect to", name))?;
        Ok(Self(shared))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server closes then, which ends the thread that reads. A server that does not read must not hold us.
        let mut sender = lock(&self.0.sender);
        let _ = sender.0.end_sending_timeout(Duration::from_millis(100));
    }
}

/// Asks a server, or several by turns. Any number of threads may call at the same time; each gets its own answer. Clones are the
/// same client.
///
/// When the connection ends, everybody who waits is told at once ([`CallError::ServerDied`]). A client of
/// [one server](ServiceOptions::connect) has none then ([`CallError::NoServer`]): connect again. One of
/// [several](ServiceOptions::connect_any) asks the others, and connects again by itself.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) servers: Arc<Servers>,
    pub(super) max_parts: u16,
}

impl Client {
    pub(super) fn new(servers: Arc<Servers>, options: &ServiceOptions) -> Self {
        Self { servers, max_parts: options.max_parts }
    }

    /// How many servers it is connected to now.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.servers.living()
    }

    /// Sends a request and awaits the reply without end.
    ///
    /// # Errors
    /// [`Error::call`] says why there is no reply: [`CallError::Application`] with the server's words,
    /// [`CallError::NoServer`], [`CallError::ServerDied`], [`CallError::Cancelled`] when the server let go of the request,
    /// [`CallError::Refused`] when it lets fewer requests wait than this side. [`ErrorKind::TooLarge`] when it does not accept
    /// requests of this length.
    pub fn call(&self, request: &[u8]) -> Result<Vec<u8>> {
        self.call_deadline(request, None)
    }

    /// As [`call`](Self::call), waiting at most `timeout`; the server is told how much time there is, and when it is
    /// over.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`CallError::DeadlinePassed`].
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
        let slot = Arc::new(Slot::default());
        let (shared, id) = self.send(request, 0, deadline, || Awaited::One(Arc::clone(&slot)))?;
        Ok(Call { shared, slot, id })
    }

    /// Sends a request that may be answered in any number of parts. The whole of the answer is awaited at most until
    /// `deadline` (`None`: without end), which the server is told. Dropping the [`Replies`] cancels it.
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn call_stream(&self, request: &[u8], deadline: impl Into<Option<Instant>>) -> Result<Replies> {
        let deadline = deadline.into();
        let parts = Arc::new(Parts::new(self.max_parts));
        let (shared, id) =
            self.send(request, self.max_parts, deadline, || Awaited::Many(Arc::clone(&parts)))?;
        shared.turn.keep();
        Ok(Replies::new(shared, parts, id, self.max_parts, deadline))
    }

    /// Sends a request to the server whose turn it is.
    fn send(
        &self,
        request: &[u8],
        window: u16,
        deadline: Option<Instant>,
        awaited: impl Fn() -> Awaited,
    ) -> Result<(Arc<Shared>, u64)> {
        let mut tries = self.servers.tries();
        loop {
            let shared = self.servers.choose(deadline)?;
            tries -= 1;
            match shared.begin(request, window, deadline, &awaited) {
                Ok(id) => return Ok((shared, id)),
                // It went nowhere: another one may have it.
                Err(error) if error.call() == Some(&CallError::NoServer) && tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A request whose reply is awaited. Dropping it tells the server that the reply is not wanted any more.
#[derive(Debug)]
pub struct Call {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    id: u64,
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
        loop {
            if let Some(answer) = self.slot.take() {
                // The turn may have come with it.
                self.shared.hand_over();
                return answer.map_err(|fault| self.shared.error(fault));
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                self.shared.hand_over();
                return Err(self.shared.error(late()));
            }
            match self.shared.turn.take() {
                Some(receiver) => self.shared.read_until(receiver, deadline, || self.slot.is_answered()),
                None => self.sleep(deadline),
            }
        }
    }

    /// Waits until the answer or the turn to read may have come.
    fn sleep(&self, deadline: Option<Instant>) {
        lock(&self.slot.state).sleeps = true;
        self.shared.turn.begin_sleep();
        // Whoever leaves the place from now on sees this one.
        if let Some(receiver) = self.shared.turn.take() {
            self.shared.turn.end_sleep();
            lock(&self.slot.state).sleeps = false;
            return self.shared.read_until(receiver, deadline, || self.slot.is_answered());
        }
        let mut state = lock(&self.slot.state);
        while state.answer.is_none() && !state.turn {
            state = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.slot.came.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => {
                    self.slot.came.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        (state.sleeps, state.turn) = (false, false);
        drop(state);
        self.shared.turn.end_sleep();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.shared.leave(self.id);
    }
}

impl Shared {
    pub(super) fn error(&self, Fault(call, detail): Fault) -> Error {
        let error = Error::of_call(call, CALL, self.name.clone());
        match detail {
            Some(text) => error.detail(text),
            None => error,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Whether another request may go now.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.waiting).slots.len() < self.max_in_flight
    }

    /// Sends a request when it may go; gives its number.
    fn begin(
        &self,
        request: &[u8],
        window: u16,
        deadline: Option<Instant>,
        awaited: impl Fn() -> Awaited,
    ) -> Result<u64> {
        let mut waiting = lock(&self.waiting);
        let id = loop {
            if let Some(id) = self.enter(&mut waiting, &awaited)? {
                break id;
            }
            // Replies are to come in, though nobody waits for them here.
            self.turn.summon();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(self.crowded());
            }
            waiting.crowd += 1;
            waiting = match left {
                None => self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.room.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            waiting.crowd -= 1;
        };
        drop(waiting);
        let (head, payload) = Self::message(id, window, deadline, request).split();
        let sent = lock(&self.sender).0.send_two_deadline((&head, payload), deadline);
        sent.map_err(|error| {
            self.forget(id);
            self.not_sent(error)
        })?;
        Ok(id)
    }

    /// Gives a request its number, if another one may go now.
    fn enter(&self, waiting: &mut Waiting, awaited: impl Fn() -> Awaited) -> Result<Option<u64>> {
        if let Some(text) = &waiting.dead {
            return Err(self.error(Fault(CallError::NoServer, Some(text.clone()))));
        }
        if waiting.slots.len() >= self.max_in_flight {
            return Ok(None);
        }
        let id = waiting.next;
        waiting.next += 1;
        waiting.slots.insert(id, awaited());
        Ok(Some(id))
    }

    /// The time was over before another request could go.
    pub(super) fn crowded(&self) -> Error {
        let text = "as many requests as may were waiting for replies".to_owned();
        self.error(Fault(CallError::DeadlinePassed, Some(text)))
    }

    pub(super) fn message(id: u64, window: u16, deadline: Option<Instant>, request: &[u8]) -> Message<'_> {
        let millis = deadline.map_or(0, |at| {
            let left = at.saturating_duration_since(Instant::now()).as_millis();
            u32::try_from(left).unwrap_or(u32::MAX).max(1)
        });
        Message::Request { id, millis, window, payload: request }
    }

    /// Why a request did not go.
    pub(super) fn not_sent(&self, error: Error) -> Error {
        match error.kind() {
            // A frame of which not all went is no request.
            ErrorKind::Disconnected => self.error(Fault(CallError::NoServer, Some(error.to_string()))),
            ErrorKind::TimedOut => self.error(Fault(
                CallError::DeadlinePassed,
                Some("the server does not take the request".to_owned()),
            )),
            _ => error,
        }
    }

    /// As [`enter`](Self::enter); if none may go, the task of `waker` waits in `place`.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn enter_or_wait(
        &self,
        place: &mut Place,
        waker: &Waker,
        awaited: impl Fn() -> Awaited,
    ) -> Option<Result<u64>> {
        let mut waiting = lock(&self.waiting);
        waiting.wakers.leave(place);
        let entered = self.enter(&mut waiting, awaited).transpose();
        if entered.is_none() {
            waiting.wakers.wait(place, waker);
        }
        entered
    }

    /// The task waits for that no more. If it was woken, the next one is.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn leave_place(&self, place: &mut Place) {
        let mut waiting = lock(&self.waiting);
        if waiting.wakers.leave(place) {
            waiting.wakers.wake_one();
        }
    }

    /// Whether it was still waiting.
    pub(super) fn forget(&self, id: u64) -> bool {
        let mut waiting = lock(&self.waiting);
        let known = waiting.slots.remove(&id).is_some();
        if known {
            if waiting.crowd > 0 {
                self.room.notify_one();
            }
            waiting.wakers.wake_one();
        }
        known
    }

    /// The answer is not wanted any more, if it did not come.
    pub(super) fn leave(&self, id: u64) {
        if !lock(&self.waiting).slots.contains_key(&id) {
            return;
        }
        // Until the notice has gone nobody else sends, who may have its place then: the server is to hear of this first, or that
        // one would be one too many.
        let mut sender = lock(&self.sender);
        if self.forget(id) {
            let mut frame = Vec::with_capacity(CALL_LEN);
            Message::Cancel { id }.encode(&mut frame);
            // If there is no room now, the server learns it from the time that the request has, or by its next part.
            let _ = sender.try_send(&frame);
        }
    }

    /// Gives what came to whom it is for; an error if the server may not send that.
    pub(super) fn take_frame(&self, frame: &[u8]) -> std::result::Result<(), String> {
        match Message::decode(frame) {
            Ok(Message::Part { id, payload }) => self.part(id, payload),
            Ok(Message::Reply { id, payload }) => self.end(id, Ok(Some(payload))),
            Ok(Message::End { id }) => self.end(id, Ok(None)),
            Ok(Message::Failure { id, refusal, text }) => self.end(id, Err(refused(refusal, text))),
            Ok(Message::Error { id, code, text }) => {
                let said = CallError::Application(ServiceError::read(code, text));
                self.end(id, Err(Fault(said, None)))
            }
            Ok(_) => Err("it sent what only clients send".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Nothing comes any more: tells everybody who waits.
    pub(super) fn die(&self, reason: String) {
        self.dead.store(true, Ordering::Release);
        let mut waiting = lock(&self.waiting);
        for awaited in std::mem::take(&mut waiting.slots).into_values() {
            let fault = Fault(CallError::ServerDied, Some(reason.clone()));
            match awaited {
                Awaited::One(slot) => slot.put(Err(fault)),
                Awaited::Many(parts) => parts.end(None, Err(fault)),
            }
        }
        waiting.dead = Some(reason);
        self.room.notify_all();
        waiting.wakers.wake_all();
    }

    /// Gives the turn to read to a thread that waits.
    pub(super) fn wake_a_sleeper(&self) {
        let waiting = lock(&self.waiting);
        for awaited in waiting.slots.values() {
            let Awaited::One(slot) = awaited else { continue };
            let mut state = lock(&slot.state);
            if state.sleeps && state.answer.is_none() {
                state.turn = true;
                slot.came.notify_one();
                return;
            }
        }
    }

    /// A part came.
    fn part(&self, id: u64, payload: &[u8]) -> std::result::Result<(), String> {
        match lock(&self.waiting).slots.get(&id) {
            Some(Awaited::Many(parts)) => parts.put(payload),
            Some(Awaited::One(_)) => Err("it answered in parts what wants one reply".to_owned()),
            None => {
                // Maybe the server did not hear that it is cancelled. It must not be waited for here.
                if let Ok(mut sender) = self.sender.try_lock() {
                    let mut frame = Vec::with_capacity(CALL_LEN);
                    Message::Cancel { id }.encode(&mut frame);
                    let _ = sender.try_send(&frame);
                }
                Ok(())
            }
        }
    }

    /// The last that there is to say of a request came.
    fn end(
        &self,
        id: u64,
        answer: std::result::Result<Option<&[u8]>, Fault>,
    ) -> std::result::Result<(), String> {
        // One that was cancelled is not there any more.
        let awaited = {
            let mut waiting = lock(&self.waiting);
            let Some(awaited) = waiting.slots.remove(&id) else { return Ok(()) };
            waiting.wakers.wake_one();
            if waiting.crowd > 0 {
                self.room.notify_one();
            }
            awaited
        };
        match (awaited, answer) {
            (Awaited::One(slot), Ok(None)) => {
                let what = "it answered in parts what wants one reply".to_owned();
                let text = format!("the server breaks the protocol: {what}");
                slot.put(Err(Fault(CallError::ServerDied, Some(text))));
                return Err(what);
            }
            (Awaited::One(slot), Ok(Some(payload))) => slot.put(Ok(copied(payload))),
            (Awaited::One(slot), Err(fault)) => slot.put(Err(fault)),
            (Awaited::Many(parts), Ok(last)) => parts.end(last, Ok(())),
            (Awaited::Many(parts), Err(fault)) => parts.end(None, Err(fault)),
        }
        Ok(())
    }
}

impl Slot {
    fn take(&self) -> Option<Answer> {
        lock(&self.state).answer.take()
    }

    fn is_answered(&self) -> bool {
        lock(&self.state).answer.is_some()
    }

    fn put(&self, answer: Answer) {
        let waker = {
            let mut state = lock(&self.state);
            state.answer = Some(answer);
            if state.sleeps {
                self.came.notify_one();
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the answer; if it has not come, the task of `waker` waits for it.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn take_or_wait(&self, waker: &Waker) -> Option<Answer> {
        let mut state = lock(&self.state);
        let answer = state.answer.take();
        if answer.is_none() {
            state.waker = Some(waker.clone());
        }
        answer
    }
}

pub(super) fn late() -> Fault {
    Fault(CallError::DeadlinePassed, Some("the server did not answer in time".to_owned()))
}

fn refused(refusal: Refusal, text: &[u8]) -> Fault {
    let (call, detail) = match refusal {
        Refusal::TooMany => (CallError::Refused, None),
        Refusal::TimedOut => (CallError::DeadlinePassed, Some("the server came to it too late")),
        Refusal::Dropped => {
            (CallError::Cancelled, Some("the server let go of the request without an answer"))
        }
        _ => (CallError::Application(ServiceError::read(0, text)), None),
    };
    Fault(call, detail.map(str::to_owned))
}
