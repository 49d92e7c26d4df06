//! Named mutexes.

use super::{Namespace, after, checked};
use crate::Result;
use crate::file::Access;
use crate::os::kernel_object as os;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// A mutex that other programs open by name. The thread that locks owns it; it may lock again, and then must unlock as
/// often.
///
/// ```no_run
/// use crossing_sys::file::Access;
/// use crossing_sys::kernel_object::{Acquired, NamedMutex, Namespace};
/// let mutex = NamedMutex::create("prices", Namespace::Local, Access::Private)?;
/// match mutex.lock()? {
///     Acquired::Normal(_held) => {} // unlocked when dropped
///     Acquired::Recovered(_held) => {} // its owner died half-way: put right what it was changing
/// }
/// # Ok::<(), crossing_sys::Error>(())
/// ```
///
/// # Platform-specific behavior
/// Windows: CreateMutexW, OpenMutexW, ReleaseMutex. Elsewhere: unsupported.
pub struct NamedMutex {
    name: String,
    object: os::Mutex,
}

/// A lock just taken.
#[derive(Debug)]
#[must_use = "dropped, it unlocks at once"]
pub enum Acquired<'a> {
    /// Its last owner unlocked it.
    Normal(Held<'a>),
    /// Its last owner, a thread or its whole process, ended while it held it (`WAIT_ABANDONED`): what the mutex protects
    /// may be half changed. Told once, to the next owner.
    Recovered(Held<'a>),
}

impl<'a> Acquired<'a> {
    /// The lock, however it was taken.
    pub fn into_held(self) -> Held<'a> {
        match self {
            Self::Normal(held) | Self::Recovered(held) => held,
        }
    }

    /// Whether its last owner ended while it held it.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        matches!(self, Self::Recovered(_))
    }
}

/// The right to what the mutex protects; given back on drop, by the thread that took it.
#[must_use = "dropped, it unlocks at once"]
pub struct Held<'a> {
    mutex: &'a NamedMutex,
    /// The kernel takes it back from the thread alone that took it.
    _thread: PhantomData<*const ()>,
}

impl NamedMutex {
    /// Creates the mutex `name`, unlocked.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if
    /// another user has the name; [`Incompatible`](crate::ErrorKind::Incompatible) if another kind of object has it;
    /// [`ApiMisuse`](crate::ErrorKind::ApiMisuse) for a name that the system does not take.
    pub fn create(name: &str, namespace: Namespace, access: Access) -> Result<Self> {
        let full = checked("create mutex", namespace, name)?;
        Ok(Self { object: os::Mutex::create(&full, access)?, name: full })
    }

    /// Opens the mutex `name`, which somebody created.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), and as [`NamedMutex::create`].
    pub fn open(name: &str, namespace: Namespace) -> Result<Self> {
        let full = checked("open mutex", namespace, name)?;
        Ok(Self { object: os::Mutex::open(&full)?, name: full })
    }

    /// The name, with its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Locks, waiting without end.
    ///
    /// # Errors
    /// Only if the system refuses to wait.
    pub fn lock(&self) -> Result<Acquired<'_>> {
        loop {
            if let Some(acquired) = self.lock_deadline(None)? {
                return Ok(acquired);
            }
        }
    }

    /// Locks if no other thread holds it; `None` if one does.
    ///
    /// # Errors
    /// As [`NamedMutex::lock`].
    pub fn try_lock(&self) -> Result<Option<Acquired<'_>>> {
        self.lock_deadline(Some(Instant::now()))
    }

    /// Locks, waiting for at most `timeout`; `None` when that is over.
    ///
    /// # Errors
    /// As [`NamedMutex::lock`].
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Option<Acquired<'_>>> {
        self.lock_deadline(after(timeout))
    }

    /// Locks, waiting until `deadline` (`None`: without end); `None` when that is over.
    ///
    /// # Errors
    /// As [`NamedMutex::lock`].
    pub fn lock_deadline(&self, deadline: Option<Instant>) -> Result<Option<Acquired<'_>>> {
        let taken = self.object.lock(&self.name, deadline)?;
        let held = || Held { mutex: self, _thread: PhantomData };
        Ok(taken.map(|taken| match taken {
            os::Taken::Normal => Acquired::Normal(held()),
            os::Taken::Abandoned => Acquired::Recovered(held()),
        }))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.mutex.object.unlock();
    }
}

impl fmt::Debug for NamedMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedMutex").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("mutex", &self.mutex.name).finish_non_exhaustive()
    }
}
