//! The side that answers.

use super::ServiceOptions;
use super::client::lock;
use super::stream::{ReplyStream, Ticket};
use super::turn::{SLICE as TURN_SLICE, Turn};
use crate::link::Link;
use crate::{Endpoint, Listener, Peer, RecvHalf, SendHalf, Stream};
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use ::tokio::runtime::Handle;
use crossing_sys::copy::copied;
use crossing_sys::local::Wait;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use crossing_sys::wakers::Place;
use crossing_sys::wakers::Wakers;
use crossing_sys::{Error, ErrorKind, Result, ServiceError};
use crossing_wire::service::{Call as Message, Refusal};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError, Weak};
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long accepting rests when the system has no more files, memory or threads.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);
/// How often the thread that accepts looks whether it is still wanted, if nobody wakes it.
const SLICE: Duration = Duration::from_secs(1);
/// How often the thread of a client looks whether the client was cut off, if it says nothing.
const CLIENT_SLICE: Duration = Duration::from_secs(5);

pub(super) const REPLY: &str = "reply to";

/// One client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: Mutex<SendHalf>,
    pub(super) turn: Turn,
    /// Requests that were not answered.
    open: Mutex<HashMap<u64, Arc<Ticket>>>,
    pub(super) peer: Peer,
    pub(super) slow: Duration,
    cut: AtomicBool,
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) link: Arc<Link>,
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) tasks: super::tokio::OfConnection,
}

#[derive(Debug)]
pub(super) struct Shared {
    endpoint: Endpoint,
    /// Gone when the service ends, so that another one can serve here; but a pipe's only when the last connection ends: who connects
    /// to a pipe of which only taken instances are left waits for one.
    listener: Mutex<Option<Arc<Listener>>>,
    requests: Mutex<VecDeque<Request>>,
    came: Condvar,
    /// Threads that wait for one; changed under the lock of the requests.
    waiting: AtomicUsize,
    /// Tasks that wait for one.
    wakers: Mutex<Wakers>,
    /// Who reads for those.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) tasks: super::tokio::OfServer,
    connections: Mutex<Vec<Weak<Connection>>>,
    clients: AtomicUsize,
    closed: AtomicBool,
    max_in_flight: usize,
    max_clients: usize,
    slow: Duration,
}

/// Answers requests. Any number of threads may take requests at the same time, of one server or of its clones; it ends with the
/// last of them. Who waits for an answer then is told that the server left.
///
/// # Platform-specific behavior
/// Everywhere: one thread accepts, and each client has one that reads; the only client's connection is read by a thread that waits
/// for a request, as long as requests come.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
    _serving: Arc<Serving>,
}

/// Ends the service.
#[derive(Debug)]
struct Serving {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn new(listener: Listener, options: &ServiceOptions) -> Result<Self> {
        let name = listener.endpoint().to_string();
        let listener = Arc::new(listener);
        let shared = Arc::new(Shared {
            endpoint: listener.endpoint().clone(),
            listener: Mutex::new(Some(Arc::clone(&listener))),
            requests: Mutex::default(),
            came: Condvar::new(),
            waiting: AtomicUsize::new(0),
            wakers: Mutex::default(),
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            tasks: super::tokio::OfServer::default(),
            connections: Mutex::default(),
            clients: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            max_in_flight: options.max_in_flight,
            max_clients: options.max_clients,
            slow: options.slow_client,
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::Builder::new().name("service".into()).spawn(move || accepting.run(&listener));
        let thread = thread.map_err(|cause| Error::os(cause, "serve at", name))?;
        let serving = Serving { shared: Arc::clone(&shared), thread: Some(thread) };
        Ok(Self { shared, _serving: Arc::new(serving) })
    }

    /// Where it serves; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.shared.clients.load(Ordering::Relaxed)
    }

    /// Takes the next request, waiting for it without end. Requests that were cancelled or whose time is over are passed
    /// over.
    ///
    /// # Errors
    /// None so far.
    pub fn recv(&self) -> Result<Request> {
        self.recv_deadline(None)
    }

    /// Takes the next request if one waits.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Request>> {
        match self.recv_deadline(Instant::now()) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
            result => result.map(Some),
        }
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Request> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`].
    pub fn recv_deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<Request> {
        let deadline = deadline.into();
        let mut requests = lock(&self.shared.requests);
        loop {
            while let Some(request) = requests.pop_front() {
                if request.is_cancelled() {
                    continue;
                }
                if request.deadline.is_some_and(|at| at <= Instant::now()) {
                    drop(requests);
                    let mut request = request;
                    let _ =
                        request.finish(|id| Message::Failure { id, refusal: Refusal::TimedOut, text: &[] });
                    requests = lock(&self.shared.requests);
                    continue;
                }
                return Ok(request);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                let name = self.endpoint().to_string();
                return Err(Error::new(ErrorKind::TimedOut, "receive a request on", name));
            }
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            self.shared.take_back();
            // Relaxed: under the lock. Before the look at the connection: whoever leaves it from now on sees that somebody waits.
            self.shared.waiting.fetch_add(1, Ordering::Relaxed);
            if let Some((connection, receiver)) = self.shared.only_connection() {
                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                drop(requests);
                self.shared.read_for_all(&connection, receiver, deadline);
                requests = lock(&self.shared.requests);
                continue;
            }
            requests = match left {
                None => self.shared.came.wait(requests).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.shared.came.wait_timeout(requests, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// For tasks, which wait for nothing here.
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
impl Server {
    /// The next request that is still wanted, and whether its time is over; if there is none, the task of `waker` waits in
    /// `place`.
    pub(super) fn recv_or_wait(
        &self,
        runtime: &Handle,
        place: &mut Place,
        waker: &Waker,
    ) -> Option<(Request, bool)> {
        // A task of that runtime is to read each connection.
        self.shared.give_over(runtime);
        // Before the look: what comes after it wakes.
        lock(&self.shared.wakers).wait(place, waker);
        let next = self.next();
        if next.is_some() {
            self.leave_place(place);
        }
        next
    }

    /// The next request that is still wanted, and whether its time is over.
    pub(super) fn next(&self) -> Option<(Request, bool)> {
        let mut requests = lock(&self.shared.requests);
        loop {
            let request = requests.pop_front()?;
            if !request.is_cancelled() {
                let late = request.deadline.is_some_and(|at| at <= Instant::now());
                return Some((request, late));
            }
        }
    }

    /// The task waits for that no more. If it was woken, the next one is.
    pub(super) fn leave_place(&self, place: &mut Place) {
        let mut wakers = lock(&self.shared.wakers);
        if wakers.leave(place) {
            wakers.wake_one();
        }
    }
}

#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
impl Request {
    /// The last that there is to say, for who passes it on; `None` when nothing is.
    pub(super) fn last_words<'a>(&mut self, message: impl FnOnce(u64) -> Message<'a>) -> Option<Message<'a>> {
        if self.answered {
            return None;
        }
        self.answered = true;
        self.connection.forget(self.id);
        if self.is_cancelled() {
            return None;
        }
        Some(message(self.id))
    }
}

#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
impl Connection {
    fn forget(&self, id: u64) {
        // Before the last words go: with them the client may send the next request.
        lock(&self.open).remove(&id);
    }

    /// The client does not read: no reply after this one could be told from its rest.
    pub(super) fn cut_off(&self) {
        self.cut.store(true, Ordering::Release);
        // Its thread ends it.
        self.turn.keep();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.closed.store(true, Ordering::Release);
        Link::knock(&shared.endpoint, Wait::at_most(Duration::from_millis(100)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !matches!(shared.endpoint, Endpoint::Pipe(_)) {
            drop(lock(&shared.listener).take());
        }
        // Nobody will answer: those who wait learn it by the end of their connections.
        let connections = std::mem::take(&mut *lock(&shared.connections));
        for connection in connections.iter().filter_map(Weak::upgrade) {
            let _ = lock(&connection.sender).0.end_sending_timeout(Duration::from_millis(100));
            // Whatever becomes of the runtime whose task reads.
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            connection.turn.keep();
        }
        let requests = std::mem::take(&mut *lock(&shared.requests));
        drop(requests);
    }
}

/// A request to be answered: [`reply`](Self::reply), [`stream`](Self::stream) or [`fail`](Self::fail). Dropping it tells the client
/// that there will be no answer.
#[derive(Debug)]
pub struct Request {
    pub(super) connection: Arc<Connection>,
    pub(super) id: u64,
    payload: Vec<u8>,
    deadline: Option<Instant>,
    pub(super) ticket: Arc<Ticket>,
    answered: bool,
}

impl Request {
    /// What the client sent.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Who asks.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.connection.peer
    }

    /// When the client gives up, if it said so.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the client does not want the answer any more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.ticket.is_cancelled()
    }

    /// Whether the client takes the answer in parts: [`stream`](Self::stream). [`reply`](Self::reply) is one part then.
    #[must_use]
    pub fn takes_parts(&self) -> bool {
        self.ticket.takes_parts()
    }

    /// Answers it. An answer that nobody wants any more is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the client does not accept answers of this length (it is told that there is none),
    /// [`ErrorKind::Disconnected`] when it is gone, [`ErrorKind::TimedOut`] when it does not read its answers: it is cut
    /// off.
    pub fn reply(mut self, payload: &[u8]) -> Result<()> {
        self.finish(|id| Message::Reply { id, payload })
    }

    /// Answers it in parts.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the client [awaits one reply](Self::takes_parts); it is told so.
    pub fn stream(self) -> Result<ReplyStream> {
        if self.takes_parts() {
            return Ok(ReplyStream::new(self));
        }
        let error = Error::new(ErrorKind::Unsupported, REPLY, self.peer().to_string());
        let _ = self.fail("the answer comes in parts: ask with call_stream");
        Err(error.detail("the client awaits one reply").fix("let the client ask with call_stream"))
    }

    /// Tells the client that it failed, and why.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn fail(self, text: &str) -> Result<()> {
        self.fail_with(0, text)
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular. The client has both as a
    /// [`ServiceError`]; a longer text than [`ServiceError::MAX_TEXT_LEN`] is cut.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn fail_with(mut self, code: u32, text: &str) -> Result<()> {
        let text = ServiceError::cut(text).as_bytes();
        self.finish(|id| match code {
            0 => Message::Failure { id, refusal: Refusal::Application, text },
            code => Message::Error { id, code, text },
        })
    }

    /// Says the last that there is to say, unless that was done.
    pub(super) fn finish<'a>(&mut self, message: impl FnOnce(u64) -> Message<'a>) -> Result<()> {
        if self.answered {
            return Ok(());
        }
        let result = self.connection.finish(self.id, &message(self.id), self.is_cancelled());
        // Too long an answer is followed by the notice that there is none.
        self.answered = !matches!(&result, Err(error) if matches!(error.kind(), ErrorKind::TooLarge { .. }));
        result
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let _ = self.finish(|id| Message::Failure { id, refusal: Refusal::Dropped, text: &[] });
    }
}

impl Connection {
    /// Sends the last that there is to say of a request.
    fn finish(&self, id: u64, message: &Message<'_>, cancelled: bool) -> Result<()> {
        // Before it goes: with the answer the client may send the next request.
        lock(&self.open).remove(&id);
        if cancelled { Ok(()) } else { self.send(message) }
    }

    fn send(&self, message: &Message<'_>) -> Result<()> {
        self.send_until(message, None, false).map(drop)
    }

    /// Sends a frame; `false` if its first byte did not go until `deadline`, or with `now` at once. What began goes all the way.
    pub(super) fn send_until(
        &self,
        message: &Message<'_>,
        deadline: Option<Instant>,
        now: bool,
    ) -> Result<bool> {
        let (head, payload) = message.split();
        let frame = (&head[..], payload);
        let mut sender = if now {
            match self.sender.try_lock() {
                Ok(sender) => sender,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(false),
            }
        } else {
            lock(&self.sender)
        };
        let patience = Instant::now() + self.slow;
        let mut result = match deadline.filter(|at| *at < patience) {
            _ if now => sender.0.try_send_two(frame),
            None => sender.0.send_two_deadline(frame, Some(patience)).map(|()| true),
            Some(at) => match sender.0.send_two_deadline(frame, Some(at)) {
                Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
                other => other.map(|()| true),
            },
        };
        if matches!(result, Ok(true)) {
            result = sender.flush_deadline(patience).map(|()| true);
        }
        if result.as_ref().is_err_and(|error| !matches!(error.kind(), ErrorKind::TooLarge { .. })) {
            // It does not read: no reply after this one could be told from its rest.
            self.cut.store(true, Ordering::Release);
        }
        result
    }
}

impl Shared {
    fn run(self: Arc<Self>, listener: &Listener) {
        while !self.closed.load(Ordering::Acquire) {
            match listener.accept_timeout(SLICE) {
                Ok(_) if self.closed.load(Ordering::Acquire) => {}
                Ok(_) if self.clients.load(Ordering::Relaxed) >= self.max_clients => {}
                Ok((stream, peer)) => {
                    self.clients.fetch_add(1, Ordering::Relaxed);
                    let shared = Arc::clone(&self);
                    let thread = thread::Builder::new().name("service-client".into());
                    let begun = thread.spawn(move || {
                        shared.read(stream, peer);
                        shared.clients.fetch_sub(1, Ordering::Relaxed);
                    });
                    if begun.is_err() {
                        self.clients.fetch_sub(1, Ordering::Relaxed);
                        thread::sleep(EXHAUSTED_REST);
                    }
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                // Too many open files and the like pass; the connections wait in the system's queue meanwhile.
                Err(_) => thread::sleep(EXHAUSTED_REST),
            }
        }
    }

    fn read(self: &Arc<Self>, stream: Stream, peer: Peer) {
        let Ok((sender, receiver)) = stream.split() else { return };
        let connection = Arc::new(Connection {
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            link: sender.0.shared_link(),
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            tasks: super::tokio::OfConnection::new(self),
            sender: Mutex::new(sender),
            turn: Turn::new(receiver),
            open: Mutex::default(),
            peer,
            slow: self.slow,
            cut: AtomicBool::new(false),
        });
        {
            let mut connections = lock(&self.connections);
            connections.retain(|known| known.strong_count() > 0);
            connections.push(Arc::downgrade(&connection));
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            self.give_over_one(&connection);
            // None is the only one now: each is read by its thread.
            connections.iter().filter_map(Weak::upgrade).for_each(|known| known.turn.summon_from_threads());
        }
        while let Some(mut receiver) = connection.turn.await_place() {
            loop {
                // Before the request wakes who waits for it.
                let wanted = connection.turn.is_watched()
                    || self.waiting.load(Ordering::Relaxed) > 0 && self.has_one_client();
                if !self.read_one(&connection, &mut receiver, Some(Instant::now() + CLIENT_SLICE), false) {
                    break;
                }
                if wanted || connection.turn.is_watched() {
                    break;
                }
            }
            connection.turn.put_back(receiver);
            self.hand_over();
        }
        // Requests that are being answered keep the connection; its client must not wait for them.
        let _ = lock(&connection.sender).0.end_sending_timeout(Duration::from_millis(100));
        for (_, ticket) in lock(&connection.open).drain() {
            ticket.cancel();
        }
    }

    pub(super) fn has_one_client(&self) -> bool {
        self.clients.load(Ordering::Relaxed) == 1
    }

    /// The connection of the only client, for a thread that waits for a request, if nobody reads it.
    fn only_connection(&self) -> Option<(Arc<Connection>, RecvHalf)> {
        if !self.has_one_client() {
            return None;
        }
        let only = {
            let connections = lock(&self.connections);
            let mut living = connections.iter().filter_map(Weak::upgrade);
            let connection = living.next()?;
            living.next().is_none().then_some(connection)?
        };
        let receiver = only.turn.take()?;
        Some((only, receiver))
    }

    /// Reads the connection of the only client until a request has come. When that takes a while, or the client is not the only one
    /// any more, the thread of the connection reads again.
    fn read_for_all(&self, connection: &Arc<Connection>, mut receiver: RecvHalf, deadline: Option<Instant>) {
        let slice = Instant::now() + TURN_SLICE;
        let until = deadline.map_or(slice, |at| at.min(slice));
        while lock(&self.requests).is_empty() {
            if !self.has_one_client() || Instant::now() >= until {
                connection.turn.summon();
                break;
            }
            if !self.read_one(connection, &mut receiver, Some(until), true) {
                break;
            }
        }
        connection.turn.put_back(receiver);
        self.hand_over();
    }

    /// Lets another thread that waits read.
    fn hand_over(&self) {
        let requests = lock(&self.requests);
        let waiting = self.waiting.load(Ordering::Relaxed) > 0;
        drop(requests);
        if waiting {
            self.came.notify_one();
        }
    }

    /// Reads a frame, or nothing until `deadline`; `false` when the connection has ended. `soon`: one may come in a moment.
    fn read_one(
        &self,
        connection: &Arc<Connection>,
        receiver: &mut RecvHalf,
        deadline: Option<Instant>,
        soon: bool,
    ) -> bool {
        let ended = connection.cut.load(Ordering::Acquire) || self.closed.load(Ordering::Acquire);
        let goes_on = !ended
            && match connection.turn.receive(receiver, deadline, soon) {
                Ok(frame) => match self.take_frame(connection, frame) {
                    Taken::Whole => true,
                    Taken::Broken => false,
                    Taken::Refused(id) => connection.send(&refusal(id)).is_ok(),
                },
                Err(error) => error.kind() == ErrorKind::TimedOut,
            };
        if !goes_on {
            connection.turn.end();
        }
        goes_on
    }

    /// Does what a frame says.
    pub(super) fn take_frame(&self, connection: &Arc<Connection>, frame: &[u8]) -> Taken {
        match Message::decode(frame) {
            Ok(Message::Request { id, millis, window, payload }) => {
                return self.take(connection, id, millis, window, payload);
            }
            Ok(Message::Cancel { id }) => {
                if let Some(ticket) = lock(&connection.open).remove(&id) {
                    ticket.cancel();
                }
            }
            // One that was answered meanwhile needs none.
            Ok(Message::Credit { id, parts }) => {
                if let Some(ticket) = lock(&connection.open).get(&id) {
                    ticket.grant(parts);
                }
            }
            _ => return Taken::Broken,
        }
        Taken::Whole
    }

    /// Puts a request into the queue.
    fn take(&self, connection: &Arc<Connection>, id: u64, millis: u32, window: u16, payload: &[u8]) -> Taken {
        let ticket = Arc::new(Ticket::new(window));
        {
            let mut open = lock(&connection.open);
            if open.contains_key(&id) {
                return Taken::Broken;
            }
            if open.len() >= self.max_in_flight {
                return Taken::Refused(id);
            }
            open.insert(id, Arc::clone(&ticket));
        }
        let time = Duration::from_millis(millis.into());
        let deadline = if millis == 0 { None } else { Instant::now().checked_add(time) };
        let request = Request {
            connection: Arc::clone(connection),
            id,
            payload: copied(payload),
            deadline,
            ticket,
            answered: false,
        };
        let waiting = {
            let mut requests = lock(&self.requests);
            requests.push_back(request);
            self.waiting.load(Ordering::Relaxed) > 0
        };
        if waiting {
            self.came.notify_one();
        }
        lock(&self.wakers).wake_one();
        Taken::Whole
    }

    /// The connections that there are.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).iter().filter_map(Weak::upgrade).collect()
    }
}

/// What came of a frame.
pub(super) enum Taken {
    Whole,
    /// The client breaks the protocol.
    Broken,
    /// A request too many: its client is to be told.
    Refused(u64),
}

pub(super) fn refusal<'a>(id: u64) -> Message<'a> {
    Message::Failure { id, refusal: Refusal::TooMany, text: &[] }
}
