//! A publisher in an event loop.

use super::{Core, Publisher, SLICE};
use crate::options::Overflow;
use crate::payload::Payload;
use crate::poll::Poller;
use crossing_sync::Until;
use crossing_sys::Result;

impl<T: Payload + ?Sized> Publisher<T> {
    /// For an event loop to wait on until there may be room, where the topic [blocks](Overflow::Block), or until subscribers have
    /// read on.
    ///
    /// # Errors
    /// As [`Subscriber::poller`](crate::Subscriber::poller).
    pub fn poller(&self) -> Result<Poller> {
        let core = self.core.borrow();
        let about = |error: crossing_sys::Error| error.about(format!("shm:{}", core.home.topic));
        core.home.bell.doorbell().map(Poller).map_err(about)
    }

    /// Arms a poller of this publisher: from now on its handle becomes ready when a subscriber has read an eighth of the ring, or
    /// everything. Look once more after this ([`has_room`](Self::has_room)), before you wait.
    ///
    /// # Errors
    /// As [`Subscriber::arm`](crate::Subscriber::arm).
    pub fn arm(&self, poller: &Poller) -> Result<()> {
        let core = self.core.borrow();
        core.home.bell.arm_doorbell(&poller.0)?;
        // Who died rings nobody.
        poller.0.trust(SLICE)
    }

    /// Whether a message can be published now without waiting: always, but where the topic [blocks](Overflow::Block). Looks who
    /// lives, if not.
    ///
    /// # Errors
    /// The operating system's.
    pub fn has_room(&self) -> Result<bool> {
        let mut core = self.core.borrow_mut();
        if core.home.bell.is_forked() {
            return Err(core.home.forked());
        }
        core.hear()?;
        if core.terms.overflow != Overflow::Block || core.has_room() {
            return Ok(true);
        }
        core.wait(Until::Now, Core::has_room)?;
        Ok(core.has_room())
    }

    /// Whether all living subscribers have read everything. Looks who lives, if not.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn is_read(&self) -> Result<bool> {
        self.core.borrow_mut().flush(std::time::Duration::ZERO)
    }

    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn blocks(&self) -> bool {
        self.core.borrow().terms.overflow == Overflow::Block
    }
}
