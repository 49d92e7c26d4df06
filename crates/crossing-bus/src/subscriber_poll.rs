//! A subscriber in an event loop.

use super::{SLICE, Subscriber};
use crate::payload::Payload;
use crate::poll::Poller;
use crossing_sys::Result;

impl<T: Payload + ?Sized> Subscriber<T> {
    /// For an event loop to wait on until something may be received.
    ///
    /// # Errors
    /// [`ErrorKind::LimitReached`](crossing_sys::ErrorKind::LimitReached) for more than four at a time, or too many open
    /// handles; [`ErrorKind::Unsupported`](crossing_sys::ErrorKind::Unsupported) on systems without doorbells.
    pub fn poller(&self) -> Result<Poller> {
        let about = |error: crossing_sys::Error| error.about(format!("shm:{}", self.home.topic));
        self.home.bell.doorbell().map(Poller).map_err(about)
    }

    /// Arms a poller of this subscriber: from now on its handle becomes ready by what comes. Receive what is there after this,
    /// before you wait.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`](crossing_sys::ErrorKind::ApiMisuse) for a poller of another one, and in a child of a
    /// fork; the operating system's.
    pub fn arm(&mut self, poller: &Poller) -> Result<()> {
        if self.looked.elapsed() >= SLICE {
            self.look(false)?;
        }
        self.home.bell.arm_doorbell(&poller.0)?;
        let slice = self.announce();
        // Each one is asked for its newest slot: what it shows before it says how much is complete counts from now on.
        for source in &mut self.sources {
            source.is_ready_now();
        }
        poller.0.trust(slice)
    }
}
