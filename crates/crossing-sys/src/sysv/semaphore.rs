//! System V semaphores: sets of counters with an undo when a process dies.

use super::Key;
use crate::file::Access;
use crate::{Error, ErrorKind, Result};
use std::time::{Instant, SystemTime};

/// What happens to a change when the process that made it ends, however it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Undo {
    /// It stays.
    #[default]
    Never,
    /// The kernel takes it back (`SEM_UNDO`).
    ///
    /// The undo belongs to the process: a permit taken by one process with undo and returned by another leaves the count
    /// one too high when the first ends.
    OnExit,
}

/// What the kernel knows of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreStat {
    /// The number the kernel gave it.
    pub id: i32,
    /// Its key.
    pub key: Key,
    /// How many semaphores it has.
    pub count: u32,
    /// The number of the user who owns it.
    pub owner: u32,
    /// The permissions: the low 9 bits of a file mode.
    pub mode: u32,
    /// When a semaphore of it was last posted or waited for.
    pub used_at: Option<SystemTime>,
    /// When it was created or changed otherwise.
    pub changed_at: Option<SystemTime>,
}

/// A set of System V semaphores, named by a key. Dropping this object does nothing to the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SemaphoreSet {
    id: i32,
    key: Key,
    count: u32,
    created: bool,
}

impl SemaphoreSet {
    /// Creates the set of `key` with these values.
    ///
    /// The set exists with zeros for a moment, then gets all its values in one atomic step: whoever waits on it
    /// meanwhile just waits a moment longer.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitReached`] naming the part of `kernel.sem`;
    /// [`ErrorKind::ApiMisuse`] for no values or a value above 32767.
    pub fn create(key: Key, values: &[u16], access: Access) -> Result<Self> {
        const OPERATION: &str = "create System V semaphores";
        let misuse =
            |detail| Err(Error::new(ErrorKind::ApiMisuse, OPERATION, key.to_string()).detail(detail));
        if values.is_empty() {
            return misuse("a set of no semaphores");
        }
        if values.iter().any(|value| *value > 32_767) {
            return misuse("the highest value is 32767");
        }
        let id = crate::os::sysv::sem_create(key, values.len(), access)?;
        let set = Self { id, key, count: u32::try_from(values.len()).unwrap_or(u32::MAX), created: true };
        if let Err(error) = crate::os::sysv::sem_add_all(id, key, values) {
            let _ = set.remove();
            return Err(error);
        }
        Ok(set)
    }

    /// Finds the set of `key`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`].
    pub fn open(key: Key) -> Result<Self> {
        let id = crate::os::sysv::sem_open(key)?;
        let count = crate::os::sysv::sem_stat(id, key)?.count;
        Ok(Self { id, key, count, created: false })
    }

    /// Finds the set of `key`, or creates it; one that exists must have at least as many semaphores, and keeps its
    /// values.
    ///
    /// # Errors
    /// As [`SemaphoreSet::create`] and [`SemaphoreSet::open`]; [`ErrorKind::Incompatible`] if it has fewer.
    pub fn open_or_create(key: Key, values: &[u16], access: Access) -> Result<Self> {
        super::queue::open_or_create(
            "open or create System V semaphores",
            key,
            access,
            |found: &Self| Ok(found.stat()?.owner),
            || Self::create(key, values, access),
            || {
                let found = Self::open(key)?;
                if (found.count as usize) < values.len() {
                    return Err(Error::new(
                        ErrorKind::Incompatible,
                        "open System V semaphores",
                        key.to_string(),
                    )
                    .detail(format!(
                        "the set has {} semaphores, {} asked for",
                        found.count,
                        values.len()
                    )));
                }
                Ok(found)
            },
        )
    }

    /// The set of an entry of [`list_semaphores`].
    #[must_use]
    pub fn from_listed(stat: &SemaphoreStat) -> Self {
        Self { id: stat.id, key: stat.key, count: stat.count, created: false }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// How many semaphores it has.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether this object created the set (and did not find it).
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// The value of semaphore `index`.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] for an index that the set does not have; [`ErrorKind::NotFound`] if it was removed.
    pub fn value(&self, index: u16) -> Result<u32> {
        self.check(index)?;
        crate::os::sysv::sem_value(self.id, self.key, index)
    }

    /// Sets the value of semaphore `index`, and forgets what any process was to undo on it.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`]; [`ErrorKind::ApiMisuse`] above 32767.
    pub fn set_value(&self, index: u16, value: u16) -> Result<()> {
        self.check(index)?;
        crate::os::sysv::sem_set_value(self.id, self.key, index, value)
    }

    /// Adds 1.
    ///
    /// # Errors
    /// [`ErrorKind::LimitReached`] at 32767; and as [`SemaphoreSet::value`].
    pub fn post(&self, index: u16, undo: Undo) -> Result<()> {
        self.check(index)?;
        crate::os::sysv::sem_post(self.id, self.key, index, undo)
    }

    /// Takes 1 if there is one now; says whether it did.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn try_wait(&self, index: u16, undo: Undo) -> Result<bool> {
        self.check(index)?;
        crate::os::sysv::sem_try_wait(self.id, self.key, index, undo)
    }

    /// Takes 1, waiting for it until `deadline` (`None`: without end); says whether it did.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`]; [`ErrorKind::NotFound`] also if the set is removed while waiting.
    pub fn wait_deadline(&self, index: u16, undo: Undo, deadline: Option<Instant>) -> Result<bool> {
        self.check(index)?;
        crate::os::sysv::sem_wait(self.id, self.key, index, undo, deadline)
    }

    /// What the kernel knows of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it was removed; [`ErrorKind::PermissionDenied`] without the right to read it.
    pub fn stat(&self) -> Result<SemaphoreStat> {
        crate::os::sysv::sem_stat(self.id, self.key)
    }

    /// Removes the set at once; whoever waits on it gets an error.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`] for another user's set.
    pub fn remove(&self) -> Result<()> {
        crate::os::sysv::sem_remove(self.id, self.key)
    }

    fn check(&self, index: u16) -> Result<()> {
        if u32::from(index) < self.count {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ApiMisuse, "use System V semaphore", self.key.to_string())
            .detail(format!("semaphore {index} of a set of {}", self.count)))
    }
}

/// All sets that the kernel shows to this user.
///
/// # Errors
/// Only if the system does not show them.
pub fn list_semaphores() -> Result<Vec<SemaphoreStat>> {
    crate::os::sysv::sem_list()
}
