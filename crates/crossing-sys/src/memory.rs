//! Memory that processes share: the files that hold it and its mapping into this process.
//!
//! A [`MemoryFile`] is memory with a handle (a file on memory file storage, a memfd, a POSIX shared memory object); a
//! [`Mapping`] makes it addressable here. Memory is really allocated when asked for, so that a full storage is an error
//! at creation and not a SIGBUS at the first touch.
//!
//! Source: shm_overview(7), memfd_create(2), posix_fallocate(3), mmap(2); CreateFileMappingW, MapViewOfFile.
//!
//! # Platform-specific behavior
//! Windows: memory that is not to persist lies in the paging file, as a file mapping object with an unguessable name; the
//! file itself is a small record that names it and carries the locks. It is gone with its last user, and the name with
//! it. Memory that persists lies in the file. The system refuses to shrink either while somebody has it mapped.
//!
//! macOS and FreeBSD (type-checked only): files in the runtime directory, on disk and in the system's cache; no objects of
//! shm_open. Memory without a name: memfd_create(3) on FreeBSD, [`ErrorKind::Unsupported`] on macOS, which has no seals.

use crate::file::{Access, Handle};
use crate::os::memory as os;
use crate::{Bytes, Error, ErrorKind, Result};
use std::path::Path;

/// Memory with a handle.
#[derive(Debug)]
pub struct MemoryFile {
    handle: Handle,
    backing: os::Backing,
}

/// What memory is to be like; applied when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Storage {
    /// Who may open it.
    pub access: Access,
    /// Whether it must outlive its users (not: the machine's restart).
    pub persist: bool,
    /// Larger pages.
    pub huge_pages: HugePages,
    /// Whether processes of other login sessions are to find it (if the access admits them).
    ///
    /// # Platform-specific behavior
    /// Windows: a `Global\` section instead of a `Local\` one; outside of services that takes the privilege
    /// SeCreateGlobalPrivilege. Elsewhere sessions do not matter.
    pub across_sessions: bool,
}

/// Whether a segment wants pages larger than the usual 4 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HugePages {
    /// The usual pages.
    #[default]
    No,
    /// Larger ones where the system has them to give.
    Try,
    /// Larger ones or an error.
    Require,
}

/// How memory is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MapOptions {
    /// Map for reading alone; a write is then impossible for the processor too.
    pub read_only: bool,
    /// Keep the pages in memory (mlock).
    pub lock: bool,
    /// Larger pages.
    pub huge_pages: HugePages,
}

impl MemoryFile {
    /// Creates a file in memory storage, exclusively; nobody but its `access` may open it.
    ///
    /// # Errors
    /// The operating system's; `AlreadyExists` if there is one.
    pub fn create(path: &Path, storage: &Storage) -> Result<Self> {
        os::create(path, storage)
            .map(|(handle, backing)| Self { handle, backing })
            .map_err(|cause| Error::os(cause, "create memory file", path.display().to_string()))
    }

    /// Opens a file in memory storage; never through a symbolic link.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path, read_only: bool) -> Result<Self> {
        os::open(path, read_only)
            .map(Self::of)
            .map_err(|cause| Error::os(cause, "open memory file", path.display().to_string()))
    }

    /// Creates memory without a name, `len` bytes of it, sealed so that nobody can shrink it (and so kill who reads it).
    ///
    /// # Errors
    /// The operating system's; `NoSpace` with what is needed.
    pub fn anonymous(label: &str, len: u64, huge_pages: HugePages) -> Result<Self> {
        let error = |cause| Error::os(cause, "create anonymous memory", label);
        let (handle, backing) = os::anonymous(label, huge_pages).map_err(error)?;
        let file = Self { handle, backing };
        file.allocate(len, label)?;
        os::seal(&file.handle).map_err(error)?;
        Ok(file)
    }

    fn of(handle: Handle) -> Self {
        Self { handle, backing: os::Backing::default() }
    }

    /// Memory received from another process. It must be sealed against shrinking, growing and further seals.
    ///
    /// # Errors
    /// `Incompatible` if it is not sealed: whoever sent it could then kill this process by shrinking it.
    pub fn received(handle: Handle) -> Result<Self> {
        match os::is_sealed(&handle) {
            Ok(true) => Ok(Self::of(handle)),
            Ok(false) => Err(Error::new(ErrorKind::Incompatible, "accept memory", "received handle")
                .detail("it is not sealed against shrinking")
                .fix("let the sender make it with Segment::options().anonymous()")),
            Err(cause) => Err(Error::os(cause, "accept memory", "received handle")),
        }
    }

    /// Creates (exclusively) the POSIX shared memory object `name`, as shm_open(3) names it: `/NAME`.
    ///
    /// # Errors
    /// The operating system's; `ApiMisuse` for a bad name.
    pub fn create_posix(name: &str, access: Access) -> Result<Self> {
        let path = posix_path(name)?;
        os::create(&path, &Storage { access, persist: true, ..Storage::default() })
            .map(|(handle, backing)| Self { handle, backing })
            .map_err(|cause| Error::os(cause, "create shared memory object", name))
    }

    /// Opens the POSIX shared memory object `name`.
    ///
    /// # Errors
    /// The operating system's; `ApiMisuse` for a bad name.
    pub fn open_posix(name: &str, read_only: bool) -> Result<Self> {
        let path = posix_path(name)?;
        os::open(&path, read_only).map(Self::of).map_err(|cause| {
            let error = Error::os(cause, "open shared memory object", name);
            let missing = error.kind() == ErrorKind::NotFound;
            if missing {
                error.fix("shm_open it with O_CREAT first, or use `crossing shm create`")
            } else {
                error
            }
        })
    }

    /// Removes the POSIX shared memory object `name`; who has it mapped keeps it.
    ///
    /// # Errors
    /// The operating system's; `ApiMisuse` for a bad name.
    pub fn unlink_posix(name: &str) -> Result<()> {
        let path = posix_path(name)?;
        std::fs::remove_file(path).map_err(|cause| Error::os(cause, "remove shared memory object", name))
    }

    /// Gives the file its length, with every page really there.
    ///
    /// # Errors
    /// `NoSpace` with the bytes needed and free, and where.
    pub fn allocate(&self, len: u64, subject: &str) -> Result<()> {
        // Asked first: filling a storage to the brim before failing would starve everybody else meanwhile.
        if let Ok((free, place)) = os::free_space(&self.handle, &self.backing)
            && free < len
        {
            return Err(no_space(subject, len, free, &place));
        }
        os::allocate(&self.handle, &self.backing, len).map_err(|cause| {
            if !os::is_no_space(&cause) {
                let error = Error::os(cause, "allocate memory", subject);
                return if self.backing.wants_large_pages() { error.fix(os::LARGE_PAGES_FIX) } else { error };
            }
            let (free, place) =
                os::free_space(&self.handle, &self.backing).unwrap_or((0, "memory storage".to_owned()));
            no_space(subject, len, free, &place)
        })
    }

    /// Its length in bytes at this moment.
    ///
    /// # Errors
    /// The operating system's.
    pub fn len(&self) -> Result<u64> {
        os::len(&self.handle).map_err(|cause| Error::os(cause, "measure memory", "handle"))
    }

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Whether only the file is left: the memory went with its last user. Whoever opened it before keeps it from going.
    ///
    /// # Platform-specific behavior
    /// Windows, for memory that does not persist. Elsewhere memory stays until its file is removed: always `false`.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        os::is_gone(&self.handle)
    }

    /// Another opening of the same memory, for locks of its own.
    ///
    /// # Errors
    /// The operating system's.
    ///
    /// # Platform-specific behavior
    /// Linux: through /proc/self/fd, which must be mounted. Windows: `ReOpenFile`.
    pub fn reopen(&self, read_only: bool) -> Result<Handle> {
        os::reopen(&self.handle, read_only).map_err(|cause| {
            Error::os(cause, "open again", "memory handle")
                .fix("/proc must be mounted for memory without a name")
        })
    }

    /// Maps `len` bytes from the start.
    ///
    /// # Errors
    /// The operating system's, with the limit to raise.
    pub fn map(&self, len: usize, options: MapOptions) -> Result<Mapping> {
        Mapping::new(&self.handle, &self.backing, len, options)
    }

    /// The handle, to send it to another process.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The handle, owned.
    #[must_use]
    pub fn into_handle(self) -> Handle {
        self.handle
    }
}

fn no_space(subject: &str, need: u64, have: u64, place: &str) -> Error {
    let fix = os::no_space_fix(need.saturating_add(have).next_multiple_of(1 << 20), place);
    Error::new(ErrorKind::NoSpace { need, have }, "allocate memory", subject)
        .detail(place.to_owned())
        .fix(fix)
}

fn posix_path(name: &str) -> Result<std::path::PathBuf> {
    let bare = name.strip_prefix('/').unwrap_or("");
    if bare.is_empty() || bare.len() > 250 || bare.contains(['/', '\0']) || bare == "." || bare == ".." {
        return Err(Error::new(ErrorKind::ApiMisuse, "name shared memory object", name)
            .fix("use a slash and then 1 to 250 bytes without a slash: posix:/NAME"));
    }
    match os::posix_directory() {
        Some(directory) => Ok(directory.join(bare)),
        None => Err(Error::new(ErrorKind::Unsupported, "name shared memory object", name)
            .detail("this system has no POSIX shared memory")
            .fix("use a named file mapping: crossing_sys::kernel_object::NamedMapping")),
    }
}

/// Shared memory at an address of this process, until dropped.
#[derive(Debug)]
pub struct Mapping(os::Map);

impl Mapping {
    fn new(handle: &Handle, backing: &os::Backing, len: usize, options: MapOptions) -> Result<Self> {
        if len == 0 {
            return Err(
                Error::new(ErrorKind::ApiMisuse, "map memory", "0 bytes").fix("map at least one byte")
            );
        }
        let map = os::map(handle, backing, len, options.read_only)
            .map_err(|cause| Error::os(cause, "map memory", Bytes(len as u64).to_string()))?;
        let mapping = Self(map);
        if options.huge_pages != HugePages::No {
            let advised = os::advise_huge(&mapping.0);
            if let (Err(cause), HugePages::Require) = (advised, options.huge_pages) {
                return Err(Error::os(cause, "use huge pages", Bytes(len as u64).to_string())
                    .fix(os::LARGE_PAGES_FIX));
            }
        }
        if options.lock {
            os::lock(&mapping.0).map_err(|cause| {
                let error = Error::os(cause, "lock memory", Bytes(len as u64).to_string());
                error.detail(os::lock_limit()).fix(os::LOCK_FIX)
            })?;
        }
        Ok(mapping)
    }

    /// Where it starts.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no bytes; it always has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
