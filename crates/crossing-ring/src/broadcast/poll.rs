//! The owner of a bell that waits in an event loop.

use super::bell::{BELL_DOORBELLS, Bell};
use crossing_sys::doorbell::Doorbell;
use crossing_sys::file::Handle;
use crossing_sys::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an event loop of the bell's owner waits on.
#[derive(Debug)]
pub struct BellDoorbell {
    bell: Bell,
    index: usize,
    /// `None` only while it is dropped.
    doorbell: Option<Doorbell>,
}

fn misuse(detail: &str, fix: &str) -> Error {
    Error::new(ErrorKind::ApiMisuse, "poll", "shared memory").detail(detail.to_owned()).fix(fix.to_owned())
}

impl Bell {
    /// A handle for an event loop of the owner's to wait on.
    ///
    /// # Errors
    /// `LimitReached` for more than [`BELL_DOORBELLS`]; `ApiMisuse` in a forked child; and as
    /// [`Porch::hang`](crossing_sys::doorbell::Porch::hang).
    pub fn doorbell(&self) -> Result<BellDoorbell> {
        if self.is_forked() {
            return Err(misuse("it was opened before fork", "open it in the child"));
        }
        let me = self.participant();
        let index = self.row().claim(me).ok_or_else(|| {
            Error::new(ErrorKind::LimitReached, "poll", "shared memory")
                .detail(format!("{BELL_DOORBELLS} pollers of it are there already"))
                .fix("share one, or drop one")
        })?;
        match me.hang_doorbell(self.row().number(index)) {
            Ok(doorbell) => Ok(BellDoorbell { bell: self.twin(), index, doorbell: Some(doorbell) }),
            Err(error) => {
                self.row().release(me, index);
                Err(error)
            }
        }
    }

    /// Arms a doorbell of this bell: before a look whether there is something.
    ///
    /// # Errors
    /// `ApiMisuse` for one of another bell, or in a forked child; the operating system's.
    pub fn arm_doorbell(&self, doorbell: &BellDoorbell) -> Result<()> {
        if !Arc::ptr_eq(self.participant(), doorbell.bell.participant()) {
            return Err(misuse("the poller is another one's", "arm what it was made by"));
        }
        if self.is_forked() {
            return Err(misuse("it was opened before fork", "open it in the child"));
        }
        doorbell.doorbell().silence()?;
        self.arm(doorbell.index);
        Ok(())
    }
}

impl BellDoorbell {
    fn doorbell(&self) -> &Doorbell {
        self.doorbell.as_ref().expect("there until it is dropped")
    }

    /// What to wait on: readable (Unix) or signalled (Windows) from the ring on until it is armed again.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.doorbell().handle()
    }

    /// Lets it ring by itself after `slice` at the latest, lest its owner wait for one that died before it rang.
    ///
    /// # Errors
    /// The operating system's.
    pub fn trust(&self, slice: Duration) -> Result<()> {
        self.doorbell().set_alarm(Instant::now() + slice)
    }
}

impl Drop for BellDoorbell {
    fn drop(&mut self) {
        // The name first: an entry without a name rings nobody.
        self.doorbell = None;
        if !self.bell.is_forked() {
            self.bell.row().release(self.bell.participant(), self.index);
        }
    }
}
