//! An answer that comes in parts, as its client sees it, and the queues for them.

use super::client::{Call, Reply, lock};
use super::fault::Fault;
use super::peers::Peer;
use super::{END, FAILURE, HEAD, Head, PART, REPLY, SLICE, Terms, part, random_number};
use crate::delivery::Delivery;
use crate::error::{RecvError, TryRecvError};
use crate::payload::Payload;
use crate::queue::{Queue, Receiver, Sender};
use crossing_sys::{CallError, Error, ErrorKind, Result, crash};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A queue for the parts of one answer at a time.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) number: u32,
    places: u32,
    receiver: Receiver,
    sender: Sender,
    /// The server that wrote in it last.
    server: Option<Arc<Peer>>,
    _queue: Queue,
}

impl Lane {
    fn new(name: &str, terms: &Terms) -> Result<Self> {
        let number = random_number()?;
        let mut options = Queue::<[u8]>::options();
        // One for the last word.
        let places = terms.max_parts + 1;
        options.capacity(places.into()).max_len(terms.longest_reply());
        options.priorities(1).access(terms.access).unlink_on_drop(true).waiting(terms.waiting);
        let queue = options.create(&format!("shm:{}", part(name, "parts", number)))?;
        crash::point("service.lane.made");
        let (receiver, sender) = (queue.receiver()?, queue.sender()?);
        Ok(Self { number, places, receiver, sender, server: None, _queue: queue })
    }

    /// Whether nobody has a place in it any more.
    fn is_free(&self) -> bool {
        // What a server wrote that had not heard that it was cancelled.
        while self.receiver.try_recv().is_ok() {}
        let mut places = Vec::with_capacity(self.places as usize);
        while places.len() < self.places as usize {
            match self.sender.try_loan_slice(HEAD) {
                Ok(place) => places.push(place),
                Err(_) => return false,
            }
        }
        true
    }
}

/// The queues of a client that are in no use, or in that of servers that have not heard yet.
#[derive(Debug)]
pub(super) struct Lanes {
    name: String,
    terms: Terms,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    idle: Vec<Lane>,
    /// All that there are.
    count: u32,
}

impl Lanes {
    pub(super) fn new(name: &str, terms: &Terms) -> Self {
        Self { name: name.to_owned(), terms: *terms, kept: Mutex::default() }
    }

    /// One that is free, or a new one.
    pub(super) fn take(&self) -> Result<Lane> {
        let mut kept = lock(&self.kept);
        // Who died writes no more: what it held is nobody's, and the name can go.
        let before = kept.idle.len();
        kept.idle.retain(|lane| lane.server.as_ref().is_none_or(|server| server.owner.is_alive()));
        kept.count -= (before - kept.idle.len()) as u32;
        if let Some(at) = (0..kept.idle.len()).rev().find(|at| kept.idle[*at].is_free()) {
            crash::point("service.lane.again");
            return Ok(kept.idle.swap_remove(at));
        }
        let most = self.terms.max_in_flight * 2;
        if kept.count >= most {
            let error = Error::new(ErrorKind::LimitReached, "call", format!("shm:{}", self.name));
            return Err(error
                .detail(format!("{most} answers in parts are held: by servers that were cancelled, or here"))
                .fix("drop replies that were received, let servers look whether they are cancelled"));
        }
        let lane = Lane::new(&self.name, &self.terms)?;
        kept.count += 1;
        Ok(lane)
    }

    pub(super) fn give_back(&self, lane: Lane) {
        lock(&self.kept).idle.push(lane);
    }

    /// As [`take`](Self::take), for who may be dropped before the answer has it.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn lease(&self) -> Result<Lease<'_>> {
        let lane = self.take()?;
        Ok(Lease { lanes: self, number: lane.number, lane: Some(lane) })
    }
}

/// A queue that is given back unless it is taken.
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
pub(super) struct Lease<'a> {
    lanes: &'a Lanes,
    number: u32,
    lane: Option<Lane>,
}

#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
impl Lease<'_> {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn take(mut self) -> Lane {
        match self.lane.take() {
            Some(lane) => lane,
            None => unreachable!("it is taken once, by who consumes this"),
        }
    }
}

#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.lanes.give_back(lane);
        }
    }
}

/// An answer that comes in parts: each is received by itself, in the memory where the server wrote it; `None` is the end.
/// Dropping it before tells the server that no more is wanted.
///
/// A part keeps its place until it is dropped: of [`max_parts`](super::ServiceOptions::max_parts) places. While all are taken the
/// server waits; other calls go on. As an iterator it gives each part, or the error, once.
///
/// ```
/// use crossing_queue::service::Service;
/// use std::time::{Duration, Instant};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let name = format!("doc-replies-{}", std::process::id());
/// let server = Service::<[u8], u64>::options().serve(&name)?;
/// let client = Service::<[u8], u64>::options().connect(&name)?;
/// let serving = std::thread::spawn(move || {
///     let mut answer = server.recv()?.stream()?;
///     for number in 0..100 {
///         answer.send(&number)?;
///     }
///     answer.finish()
/// });
/// let mut replies = client.call_stream(b"count", Instant::now() + Duration::from_secs(5))?;
/// let mut sum = 0;
/// while let Some(part) = replies.recv()? {
///     sum += *part;
/// }
/// assert_eq!(sum, 4950);
/// serving.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an answer that is dropped is cancelled"]
pub struct Replies<R: Payload + ?Sized = [u8]> {
    call: Call<R>,
    /// `None` only while it is being dropped.
    lane: Option<Lane>,
    server: Arc<Peer>,
    deadline: Option<Instant>,
    /// How many parts came.
    came: u64,
    end: Option<std::result::Result<(), Fault>>,
    told: bool,
}

impl<R: Payload + ?Sized> Replies<R> {
    pub(super) fn new(call: Call<R>, mut lane: Lane, server: Arc<Peer>, deadline: Option<Instant>) -> Self {
        lane.server = Some(Arc::clone(&server));
        Self { call, lane: Some(lane), server, deadline, came: 0, end: None, told: false }
    }

    /// Receives the next part, waiting for it until the deadline of the call; `None`: that was all.
    ///
    /// # Errors
    /// [`Error::call`] says why there is no more: as [`Client::call_timeout`](super::Client::call_timeout). The parts that came
    /// before are received first, and each later receive gives the same.
    pub fn recv(&mut self) -> Result<Option<Reply<R>>> {
        self.recv_deadline(None)
    }

    /// Receives the next part if it is there.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if it is not; as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<Reply<R>>> {
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
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Reply<R>>> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: that of the call).
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<Option<Reply<R>>> {
        let until = [self.deadline, deadline.into()].into_iter().flatten().min();
        loop {
            // Parts that lie there come first, whatever happened meanwhile.
            if let Some(reply) = self.look()? {
                return Ok(Some(reply));
            }
            if let Some(end) = self.end.clone() {
                return end.map(|()| None).map_err(|fault| fault.error(&self.call.shared.name));
            }
            if until.is_some_and(|at| at <= Instant::now()) {
                if self.deadline.is_some_and(|at| at <= Instant::now()) {
                    self.over(Err(Fault::late()));
                    continue;
                }
                return Err(self.call.shared.fault(ErrorKind::TimedOut).detail("no part came in time"));
            }
            let slice = Instant::now() + SLICE;
            let slice = until.map_or(slice, |at| at.min(slice));
            let Some(lane) = &self.lane else { continue };
            match lane.receiver.recv_deadline(slice) {
                Ok(delivery) => {
                    if let Some(reply) = self.take(delivery) {
                        return Ok(Some(reply));
                    }
                }
                Err(RecvError::Os(error)) => return Err(error),
                Err(_) if self.server.owner.is_alive() => {}
                Err(_) => {
                    // Its last words may have come meanwhile.
                    if let Some(reply) = self.look()? {
                        return Ok(Some(reply));
                    }
                    if self.end.is_some() {
                        continue;
                    }
                    self.call.shared.forget(&self.server);
                    let text = format!("the server (process {}) died or left", self.server.pid);
                    self.over(Err(Fault::of(CallError::ServerDied, text)));
                }
            }
        }
    }

    /// The next part or the end, if it is there. Looks whether the server lives, if not.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn try_next(&mut self) -> Option<Result<Option<Reply<R>>>> {
        loop {
            match self.try_recv() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                next => return Some(next),
            }
            if self.server.owner.is_alive() {
                return None;
            }
            // Its last words may have come meanwhile.
            match self.look() {
                Ok(None) if self.end.is_none() => {
                    self.call.shared.forget(&self.server);
                    let text = format!("the server (process {}) died or left", self.server.pid);
                    self.over(Err(Fault::of(CallError::ServerDied, text)));
                }
                Ok(None) => {}
                part => return Some(part),
            }
        }
    }

    /// What wakes who waits for the next part.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn poller(&self) -> Option<Result<crate::Poller>> {
        self.lane.as_ref().map(|lane| lane.receiver.poller())
    }

    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn call_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What lies there.
    fn look(&mut self) -> Result<Option<Reply<R>>> {
        while self.end.is_none() {
            let Some(lane) = &self.lane else { break };
            match lane.receiver.try_recv() {
                Ok(delivery) => {
                    if let Some(reply) = self.take(delivery) {
                        return Ok(Some(reply));
                    }
                }
                Err(TryRecvError::Os(error)) => return Err(error),
                Err(_) => break,
            }
        }
        Ok(None)
    }

    /// Reads what came; a part is given.
    fn take(&mut self, delivery: Delivery) -> Option<Reply<R>> {
        let (head, bytes) = Head::split(&delivery)?;
        crash::point("service.part.taken");
        // One of an earlier answer.
        if head.id != self.call.id {
            return None;
        }
        let count = head.number;
        match head.what {
            PART | END if count != self.came => {
                let text = format!("{count} parts were sent, {} came", self.came);
                self.over(Err(Fault::corrupt(text)));
            }
            END => self.over(Ok(())),
            FAILURE => {
                let fault = Fault::said(head.who, count, bytes);
                self.over(Err(fault));
            }
            what @ (PART | REPLY) => {
                self.came += 1;
                match Reply::read(delivery) {
                    Ok(reply) => {
                        if what == REPLY {
                            self.over(Ok(()));
                        }
                        return Some(reply);
                    }
                    Err(fault) => self.over(Err(fault)),
                }
            }
            _ => {}
        }
        None
    }

    /// Nothing comes any more, or nothing is wanted any more.
    fn over(&mut self, end: std::result::Result<(), Fault>) {
        self.end = Some(end);
        self.call.leave();
    }
}

impl<R: Payload + ?Sized> Iterator for Replies<R> {
    type Item = Result<Reply<R>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.told {
            return None;
        }
        let next = self.recv().transpose();
        self.told = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<R: Payload + ?Sized> Drop for Replies<R> {
    fn drop(&mut self) {
        // First, so that the server hears of it.
        self.call.leave();
        crash::point("service.replies.left");
        if let Some(lane) = self.lane.take() {
            self.call.shared.lanes.give_back(lane);
        }
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Replies<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("id", &self.call.id).field("came", &self.came).finish_non_exhaustive()
    }
}
