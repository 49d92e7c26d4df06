//! An answer in parts, as its server makes it.

use super::client::lock;
use super::server::{REPLY, Request};
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use crossing_sys::wakers::Place;
use crossing_sys::wakers::Wakers;
use crossing_sys::{CallError, Error, ErrorKind, Result};
use crossing_wire::service::{Call as Message, Refusal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use std::task::Waker;
use std::time::{Duration, Instant};

/// What the client says of a request that it made.
#[derive(Debug)]
pub(super) struct Ticket {
    cancelled: AtomicBool,
    /// Whether it takes the answer in parts.
    parts: bool,
    /// How many more parts it takes now.
    credit: Mutex<u32>,
    changed: Condvar,
    /// Tasks that wait for either.
    wakers: Mutex<Wakers>,
}

impl Ticket {
    pub(super) fn new(window: u16) -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            parts: window != 0,
            credit: Mutex::new(window.into()),
            changed: Condvar::new(),
            wakers: Mutex::default(),
        }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        if self.parts {
            // With the lock, so that nobody misses it who is about to sleep.
            let _credit = lock(&self.credit);
            self.changed.notify_all();
        }
        lock(&self.wakers).wake_all();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(super) fn takes_parts(&self) -> bool {
        self.parts
    }

    pub(super) fn grant(&self, parts: u32) {
        let mut credit = lock(&self.credit);
        *credit = credit.saturating_add(parts);
        self.changed.notify_all();
        drop(credit);
        lock(&self.wakers).wake_all();
    }

    /// Until it is cancelled, or with `take` until there is the right to send a part, which is taken then; `false`: the task of
    /// `waker` waits in `place`.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn changed_or_wait(&self, take: bool, place: &mut Place, waker: &Waker) -> bool {
        // Before the look: what comes after it wakes.
        lock(&self.wakers).wait(place, waker);
        let done = self.is_cancelled() || (take && self.take(Some(Instant::now())));
        if done {
            self.leave_place(place);
        }
        done
    }

    /// The task waits for that no more.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn leave_place(&self, place: &mut Place) {
        lock(&self.wakers).leave(place);
    }

    /// Takes the right to send a part, waiting for it until `deadline`; `false`: there was none, or it was cancelled.
    fn take(&self, deadline: Option<Instant>) -> bool {
        let mut credit = lock(&self.credit);
        loop {
            if self.is_cancelled() {
                return false;
            }
            if let Some(left) = credit.checked_sub(1) {
                *credit = left;
                return true;
            }
            credit = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(credit).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => {
                    self.changed.wait_timeout(credit, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// An answer in parts: any number of [`send`](Self::send), then [`finish`](Self::finish) or [`fail`](Self::fail). Dropping it before
/// tells the client that the rest does not come.
///
/// The client takes as many parts as it says ([`max_parts`](super::ServiceOptions::max_parts)); sending further ones waits until
/// its user has taken some, at most until the time of the request is over, and other clients and other requests of this one are
/// answered meanwhile. What waits ends when the client cancels, dies, or is cut off: a client whose process does not read its
/// connection at all is, after [`slow_client`](super::ServiceOptions::slow_client).
#[derive(Debug)]
#[must_use = "an answer that is dropped tells the client that the rest does not come"]
pub struct ReplyStream {
    request: Request,
}

impl ReplyStream {
    pub(super) fn new(request: Request) -> Self {
        Self { request }
    }

    /// The request that it answers.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether the client does not want more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Sends a part, waiting until the client takes it.
    ///
    /// # Errors
    /// [`Error::call`]: [`CallError::Cancelled`] when the client does not want more or is gone,
    /// [`CallError::DeadlinePassed`] when its time is over: nothing can be sent any more. [`ErrorKind::TooLarge`] when the client
    /// does not accept parts of this length: others can be sent.
    pub fn send(&mut self, part: &[u8]) -> Result<()> {
        self.send_deadline(part, None)
    }

    /// Sends a part if the client takes it now; `false` if it does not, or if another thread is sending to this client.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, part: &[u8]) -> Result<bool> {
        self.send_until(part, Some(Instant::now()), true)
    }

    /// As [`send`](Self::send), waiting at most `timeout`. A part whose first byte has gone goes all the way.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] without a [reason](Error::call): nothing was sent, and it can be tried again. As
    /// [`send`](Self::send).
    pub fn send_timeout(&mut self, part: &[u8], timeout: Duration) -> Result<()> {
        self.send_deadline(part, Instant::now().checked_add(timeout))
    }

    /// As [`send_timeout`](Self::send_timeout), until `deadline` (`None`: until the time of the request is over).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&mut self, part: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        if self.send_until(part, deadline.into(), false)? {
            return Ok(());
        }
        Err(self.fault(ErrorKind::TimedOut).detail("the client did not take a part in time"))
    }

    /// `false`: nothing was sent until the deadline.
    fn send_until(&mut self, part: &[u8], deadline: Option<Instant>, now: bool) -> Result<bool> {
        let until = [deadline, self.request.deadline()].into_iter().flatten().min();
        let taken = self.request.ticket.take(until);
        if self.is_cancelled() {
            return Err(self.over(CallError::Cancelled).detail("the client wants no more, or is gone"));
        }
        if self.request.deadline().is_some_and(|at| at <= Instant::now()) {
            let _ = self.request.finish(|id| Message::Failure { id, refusal: Refusal::TimedOut, text: &[] });
            return Err(self.over(CallError::DeadlinePassed));
        }
        if !taken {
            return Ok(false);
        }
        let message = Message::Part { id: self.request.id, payload: part };
        let sent = self.request.connection.send_until(&message, deadline, now);
        if !matches!(sent, Ok(true)) {
            self.request.ticket.grant(1);
        }
        sent.map_err(|error| match error.kind() {
            ErrorKind::TooLarge { .. } => error,
            // It is cut off, or gone.
            _ => {
                self.request.ticket.cancel();
                self.over(CallError::Cancelled).detail(error.to_string())
            }
        })
    }

    fn fault(&self, kind: ErrorKind) -> Error {
        Error::new(kind, REPLY, self.request.peer().to_string())
    }

    fn over(&self, call: CallError) -> Error {
        Error::of_call(call, REPLY, self.request.peer().to_string())
    }

    /// Tells the client that this was all.
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub fn finish(mut self) -> Result<()> {
        self.request.finish(|id| Message::End { id })
    }

    /// Tells the client that the rest does not come, and why.
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub fn fail(self, text: &str) -> Result<()> {
        self.fail_with(0, text)
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular.
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub fn fail_with(self, code: u32, text: &str) -> Result<()> {
        self.request.fail_with(code, text)
    }
}
