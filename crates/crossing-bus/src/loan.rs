//! Messages that are written where subscribers will read them.

use crate::error::SendError;
use crate::payload::Payload;
use crate::publisher::Publisher;
use crossing_ring::broadcast;
use crossing_sync::Until;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

/// A message that is being written, in the publisher's own memory, which subscribers see when it is sent and not before.
/// What it holds at first is not told: an old message, or zeros. Dropping it publishes nothing.
pub struct Loan<'p, T: Payload + ?Sized> {
    publisher: &'p Publisher<T>,
    /// `None` once it was sent.
    loan: Option<broadcast::Loan>,
}

impl<'p, T: Payload + ?Sized> Loan<'p, T> {
    pub(crate) fn new(publisher: &'p Publisher<T>, loan: broadcast::Loan) -> Self {
        Self { publisher, loan: Some(loan) }
    }

    /// Publishes it. What happens when a subscriber is too slow is as for [`Publisher::send`].
    ///
    /// # Errors
    /// As [`Publisher::send`]; the message is then not published.
    #[inline]
    pub fn send(self) -> Result<(), SendError> {
        self.send_until(Until::Never)
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Publisher::send_timeout`].
    pub fn send_timeout(self, timeout: Duration) -> Result<(), SendError> {
        self.send_until(Until::after(timeout))
    }

    /// As [`send`](Self::send), waiting at most until `deadline`.
    ///
    /// # Errors
    /// As [`Publisher::send_timeout`].
    pub fn send_deadline(self, deadline: Instant) -> Result<(), SendError> {
        self.send_until(Until::At(deadline))
    }

    /// As [`send`](Self::send), without waiting; gives the loan back if a subscriber is too slow.
    ///
    /// # Errors
    /// The loan, and why it was not published.
    #[allow(clippy::result_large_err)] // The loan itself comes back, without an allocation.
    pub fn try_send(mut self) -> Result<(), (Self, SendError)> {
        match self.publisher.send_loan(&mut self.loan, Until::Now) {
            Ok(()) => Ok(()),
            Err(error) => Err((self, error)),
        }
    }

    #[inline]
    fn send_until(mut self, until: Until) -> Result<(), SendError> {
        self.publisher.send_loan(&mut self.loan, until)
    }

    fn missing() -> ! {
        unreachable!("a loan is there until it is sent, and then its owner is consumed")
    }
}

impl Loan<'_, [u8]> {
    /// Shortens it to `len` bytes, if it is longer.
    pub fn truncate(&mut self, len: usize) {
        if let Some(loan) = &mut self.loan {
            loan.truncate(len);
        }
    }
}

impl<T: Payload + ?Sized> Deref for Loan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.loan.as_ref().and_then(T::of_loan).unwrap_or_else(|| Self::missing())
    }
}

impl<T: Payload + ?Sized> DerefMut for Loan<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.loan.as_mut().and_then(T::of_loan_mut).unwrap_or_else(|| Self::missing())
    }
}

impl<T: Payload + ?Sized> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        if let Some(loan) = self.loan.take() {
            self.publisher.give_back(loan);
        }
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").finish_non_exhaustive()
    }
}
