//! The side that asks.
//!
//! Of the threads that wait for replies one receives for all, and gives the place to another one when it has its own. There is no
//! thread behind it.

use super::fault::Fault;
use super::peers::Peer;
use super::replies::{Lanes, Replies};
use super::{
    Contract, FAILURE, HEAD, Head, REPLY, REQUEST, SCHEMA, SHORT, SLICE, Terms, contract, part,
    random_number, read_aside,
};
use crate::Loan;
use crate::delivery::Delivery;
use crate::error::{RecvError, TryRecvError};
use crate::payload::Payload;
use crate::queue::{Queue, Receiver};
use crossing_shm::Segment;
use crossing_sys::process::monotonic_nanos;
use crossing_sys::wakers::Wakers;
use crossing_sys::{CallError, Error, ErrorKind, Result, crash};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
#[path = "client_tasks.rs"]
mod tasks;

/// What came of a call.
pub(super) type Answer = std::result::Result<Delivery, Fault>;

#[derive(Debug)]
struct Waiting {
    id: u64,
    server: u32,
    /// It comes in parts, elsewhere.
    parts: bool,
    /// An answer came: the server has no more to say.
    answered: bool,
    answer: Option<Answer>,
    /// The task that waits for it, if no thread does.
    waker: Option<Waker>,
}

impl Waiting {
    fn answer(&mut self, answer: Answer) {
        self.answered = true;
        self.answer = Some(answer);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By their words in the table.
    calls: Vec<Option<Waiting>>,
    /// How many there are.
    count: usize,
    next_id: u64,
    /// Words of the table that no call has.
    free: Vec<u32>,
    /// Somebody receives for all.
    receiving: bool,
    /// Threads that wait for something to change.
    pausing: usize,
    /// Tasks that wait for a word.
    wakers: Wakers,
    pub(super) servers: Vec<Arc<Peer>>,
    pub(super) turn: usize,
    pub(super) looked: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    number: u32,
    pub(super) wanted: Contract,
    pub(super) state: Mutex<State>,
    changed: Condvar,
    pub(super) replies: Receiver,
    pub(super) table: Segment,
    pub(super) lanes: Lanes,
    _heard: Queue,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the servers of a name, by turns. Any number of threads may call at the same time; each gets its own answer.
pub struct Client<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    pub(super) shared: Arc<Shared>,
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
        options.capacity(terms.max_in_flight.into()).max_len(terms.longest_reply());
        options
            .inline(terms.longest_reply().min(SHORT))
            .priorities(1)
            .access(terms.access)
            .unlink_on_drop(true)
            .waiting(terms.waiting);
        let heard = options.create(&format!("shm:{}", part(name, "heard", number)))?;
        crash::point("service.connect.queue-made");
        let mut options = Segment::options();
        options.size(terms.max_in_flight as usize * 8).schema(SCHEMA).access(terms.access);
        let table = options.create(&part(name, "client", number))?;
        crash::point("service.connect.found");
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
            lanes: Lanes::new(name, terms),
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
    /// [`Error::call`] says why there is no reply: [`CallError::Application`] with the server's words, [`CallError::NoServer`],
    /// [`CallError::ServerDied`], [`CallError::Cancelled`] when the server let go of the request, [`CallError::Refused`] when it
    /// lets fewer requests wait than this side. [`ErrorKind::TooLarge`].
    pub fn call(&self, request: &Q) -> Result<Reply<R>> {
        self.call_deadline(request, None)
    }

    /// As [`call`](Self::call), waiting at most `timeout`; the server is told how much time there is, and when it is over.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`CallError::DeadlinePassed`].
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

    /// Sends a request that may be answered in any number of parts. The whole of the answer is awaited at most until
    /// `deadline` (`None`: without end), which the server is told. Dropping the [`Replies`] cancels it.
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout); [`ErrorKind::NoSpace`], and [`ErrorKind::LimitReached`] while servers still hold
    /// on to twice as many cancelled answers as requests may be in flight.
    pub fn call_stream(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Replies<R>> {
        let deadline = deadline.into();
        let lane = self.shared.lanes.take()?;
        match self.prepare_for(request.bytes().len(), deadline, lane.number) {
            Ok((call, server, mut loan)) => {
                loan[HEAD..].copy_from_slice(request.bytes());
                // From here on dropping it cancels.
                let replies = Replies::new(call, lane, server, deadline);
                crash::point("service.call.written");
                loan.send().map_err(|error| self.shared.not_sent(error))?;
                crash::point("service.call.said");
                Ok(replies)
            }
            Err(error) => {
                self.shared.lanes.give_back(lane);
                Err(error)
            }
        }
    }

    fn prepare(&self, len: usize, deadline: Option<Instant>) -> Result<(Call<R>, Loan)> {
        self.prepare_for(len, deadline, 0).map(|(call, _, loan)| (call, loan))
    }

    /// A place in the table, and one in a server's queue.
    fn prepare_for(
        &self,
        len: usize,
        deadline: Option<Instant>,
        lane: u32,
    ) -> Result<(Call<R>, Arc<Peer>, Loan)> {
        let shared = &self.shared;
        let (call, server, mut loan) = loop {
            let (id, slot, server) = shared.enter(deadline, lane != 0)?;
            // From here on dropping it leaves.
            let call = Call::new(Arc::clone(shared), id, slot);
            match shared.lend(&server, len + HEAD, deadline) {
                Ok(loan) => break (call, server, loan),
                // One that died is not chosen again.
                Err(error) if error.call() == Some(&CallError::NoServer) => {}
                Err(error) => return Err(error),
            }
        };
        shared.address(&mut loan, (call.id, call.slot), lane, deadline);
        Ok((call, server, loan))
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

impl<R: Payload + ?Sized> Reply<R> {
    /// The value of what came.
    pub(super) fn read(delivery: Delivery) -> std::result::Result<Self, Fault> {
        let aside = Head::split(&delivery).and_then(|(_, bytes)| read_aside::<R>(bytes));
        match aside {
            Some(aside) => Ok(Self { delivery, aside }),
            None => {
                let len = delivery.len().saturating_sub(HEAD);
                Err(Fault::corrupt(format!("the server sent {len} bytes")))
            }
        }
    }
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
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) slot: u32,
    /// It has left already.
    over: bool,
    reply: PhantomData<fn() -> Box<R>>,
}

impl<R: Payload + ?Sized> Call<R> {
    pub(super) fn new(shared: Arc<Shared>, id: u64, slot: u32) -> Self {
        Self { shared, id, slot, over: false, reply: PhantomData }
    }

    pub(super) fn send(self, loan: Loan) -> Result<Self> {
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
    pub fn wait_deadline(mut self, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        let answer = self.shared.await_answer(self.slot, self.id, deadline.into())?;
        self.over = answer.is_some();
        let answer = answer.unwrap_or_else(|| Err(Fault::late()));
        answer.and_then(Reply::read).map_err(|fault| fault.error(&self.shared.name))
    }

    /// The call is over: another one may have its place.
    pub(super) fn leave(&self) {
        self.shared.leave(self.slot, self.id);
    }
}

impl<R: Payload + ?Sized> Drop for Call<R> {
    fn drop(&mut self) {
        if !self.over {
            self.leave();
        }
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn fault(&self, kind: ErrorKind) -> Error {
        Error::new(kind, "call", format!("shm:{}", self.name))
    }

    pub(super) fn of_call(&self, call: CallError) -> Error {
        Error::of_call(call, "call", format!("shm:{}", self.name))
    }

    /// Enters a call into the table: its id, its word, and the server whose turn it is.
    fn enter(&self, deadline: Option<Instant>, parts: bool) -> Result<(u64, u32, Arc<Peer>)> {
        let mut state = lock(&self.state);
        loop {
            if let Some(entered) = self.enter_now(&mut state, parts)? {
                return Ok(entered);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(self.crowded());
            }
            // Replies are taken by those who wait for them; whose call is dropped gives its word back.
            state = self.pause(state, left);
        }
    }

    /// The time was over before another call could go.
    pub(super) fn crowded(&self) -> Error {
        self.of_call(CallError::DeadlinePassed).detail("as many requests as may were waiting for replies")
    }

    /// As [`enter`](Self::enter), if there is a word free.
    fn enter_now(&self, state: &mut State, parts: bool) -> Result<Option<(u64, u32, Arc<Peer>)>> {
        let Some(slot) = state.free.pop() else { return Ok(None) };
        let server = match self.choose(state) {
            Ok(server) => server,
            Err(error) => {
                state.free.push(slot);
                // Who waits for a word is to learn it, too.
                state.wakers.wake_one();
                return Err(error);
            }
        };
        state.next_id += 1;
        let id = state.next_id;
        state.count += 1;
        if let Some(place) = state.calls.get_mut(slot as usize) {
            *place = Some(Waiting {
                id,
                server: server.number,
                parts,
                answered: false,
                answer: None,
                waker: None,
            });
        }
        crash::point("service.call.entered");
        Ok(Some((id, slot, server)))
    }

    /// Writes before a request whose it is.
    pub(super) fn address(
        &self,
        loan: &mut Loan,
        (id, slot): (u64, u32),
        lane: u32,
        deadline: Option<Instant>,
    ) {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let deadline = left.map_or(0, |left| {
            let nanos = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
            monotonic_nanos().saturating_add(nanos).max(1)
        });
        let head = Head { what: REQUEST, who: self.number, id, number: deadline, slot, lane };
        loan[..HEAD].copy_from_slice(head.as_bytes());
    }

    fn pause<'s>(&self, mut state: MutexGuard<'s, State>, left: Option<Duration>) -> MutexGuard<'s, State> {
        let left = left.map_or(SLICE, |left| left.min(SLICE));
        state.pausing += 1;
        let mut state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        state.pausing -= 1;
        state
    }

    /// Wakes the threads that wait, if there are any: a call of the system each time.
    fn tell(&self, state: &State) {
        if state.pausing > 0 {
            self.changed.notify_all();
        }
    }

    /// The call is over, or not wanted any more.
    fn leave(&self, slot: u32, id: u64) {
        self.leave_in(&mut lock(&self.state), slot, id);
    }

    fn leave_in(&self, state: &mut State, slot: u32, id: u64) {
        let Some(place) = state.calls.get_mut(slot as usize) else { return };
        let Some(waiting) = place.take_if(|waiting| waiting.id == id) else { return };
        if !waiting.answered {
            // The table is this process's own.
            let _ = self.table.write_bytes(slot as usize * 8, &id.to_le_bytes());
            crash::point("service.call.cancelled");
        }
        state.free.push(slot);
        state.count -= 1;
        state.wakers.wake_one();
        // Somebody may wait for a word, or for the place of the one who receives.
        self.tell(state);
    }

    /// Waits until the answer of the call with that word is there, which is over then; receives for the others while nobody else
    /// does. `None`: the time is over first.
    fn await_answer(&self, slot: u32, id: u64, deadline: Option<Instant>) -> Result<Option<Answer>> {
        let mut state = lock(&self.state);
        loop {
            let waiting = state.calls.get_mut(slot as usize).and_then(Option::as_mut);
            let Some(waiting) = waiting.filter(|waiting| waiting.id == id) else {
                return Err(self.fault(ErrorKind::ApiMisuse).detail("the call is over"));
            };
            if let Some(answer) = waiting.answer.take() {
                self.leave_in(&mut state, slot, id);
                return Ok(Some(answer));
            }
            if !state.receiving {
                // Mostly one that comes is one's own, and others' are there already.
                match self.replies.try_recv() {
                    Ok(delivery) => {
                        Self::put(&mut state, delivery);
                        if state.count > 1 {
                            self.tell(&state);
                        }
                        continue;
                    }
                    Err(TryRecvError::Os(error)) => return Err(error),
                    Err(_) => {}
                }
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
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
                    self.tell(&state);
                    return Err(error);
                }
            }
            // Another one's answer, or the place of the one who receives.
            self.tell(&state);
        }
    }

    /// Gives a reply to its call. One that nobody waits for is dropped.
    fn put(state: &mut State, delivery: Delivery) {
        let Some((head, bytes)) = Head::split(&delivery) else { return };
        let waiting = state.calls.get_mut(head.slot as usize).and_then(Option::as_mut);
        let Some(waiting) = waiting.filter(|waiting| waiting.id == head.id && !waiting.parts) else { return };
        match head.what {
            REPLY => waiting.answer(Ok(delivery)),
            FAILURE => {
                let fault = Fault::said(head.who, head.number, bytes);
                waiting.answer(Err(fault));
            }
            _ => {}
        }
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
                let text = format!("the server{pid} died or left");
                call.answer(Err(Fault::of(CallError::ServerDied, text)));
            }
            self.tell(state);
        }
    }
}
