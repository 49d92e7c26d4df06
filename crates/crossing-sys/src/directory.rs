//! Directories that only their owner can change: where named objects live.

use crate::file::{Access, Handle};
use crate::os::directory as os;
use crate::{Error, ErrorKind, Result};
use std::cell::Cell;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

/// Where this user's named objects live unless `CROSSING_RUNTIME_DIR` says otherwise.
///
/// # Platform-specific behavior
/// Linux: `/dev/shm/crossing-UID`, on memory storage. Windows: `crossing` in the user's local application data
/// (`%LOCALAPPDATA%`); the memory itself lies in the paging file unless it is to persist. macOS: `crossing-UID` in the user's temporary
/// folder (`getconf DARWIN_USER_TEMP_DIR`). FreeBSD: `/tmp/crossing-UID`. Both of files on disk, kept in memory by the
/// system's cache; both type-checked only.
#[must_use]
pub fn default_root() -> PathBuf {
    os::default_root()
}

/// The runtime directory of this user, made if it is missing, and verified: a directory and not a link, owned by this
/// user, writable by nobody else.
///
/// # Errors
/// `PermissionDenied` when somebody else owns it or others may write in it (a squatter); the operating system's.
pub fn runtime_root() -> Result<PathBuf> {
    let root = std::env::var_os("CROSSING_RUNTIME_DIR").map_or_else(default_root, PathBuf::from);
    make(&root, Access::Private)?;
    Ok(root)
}

/// Makes `path` a directory for `access`, or verifies the one that is there.
///
/// # Errors
/// As [`runtime_root`].
pub fn make(path: &Path, access: Access) -> Result<()> {
    let subject = || path.display().to_string();
    os::make(path, access).map_err(|cause| Error::os(cause, "make directory", subject()))?;
    match os::verify(path) {
        Ok(None) => Ok(()),
        Ok(Some(problem)) => Err(Error::new(ErrorKind::PermissionDenied, "use directory", subject())
            .detail(problem)
            .fix("remove it, or set CROSSING_RUNTIME_DIR to a directory of your own")),
        Err(cause) => Err(Error::os(cause, "check directory", subject())),
    }
}

/// Widens an existing directory of ours so that `access` may look names up in it.
///
/// # Errors
/// The operating system's.
pub fn open_to(path: &Path, access: Access) -> Result<()> {
    os::open_to(path, access).map_err(|cause| Error::os(cause, "widen directory", path.display().to_string()))
}

/// Opens `path` for locking, creating an empty file if it is missing; never through a link.
///
/// # Errors
/// The operating system's.
pub fn open_lock_file(path: &Path, access: Access) -> Result<Handle> {
    os::open_lock_file(path, access)
        .map_err(|cause| Error::os(cause, "open lock file", path.display().to_string()))
}

/// Whether `path` still names the very file that `handle` has open.
#[must_use]
pub fn names(path: &Path, handle: &Handle) -> bool {
    os::names(path, handle).unwrap_or(false)
}

/// Renames `from` to `to` unless `to` exists; `AlreadyExists` then.
///
/// # Errors
/// The operating system's.
pub fn rename_new(from: &Path, to: &Path) -> Result<()> {
    os::rename_new(from, to).map_err(|cause| Error::os(cause, "publish", to.display().to_string()))
}

/// Whether file names that differ in case alone are different files here.
pub const CASE_SENSITIVE: bool = os::CASE_SENSITIVE;

/// Removes a file so that its name is free at once, even while others have it open or mapped.
///
/// # Errors
/// `NotFound`; the operating system's.
///
/// # Platform-specific behavior
/// Windows does not delete a file that is mapped: it is renamed into the directory `trash` (on the same volume), to be
/// deleted when [`empty_trash`] finds it unused. Elsewhere `trash` is not used.
pub fn remove(path: &Path, trash: &Path) -> Result<()> {
    os::remove(path, trash).map_err(|cause| Error::os(cause, "remove file", path.display().to_string()))
}

/// Removes a directory if nothing is in it; whether it is gone.
///
/// # Errors
/// The operating system's.
pub fn remove_empty(path: &Path) -> Result<bool> {
    use std::io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotFound};
    match os::remove_empty(path) {
        Err(cause) if matches!(cause.kind(), DirectoryNotEmpty | AlreadyExists) => Ok(false),
        Err(cause) if cause.kind() != NotFound => {
            Err(Error::os(cause, "remove directory", path.display().to_string()))
        }
        _ => Ok(true),
    }
}

thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// What lies in a directory, in no order.
///
/// # Errors
/// The operating system's.
pub fn entries(path: &Path) -> io::Result<impl Iterator<Item = io::Result<DirEntry>>> {
    Ok(os::entries(path)?.inspect(|_| SEEN.set(SEEN.get().wrapping_add(1))))
}

/// How many [`entries`] this thread has looked at so far: for tests that show what a cost does not depend on.
#[must_use]
pub fn entries_seen() -> u64 {
    SEEN.get()
}

/// Deletes what [`remove`] had to put into `trash` and nobody uses any more.
pub fn empty_trash(trash: &Path) {
    os::empty_trash(trash);
}

/// Who may use what `path` names, as its permissions say.
#[must_use]
pub fn access_of(path: &Path) -> Option<Access> {
    os::access_of(path).ok()
}
