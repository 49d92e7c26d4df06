//! The condition variable handle.
#![allow(unsafe_code)] // attaching

use crate::cell::{Attached, SharedCell};
use crate::mutex::MutexGuard;
use crate::participant::Participant;
use crate::plain::Plain;
use crate::raw::condvar::RawCondvar;
use crate::{Acquired, TimedOut, Until};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A condition variable as it lies in shared memory.
// FORMAT: sync.md RawCondvar size=8
#[repr(transparent)]
pub struct CondvarCell(RawCondvar);

const _: () = assert!(size_of::<RawCondvar>() == 8);

// SAFETY: two atomics; zero is nobody waiting.
unsafe impl SharedCell for CondvarCell {
    type Handle = Condvar;

    unsafe fn attach(participant: Arc<Participant>, cell: NonNull<Self>) -> Condvar {
        // SAFETY: the same contract.
        Condvar(unsafe { Attached::new(participant, cell) })
    }
}

/// Waiting for a condition that a [`Mutex`](crate::Mutex) guards.
///
/// As with every condition variable a wait may return without a notification: check the condition in a loop.
#[derive(Clone)]
pub struct Condvar(Attached<CondvarCell>);

impl Condvar {
    /// Unlocks the guard's mutex, waits for a notification, and locks again.
    ///
    /// `Recovered`: another participant died holding the mutex meanwhile.
    pub fn wait<'a, T: Plain>(&self, guard: MutexGuard<'a, T>) -> Acquired<MutexGuard<'a, T>> {
        self.wait_until(guard, Until::Never).map(|(guard, _)| guard)
    }

    /// As [`wait`](Self::wait), for at most `timeout`; the second part says whether the time ran out.
    pub fn wait_timeout<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Acquired<(MutexGuard<'a, T>, Result<(), TimedOut>)> {
        self.wait_until(guard, Until::after(timeout))
    }

    /// As [`wait`](Self::wait), until `deadline`; the second part says whether the time ran out.
    pub fn wait_deadline<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> Acquired<(MutexGuard<'a, T>, Result<(), TimedOut>)> {
        self.wait_until(guard, Until::At(deadline))
    }

    fn wait_until<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        until: Until,
    ) -> Acquired<(MutexGuard<'a, T>, Result<(), TimedOut>)> {
        // The protocol unlocks and locks; the guard must not unlock in between if something unwinds.
        let guard = ManuallyDrop::new(guard);
        let mutex = guard.mutex;
        let outcome = self.0.cell().0.wait(&mutex.0.cell().raw, &mutex.0.me, until);
        outcome.map(|outcome| (ManuallyDrop::into_inner(guard), outcome))
    }

    /// Wakes one waiter, if there is any.
    pub fn notify_one(&self) {
        self.0.cell().0.notify_one(&self.0.me);
    }

    /// Wakes every waiter.
    pub fn notify_all(&self) {
        self.0.cell().0.notify_all(&self.0.me);
    }
}
