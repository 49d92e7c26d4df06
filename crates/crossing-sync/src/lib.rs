//! Synchronisation that lives in shared memory and survives its owners.
//!
//! Each primitive is a *cell* (fixed layout, every byte pattern valid, all zero = initial state, so that fresh shared
//! memory holds working primitives) and a *handle* (this process's way to use a cell). Who owns what is written into the
//! cells as a [`ParticipantId`]; whether that participant lives is known from a lock that
//! the kernel releases at its death. An owner that died is never waited for: its mutex passes to one survivor as
//! [`Acquired::Recovered`].
//!
//! `raw` holds the protocols (model-checked by loom), the modules beside it the handles.

pub mod atomic;
#[cfg(not(loom))]
mod cell;
#[cfg(not(loom))]
mod condvar;
#[cfg(not(loom))]
mod mutex;
pub mod participant;
#[cfg(not(loom))]
mod plain;
pub mod raw;
#[cfg(not(loom))]
mod rwlock;
#[cfg(not(loom))]
mod signals;

pub use atomic::model_atomics;
#[cfg(not(loom))]
pub use cell::SharedCell;
#[cfg(not(loom))]
pub use condvar::{Condvar, CondvarCell};
#[cfg(not(loom))]
pub use mutex::{Mutex, MutexCell, MutexGuard};
pub use participant::{Participant, ParticipantId};
#[cfg(not(loom))]
pub use plain::{Plain, view, view_mut};
pub use raw::barrier::{BarrierBroken, BarrierWait};
pub use raw::semaphore::PostError;
#[cfg(not(loom))]
pub use rwlock::{ReadGuard, RwLock, RwLockCell, WriteGuard};
#[cfg(not(loom))]
pub use signals::{
    Barrier, BarrierCell, BarrierMember, Event, EventCell, EventMode, Once, OnceCell, Permit, Semaphore,
    SemaphoreCell,
};

use std::time::{Duration, Instant};

/// A lock that was acquired, and how its last owner left it.
#[must_use = "the lock is released when this is dropped"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired<G> {
    /// The last owner released it.
    Normal(G),
    /// The last owner died holding it: what it guards may be half-changed. Exactly one survivor is told.
    Recovered(G),
}

impl<G> Acquired<G> {
    /// The guard, whichever way it came.
    pub fn into_guard(self) -> G {
        match self {
            Self::Normal(guard) | Self::Recovered(guard) => guard,
        }
    }

    /// Whether the last owner died holding the lock.
    pub fn is_recovered(&self) -> bool {
        matches!(self, Self::Recovered(_))
    }

    /// The same with the guard changed by `change`.
    pub fn map<H>(self, change: impl FnOnce(G) -> H) -> Acquired<H> {
        match self {
            Self::Normal(guard) => Acquired::Normal(change(guard)),
            Self::Recovered(guard) => Acquired::Recovered(change(guard)),
        }
    }
}

/// The time ran out, or a `try_` form found that it would have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut;

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for TimedOut {}

/// How long a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Not at all: the `try_` forms.
    Now,
    /// Until this moment.
    At(Instant),
    /// Without end.
    Never,
}

impl Until {
    /// `timeout` from now; a timeout beyond what the clock can express never ends.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Never, Self::At)
    }

    /// Whether the time is up.
    #[must_use]
    pub fn passed(self) -> bool {
        match self {
            Self::Now => true,
            Self::At(at) => Instant::now() >= at,
            Self::Never => false,
        }
    }

    /// The earlier of this and `slice` from now, as a deadline for one sleep.
    #[must_use]
    pub fn slice(self, slice: Duration) -> Option<Instant> {
        let end = Instant::now().checked_add(slice);
        match (self, end) {
            (Self::At(at), Some(end)) => Some(at.min(end)),
            (Self::At(at), None) => Some(at),
            (_, end) => end,
        }
    }
}
