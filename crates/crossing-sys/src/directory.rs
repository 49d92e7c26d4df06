//! Directories for named resources: private, owned by who uses them, never reached through a link.

use crate::file::{Access, Handle};
use crate::shared_file::{FileId, SharedFile};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::path::{Path, PathBuf};

/// An open directory. What is in it is named relative to it, so that nobody can swap a part of the path.
#[derive(Debug)]
pub struct Directory {
    handle: Handle,
    path: PathBuf,
}

/// The environment variable that names the runtime directory.
pub const RUNTIME_DIR_VARIABLE: &str = "CROSSING_RUNTIME_DIR";

impl Directory {
    /// The runtime directory of this user, on memory, created if it is missing.
    ///
    /// `CROSSING_RUNTIME_DIR` names another one; its owner may then be another user, but nobody else may be able to
    /// write to it.
    ///
    /// # Errors
    /// `PermissionDenied` when it belongs to somebody else, others may write to it, or it is a link.
    ///
    /// # Platform-specific behavior
    /// Linux: `/dev/shm/crossing-UID`, mode 0700.
    pub fn runtime() -> Result<Self> {
        let named =
            std::env::var_os(RUNTIME_DIR_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let explicit = named.is_some();
        let path = named.unwrap_or_else(crate::os::directory::default_runtime_path);
        Self::secure(&path, explicit)
    }

    /// The directory at `path`, checked as [`runtime`](Self::runtime) does; created if it is missing.
    ///
    /// # Errors
    /// As [`runtime`](Self::runtime).
    pub fn secure(path: &Path, others_may_own: bool) -> Result<Self> {
        let handle = crate::os::directory::open_secure(path, others_may_own).map_err(|refused| {
            let subject = path.display().to_string();
            let fix = format!("remove it, or name another directory by {RUNTIME_DIR_VARIABLE}");
            match refused {
                Refused::Unsafe(why) => {
                    Error::new(ErrorKind::PermissionDenied, "use runtime directory", subject)
                        .detail(why)
                        .fix(fix)
                }
                Refused::Os(cause) => Error::os(cause, "use runtime directory", subject),
            }
        })?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// Where it is (or was when it was opened).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets those whom `access` includes reach what is in this directory by name, if they cannot yet.
    ///
    /// # Errors
    /// The operating system's: only its owner can.
    pub fn widen(&self, access: Access) -> io::Result<()> {
        crate::os::directory::widen_directory(&self.handle, access)
    }

    /// Creates the directory `name`, exclusively, and opens it.
    ///
    /// # Errors
    /// `AlreadyExists`; the operating system's otherwise.
    pub fn create_directory(&self, name: &str, access: Access) -> io::Result<Self> {
        let handle = crate::os::directory::create_directory(&self.handle, name, access)?;
        Ok(Self { handle, path: self.path.join(name) })
    }

    /// Opens the directory `name`.
    ///
    /// # Errors
    /// `NotFound`; an error if it is a link or no directory.
    pub fn open_directory(&self, name: &str) -> io::Result<Self> {
        let handle = crate::os::directory::open_directory(&self.handle, name)?;
        Ok(Self { handle, path: self.path.join(name) })
    }

    /// The names in it, in no order, without those that are no UTF-8 (Crossing makes none such).
    ///
    /// # Errors
    /// The operating system's.
    pub fn list(&self) -> io::Result<Vec<String>> {
        crate::os::directory::list(&self.handle)
    }

    /// Creates the file `name`, exclusively, for those whom `access` includes.
    ///
    /// # Errors
    /// `AlreadyExists`; the operating system's otherwise.
    pub fn create_file(&self, name: &str, access: Access) -> io::Result<SharedFile> {
        Ok(SharedFile::of(crate::os::directory::create_file(&self.handle, name, access)?, true))
    }

    /// Opens the file `name`.
    ///
    /// # Errors
    /// `NotFound`; an error if it is a link or not a regular file.
    pub fn open_file(&self, name: &str, writable: bool) -> io::Result<SharedFile> {
        Ok(SharedFile::of(crate::os::directory::open_file(&self.handle, name, writable)?, writable))
    }

    /// Which file or directory `name` is now.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn identity_of(&self, name: &str) -> io::Result<FileId> {
        crate::os::directory::identity_of(&self.handle, name)
    }

    /// Which directory this is.
    ///
    /// # Errors
    /// The operating system's.
    pub fn identity(&self) -> io::Result<FileId> {
        crate::os::shared_file::identity(&self.handle)
    }

    /// Removes the file `name`.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        crate::os::directory::remove_file(&self.handle, name)
    }

    /// Removes the empty directory `name`.
    ///
    /// # Errors
    /// `NotFound`; an error if it is not empty.
    pub fn remove_directory(&self, name: &str) -> io::Result<()> {
        crate::os::directory::remove_directory(&self.handle, name)
    }

    /// Gives what is called `from` the name `to`, in one step that others see whole or not at all.
    ///
    /// # Errors
    /// `AlreadyExists` when `to` exists: nothing is ever replaced.
    ///
    /// # Platform-specific behavior
    /// Linux: renameat2(2) with `RENAME_NOREPLACE`.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        crate::os::directory::rename(&self.handle, from, to)
    }
}

/// Why a directory cannot be used.
pub(crate) enum Refused {
    Unsafe(String),
    Os(io::Error),
}

impl From<io::Error> for Refused {
    fn from(cause: io::Error) -> Self {
        Self::Os(cause)
    }
}
