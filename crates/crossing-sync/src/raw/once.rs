//! Once: something is done by exactly one participant, or by another if that one dies on the way.
//!
//! # Protocol
//! `done` is 0 until the work is complete (`ORD: once-done (release) <-> once-seen`), then 1 for ever. Who works holds
//! `mutex`; its death passes the mutex, and the work, to a survivor, who is told that somebody began before.

use super::mutex::RawMutex;
use crate::atomic::{AtomicU32, Ordering};
use crate::participant::Participant;
use crate::{TimedOut, Until};
use crossing_sys::crash;

/// The words of a once. All zero: nothing was done.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawOnce {
    mutex: RawMutex,
    done: AtomicU32,
    reserved: u32,
}

impl RawOnce {
    /// Nothing was done.
    #[must_use]
    pub fn new() -> Self {
        Self { mutex: RawMutex::new(), done: AtomicU32::new(0), reserved: 0 }
    }

    /// Whether the work is complete.
    #[must_use]
    #[inline]
    pub fn is_done(&self) -> bool {
        // ORD: once-seen (acquire) <-> once-done
        self.done.load(Ordering::Acquire) == 1
    }

    /// Makes sure that the work is done: by `work` here, or by somebody else. `work` is told whether another participant
    /// died in the middle of it. Returns whether it was done here. If `work` unwinds, nothing counts as done.
    ///
    /// # Errors
    /// [`TimedOut`] while another participant works.
    pub fn call(&self, me: &Participant, until: Until, work: impl FnOnce(bool)) -> Result<bool, TimedOut> {
        if self.is_done() {
            return Ok(false);
        }
        let recovered = self.mutex.lock(me, until)?.is_recovered();
        let _unlock = Unlock { mutex: &self.mutex, me };
        if self.is_done() {
            return Ok(false);
        }
        crash::point("once.work.before");
        work(recovered);
        crash::point("once.work.after");
        // ORD: once-done (release) <-> once-seen
        self.done.store(1, Ordering::Release);
        crash::point("once.done");
        Ok(true)
    }
}

struct Unlock<'a> {
    mutex: &'a RawMutex,
    me: &'a Participant,
}

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        self.mutex.unlock(self.me, 1);
    }
}
