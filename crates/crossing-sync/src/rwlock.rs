//! The readers-writer lock handle.
#![allow(unsafe_code)] // the data behind the lock

use crate::cell::{Attached, SharedCell};
use crate::mutex::AsMutBytes;
use crate::participant::Participant;
use crate::plain::Plain;
use crate::raw::rwlock::RawRwLock;
use crate::{Acquired, TimedOut, Until};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A readers-writer lock and its data as they lie in shared memory.
// FORMAT: sync.md RawRwLock size=1040
#[repr(C)]
pub struct RwLockCell<T> {
    raw: RawRwLock,
    value: UnsafeCell<T>,
}

const _: () = assert!(size_of::<RawRwLock>() == 1040);

// SAFETY: repr(C) of atomics and plain data in an UnsafeCell; zero is unlocked.
unsafe impl<T: Plain> SharedCell for RwLockCell<T> {
    type Handle = RwLock<T>;

    unsafe fn attach(participant: Arc<Participant>, cell: NonNull<Self>) -> RwLock<T> {
        // SAFETY: the same contract.
        RwLock(unsafe { Attached::new(participant, cell) })
    }
}

/// Many readers or one writer, in any number of processes; the death of any of them blocks nobody for good.
///
/// Writers go before readers who come later. A thread must not ask for the lock again while it holds it.
/// What [`Mutex`](crate::Mutex) says about trust holds here too.
pub struct RwLock<T: Plain>(Attached<RwLockCell<T>>);

impl<T: Plain> RwLock<T> {
    /// Locks for reading. `Recovered`: a writer died, and no other has put the data right since.
    pub fn read(&self) -> Acquired<ReadGuard<'_, T>> {
        loop {
            // The only other refusal, 65,535 reading threads, ends by itself.
            if let Ok(acquired) = self.read_until(Until::Never) {
                return acquired;
            }
            std::thread::yield_now();
        }
    }

    /// Locks for reading if no writer holds or awaits it.
    ///
    /// # Errors
    /// [`TimedOut`]: a living writer does.
    pub fn try_read(&self) -> Result<Acquired<ReadGuard<'_, T>>, TimedOut> {
        self.read_until(Until::Now)
    }

    /// Locks for reading, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn read_timeout(&self, timeout: Duration) -> Result<Acquired<ReadGuard<'_, T>>, TimedOut> {
        self.read_until(Until::after(timeout))
    }

    /// Locks for reading, waiting until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn read_deadline(&self, deadline: Instant) -> Result<Acquired<ReadGuard<'_, T>>, TimedOut> {
        self.read_until(Until::At(deadline))
    }

    fn read_until(&self, until: Until) -> Result<Acquired<ReadGuard<'_, T>>, TimedOut> {
        let acquired = self.0.cell().raw.read(&self.0.me, until)?;
        Ok(acquired.map(|()| ReadGuard { lock: self, _thread: PhantomData }))
    }

    /// Locks for writing. `Recovered`: the last writer died; this one is to put the data right.
    pub fn write(&self) -> Acquired<WriteGuard<'_, T>> {
        match self.write_until(Until::Never) {
            Ok(acquired) => acquired,
            Err(TimedOut) => unreachable!("a lock without an end does not time out"),
        }
    }

    /// Locks for writing if nobody alive holds it.
    ///
    /// # Errors
    /// [`TimedOut`]: somebody does.
    pub fn try_write(&self) -> Result<Acquired<WriteGuard<'_, T>>, TimedOut> {
        self.write_until(Until::Now)
    }

    /// Locks for writing, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn write_timeout(&self, timeout: Duration) -> Result<Acquired<WriteGuard<'_, T>>, TimedOut> {
        self.write_until(Until::after(timeout))
    }

    /// Locks for writing, waiting until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn write_deadline(&self, deadline: Instant) -> Result<Acquired<WriteGuard<'_, T>>, TimedOut> {
        self.write_until(Until::At(deadline))
    }

    fn write_until(&self, until: Until) -> Result<Acquired<WriteGuard<'_, T>>, TimedOut> {
        let acquired = self.0.cell().raw.write(&self.0.me, until)?;
        Ok(acquired.map(|()| WriteGuard { lock: self, _thread: PhantomData }))
    }
}

impl<T: Plain> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Shared access to the data; unlocks when dropped.
#[must_use = "the lock is released when this is dropped"]
pub struct ReadGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    _thread: PhantomData<*const ()>,
}

impl<T: Plain> ReadGuard<'_, T> {
    /// A copy of the data, taken byte by byte.
    #[must_use]
    pub fn get(&self) -> T {
        let mut value = T::new_zeroed();
        // SAFETY: the cell is mapped and holds a `T`'s worth of bytes; the copy tolerates writers.
        unsafe {
            crossing_sys::copy::from_shared(self.lock.0.cell().value.get().cast(), value.as_mut_bytes_of())
        };
        value
    }
}

impl<T: Plain> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: no writer that respects the lock is in; every byte pattern is a `T`.
        unsafe { &*self.lock.0.cell().value.get() }
    }
}

impl<T: Plain> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.0.cell().raw.unlock_read(&self.lock.0.me);
    }
}

/// Exclusive access to the data; unlocks when dropped.
#[must_use = "the lock is released when this is dropped"]
pub struct WriteGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    _thread: PhantomData<*const ()>,
}

impl<T: Plain> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock gives exclusive access among those who respect it; every byte pattern is a `T`.
        unsafe { &*self.lock.0.cell().value.get() }
    }
}

impl<T: Plain> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this guard is borrowed exclusively.
        unsafe { &mut *self.lock.0.cell().value.get() }
    }
}

impl<T: Plain> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.0.cell().raw.unlock_write(&self.lock.0.me);
    }
}
