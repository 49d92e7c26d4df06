//! A waiter of a queue that sits in an event loop.

use super::bells::Which;
use super::shared::SlotQueue;
use super::words::{DOORBELLS, Words};
use crossing_sys::doorbell::Doorbell;
use crossing_sys::file::Handle;
use crossing_sys::{Error, ErrorKind, Result};
use std::time::Instant;

/// What an event loop waits on for a queue: see [`arm`](Self::arm).
#[derive(Debug)]
pub struct QueueDoorbell {
    queue: SlotQueue,
    which: Which,
    index: usize,
    /// `None` only while it is dropped.
    doorbell: Option<Doorbell>,
}

impl SlotQueue {
    /// A handle for an event loop to wait on, for messages or for room.
    ///
    /// # Errors
    /// `LimitReached` when [`DOORBELLS`] living waiters have one; `ApiMisuse` in a forked child; and as
    /// [`Porch::hang`](crossing_sys::doorbell::Porch::hang).
    pub fn doorbell(&self, which: Which) -> Result<QueueDoorbell> {
        self.refuse_fork()?;
        let core = self.core();
        let index = core.claim_doorbell(which).ok_or_else(|| {
            Error::new(ErrorKind::LimitReached, "poll queue", "shared memory")
                .detail(format!("{DOORBELLS} waiters poll it already"))
                .fix("share one among the threads of a process, or wait in threads (recv_timeout)")
        })?;
        crossing_sys::crash::point("queue.poll.claimed");
        match core.words().me().hang_doorbell(core.doorbell_number(which, index)) {
            Ok(doorbell) => Ok(QueueDoorbell { queue: self.clone(), which, index, doorbell: Some(doorbell) }),
            Err(error) => {
                core.release_doorbell(which, index);
                Err(error)
            }
        }
    }

    fn refuse_fork(&self) -> Result<()> {
        if self.is_forked() {
            return Err(Error::new(ErrorKind::ApiMisuse, "poll queue", "shared memory")
                .detail("the queue was opened before fork")
                .fix("open it in the child"));
        }
        Ok(())
    }
}

impl QueueDoorbell {
    fn doorbell(&self) -> &Doorbell {
        self.doorbell.as_ref().expect("there until it is dropped")
    }

    /// What to wait on: readable (Unix) or signalled (Windows) from the ring on until it is armed again.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.doorbell().handle()
    }

    /// Arms it. Whatever comes from now on makes the handle ready; what came before does not, so look once more after this,
    /// and only then wait. The handle also becomes ready for no reason, at the latest after a tenth of a second, so that
    /// the death of a process that was to ring delays nobody for long.
    ///
    /// # Errors
    /// `ApiMisuse` in a forked child; the operating system's.
    pub fn arm(&self) -> Result<()> {
        let again = self.arm_without_alarm()?;
        self.doorbell().set_alarm(again)
    }

    /// Arms it; says when to look again although nobody rang.
    pub(super) fn arm_without_alarm(&self) -> Result<Instant> {
        self.queue.refuse_fork()?;
        self.doorbell().silence()?;
        let patrol = self.doorbell().alarm_passed();
        Ok(self.queue.core().arm_doorbell(self.which, self.index, patrol))
    }
}

impl Drop for QueueDoorbell {
    fn drop(&mut self) {
        // The name first: an entry without a name rings nobody, a name without an entry is nobody's.
        self.doorbell = None;
        if !self.queue.is_forked() {
            self.queue.core().release_doorbell(self.which, self.index);
        }
    }
}
