//! Semaphores that any program can open by name: POSIX named semaphores, `sem_open`.
//!
//! A permit taken by a process that dies is lost: nothing notes who took it. Crossing's own semaphores, and System V
//! ones with [`crate::sysv::Undo::OnExit`], give it back.
//!
//! The value lies in memory that everybody with access can write. A peer that writes there can make waiters wait and
//! wake, and one that may also truncate the file behind the name can kill this process: open only what trusted users own.
//!
//! # Platform-specific behavior
//! Linux: sem_overview(7); the name is a file in `/dev/shm`. Elsewhere: [`ErrorKind::Unsupported`].

use crate::file::Access;
use crate::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

/// The longest name in bytes, not counting the leading slash.
pub const MAX_NAME_LEN: usize = 251;

/// The highest value of a semaphore.
pub const MAX_VALUE: u32 = 0x7fff_ffff;

/// A POSIX named semaphore that this process has open; closed on drop. The name stays until [`unlink`].
///
/// ```
/// use crossing_sys::file::Access;
/// use crossing_sys::named_semaphore::{self, NamedSemaphore};
/// let name = format!("/crossing-doc-{}", std::process::id());
/// let semaphore = NamedSemaphore::create(&name, 1, Access::Private)?;
/// assert!(semaphore.try_wait()?);
/// assert!(!semaphore.try_wait()?);
/// semaphore.post()?;
/// named_semaphore::unlink(&name)?;
/// # Ok::<(), crossing_sys::Error>(())
/// ```
#[derive(Debug)]
pub struct NamedSemaphore {
    name: String,
    semaphore: crate::os::named_semaphore::Semaphore,
    created: bool,
}

impl NamedSemaphore {
    /// Creates the semaphore `name` (`/NAME`) with `value` permits; the umask of the process does not change its access.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::ApiMisuse`] for a name or a value that no system takes;
    /// [`ErrorKind::NoSpace`] when shared memory is full.
    pub fn create(name: &str, value: u32, access: Access) -> Result<Self> {
        const OPERATION: &str = "create semaphore";
        check_name(OPERATION, name)?;
        if value > MAX_VALUE {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, name)
                .detail(format!("value {value}, the highest is {MAX_VALUE}")));
        }
        let semaphore = crate::os::named_semaphore::create(name, value, access)?;
        Ok(Self { name: name.to_owned(), semaphore, created: true })
    }

    /// Opens the semaphore `name` (`/NAME`), which exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`]; [`ErrorKind::Incompatible`] if something else has the name.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_checked(name, false)
    }

    fn open_checked(name: &str, own_only: bool) -> Result<Self> {
        check_name("open semaphore", name)?;
        let semaphore = crate::os::named_semaphore::open(name, own_only)?;
        Ok(Self { name: name.to_owned(), semaphore, created: false })
    }

    /// Opens the semaphore `name` (`/NAME`), which keeps its value, or creates it with `value` permits.
    ///
    /// # Errors
    /// As [`NamedSemaphore::create`] and [`NamedSemaphore::open`]. A private semaphore that another user made is refused
    /// with [`ErrorKind::PermissionDenied`].
    pub fn open_or_create(name: &str, value: u32, access: Access) -> Result<Self> {
        // Two processes that create and unlink the same name in turns could keep us busy: bounded.
        for _ in 0..100 {
            match Self::create(name, value, access) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                outcome => return outcome,
            }
            match Self::open_checked(name, access == Access::Private) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                outcome => return outcome,
            }
        }
        Err(Error::new(ErrorKind::Busy, "open or create semaphore", name)
            .detail("it was created and unlinked by others a hundred times meanwhile"))
    }

    /// The name, with its slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this object created the semaphore (and did not find it).
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Adds a permit, and wakes one waiter.
    ///
    /// # Errors
    /// [`ErrorKind::LimitReached`] at [`MAX_VALUE`].
    pub fn post(&self) -> Result<()> {
        self.semaphore.post(&self.name)
    }

    /// Takes a permit if there is one now; says whether it did.
    ///
    /// # Errors
    /// Only if the system refuses; see sem_wait(3).
    pub fn try_wait(&self) -> Result<bool> {
        self.semaphore.try_wait(&self.name)
    }

    /// Takes a permit, waiting for one without end.
    ///
    /// # Errors
    /// As [`NamedSemaphore::try_wait`].
    pub fn wait(&self) -> Result<()> {
        self.wait_deadline(None).map(drop)
    }

    /// Takes a permit, waiting for one for at most `timeout`; says whether it did.
    ///
    /// # Errors
    /// As [`NamedSemaphore::try_wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_deadline(Instant::now().checked_add(timeout))
    }

    /// Takes a permit, waiting for one until `deadline` (`None`: without end); says whether it did.
    ///
    /// # Errors
    /// As [`NamedSemaphore::try_wait`].
    ///
    /// # Platform-specific behavior
    /// The monotonic clock counts, by `sem_clockwait` of glibc 2.30 and later; a C library without it is asked again
    /// every so often, from 50 µs up to 10 ms, since its `sem_timedwait` goes by a clock that can be set.
    pub fn wait_deadline(&self, deadline: Option<Instant>) -> Result<bool> {
        self.semaphore.wait(&self.name, deadline)
    }

    /// How many permits there are now; 0 while others wait.
    ///
    /// # Errors
    /// Only if the system refuses; see sem_getvalue(3).
    pub fn value(&self) -> Result<u32> {
        self.semaphore.value(&self.name)
    }
}

/// Removes the name; the semaphore itself goes when the last process closes it.
///
/// # Errors
/// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`] for another user's semaphore.
pub fn unlink(name: &str) -> Result<()> {
    check_name("unlink semaphore", name)?;
    crate::os::named_semaphore::unlink(name)
}

/// A name is one slash and then 1 to 251 bytes without slash and NUL (sem_overview(7)).
fn check_name(operation: &'static str, name: &str) -> Result<()> {
    let wrong = match name.strip_prefix('/') {
        None => "the name does not begin with a slash",
        Some("") => "the name is empty",
        Some(rest) if rest.contains('/') => "the name has a second slash",
        Some(rest) if rest.contains('\0') => "the name has a NUL byte",
        Some(rest) if rest.len() > MAX_NAME_LEN => "the name is longer than 251 bytes",
        Some(_) => return Ok(()),
    };
    Err(Error::new(ErrorKind::ApiMisuse, operation, name)
        .detail(wrong)
        .fix("use a slash and then at most 251 bytes without a slash, as in \"/gate\""))
}

#[cfg(all(test, unix, not(crossing_os_stub)))]
#[path = "named_semaphore_tests.rs"]
mod tests;
