//! The handles without data: semaphore, event, barrier, once.
#![allow(unsafe_code)] // attaching

use crate::cell::{Attached, SharedCell};
use crate::participant::Participant;
use crate::raw::barrier::{BarrierBroken, BarrierWait, RawBarrier};
use crate::raw::event::RawEvent;
use crate::raw::once::RawOnce;
use crate::raw::semaphore::{PostError, RawSemaphore};
use crate::{TimedOut, Until};
use crossing_sys::{Error, ErrorKind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

macro_rules! cell {
    ($(#[$doc:meta])* $cell:ident($raw:ident), $handle:ident, $size:literal) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $cell($raw);

        const _: () = assert!(size_of::<$raw>() == $size);

        // SAFETY: atomics only; zero is the initial state.
        unsafe impl SharedCell for $cell {
            type Handle = $handle;

            unsafe fn attach(participant: Arc<Participant>, cell: NonNull<Self>) -> $handle {
                // SAFETY: the same contract.
                $handle(unsafe { Attached::new(participant, cell) })
            }
        }
    };
}

cell! {
    /// A semaphore as it lies in shared memory.
    // FORMAT: sync.md RawSemaphore size=2064
    SemaphoreCell(RawSemaphore), Semaphore, 2064
}
cell! {
    /// An event as it lies in shared memory.
    // FORMAT: sync.md RawEvent size=8
    EventCell(RawEvent), Event, 8
}
cell! {
    /// A barrier as it lies in shared memory.
    // FORMAT: sync.md RawBarrier size=144
    BarrierCell(RawBarrier), Barrier, 144
}
cell! {
    /// A once as it lies in shared memory.
    // FORMAT: sync.md RawOnce size=16
    OnceCell(RawOnce), Once, 16
}

/// A counting semaphore: plain permits by [`post`](Self::post) and [`wait`](Self::wait), permits on loan by
/// [`acquire`](Self::acquire), which come back if their holder dies.
///
/// ```no_run
/// # fn example(semaphore: crossing_sync::Semaphore) -> Result<(), Box<dyn std::error::Error>> {
/// semaphore.post(3)?;                    // three permits
/// let permit = semaphore.acquire();      // one on loan
/// drop(permit);                          // back again
/// semaphore.wait();                      // one for good
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Semaphore(Attached<SemaphoreCell>);

impl Semaphore {
    /// Adds `permits`, and wakes who waits.
    ///
    /// # Errors
    /// [`PostError`] beyond 1,048,575 permits; nothing was added.
    pub fn post(&self, permits: u32) -> Result<(), PostError> {
        self.0.cell().0.post(&self.0.me, permits)
    }

    /// Takes a permit for good, waiting without end.
    pub fn wait(&self) {
        // Without an end it does not time out.
        let _ = self.wait_until(Until::Never);
    }

    /// Takes a permit for good if one is free.
    ///
    /// # Errors
    /// [`TimedOut`]: none is.
    pub fn try_wait(&self) -> Result<(), TimedOut> {
        self.wait_until(Until::Now)
    }

    /// Takes a permit for good, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), TimedOut> {
        self.wait_until(Until::after(timeout))
    }

    /// Takes a permit for good, waiting until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), TimedOut> {
        self.wait_until(Until::At(deadline))
    }

    fn wait_until(&self, until: Until) -> Result<(), TimedOut> {
        self.0.cell().0.wait(&self.0.me, until)
    }

    /// Takes a permit on loan, waiting without end (and while this process holds 65,535 of them).
    pub fn acquire(&self) -> Permit<'_> {
        loop {
            if let Ok(permit) = self.acquire_until(Until::Never) {
                return permit;
            }
            std::thread::yield_now();
        }
    }

    /// Takes a permit on loan if one is free.
    ///
    /// # Errors
    /// [`TimedOut`]: none is, or this process holds 65,535.
    pub fn try_acquire(&self) -> Result<Permit<'_>, TimedOut> {
        self.acquire_until(Until::Now)
    }

    /// Takes a permit on loan, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, TimedOut> {
        self.acquire_until(Until::after(timeout))
    }

    /// Takes a permit on loan, waiting until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<Permit<'_>, TimedOut> {
        self.acquire_until(Until::At(deadline))
    }

    fn acquire_until(&self, until: Until) -> Result<Permit<'_>, TimedOut> {
        self.0.cell().0.acquire(&self.0.me, until)?;
        Ok(Permit { semaphore: self })
    }

    /// How many permits are free at this moment.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.cell().0.count()
    }

    /// How many permits are on loan at this moment, to the dead too.
    #[must_use]
    pub fn on_loan(&self) -> u32 {
        self.0.cell().0.held()
    }

    /// Returns the permits that dead holders had on loan, and says how many those were. Waiters do it by themselves.
    pub fn recover(&self) -> u32 {
        self.0.cell().0.recover(&self.0.me)
    }
}

/// A semaphore's permit on loan; goes back when dropped, or when the process dies.
#[must_use = "the permit goes back when this is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.0.cell().0.release(&self.semaphore.0.me);
    }
}

/// Whether a wait takes the event away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventMode {
    /// It stays set until somebody resets it; all waiters pass.
    #[default]
    Manual,
    /// Each setting lets one waiter pass.
    Auto,
}

/// Something that happened or did not yet.
#[derive(Clone)]
pub struct Event(Attached<EventCell>);

impl Event {
    /// Chooses the mode; for the creator, before others use the event.
    pub fn set_mode(&self, mode: EventMode) {
        self.0.cell().0.set_auto(mode == EventMode::Auto);
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> EventMode {
        if self.0.cell().0.is_auto() { EventMode::Auto } else { EventMode::Manual }
    }

    /// Sets it and wakes who waits.
    pub fn set(&self) {
        self.0.cell().0.set(&self.0.me);
    }

    /// Takes it back.
    pub fn reset(&self) {
        self.0.cell().0.reset();
    }

    /// Whether it is set at this moment.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.cell().0.is_set()
    }

    /// Waits until it is set, without end.
    pub fn wait(&self) {
        // Without an end it does not time out.
        let _ = self.wait_until(Until::Never);
    }

    /// Passes if it is set.
    ///
    /// # Errors
    /// [`TimedOut`]: it is not.
    pub fn try_wait(&self) -> Result<(), TimedOut> {
        self.wait_until(Until::Now)
    }

    /// Waits until it is set, for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), TimedOut> {
        self.wait_until(Until::after(timeout))
    }

    /// Waits until it is set, or until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), TimedOut> {
        self.wait_until(Until::At(deadline))
    }

    fn wait_until(&self, until: Until) -> Result<(), TimedOut> {
        self.0.cell().0.wait(&self.0.me, until)
    }
}

/// A meeting point for a fixed number of members, at most 32.
#[derive(Clone)]
pub struct Barrier(Attached<BarrierCell>);

impl Barrier {
    /// Joins a barrier of `parties` members (the first to join decides the number).
    ///
    /// # Errors
    /// `ApiMisuse` if `parties` is not 1 to 32 or differs from the barrier's; `LimitReached` if living members hold
    /// every place.
    pub fn join(&self, parties: u32) -> crossing_sys::Result<BarrierMember> {
        let raw = &self.0.cell().0;
        if let Some(place) = raw.join(&self.0.me, parties) {
            return Ok(BarrierMember { barrier: self.clone(), place });
        }
        let has = raw.parties();
        let error = if has == parties {
            Error::new(ErrorKind::LimitReached, "join", "barrier")
                .detail(format!("living members hold all {has} places"))
                .fix("let one of them leave")
        } else {
            Error::new(ErrorKind::ApiMisuse, "join", "barrier")
                .detail(format!("{parties} parties asked for, the barrier has {has}"))
                .fix("use 1 to 32 parties, the same number everywhere")
        };
        Err(error)
    }

    /// How many members make a round; 0 before the first joined.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.0.cell().0.parties()
    }
}

/// A place in a [`Barrier`]; given up when dropped.
pub struct BarrierMember {
    barrier: Barrier,
    place: usize,
}

impl BarrierMember {
    /// Waits until all members have come, without end.
    ///
    /// # Errors
    /// [`BarrierBroken::MemberDied`]: a member died before it came. Call again once a new one has joined.
    pub fn wait(&mut self) -> Result<BarrierWait, BarrierBroken> {
        self.wait_until(Until::Never)
    }

    /// Waits until all members have come, for at most `timeout`.
    ///
    /// # Errors
    /// [`BarrierBroken`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<BarrierWait, BarrierBroken> {
        self.wait_until(Until::after(timeout))
    }

    /// Waits until all members have come, or until `deadline`.
    ///
    /// # Errors
    /// [`BarrierBroken`].
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<BarrierWait, BarrierBroken> {
        self.wait_until(Until::At(deadline))
    }

    fn wait_until(&mut self, until: Until) -> Result<BarrierWait, BarrierBroken> {
        self.barrier.0.cell().0.wait(&self.barrier.0.me, self.place, until)
    }

    /// The place, counted from 0.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }
}

impl Drop for BarrierMember {
    fn drop(&mut self) {
        self.barrier.0.cell().0.leave(&self.barrier.0.me, self.place);
    }
}

/// Something that is done once by whoever comes first, or by a survivor if that one dies.
#[derive(Clone)]
pub struct Once(Attached<OnceCell>);

impl Once {
    /// Whether it is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.cell().0.is_done()
    }

    /// Makes sure that it is done, by `work` if nobody else did it. `work` is told whether somebody died in the middle
    /// of it. Returns whether it was done here.
    pub fn call(&self, work: impl FnOnce(bool)) -> bool {
        // Without an end it does not time out.
        self.0.cell().0.call(&self.0.me, Until::Never, work).unwrap_or(false)
    }

    /// As [`call`](Self::call), if nobody is at work.
    ///
    /// # Errors
    /// [`TimedOut`]: somebody is.
    pub fn try_call(&self, work: impl FnOnce(bool)) -> Result<bool, TimedOut> {
        self.0.cell().0.call(&self.0.me, Until::Now, work)
    }

    /// As [`call`](Self::call), waiting for another's work for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn call_timeout(&self, timeout: Duration, work: impl FnOnce(bool)) -> Result<bool, TimedOut> {
        self.0.cell().0.call(&self.0.me, Until::after(timeout), work)
    }

    /// As [`call`](Self::call), waiting for another's work until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn call_deadline(&self, deadline: Instant, work: impl FnOnce(bool)) -> Result<bool, TimedOut> {
        self.0.cell().0.call(&self.0.me, Until::At(deadline), work)
    }
}
