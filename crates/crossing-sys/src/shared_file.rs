//! Files whose pages processes share: named ones in a [`Directory`](crate::directory::Directory), anonymous ones that
//! are passed from process to process, and POSIX shared memory objects of foreign programs.

use crate::file::{Access, Handle};
use crate::{Error, ErrorKind, Result};
use std::io;

/// What a file is, whatever it is called: two openings of one file have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub number: u64,
}

/// An opening of a file that can be mapped.
#[derive(Debug)]
pub struct SharedFile {
    handle: Handle,
    writable: bool,
}

impl SharedFile {
    /// An opening, which must be of a regular file or a shared memory object.
    pub(crate) fn of(handle: Handle, writable: bool) -> Self {
        Self { handle, writable }
    }

    /// A file without a name, which lives as long as somebody has a handle or a mapping. `label` is shown by the
    /// system's tools. With `huge` its pages are huge ones.
    ///
    /// # Errors
    /// `Unsupported` where the system has no such files or no huge pages for them.
    ///
    /// # Platform-specific behavior
    /// Linux: memfd_create(2), with `MFD_HUGETLB` if `huge`.
    pub fn anonymous(label: &str, huge: bool) -> Result<Self> {
        let handle = crate::os::shared_file::anonymous(label, huge)
            .map_err(|cause| Error::os(cause, "create anonymous segment", label))?;
        Ok(Self::of(handle, true))
    }

    /// A handle received from another process.
    ///
    /// # Errors
    /// `ApiMisuse` if it is not something that can be mapped.
    pub fn from_handle(handle: Handle) -> Result<Self> {
        let writable = crate::os::shared_file::check(&handle).map_err(|cause| {
            Error::os(cause, "use received handle", "segment")
                .kinded(ErrorKind::ApiMisuse)
                .detail("not a handle of shared memory")
        })?;
        Ok(Self::of(handle, writable))
    }

    /// Whether it can be written.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The handle, for passing it to another process.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The handle.
    #[must_use]
    pub fn into_handle(self) -> Handle {
        self.handle
    }

    /// Its length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn len(&self) -> io::Result<u64> {
        crate::os::shared_file::len(&self.handle)
    }

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Which file it is.
    ///
    /// # Errors
    /// The operating system's.
    pub fn identity(&self) -> io::Result<FileId> {
        crate::os::shared_file::identity(&self.handle)
    }

    /// The number of the user who owns it, as [`crate::process::user_number`] counts.
    ///
    /// # Errors
    /// The operating system's.
    pub fn owner(&self) -> io::Result<u64> {
        crate::os::shared_file::owner(&self.handle)
    }

    /// Who may open it by its name.
    ///
    /// # Errors
    /// The operating system's.
    pub fn access(&self) -> io::Result<Access> {
        crate::os::shared_file::access(&self.handle)
    }

    /// The time of its last change of contents or rights, in nanoseconds of the Unix epoch.
    ///
    /// # Errors
    /// The operating system's.
    pub fn changed_nanos(&self) -> io::Result<u64> {
        crate::os::shared_file::changed_nanos(&self.handle)
    }

    /// Makes it `len` bytes long, all of them really allocated: no later touch of a page can fail.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`] with what is needed and what is free; the file then holds no more than before.
    ///
    /// # Platform-specific behavior
    /// Linux: fallocate(2), statvfs(3).
    pub fn allocate(&self, len: u64, operation: &'static str, subject: &str) -> Result<()> {
        crate::os::shared_file::allocate(&self.handle, len).map_err(|failure| match failure {
            Shortage::Space { need, have, fix } => {
                Error::new(ErrorKind::NoSpace { need, have }, operation, subject).fix(fix)
            }
            Shortage::Other(cause) => Error::os(cause, operation, subject),
        })
    }

    /// Forbids everybody to change its length, for good.
    ///
    /// # Errors
    /// The operating system's; `Unsupported` for files with a name.
    pub fn seal_size(&self) -> io::Result<()> {
        crate::os::shared_file::seal_size(&self.handle)
    }

    /// Whether its length can never change any more.
    #[must_use]
    pub fn is_size_sealed(&self) -> bool {
        crate::os::shared_file::is_size_sealed(&self.handle)
    }

    /// Another opening of the same file, whose locks contend with this one's.
    ///
    /// # Errors
    /// The operating system's.
    ///
    /// # Platform-specific behavior
    /// Linux: through /proc/self/fd, which must be mounted.
    pub fn reopen(&self, writable: bool) -> io::Result<Self> {
        Ok(Self::of(crate::os::shared_file::reopen(&self.handle, writable)?, writable))
    }

    /// Reads from `offset`; returns how many bytes there were, fewer than asked for only at the end of the file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < to.len() {
            match crate::os::shared_file::read_at(&self.handle, offset + done as u64, &mut to[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Creates the POSIX shared memory object `name` (as for `shm_open`: a slash and no other), exclusively.
    ///
    /// # Errors
    /// `AlreadyExists`; `ApiMisuse` for a name that no system takes.
    pub fn create_posix(name: &str, access: Access) -> Result<Self> {
        const OPERATION: &str = "create POSIX segment";
        let bare = posix_name(OPERATION, name)?;
        let handle = crate::os::shared_file::create_posix(bare, access)
            .map_err(|cause| Error::os(cause, OPERATION, name))?;
        Ok(Self::of(handle, true))
    }

    /// Opens the POSIX shared memory object `name`.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`; `ApiMisuse` for a name that no system takes.
    pub fn open_posix(name: &str, writable: bool) -> Result<Self> {
        const OPERATION: &str = "open POSIX segment";
        let bare = posix_name(OPERATION, name)?;
        let handle = crate::os::shared_file::open_posix(bare, writable)
            .map_err(|cause| Error::os(cause, OPERATION, name))?;
        Ok(Self::of(handle, writable))
    }

    /// Removes the name of the POSIX shared memory object `name`; with `only`, only if it still names that file.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`; `ApiMisuse` for a name that no system takes.
    pub fn remove_posix(name: &str, only: Option<FileId>) -> Result<()> {
        const OPERATION: &str = "remove POSIX segment";
        let bare = posix_name(OPERATION, name)?;
        if let Some(only) = only {
            let now = Self::open_posix(name, false)?.identity();
            if now.map_err(|cause| Error::os(cause, OPERATION, name))? != only {
                return Ok(());
            }
        }
        crate::os::shared_file::remove_posix(bare).map_err(|cause| Error::os(cause, OPERATION, name))
    }
}

fn posix_name<'a>(operation: &'static str, name: &'a str) -> Result<&'a str> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let bad =
        bare.is_empty() || bare == "." || bare == ".." || bare.contains(['/', '\0']) || bare.len() > 250;
    if bad {
        return Err(Error::new(ErrorKind::ApiMisuse, operation, name)
            .detail("not a name of POSIX shared memory")
            .fix("use a slash and 1 to 250 bytes without another slash, as in \"/prices\""));
    }
    Ok(bare)
}

/// Why memory could not be allocated.
pub(crate) enum Shortage {
    Space { need: u64, have: u64, fix: String },
    Other(io::Error),
}
