//! The mutex handle.
#![allow(unsafe_code)] // the data behind the lock

use crate::cell::{Attached, SharedCell};
use crate::participant::{Participant, ParticipantId};
use crate::plain::Plain;
use crate::raw::mutex::RawMutex;
use crate::{Acquired, TimedOut, Until};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A mutex and its data as they lie in shared memory.
// FORMAT: sync.md RawMutex size=8
#[repr(C)]
pub struct MutexCell<T> {
    pub(crate) raw: RawMutex,
    value: UnsafeCell<T>,
}

const _: () = assert!(size_of::<RawMutex>() == 8);

// SAFETY: repr(C) of an atomic and plain data in an UnsafeCell; zero is unlocked.
unsafe impl<T: Plain> SharedCell for MutexCell<T> {
    type Handle = Mutex<T>;

    unsafe fn attach(participant: Arc<Participant>, cell: NonNull<Self>) -> Mutex<T> {
        // SAFETY: the same contract.
        Mutex(unsafe { Attached::new(participant, cell) })
    }
}

/// Mutual exclusion between threads of any number of processes, which the death of its owner does not block.
///
/// Uncontended, locking and unlocking are one atomic exchange each and no system call. Not recursive: a thread that
/// locks twice waits for itself. A guard that is leaked (`mem::forget`) stays locked until the process ends.
///
/// The data is only as trustworthy as those who may write the memory: a peer that ignores the lock can change it at any
/// moment. Where peers are hostile, read by [`MutexGuard::get`] and judge the copy.
///
/// ```no_run
/// # fn example(mutex: crossing_sync::Mutex<u64>) {
/// use crossing_sync::Acquired;
/// let mut total = match mutex.lock() {
///     Acquired::Normal(guard) => guard,
///     Acquired::Recovered(mut guard) => { *guard = 0; guard } // its owner died half-way: put it right
/// };
/// *total += 1;
/// # }
/// ```
///
/// # Platform-specific behavior
/// Linux: futex(2); a sleeper learns of the owner's death from the kernel at once. Where the kernel cannot tell
/// (several locks held by one thread, other systems) sleepers look every 4 ms.
pub struct Mutex<T: Plain>(pub(crate) Attached<MutexCell<T>>);

impl<T: Plain> Mutex<T> {
    /// Locks, waiting without end.
    pub fn lock(&self) -> Acquired<MutexGuard<'_, T>> {
        match self.lock_until(Until::Never) {
            Ok(acquired) => acquired,
            Err(TimedOut) => unreachable!("a lock without an end does not time out"),
        }
    }

    /// Locks if nobody alive holds it.
    ///
    /// # Errors
    /// [`TimedOut`]: a living owner holds it.
    pub fn try_lock(&self) -> Result<Acquired<MutexGuard<'_, T>>, TimedOut> {
        self.lock_until(Until::Now)
    }

    /// Locks, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Acquired<MutexGuard<'_, T>>, TimedOut> {
        self.lock_until(Until::after(timeout))
    }

    /// Locks, waiting until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn lock_deadline(&self, deadline: Instant) -> Result<Acquired<MutexGuard<'_, T>>, TimedOut> {
        self.lock_until(Until::At(deadline))
    }

    #[inline]
    fn lock_until(&self, until: Until) -> Result<Acquired<MutexGuard<'_, T>>, TimedOut> {
        let acquired = self.0.cell().raw.lock(&self.0.me, until)?;
        Ok(acquired.map(|()| MutexGuard { mutex: self, _thread: PhantomData }))
    }

    /// The participant that holds it at this moment, dead or alive.
    #[must_use]
    pub fn owner(&self) -> Option<ParticipantId> {
        self.0.cell().raw.owner()
    }

    /// The participant on whose behalf this handle locks.
    #[must_use]
    pub fn participant(&self) -> &Arc<Participant> {
        &self.0.me
    }
}

impl<T: Plain> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Plain> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("owner", &self.owner()).finish_non_exhaustive()
    }
}

/// Exclusive access to a mutex's data; unlocks when dropped.
#[must_use = "the mutex is unlocked when this is dropped"]
pub struct MutexGuard<'a, T: Plain> {
    pub(crate) mutex: &'a Mutex<T>,
    /// Not Send: the kernel's bell belongs to the thread that locked.
    _thread: PhantomData<*const ()>,
}

impl<T: Plain> MutexGuard<'_, T> {
    /// A copy of the data, taken byte by byte: whatever a hostile peer does meanwhile, it is one value from here on.
    #[must_use]
    pub fn get(&self) -> T {
        let mut value = T::new_zeroed();
        // SAFETY: the cell is mapped and holds a `T`'s worth of bytes; the copy tolerates writers.
        unsafe {
            crossing_sys::copy::from_shared(self.mutex.0.cell().value.get().cast(), value.as_mut_bytes_of())
        };
        value
    }

    /// Replaces the data.
    pub fn set(&mut self, value: &T) {
        // SAFETY: as for `get`.
        unsafe { crossing_sys::copy::to_shared(value.as_bytes(), self.mutex.0.cell().value.get().cast()) };
    }
}

/// The bytes of a plain value, to be written.
pub(crate) trait AsMutBytes {
    fn as_mut_bytes_of(&mut self) -> &mut [u8];
}

impl<T: Plain> AsMutBytes for T {
    fn as_mut_bytes_of(&mut self) -> &mut [u8] {
        self.as_mut_bytes()
    }
}

impl<T: Plain> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock gives exclusive access among those who respect it; every byte pattern is a `T`.
        unsafe { &*self.mutex.0.cell().value.get() }
    }
}

impl<T: Plain> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this guard is borrowed exclusively.
        unsafe { &mut *self.mutex.0.cell().value.get() }
    }
}

impl<T: Plain> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.0.cell().raw.unlock(&self.mutex.0.me, 1);
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
