//! System V shared memory.
#![allow(unsafe_code)] // Send and Sync of a mapping

use super::Key;
use crate::file::Access;
use crate::{Error, ErrorKind, Result};
use std::ptr::NonNull;
use std::time::SystemTime;

/// What the kernel knows of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStat {
    /// The number the kernel gave it.
    pub id: i32,
    /// Its key; of a segment that is marked for deletion, [`Key::PRIVATE`] in a listing.
    pub key: Key,
    /// Its size in bytes.
    pub size: u64,
    /// How many mappings of it there are.
    pub attaches: u64,
    /// The process that created it, as seen from this one's PID namespace; 0 if it is not in it.
    pub creator_pid: u32,
    /// The process that attached or detached last; 0 if none did.
    pub last_pid: u32,
    /// The number of the user who owns it.
    pub owner: u32,
    /// The permissions: the low 9 bits of a file mode.
    pub mode: u32,
    /// When it was attached last.
    pub attached_at: Option<SystemTime>,
    /// When it was detached last.
    pub detached_at: Option<SystemTime>,
    /// When it was created or its permissions were changed.
    pub changed_at: Option<SystemTime>,
    /// Whether it goes as soon as nobody has it attached.
    pub marked_for_deletion: bool,
}

/// A System V shared memory segment, named by a key. Dropping this object does nothing to the segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMemory {
    id: i32,
    key: Key,
    created: bool,
}

impl SharedMemory {
    /// Creates the segment of `key` with `size` bytes, all zero.
    ///
    /// The kernel finds the memory when it is touched: unlike Crossing's own segments, these can meet a lack of memory
    /// late.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitReached`] naming `kernel.shmmax`, `shmmni` or `shmall` with its
    /// value; [`ErrorKind::ApiMisuse`] for a size of 0.
    pub fn create(key: Key, size: usize, access: Access) -> Result<Self> {
        if size == 0 {
            return Err(Error::new(ErrorKind::ApiMisuse, "create System V segment", key.to_string())
                .detail("a segment of no bytes"));
        }
        let id = crate::os::sysv::shm_create(key, size, access)?;
        Ok(Self { id, key, created: true })
    }

    /// Finds the segment of `key`, of any size.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn open(key: Key) -> Result<Self> {
        let id = crate::os::sysv::shm_open(key)?;
        Ok(Self { id, key, created: false })
    }

    /// Finds the segment of `key`, or creates it; one that exists must have at least `size` bytes.
    ///
    /// # Errors
    /// As [`SharedMemory::create`]; [`ErrorKind::Incompatible`] if it exists and is smaller.
    pub fn open_or_create(key: Key, size: usize, access: Access) -> Result<Self> {
        super::queue::open_or_create(
            "open or create System V segment",
            key,
            access,
            |found: &Self| Ok(found.stat()?.owner),
            || Self::create(key, size, access),
            || {
                let found = Self::open(key)?;
                let have = found.stat()?.size;
                if have < size as u64 {
                    return Err(Error::new(
                        ErrorKind::Incompatible,
                        "open System V segment",
                        key.to_string(),
                    )
                    .detail(format!("it has {have} bytes, {size} asked for"))
                    .fix("ask for less, or remove the segment first"));
                }
                Ok(found)
            },
        )
    }

    /// The segment of an entry of [`list_memory`].
    #[must_use]
    pub fn from_listed(stat: &MemoryStat) -> Self {
        Self { id: stat.id, key: stat.key, created: false }
    }

    /// The number the kernel gave it.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Whether this object created the segment (and did not find it).
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Maps the segment, to read and write.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`]; [`ErrorKind::NotFound`] if it was removed meanwhile.
    pub fn attach(&self) -> Result<Mapping> {
        self.attach_as(false)
    }

    /// Maps the segment, to read only: writing through [`Mapping::as_ptr`] kills this process.
    ///
    /// # Errors
    /// As [`SharedMemory::attach`].
    pub fn attach_read_only(&self) -> Result<Mapping> {
        self.attach_as(true)
    }

    fn attach_as(&self, read_only: bool) -> Result<Mapping> {
        let pointer = crate::os::sysv::shm_attach(self.id, self.key, read_only)?;
        // The length is read after attaching: from here on the id cannot come to mean another segment.
        let mut mapping = Mapping { pointer, len: 0, read_only };
        let size = self.stat()?.size;
        mapping.len = usize::try_from(size).unwrap_or(0);
        Ok(mapping)
    }

    /// What the kernel knows of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it was removed; [`ErrorKind::PermissionDenied`] without the right to read it.
    pub fn stat(&self) -> Result<MemoryStat> {
        crate::os::sysv::shm_stat(self.id, self.key)
    }

    /// Removes the segment: its key is free at once, its memory when the last process detaches.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`] for another user's segment.
    pub fn remove(&self) -> Result<()> {
        crate::os::sysv::shm_remove(self.id, self.key)
    }
}

/// A segment mapped into this process; detached on drop.
///
/// Other programs may write to it at any time: there is no reference into it to be had here, only a pointer and a length.
#[derive(Debug)]
pub struct Mapping {
    pointer: NonNull<u8>,
    len: usize,
    read_only: bool,
}

impl Mapping {
    /// Where the mapping begins; page-aligned, valid for [`Mapping::len`] bytes while this object lives.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    /// Its length in bytes: the segment's exact size.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes, which does not happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it may only be read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

// SAFETY: a mapping belongs to the process, not to a thread: any thread may use its address and detach it.
unsafe impl Send for Mapping {}

// SAFETY: through a shared reference only the address and the length are to be had.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        crate::os::sysv::shm_detach(self.pointer);
    }
}

/// All segments that the kernel shows to this user, with or without a key.
///
/// # Errors
/// Only if the system does not show them.
pub fn list_memory() -> Result<Vec<MemoryStat>> {
    crate::os::sysv::shm_list()
}
