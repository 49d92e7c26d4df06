//! An answer in parts, as its server makes it.

use super::server::{LIFE, Request};
use super::{APPLICATION, DROPPED, END, FAILURE, HEAD, PART, TEXT, TIMED_OUT};
use crate::Loan;
use crate::error::{SendError, TrySendError};
use crate::payload::Payload;
use crate::queue::Sender;
use crossing_sys::{CallError, Error, ErrorKind, Result, ServiceError, crash};
use std::fmt;
use std::time::{Duration, Instant};

/// An answer in parts: any number of [`send`](Self::send), then [`finish`](Self::finish) or [`fail`](Self::fail), which never wait.
/// Dropping it before tells the client that the rest does not come.
///
/// The client has places for as many parts as it says ([`max_parts`](super::ServiceOptions::max_parts)); sending further ones waits
/// until some are free, at most until the time of the request is over. Other clients and other requests of this one are answered
/// meanwhile. What waits ends when the client cancels or dies.
#[must_use = "an answer that is dropped tells the client that the rest does not come"]
pub struct ReplyStream<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    /// The place of the last word; `None`: it was said, or the client wants none.
    end: Option<Loan>,
    pub(super) lane: Sender,
    sent: u64,
    request: Request<Q, R>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> ReplyStream<Q, R> {
    pub(super) fn new(mut request: Request<Q, R>) -> Result<Self> {
        let end = request.lend(TEXT)?;
        crash::point("service.stream.begun");
        match request.lane.clone() {
            Some(lane) => Ok(Self { end, lane, sent: 0, request }),
            None => Err(request.fault(ErrorKind::Unsupported)),
        }
    }

    /// The request that it answers.
    #[must_use]
    pub fn request(&self) -> &Request<Q, R> {
        &self.request
    }

    /// Whether the client does not want more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Sends a part, waiting for a place.
    ///
    /// # Errors
    /// [`Error::call`]: [`CallError::Cancelled`] when the client does not want more or is gone,
    /// [`CallError::DeadlinePassed`] when its time is over: nothing can be sent any more. [`ErrorKind::TooLarge`] when the client
    /// does not take parts of this length: others can be sent.
    pub fn send(&mut self, part: &R) -> Result<()> {
        self.send_deadline(part, None)
    }

    /// Sends a part if there is a place for it now; `false` if there is none.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, part: &R) -> Result<bool> {
        match self.lend(part.bytes().len(), Some(Instant::now()), true)? {
            Some(loan) => self.send_in(loan, part).map(|()| true),
            None => Ok(false),
        }
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] without a [reason](Error::call): nothing was sent, and it can be tried again. As
    /// [`send`](Self::send).
    pub fn send_timeout(&mut self, part: &R, timeout: Duration) -> Result<()> {
        self.send_deadline(part, Instant::now().checked_add(timeout))
    }

    /// As [`send_timeout`](Self::send_timeout), until `deadline` (`None`: until the time of the request is over).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&mut self, part: &R, deadline: impl Into<Option<Instant>>) -> Result<()> {
        let loan = self.lend_until(part.bytes().len(), deadline.into())?;
        self.send_in(loan, part)
    }

    fn send_in(&mut self, mut loan: Loan, part: &R) -> Result<()> {
        loan[HEAD..].copy_from_slice(part.bytes());
        self.put(loan)
    }

    fn put(&mut self, loan: Loan) -> Result<()> {
        crash::point("service.part.written");
        self.request.put(loan, PART, 0, self.sent)?;
        self.sent += 1;
        crash::point("service.part.said");
        Ok(())
    }

    fn lend_until(&mut self, len: usize, deadline: Option<Instant>) -> Result<Loan> {
        match self.lend(len, deadline, false)? {
            Some(loan) => Ok(loan),
            None => {
                let error = self.request.fault(ErrorKind::TimedOut);
                Err(error.detail("the client did not take a part in time"))
            }
        }
    }

    /// A place for a part; `None`: there was none until the deadline.
    fn lend(&mut self, len: usize, deadline: Option<Instant>, now: bool) -> Result<Option<Loan>> {
        let len = len + HEAD;
        loop {
            if self.is_cancelled() {
                self.end = None;
                self.request.answered = true;
                return Err(self.over(CallError::Cancelled).detail("the client wants no more, or is gone"));
            }
            if self.request.time_left().is_some_and(|left| left.is_zero()) {
                let _ = self.end_with(FAILURE, TIMED_OUT, 0, &[]);
                return Err(self.over(CallError::DeadlinePassed));
            }
            match self.lane.try_loan_slice(len) {
                Ok(loan) => return Ok(Some(loan)),
                Err(TrySendError::Full) => {}
                Err(TrySendError::TooLarge { len, max }) => return Err(self.too_large(len, max)),
                Err(TrySendError::Os(error)) => return Err(error),
            }
            if now || deadline.is_some_and(|at| at <= Instant::now()) {
                return Ok(None);
            }
            let until = [deadline, self.request.time_left().map(|left| Instant::now() + left)];
            let slice = Instant::now() + LIFE;
            let until = until.into_iter().flatten().min().map_or(slice, |at| at.min(slice));
            match self.lane.loan_slice_with(len, &crate::Properties::new(), Some(until)) {
                Ok(loan) => return Ok(Some(loan)),
                Err(SendError::TimedOut | SendError::Full) => {}
                Err(SendError::TooLarge { len, max }) => return Err(self.too_large(len, max)),
                Err(SendError::Os(error)) => return Err(error),
            }
        }
    }

    fn too_large(&self, len: u64, max: u64) -> Error {
        let (len, max) = (len.saturating_sub(HEAD as u64), max.saturating_sub(HEAD as u64));
        self.request.fault(ErrorKind::TooLarge { len, max }).fix("let the client have a larger max_reply_len")
    }

    fn over(&self, call: CallError) -> Error {
        Error::of_call(call, "reply", format!("shm:{}", self.request.shared.name))
    }

    /// Tells the client that this was all.
    ///
    /// # Errors
    /// The operating system's.
    pub fn finish(mut self) -> Result<()> {
        self.end_with(END, 0, self.sent, &[])
    }

    /// Tells the client that the rest does not come, and why.
    ///
    /// # Errors
    /// The operating system's.
    pub fn fail(self, text: &str) -> Result<()> {
        self.fail_with(0, text)
    }

    /// As [`fail`](Self::fail), with a number of the application's own; 0: none in particular.
    ///
    /// # Errors
    /// The operating system's.
    pub fn fail_with(mut self, code: u32, text: &str) -> Result<()> {
        self.end_with(FAILURE, APPLICATION, code.into(), ServiceError::cut(text).as_bytes())
    }

    /// The last word, unless it was said.
    fn end_with(&mut self, what: u32, who: u32, number: u64, text: &[u8]) -> Result<()> {
        self.request.answered = true;
        let Some(mut loan) = self.end.take() else { return Ok(()) };
        loan.truncate(HEAD + text.len());
        loan[HEAD..].copy_from_slice(text);
        crash::point("service.end.written");
        self.request.put(loan, what, who, number)?;
        crash::point("service.end.said");
        Ok(())
    }
}

impl<Q: Payload + ?Sized> ReplyStream<Q, [u8]> {
    /// A part of `len` bytes to be written where the client will read it, waiting for a place until `deadline` (`None`: until
    /// the time of the request is over).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn loan_slice(
        &mut self,
        len: usize,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<PartLoan<'_, Q>> {
        let loan = self.lend_until(len, deadline.into())?;
        Ok(PartLoan { loan, stream: self })
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Drop for ReplyStream<Q, R> {
    fn drop(&mut self) {
        let _ = self.end_with(FAILURE, DROPPED, 0, &[]);
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for ReplyStream<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// A part that is being written where its client will read it. Dropped, it never was.
#[must_use = "a loan that is not sent is dropped"]
pub struct PartLoan<'s, Q: Payload + ?Sized = [u8]> {
    loan: Loan,
    stream: &'s mut ReplyStream<Q, [u8]>,
}

impl<Q: Payload + ?Sized> PartLoan<'_, Q> {
    /// Sends it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn send(self) -> Result<()> {
        self.stream.put(self.loan)
    }
}

impl<Q: Payload + ?Sized> std::ops::Deref for PartLoan<'_, Q> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.loan[HEAD..]
    }
}

impl<Q: Payload + ?Sized> std::ops::DerefMut for PartLoan<'_, Q> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.loan[HEAD..]
    }
}

impl<Q: Payload + ?Sized> fmt::Debug for PartLoan<'_, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartLoan").field("len", &self.len()).finish_non_exhaustive()
    }
}
