//! The side that asks.
//!
//! Of the threads that wait for replies one receives for all, and gives the place to another one when it has its own. There is no
//! thread behind it.

use super::{
    APPLICATION, Contract, DROPPED, FAILURE, HEAD, Head, MISMATCH, REPLY, REQUEST, SCHEMA, SLICE, TIMED_OUT,
    TOO_LARGE, TOO_MANY, Terms, contract, look, part, random_number, read_aside,
};
use crate::Loan;
use crate::delivery::Delivery;
use crate::error::{RecvError, SendError};
use crate::payload::Payload;
use crate::queue::{Queue, Receiver, Sender};
use crossing_shm::registry::{self, Owner};
use crossing_shm::{Offset, Segment};
use crossing_sys::process::monotonic_nanos;
use crossing_sys::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// Bytes that a server may say of a failure, at least.
const TEXT: u64 = 512;
/// How often servers that came later are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// A server, as its clients know it.
#[derive(Debug)]
struct Peer {
    number: u32,
    owner: Owner,
    sender: Sender,
    pid: u32,
}

/// What came of a call.
type Answer = std::result::Result<Delivery, (ErrorKind, String)>;

#[derive(Debug)]
struct Waiting {
    id: u64,
    server: u32,
    answer: Option<Answer>,
}

#[derive(Debug, Default)]
struct State {
    /// By their words in the table.
    calls: Vec<Option<Waiting>>,
    /// How many there are.
    count: usize,
    next_id: u64,
    /// Words of the table that no call has.
    free: Vec<u32>,
    /// Somebody receives for all.
    receiving: bool,
    servers: Vec<Arc<Peer>>,
    turn: usize,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    number: u32,
    wanted: Contract,
    state: Mutex<State>,
    changed: Condvar,
    replies: Receiver,
    table: Segment,
    _heard: Queue,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the servers of a name, by turns. Any number of threads may call at the same time; each gets its own answer.
pub struct Client<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    shared: Arc<Shared>,
    service: PhantomData<fn(&Q, &R)>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Client<Q, R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), service: PhantomData }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Client<Q, R> {
    pub(super) fn new(name: &str, terms: &Terms) -> Result<Self> {
        let wanted = contract::<Q, R>(terms);
        let number = random_number()?;
        let mut options = Queue::<[u8]>::options();
        // Of a short type too, with room for what a server says of a failure.
        let longest = terms.max_reply_len.max(TEXT) + HEAD as u64;
        options.capacity(terms.max_in_flight.into()).max_len(longest);
        options.priorities(1).access(terms.access).unlink_on_drop(true).waiting(terms.waiting);
        let heard = options.create(&format!("shm:{}", part(name, "heard", number)))?;
        let mut options = Segment::options();
        options.size(terms.max_in_flight as usize * 8).schema(SCHEMA).access(terms.access);
        let table = options.create(&part(name, "client", number))?;
        let state = State {
            calls: (0..terms.max_in_flight).map(|_| None).collect(),
            free: (0..terms.max_in_flight).rev().collect(),
            ..State::default()
        };
        let shared = Shared {
            name: name.to_owned(),
            number,
            wanted,
            state: Mutex::new(state),
            changed: Condvar::new(),
            replies: heard.receiver()?,
            table,
            _heard: heard,
        };
        shared.look(&mut lock(&shared.state))?;
        Ok(Self { shared: Arc::new(shared), service: PhantomData })
    }

    /// How many servers are known to live.
    #[must_use]
    pub fn servers(&self) -> usize {
        let mut state = lock(&self.shared.state);
        state.servers.retain(|server| server.owner.is_alive());
        state.servers.len()
    }

    /// Sends a request and awaits the reply without end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the server died, or none lives; [`ErrorKind::Os`] with the server's words when it failed;
    /// [`ErrorKind::LimitReached`] when the server lets fewer requests wait than this side; [`ErrorKind::TooLarge`].
    pub fn call(&self, request: &Q) -> Result<Reply<R>> {
        self.call_deadline(request, None)
    }

    /// As [`call`](Self::call), waiting at most `timeout`; the server is told how much time there is, and when it is over.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`ErrorKind::TimedOut`].
    pub fn call_timeout(&self, request: &Q, timeout: Duration) -> Result<Reply<R>> {
        self.call_deadline(request, Instant::now().checked_add(timeout))
    }

    /// As [`call_timeout`](Self::call_timeout), until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn call_deadline(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        let deadline = deadline.into();
        self.begin(request, deadline)?.wait_deadline(deadline)
    }

    /// Sends a request; the reply is awaited later. Dropping the [`Call`] cancels it. While as many requests wait as may,
    /// this waits too, at most until `deadline` (`None`: without end), which the server is told.
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn begin(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Call<R>> {
        let (call, mut loan) = self.prepare(request.bytes().len(), deadline.into())?;
        loan[HEAD..].copy_from_slice(request.bytes());
        call.send(loan)
    }

    /// A place in the table, and one in a server's queue.
    fn prepare(&self, len: usize, deadline: Option<Instant>) -> Result<(Call<R>, Loan)> {
        let shared = &self.shared;
        let (id, slot, server) = shared.enter(deadline)?;
        // From here on dropping it leaves.
        let call = Call { shared: Arc::clone(shared), id, slot, reply: PhantomData };
        let mut loan = shared.lend(&server, len + HEAD, deadline)?;
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let deadline = left.map_or(0, |left| {
            let nanos = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
            monotonic_nanos().saturating_add(nanos).max(1)
        });
        let head = Head { what: REQUEST, who: shared.number, id, deadline, slot, zero: 0 };
        loan[..HEAD].copy_from_slice(head.as_bytes());
        Ok((call, loan))
    }
}

impl<R: Payload + ?Sized> Client<[u8], R> {
    /// A request of `len` bytes to be written where the server will read it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn loan_slice(&self, len: usize, deadline: impl Into<Option<Instant>>) -> Result<RequestLoan<R>> {
        let (call, loan) = self.prepare(len, deadline.into())?;
        Ok(RequestLoan { call, loan })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Client<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("service", &self.shared.name).finish_non_exhaustive()
    }
}

/// A request that is being written where its server will read it. Dropped, it never was.
#[must_use = "a loan that is not sent is dropped"]
pub struct RequestLoan<R: Payload + ?Sized = [u8]> {
    call: Call<R>,
    loan: Loan,
}

impl<R: Payload + ?Sized> RequestLoan<R> {
    /// Sends it.
    ///
    /// # Errors
    /// As [`Client::begin`].
    pub fn send(self) -> Result<Call<R>> {
        self.call.send(self.loan)
    }
}

impl<R: Payload + ?Sized> Deref for RequestLoan<R> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.loan[HEAD..]
    }
}

impl<R: Payload + ?Sized> std::ops::DerefMut for RequestLoan<R> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.loan[HEAD..]
    }
}

impl<R: Payload + ?Sized> fmt::Debug for RequestLoan<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLoan").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A reply, in the memory where the server wrote it.
pub struct Reply<R: Payload + ?Sized = [u8]> {
    delivery: Delivery,
    aside: R::Aside,
}

impl<R: Payload + ?Sized> Deref for Reply<R> {
    type Target = R;

    fn deref(&self) -> &R {
        R::of(self.delivery.get(HEAD..).unwrap_or_default(), &self.aside)
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.delivery.len().saturating_sub(HEAD);
        f.debug_struct("Reply").field("len", &len).finish_non_exhaustive()
    }
}

/// A request whose reply is awaited. Dropping it tells the server that the reply is not wanted any more.
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<R: Payload + ?Sized = [u8]> {
    shared: Arc<Shared>,
    id: u64,
    slot: u32,
    reply: PhantomData<fn() -> Box<R>>,
}

impl<R: Payload + ?Sized> Call<R> {
    fn send(self, loan: Loan) -> Result<Self> {
        loan.send().map_err(|error| self.shared.not_sent(error))?;
        Ok(self)
    }

    /// Awaits the reply without end.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn wait(self) -> Result<Reply<R>> {
        self.wait_deadline(None)
    }

    /// Awaits the reply at most `timeout`.
    ///
    /// # Errors
    /// As [`Client::call_timeout`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<Reply<R>> {
        self.wait_deadline(Instant::now().checked_add(timeout))
    }

    /// Awaits the reply until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`Client::call_timeout`].
    pub fn wait_deadline(self, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        let shared = &self.shared;
        let delivery = shared
            .await_answer(self.slot, deadline.into())?
            .map_err(|(kind, text)| shared.fault(kind).detail(text))?;
        let aside = Head::split(&delivery).and_then(|(_, bytes)| read_aside::<R>(bytes));
        match aside {
            Some(aside) => Ok(Reply { delivery, aside }),
            None => Err(shared
                .fault(ErrorKind::Corrupt)
                .detail(format!("the server sent {} bytes", delivery.len().saturating_sub(HEAD)))),
        }
    }
}

impl<R: Payload + ?Sized> Drop for Call<R> {
    fn drop(&mut self) {
        self.shared.leave(self.slot);
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Shared {
    fn fault(&self, kind: ErrorKind) -> Error {
        Error::new(kind, "call", format!("shm:{}", self.name))
    }

    fn not_sent(&self, error: SendError) -> Error {
        match error {
            SendError::TimedOut | SendError::Full => {
                self.fault(ErrorKind::TimedOut).detail("the server's queue stayed full")
            }
            SendError::TooLarge { len, max } => {
                let head = HEAD as u64;
                self.fault(ErrorKind::TooLarge {
                    len: len.saturating_sub(head),
                    max: max.saturating_sub(head),
                })
                .fix("let the server have a larger max_request_len")
            }
            SendError::Os(error) => error,
        }
    }

    /// Looks which servers live; an error if there is none that can be asked.
    fn look(&self, state: &mut State) -> Result<()> {
        state.looked = Some(Instant::now());
        state.servers.retain(|server| server.owner.is_alive());
        let mut refused = None;
        let known: Vec<u32> = state.servers.iter().map(|server| server.number).collect();
        for number in look(&self.name, &known, state.servers.is_empty())? {
            match self.open(number) {
                Ok(server) => state.servers.push(Arc::new(server)),
                Err(error) => refused = Some(error),
            }
        }
        if !state.servers.is_empty() {
            return Ok(());
        }
        match refused {
            // One that is just leaving.
            Some(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Err(Error::new(ErrorKind::NotFound, "connect to service", format!("shm:{}", self.name))
                .detail("no server lives")
                .fix(format!(
                    "start one: `crossing serve shm:{} --echo`, or Service::options().serve",
                    self.name
                ))),
        }
    }

    fn open(&self, number: u32) -> Result<Peer> {
        let name = part(&self.name, "server", number);
        let owner = registry::owner(&name)?;
        let segment = Segment::options().schema(SCHEMA).read_only(true).open(&name)?;
        let offered = segment.read(Offset::<Contract>::new(0))?;
        self.agree(&offered)?;
        let queue = Queue::<[u8]>::options().open(&format!("shm:{}", part(&self.name, "asked", number)))?;
        Ok(Peer { number, owner, sender: queue.sender()?, pid: offered.pid })
    }

    fn agree(&self, offered: &Contract) -> Result<()> {
        let wanted = &self.wanted;
        let error = |detail: String| {
            let subject = format!("shm:{}", self.name);
            Error::new(ErrorKind::Incompatible, "connect to service", subject).detail(detail)
        };
        if offered.magic != wanted.magic || offered.version != wanted.version {
            return Err(error(format!(
                "a server has version {}, this client {}",
                offered.version, wanted.version
            ))
            .fix("let clients and servers use the same version"));
        }
        let terms = |it: &Contract| (it.schema, it.sizes, it.aligns);
        if terms(offered) == terms(wanted) {
            return Ok(());
        }
        let say = |it: &Contract| {
            let size = |at: usize| match it.sizes[at] {
                u32::MAX => "bytes".to_owned(),
                size => format!("size {size}, alignment {}", it.aligns[at]),
            };
            format!("schema {:#x}, requests of {}, replies of {}", it.schema, size(0), size(1))
        };
        Err(error(format!(
            "process {} serves {}; this client has {}",
            offered.pid,
            say(offered),
            say(wanted)
        ))
        .fix("use the same types and schema, or another name"))
    }

    /// Enters a call into the table: its id, its word, and the server whose turn it is.
    fn enter(&self, deadline: Option<Instant>) -> Result<(u64, u32, Arc<Peer>)> {
        let mut state = lock(&self.state);
        let slot = loop {
            if let Some(slot) = state.free.pop() {
                break slot;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                let error = self.fault(ErrorKind::TimedOut);
                return Err(error.detail("as many requests as may were waiting for replies"));
            }
            // Replies are taken by those who wait for them; whose call is dropped gives its word back.
            state = self.pause(state, left);
        };
        let server = match self.choose(&mut state) {
            Ok(server) => server,
            Err(error) => {
                state.free.push(slot);
                return Err(error);
            }
        };
        state.next_id += 1;
        let id = state.next_id;
        state.count += 1;
        if let Some(place) = state.calls.get_mut(slot as usize) {
            *place = Some(Waiting { id, server: server.number, answer: None });
        }
        self.table.write_bytes(slot as usize * 8, &id.to_le_bytes())?;
        Ok((id, slot, server))
    }

    fn pause<'s>(&self, state: MutexGuard<'s, State>, left: Option<Duration>) -> MutexGuard<'s, State> {
        let left = left.map_or(SLICE, |left| left.min(SLICE));
        self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
    }

    /// The next living server.
    fn choose(&self, state: &mut State) -> Result<Arc<Peer>> {
        if state.servers.is_empty() || state.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look(state).map_err(|error| match error.kind() {
                // It had one when it connected.
                ErrorKind::NotFound => self.fault(ErrorKind::Disconnected).detail("no server lives"),
                _ => error,
            })?;
        }
        state.turn = state.turn.wrapping_add(1);
        let turn = state.turn % state.servers.len();
        Ok(Arc::clone(&state.servers[turn]))
    }

    /// Room in a server's queue. One that dies meanwhile is not waited for.
    fn lend(&self, server: &Peer, len: usize, deadline: Option<Instant>) -> Result<Loan> {
        // Mostly there is, and the time does not matter.
        if let Ok(loan) = server.sender.try_loan_slice(len) {
            return Ok(loan);
        }
        loop {
            let slice = Instant::now() + SLICE;
            let until = deadline.map_or(slice, |at| at.min(slice));
            match server.sender.loan_slice_with(len, &crate::Properties::new(), Some(until)) {
                // A server that died just now is noticed by who waits for it.
                Ok(loan) => return Ok(loan),
                Err(SendError::TimedOut) if !server.owner.is_alive() => return Err(self.died(server)),
                Err(SendError::TimedOut) if deadline.is_none_or(|at| Instant::now() < at) => {}
                Err(error) => return Err(self.not_sent(error)),
            }
        }
    }

    fn died(&self, server: &Peer) -> Error {
        lock(&self.state).servers.retain(|known| known.number != server.number);
        self.fault(ErrorKind::Disconnected)
            .detail(format!("the server (process {}) died or left", server.pid))
    }

    /// The call is over, or not wanted any more.
    fn leave(&self, slot: u32) {
        let mut state = lock(&self.state);
        if state.calls.get_mut(slot as usize).and_then(Option::take).is_some() {
            // The table is this process's own.
            let _ = self.table.write_bytes(slot as usize * 8, &[0; 8]);
            state.free.push(slot);
            state.count -= 1;
            if state.count > 0 || state.free.len() == 1 {
                // Somebody may wait for a word, or for the place of the one who receives.
                drop(state);
                self.changed.notify_all();
            }
        }
    }

    /// Waits until the answer of the call with that word is there; receives for the others while nobody else does.
    fn await_answer(&self, slot: u32, deadline: Option<Instant>) -> Result<Answer> {
        let mut state = lock(&self.state);
        loop {
            let Some(waiting) = state.calls.get_mut(slot as usize).and_then(Option::as_mut) else {
                return Err(self.fault(ErrorKind::ApiMisuse).detail("the call is over"));
            };
            if let Some(answer) = waiting.answer.take() {
                return Ok(answer);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(self.fault(ErrorKind::TimedOut).detail("the server did not answer in time"));
            }
            if state.receiving {
                state = self.pause(state, left);
                continue;
            }
            state.receiving = true;
            drop(state);
            let received = self.replies.recv_timeout(left.map_or(SLICE, |left| left.min(SLICE)));
            state = lock(&self.state);
            state.receiving = false;
            match received {
                Ok(delivery) => Self::put(&mut state, delivery),
                Err(RecvError::TimedOut | RecvError::Mismatch(_)) => self.bury(&mut state),
                Err(RecvError::Os(error)) => {
                    self.changed.notify_all();
                    return Err(error);
                }
            }
            if state.count > 1 {
                // Another one's answer, or the place of the one who receives.
                self.changed.notify_all();
            }
        }
    }

    /// Gives a reply to its call. One that nobody waits for is dropped.
    fn put(state: &mut State, delivery: Delivery) {
        let Some((head, bytes)) = Head::split(&delivery) else { return };
        let waiting = state.calls.get_mut(head.slot as usize).and_then(Option::as_mut);
        let Some(waiting) = waiting.filter(|waiting| waiting.id == head.id) else { return };
        waiting.answer = match head.what {
            REPLY => Some(Ok(delivery)),
            FAILURE => Some(Err(refused(head.who, bytes))),
            _ => return,
        };
    }

    /// Tells those whose server died.
    fn bury(&self, state: &mut State) {
        let mut asked: Vec<u32> = state
            .calls
            .iter()
            .flatten()
            .filter(|call| call.answer.is_none())
            .map(|call| call.server)
            .collect();
        asked.sort_unstable();
        asked.dedup();
        for number in asked {
            let known = state.servers.iter().find(|server| server.number == number).cloned();
            if known.as_ref().is_some_and(|server| server.owner.is_alive()) {
                continue;
            }
            // Its last words may have come meanwhile.
            while let Ok(delivery) = self.replies.try_recv() {
                Self::put(state, delivery);
            }
            state.servers.retain(|server| server.number != number);
            let calls = state
                .calls
                .iter_mut()
                .flatten()
                .filter(|call| call.server == number && call.answer.is_none());
            for call in calls {
                let pid = known.as_ref().map_or(String::new(), |server| format!(" (process {})", server.pid));
                call.answer = Some(Err((ErrorKind::Disconnected, format!("the server{pid} died or left"))));
            }
            self.changed.notify_all();
        }
    }
}

fn refused(why: u32, text: &[u8]) -> (ErrorKind, String) {
    let kind = match why {
        TOO_MANY => ErrorKind::LimitReached,
        TIMED_OUT => ErrorKind::TimedOut,
        TOO_LARGE => ErrorKind::Os,
        MISMATCH => ErrorKind::Incompatible,
        _ => ErrorKind::Os,
    };
    let text = match why {
        APPLICATION => format!("the server failed: {}", String::from_utf8_lossy(text)),
        TOO_MANY => "the server lets no more requests of this client wait".to_owned(),
        TIMED_OUT => "the server came to it too late".to_owned(),
        DROPPED => "the server let go of the request without an answer".to_owned(),
        TOO_LARGE => "the reply was longer than this client takes: give it a larger max_reply_len".to_owned(),
        MISMATCH => "the request was none of the server's type".to_owned(),
        other => format!("the server failed, for a reason unknown here ({other})"),
    };
    (kind, text)
}
