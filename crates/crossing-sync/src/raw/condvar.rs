//! The condition variable: a count of notifications to sleep on.
//!
//! # Protocol
//! `count` grows with every notification; a waiter reads it while it still holds the mutex
//! (`ORD: condvar-read (acquire) <-> condvar-notify`), unlocks, and sleeps while it is unchanged. `sleepers` is 1 when
//! somebody may sleep; only `notify_all` clears it, since `notify_one` cannot know who else sleeps.
//!
//! # Death
//! A waiter that dies holds nothing. A notifier that dies between counting and waking, and a waiter that dies with the
//! wake meant for another, are made up for: sleepers return by themselves (a spurious wake-up, which every user of a
//! condition variable must expect) within 100 ms.

use super::TRUSTING;
use super::mutex::RawMutex;
use crate::atomic::{AtomicU32, Ordering, dekker};
use crate::participant::Participant;
use crate::{Acquired, TimedOut, Until};
use crossing_sys::crash;

/// The words of a condition variable. All zero: nobody waits.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawCondvar {
    count: AtomicU32,
    sleepers: AtomicU32,
}

impl RawCondvar {
    /// A condition variable on which nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self { count: AtomicU32::new(0), sleepers: AtomicU32::new(0) }
    }

    /// Unlocks `mutex`, waits for a notification, and locks again. May return without one.
    ///
    /// The inner result says whether the time ran out first; the mutex is locked again in either case.
    pub fn wait(&self, mutex: &RawMutex, me: &Participant, until: Until) -> Acquired<Result<(), TimedOut>> {
        // SeqCst: the mark must be seen by a notifier that this waiter's read of the count did not see.
        self.sleepers.swap(1, Ordering::SeqCst);
        dekker();
        // ORD: condvar-read (acquire) <-> condvar-notify
        let seen = self.count.load(Ordering::SeqCst);
        crash::point("condvar.wait.marked");
        mutex.unlock(me, 1);
        crash::point("condvar.wait.unlocked");
        if !until.passed() {
            me.wait(&self.count, seen, until.slice(TRUSTING));
        }
        let changed = self.count.load(Ordering::SeqCst) != seen;
        let outcome = if !changed && until.passed() { Err(TimedOut) } else { Ok(()) };
        crash::point("condvar.wait.woken");
        match mutex.lock(me, Until::Never) {
            Ok(acquired) => acquired.map(|()| outcome),
            Err(TimedOut) => unreachable!("a lock without an end does not time out"),
        }
    }

    /// Wakes one waiter, if there is any.
    pub fn notify_one(&self, me: &Participant) {
        // ORD: condvar-notify (release) <-> condvar-read
        self.count.fetch_add(1, Ordering::SeqCst);
        dekker();
        crash::point("condvar.notify.counted");
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            me.wake(&self.count, 1);
        }
    }

    /// Wakes every waiter.
    pub fn notify_all(&self, me: &Participant) {
        // ORD: condvar-notify (release) <-> condvar-read
        self.count.fetch_add(1, Ordering::SeqCst);
        dekker();
        crash::point("condvar.notify.counted");
        // A waiter that marks itself after this swap reads a count after the addition: it is not one of those to wake.
        if self.sleepers.swap(0, Ordering::SeqCst) != 0 {
            me.wake(&self.count, u32::MAX);
        }
    }
}
