//! Memory that processes share: the files that hold it and its mapping into this process.
//!
//! A [`MemoryFile`] is memory with a handle (a file on memory file storage, a memfd, a POSIX shared memory object); a
//! [`Mapping`] makes it addressable here. Memory is really allocated when asked for, so that a full storage is an error
//! at creation and not a SIGBUS at the first touch.
//!
//! Source: shm_overview(7), memfd_create(2), posix_fallocate(3), mmap(2).

use crate::file::{Access, Handle};
use crate::os::memory as os;
use crate::{Bytes, Error, ErrorKind, Result};
use std::path::Path;

/// Memory with a handle.
#[derive(Debug)]
pub struct MemoryFile(pub(crate) Handle);

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
    /// Creates a file in memory storage, exclusively; nobody but `access` may open it.
    ///
    /// # Errors
    /// The operating system's; `AlreadyExists` if there is one.
    pub fn create(path: &Path, access: Access) -> Result<Self> {
        os::create(path, access)
            .map(Self)
            .map_err(|cause| Error::os(cause, "create memory file", path.display().to_string()))
    }

    /// Opens a file in memory storage; never through a symbolic link.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path, read_only: bool) -> Result<Self> {
        os::open(path, read_only)
            .map(Self)
            .map_err(|cause| Error::os(cause, "open memory file", path.display().to_string()))
    }

    /// Creates memory without a name, `len` bytes of it, sealed so that nobody can shrink it (and so kill who reads it).
    ///
    /// # Errors
    /// The operating system's; `NoSpace` with what is needed.
    pub fn anonymous(label: &str, len: u64, huge_pages: HugePages) -> Result<Self> {
        let error = |cause| Error::os(cause, "create anonymous memory", label);
        let file = Self(os::anonymous(label, huge_pages).map_err(error)?);
        file.allocate(len, label)?;
        os::seal(&file.0).map_err(error)?;
        Ok(file)
    }

    /// Memory received from another process. It must be sealed against shrinking, growing and further seals.
    ///
    /// # Errors
    /// `Incompatible` if it is not sealed: whoever sent it could then kill this process by shrinking it.
    pub fn received(handle: Handle) -> Result<Self> {
        match os::is_sealed(&handle) {
            Ok(true) => Ok(Self(handle)),
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
        os::create(&path, access)
            .map(Self)
            .map_err(|cause| Error::os(cause, "create shared memory object", name))
    }

    /// Opens the POSIX shared memory object `name`.
    ///
    /// # Errors
    /// The operating system's; `ApiMisuse` for a bad name.
    pub fn open_posix(name: &str, read_only: bool) -> Result<Self> {
        let path = posix_path(name)?;
        os::open(&path, read_only).map(Self).map_err(|cause| {
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
        if let Ok((free, place)) = os::free_space(&self.0)
            && free < len
        {
            return Err(no_space(subject, len, free, &place));
        }
        os::allocate(&self.0, len).map_err(|cause| {
            if !os::is_no_space(&cause) {
                return Error::os(cause, "allocate memory", subject);
            }
            let (free, place) = os::free_space(&self.0).unwrap_or((0, "memory storage".to_owned()));
            no_space(subject, len, free, &place)
        })
    }

    /// Its length in bytes at this moment.
    ///
    /// # Errors
    /// The operating system's.
    pub fn len(&self) -> Result<u64> {
        os::len(&self.0).map_err(|cause| Error::os(cause, "measure memory", "handle"))
    }

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Another opening of the same memory, for locks of its own.
    ///
    /// # Errors
    /// The operating system's.
    ///
    /// # Platform-specific behavior
    /// Linux: through /proc/self/fd, which must be mounted.
    pub fn reopen(&self, read_only: bool) -> Result<Handle> {
        os::reopen(&self.0, read_only).map_err(|cause| {
            Error::os(cause, "open again", "memory handle")
                .fix("/proc must be mounted for memory without a name")
        })
    }

    /// Maps `len` bytes from the start.
    ///
    /// # Errors
    /// The operating system's, with the limit to raise.
    pub fn map(&self, len: usize, options: MapOptions) -> Result<Mapping> {
        Mapping::new(&self.0, len, options)
    }

    /// The handle, to send it to another process.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.0
    }

    /// The handle, owned.
    #[must_use]
    pub fn into_handle(self) -> Handle {
        self.0
    }
}

fn no_space(subject: &str, need: u64, have: u64, place: &str) -> Error {
    Error::new(ErrorKind::NoSpace { need, have }, "allocate memory", subject).detail(place.to_owned()).fix(format!(
        "free space there, ask for less, or enlarge it: `mount -o remount,size={} {place}` (in a container: \
         `docker run --shm-size`)",
        need.saturating_add(have).next_multiple_of(1 << 20)
    ))
}

fn posix_path(name: &str) -> Result<std::path::PathBuf> {
    let bare = name.strip_prefix('/').unwrap_or("");
    if bare.is_empty() || bare.len() > 250 || bare.contains(['/', '\0']) || bare == "." || bare == ".." {
        return Err(Error::new(ErrorKind::ApiMisuse, "name shared memory object", name)
            .fix("use a slash and then 1 to 250 bytes without a slash: posix:/NAME"));
    }
    Ok(os::posix_directory().join(bare))
}

/// Shared memory at an address of this process, until dropped.
#[derive(Debug)]
pub struct Mapping(os::Map);

impl Mapping {
    fn new(handle: &Handle, len: usize, options: MapOptions) -> Result<Self> {
        if len == 0 {
            return Err(
                Error::new(ErrorKind::ApiMisuse, "map memory", "0 bytes").fix("map at least one byte")
            );
        }
        let map = os::map(handle, len, options.read_only)
            .map_err(|cause| Error::os(cause, "map memory", Bytes(len as u64).to_string()))?;
        let mapping = Self(map);
        if options.huge_pages != HugePages::No {
            let advised = os::advise_huge(&mapping.0);
            if let (Err(cause), HugePages::Require) = (advised, options.huge_pages) {
                return Err(Error::os(cause, "use huge pages", Bytes(len as u64).to_string()).fix(
                    "mount the memory storage with huge=advise, or set vm.nr_hugepages, or ask with Try",
                ));
            }
        }
        if options.lock {
            os::lock(&mapping.0).map_err(|cause| {
                let error = Error::os(cause, "lock memory", Bytes(len as u64).to_string());
                error
                    .detail(os::lock_limit())
                    .fix("raise it: `ulimit -l`, LimitMEMLOCK= in a unit, or CAP_IPC_LOCK")
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
