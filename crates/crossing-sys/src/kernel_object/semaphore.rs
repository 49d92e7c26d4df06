//! Named semaphores of the Windows kernel.

use super::{Namespace, after, checked};
use crate::file::Access;
use crate::os::kernel_object as os;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::time::{Duration, Instant};

/// A semaphore that other programs open by name.
///
/// A permit taken by a process that dies is lost: the kernel does not note who took it.
///
/// # Platform-specific behavior
/// Windows: CreateSemaphoreW, OpenSemaphoreW, ReleaseSemaphore. Elsewhere: unsupported.
pub struct NamedSemaphore {
    name: String,
    object: os::Semaphore,
}

impl NamedSemaphore {
    /// The highest number of permits.
    pub const MAX_VALUE: u32 = 0x7fff_ffff;

    /// Creates the semaphore `name` with `initial` permits, at most `max` of them ever.
    ///
    /// # Errors
    /// As [`NamedMutex::create`](super::NamedMutex::create); [`ErrorKind::ApiMisuse`] also for numbers out of range.
    pub fn create(name: &str, namespace: Namespace, initial: u32, max: u32, access: Access) -> Result<Self> {
        const OPERATION: &str = "create semaphore";
        let full = checked(OPERATION, namespace, name)?;
        if max == 0 || max > Self::MAX_VALUE || initial > max {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, full)
                .detail(format!("{initial} permits of at most {max}"))
                .fix("give a maximum from 1 to 2147483647, and no more permits than that"));
        }
        Ok(Self { object: os::Semaphore::create(&full, initial, max, access)?, name: full })
    }

    /// Opens the semaphore `name`, which somebody created.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], and as [`NamedSemaphore::create`].
    pub fn open(name: &str, namespace: Namespace) -> Result<Self> {
        let full = checked("open semaphore", namespace, name)?;
        Ok(Self { object: os::Semaphore::open(&full)?, name: full })
    }

    /// The name, with its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds `count` permits, all or none, and answers how many there were before.
    ///
    /// # Errors
    /// [`ErrorKind::LimitReached`] if there would be more than its maximum; [`ErrorKind::ApiMisuse`] for none.
    pub fn release(&self, count: u32) -> Result<u32> {
        if count == 0 || count > Self::MAX_VALUE {
            return Err(Error::new(ErrorKind::ApiMisuse, "release semaphore", &*self.name)
                .detail(format!("{count} permits"))
                .fix("add at least one permit"));
        }
        self.object.release(&self.name, count)
    }

    /// Takes a permit if there is one now; says whether it did.
    ///
    /// # Errors
    /// Only if the system refuses to wait.
    pub fn try_wait(&self) -> Result<bool> {
        self.wait_deadline(Some(Instant::now()))
    }

    /// Takes a permit, waiting for one without end.
    ///
    /// # Errors
    /// As [`NamedSemaphore::try_wait`].
    pub fn wait(&self) -> Result<()> {
        while !self.wait_deadline(None)? {}
        Ok(())
    }

    /// Takes a permit, waiting for one for at most `timeout`; says whether it did.
    ///
    /// # Errors
    /// As [`NamedSemaphore::try_wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_deadline(after(timeout))
    }

    /// Takes a permit, waiting for one until `deadline` (`None`: without end); says whether it did.
    ///
    /// # Errors
    /// As [`NamedSemaphore::try_wait`].
    pub fn wait_deadline(&self, deadline: Option<Instant>) -> Result<bool> {
        self.object.wait(&self.name, deadline)
    }
}

impl fmt::Debug for NamedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedSemaphore").field("name", &self.name).finish_non_exhaustive()
    }
}
