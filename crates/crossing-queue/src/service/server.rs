//! The side that answers.

use super::stream::ReplyStream;
use super::{
    APPLICATION, DROPPED, FAILURE, HEAD, Head, MISMATCH, REPLY, REQUEST, SCHEMA, SHORT, TIMED_OUT, TOO_LARGE,
    TOO_MANY, Terms, contract, part, random_number, read_aside,
};
use crate::Loan;
use crate::delivery::Delivery;
use crate::error::{RecvError, SendError, TryRecvError};
use crate::payload::Payload;
use crate::queue::{Queue, Receiver, Sender};
use crossing_shm::Segment;
use crossing_shm::registry::{self, Owner};
use crossing_sys::process::monotonic_nanos;
use crossing_sys::{Error, ErrorKind, Result, ServiceError, crash};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// How often it is asked whether the client of a request lives, at most.
pub(super) const LIFE: Duration = Duration::from_millis(20);
/// How many queues for parts of one client are kept open.
const KEPT_LANES: usize = 64;

/// A client, as a server knows it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) sender: Sender,
    /// The queues for parts of its answers.
    lanes: Mutex<HashMap<u32, Sender>>,
    table: Segment,
    pub(super) owner: Owner,
    in_flight: AtomicU32,
    looked: Mutex<(Instant, bool)>,
}

impl Peer {
    fn open(service: &str, number: u32) -> Result<Self> {
        let name = part(service, "client", number);
        let owner = registry::owner(&name)?;
        let table = Segment::options().schema(SCHEMA).read_only(true).open(&name)?;
        let queue = Queue::<[u8]>::options().open(&format!("shm:{}", part(service, "heard", number)))?;
        let looked = Mutex::new((Instant::now(), true));
        let (sender, lanes, in_flight) = (queue.sender()?, Mutex::default(), AtomicU32::new(0));
        Ok(Self { sender, lanes, table, owner, in_flight, looked })
    }

    /// One of its queues for parts.
    fn lane(&self, service: &str, number: u32) -> Result<Sender> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get(&number) {
            return Ok(lane.clone());
        }
        if lanes.len() >= KEPT_LANES {
            lanes.clear();
        }
        let queue = Queue::<[u8]>::options().open(&format!("shm:{}", part(service, "parts", number)))?;
        let lane = queue.sender()?;
        lanes.insert(number, lane.clone());
        Ok(lane)
    }

    fn is_alive(&self) -> bool {
        let mut looked = lock(&self.looked);
        if looked.1 && looked.0.elapsed() >= LIFE {
            *looked = (Instant::now(), self.owner.is_alive());
        }
        looked.1
    }

    /// Whether the client has not given up that call, or any later one with this word; true of one that died waiting. A hint: it
    /// may change its mind at any moment.
    pub(super) fn wants(&self, slot: u32, id: u64) -> bool {
        let mut word = [0; 8];
        let read = self.table.read_bytes((slot as usize).saturating_mul(8), &mut word);
        read.is_ok() && u64::from_le_bytes(word) < id
    }
}

/// The clients that asked.
#[derive(Debug, Default)]
struct Clients {
    all: HashMap<u32, Arc<Peer>>,
    /// The one that asked last, which mostly asks next.
    last: Option<(u32, Arc<Peer>)>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) slow: Duration,
    max_in_flight: u32,
    clients: Mutex<Clients>,
    pub(super) requests: Receiver,
    // Dropped in this order: found by the first.
    _server: Segment,
    _asked: Queue,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers requests. Any number of threads may take requests at the same time, and any number of servers may serve one name.
pub struct Server<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    pub(super) shared: Arc<Shared>,
    service: PhantomData<fn(&Q, &R)>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Server<Q, R> {
    pub(super) fn new(name: &str, terms: &Terms) -> Result<Self> {
        let number = random_number()?;
        let mut options = Queue::<[u8]>::options();
        options.capacity(terms.capacity.into()).max_len(terms.max_request_len + HEAD as u64);
        options
            .inline((terms.max_request_len + HEAD as u64).min(SHORT))
            .priorities(1)
            .access(terms.access)
            .unlink_on_drop(true)
            .waiting(terms.waiting);
        let asked = options.create(&format!("shm:{}", part(name, "asked", number)))?;
        crash::point("service.serve.queue-made");
        let contract = contract::<Q, R>(terms);
        let mut options = Segment::options();
        options.size(contract.as_bytes().len()).schema(SCHEMA).access(terms.access);
        let server = options.content(contract.as_bytes()).create(&part(name, "server", number))?;
        crash::point("service.serve.found");
        let shared = Shared {
            name: name.to_owned(),
            slow: terms.slow_client,
            max_in_flight: terms.max_in_flight,
            clients: Mutex::default(),
            requests: asked.receiver()?,
            _server: server,
            _asked: asked,
        };
        Ok(Self { shared: Arc::new(shared), service: PhantomData })
    }

    /// The name that it serves.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Takes the next request, waiting for it without end. Requests that were cancelled or whose time is over are passed over.
    ///
    /// # Errors
    /// The operating system's.
    pub fn recv(&self) -> Result<Request<Q, R>> {
        self.recv_deadline(None)
    }

    /// Takes the next request if one waits.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Request<Q, R>>> {
        self.try_recv_patient(self.shared.slow)
    }

    /// As [`try_recv`](Self::try_recv); a client that is refused gets so long to take that, as do the answers of the request.
    pub(super) fn try_recv_patient(&self, patience: Duration) -> Result<Option<Request<Q, R>>> {
        loop {
            match self.shared.requests.try_recv() {
                Ok(delivery) => {
                    if let Some(request) = self.accept(delivery, patience) {
                        return Ok(Some(request));
                    }
                }
                Err(TryRecvError::Os(error)) => return Err(error),
                Err(_) => return Ok(None),
            }
        }
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; as [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Request<Q, R>> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<Request<Q, R>> {
        let deadline = deadline.into();
        loop {
            let received = match deadline {
                None => self.shared.requests.recv(),
                Some(at) => self.shared.requests.recv_deadline(at),
            };
            match received {
                Ok(delivery) => {
                    if let Some(request) = self.accept(delivery, self.shared.slow) {
                        return Ok(request);
                    }
                }
                Err(RecvError::Os(error)) => return Err(error),
                Err(_) => {
                    let name = format!("shm:{}", self.shared.name);
                    return Err(Error::new(ErrorKind::TimedOut, "receive a request on", name));
                }
            }
        }
    }

    /// Makes a request of what was received; `None`: it was answered, or there is nobody to answer.
    fn accept(&self, delivery: Delivery, patience: Duration) -> Option<Request<Q, R>> {
        let (head, bytes) = Head::split(&delivery)?;
        if head.what != REQUEST {
            return None;
        }
        let peer = self.shared.client(head.who)?;
        if !peer.wants(head.slot, head.id) {
            return None;
        }
        // One whose queue cannot be opened is gone, or breaks the rules.
        let lane = match head.lane {
            0 => None,
            number => Some(peer.lane(&self.shared.name, number).ok()?),
        };
        let aside = read_aside::<Q>(bytes);
        // Relaxed: a count for a limit.
        let before = peer.in_flight.fetch_add(1, Ordering::Relaxed);
        crash::point("service.accept.taken");
        let late = head.number != 0 && head.number <= monotonic_nanos();
        let shared = Arc::clone(&self.shared);
        let mut request = Request {
            shared,
            peer,
            lane,
            delivery,
            head,
            aside: None,
            answered: false,
            patience,
            service: PhantomData,
        };
        let refusal = if late {
            Some(TIMED_OUT)
        } else if before >= self.shared.max_in_flight {
            Some(TOO_MANY)
        } else {
            aside.is_none().then_some(MISMATCH)
        };
        if let Some(why) = refusal {
            // A client that does not take it waits until its time is over.
            let _ = request.finish(FAILURE, why, &[]);
            return None;
        }
        request.aside = aside;
        Some(request)
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Server<Q, R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), service: PhantomData }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Server<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("service", &self.shared.name).finish_non_exhaustive()
    }
}

impl Shared {
    /// The client of that number, if it lives.
    fn client(&self, number: u32) -> Option<Arc<Peer>> {
        let mut clients = lock(&self.clients);
        let Clients { all, last } = &mut *clients;
        if let Some((_, peer)) = last.as_ref().filter(|(last, _)| *last == number) {
            return Some(Arc::clone(peer));
        }
        if let Some(peer) = all.get(&number) {
            *last = Some((number, Arc::clone(peer)));
            return Some(Arc::clone(peer));
        }
        // Those that are gone; their names can be removed when nobody has them open.
        *last = None;
        all.retain(|_, peer| peer.owner.is_alive());
        let peer = Arc::new(Peer::open(&self.name, number).ok()?);
        all.insert(number, Arc::clone(&peer));
        Some(peer)
    }
}

/// A request to be answered: [`reply`](Self::reply), [`stream`](Self::stream) or [`fail`](Self::fail). Dropping it tells the client
/// that there will be no answer.
pub struct Request<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Arc<Peer>,
    /// Where its answer goes in parts.
    pub(super) lane: Option<Sender>,
    delivery: Delivery,
    pub(super) head: Head,
    aside: Option<Q::Aside>,
    pub(super) answered: bool,
    /// How long its client may take to make room for an answer.
    patience: Duration,
    service: PhantomData<fn(&R)>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Request<Q, R> {
    /// What the client sent, in the memory where it wrote it.
    #[must_use]
    pub fn payload(&self) -> &Q {
        let bytes = self.delivery.get(HEAD..).unwrap_or_default();
        match &self.aside {
            Some(aside) => Q::of(bytes, aside),
            None => unreachable!("a request is handed out with its value"),
        }
    }

    /// How much time the client has left, if it said so.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = Some(self.head.number).filter(|deadline| *deadline != 0)?;
        Some(Duration::from_nanos(deadline.saturating_sub(monotonic_nanos())))
    }

    /// Whether the client does not want the answer any more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        !self.is_wanted() || !self.peer.is_alive()
    }

    fn is_wanted(&self) -> bool {
        self.peer.wants(self.head.slot, self.head.id)
    }

    /// Answers it. An answer that nobody wants any more is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the client does not take answers of this length (it is told that there is none),
    /// [`ErrorKind::Disconnected`] when it is gone, [`ErrorKind::TimedOut`] when it does not take its answers.
    pub fn reply(mut self, reply: &R) -> Result<()> {
        self.finish(REPLY, 0, reply.bytes())
    }

    /// Whether the client takes the answer in parts: [`stream`](Self::stream). [`reply`](Self::reply) is one part then.
    #[must_use]
    pub fn takes_parts(&self) -> bool {
        self.lane.is_some()
    }

    /// Answers it in parts.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the client [awaits one reply](Self::takes_parts); it is told so. As [`reply`](Self::reply).
    pub fn stream(self) -> Result<ReplyStream<Q, R>> {
        if self.takes_parts() {
            return ReplyStream::new(self);
        }
        let error = self.fault(ErrorKind::Unsupported);
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
        let Some(mut loan) = self.lend(text.len())? else { return Ok(()) };
        loan[HEAD..].copy_from_slice(text);
        self.send(loan, FAILURE, APPLICATION, code.into())
    }

    fn finish(&mut self, what: u32, who: u32, bytes: &[u8]) -> Result<()> {
        let mut loan = match self.lend(bytes.len()) {
            Ok(Some(loan)) => loan,
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        };
        loan[HEAD..].copy_from_slice(bytes);
        self.send(loan, what, who, 0)
    }

    pub(super) fn fault(&self, kind: ErrorKind) -> Error {
        Error::new(kind, "reply", format!("shm:{}", self.shared.name))
    }

    /// Where the client takes the answer.
    pub(super) fn sender(&self) -> &Sender {
        self.lane.as_ref().unwrap_or(&self.peer.sender)
    }

    /// Room in the client's queue; `None`: it does not want the answer.
    pub(super) fn lend(&mut self, len: usize) -> Result<Option<Loan>> {
        if !self.is_wanted() {
            self.answered = true;
            return Ok(None);
        }
        // Mostly there is room, and the time does not matter.
        if let Ok(loan) = self.sender().try_loan_slice(len + HEAD) {
            return Ok(Some(loan));
        }
        let deadline = Instant::now() + self.patience;
        loop {
            let slice = deadline.min(Instant::now() + LIFE);
            match self.sender().loan_slice_with(len + HEAD, &crate::Properties::new(), Some(slice)) {
                Ok(loan) => return Ok(Some(loan)),
                Err(SendError::TimedOut) if !self.peer.owner.is_alive() => {
                    self.answered = true;
                    return Err(self.fault(ErrorKind::Disconnected).detail("the client is gone"));
                }
                Err(SendError::TimedOut) if Instant::now() < deadline => {}
                Err(SendError::TimedOut | SendError::Full) => {
                    self.answered = true;
                    return Err(self
                        .fault(ErrorKind::TimedOut)
                        .detail("the client does not take its replies"));
                }
                Err(SendError::TooLarge { len, max }) => {
                    let head = HEAD as u64;
                    let _ = self.finish(FAILURE, TOO_LARGE, &[]);
                    let (len, max) = (len.saturating_sub(head), max.saturating_sub(head));
                    return Err(self
                        .fault(ErrorKind::TooLarge { len, max })
                        .fix("let the client have a larger max_reply_len"));
                }
                Err(SendError::Os(error)) => return Err(error),
            }
        }
    }

    /// The last that there is to say.
    fn send(&mut self, loan: Loan, what: u32, who: u32, number: u64) -> Result<()> {
        self.answered = true;
        crash::point("service.reply.written");
        self.put(loan, what, who, number)?;
        crash::point("service.reply.said");
        Ok(())
    }

    pub(super) fn put(&self, mut loan: Loan, what: u32, who: u32, number: u64) -> Result<()> {
        let Head { id, slot, .. } = self.head;
        let head = Head { what, who, id, number, slot, lane: 0 };
        loan[..HEAD].copy_from_slice(head.as_bytes());
        loan.send().map_err(|error| match error {
            SendError::Os(error) => error,
            error => self.fault(ErrorKind::Os).detail(error.to_string()),
        })
    }
}

impl<Q: Payload + ?Sized> Request<Q, [u8]> {
    /// A reply of `len` bytes to be written where the client will read it; `None`: the client does not want it any more.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn loan_slice(mut self, len: usize) -> Result<Option<ReplyLoan<Q>>> {
        let loan = self.lend(len)?;
        Ok(loan.map(|loan| ReplyLoan { loan, request: self }))
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Drop for Request<Q, R> {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.finish(FAILURE, DROPPED, &[]);
        }
        // Relaxed: as above.
        self.peer.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Request<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("id", &self.head.id).finish_non_exhaustive()
    }
}

/// A reply that is being written where its client will read it. Dropped, the client is told that there is no answer.
#[must_use = "a loan that is not sent is dropped"]
pub struct ReplyLoan<Q: Payload + ?Sized = [u8]> {
    // Dropped first: its place is the room for what is said then.
    loan: Loan,
    request: Request<Q, [u8]>,
}

impl<Q: Payload + ?Sized> ReplyLoan<Q> {
    /// The request that it answers.
    #[must_use]
    pub fn request(&self) -> &Request<Q, [u8]> {
        &self.request
    }

    /// Sends it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn send(self) -> Result<()> {
        let Self { loan, mut request } = self;
        request.send(loan, REPLY, 0, 0)
    }
}

impl<Q: Payload + ?Sized> std::ops::Deref for ReplyLoan<Q> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.loan[HEAD..]
    }
}

impl<Q: Payload + ?Sized> std::ops::DerefMut for ReplyLoan<Q> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.loan[HEAD..]
    }
}

impl<Q: Payload + ?Sized> fmt::Debug for ReplyLoan<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyLoan").field("len", &self.len()).finish_non_exhaustive()
    }
}
