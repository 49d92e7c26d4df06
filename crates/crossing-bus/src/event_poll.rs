//! A waiter of an event in an event loop.

use super::{SLICE, Waiter};
use crate::poll::Poller;
use crossing_sys::Result;

impl Waiter {
    /// For an event loop to wait on until something may have been notified.
    ///
    /// # Errors
    /// As [`Subscriber::poller`](crate::Subscriber::poller).
    pub fn poller(&self) -> Result<Poller> {
        let about = |error: crossing_sys::Error| error.about(format!("shm:{}", self.me.event));
        self.me.bell.bell().doorbell().map(Poller).map_err(about)
    }

    /// Arms a poller of this waiter: from now on its handle becomes ready by what comes. Take what is there after this
    /// ([`try_wait`](Self::try_wait)), before you wait.
    ///
    /// # Errors
    /// As [`Subscriber::arm`](crate::Subscriber::arm).
    pub fn arm(&mut self, poller: &Poller) -> Result<()> {
        self.me.bell.bell().arm_doorbell(&poller.0)?;
        poller.0.trust(SLICE)
    }
}
