//! Regular files in the runtime directory, F_PREALLOCATE of fcntl(2).
//! Type-checked only: no macOS was at hand to run it on.
//!
//! Not shm_open(3): its names end after 31 bytes, cannot be listed or renamed, its objects take no locks and cannot be
//! opened again. Files have all of this, and their pages stay in memory as those do until the system needs the space.

pub(crate) use crate::os::unix::memory::{Map, is_gone, is_no_space, len, lock, lock_limit, open};

use crate::file::Handle;
use crate::memory::{HugePages, Storage};
use crate::os::unix::memory as unix;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// Darwin seals nothing: who gets the memory could shrink it, and so kill who reads it.
pub(crate) fn anonymous(_: &str, _: HugePages) -> io::Result<(Handle, Backing)> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system cannot seal memory without a name: give it one",
    ))
}

pub(crate) fn seal(_: &Handle) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_sealed(_: &Handle) -> io::Result<bool> {
    Ok(false)
}

/// By the path that the kernel knows of the file (F_GETPATH), if it is still the same.
pub(crate) fn reopen(handle: &Handle, read_only: bool) -> io::Result<Handle> {
    let path = rustix::fs::getpath(handle)?;
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
    let file = rustix::fs::open(&path, access | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    let (old, new) = (rustix::fs::fstat(handle)?, rustix::fs::fstat(&file)?);
    if (old.st_dev, old.st_ino) != (new.st_dev, new.st_ino) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "its path names another file by now"));
    }
    Ok(file.into())
}

pub(crate) fn create(path: &Path, storage: &Storage) -> io::Result<(Handle, Backing)> {
    Ok((unix::create_file(path, storage.access)?, Backing))
}

pub(crate) fn allocate(handle: &Handle, _: &Backing, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(handle, FallocateFlags::empty(), 0, len) {
            Err(Errno::INTR) => {}
            // File systems that do not reserve space: a full disk then shows when a page is first written (SIGBUS).
            Err(Errno::OPNOTSUPP | Errno::NOTSUP | Errno::INVAL) => {
                return Ok(rustix::fs::ftruncate(handle, len)?);
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Free bytes of the storage that holds `handle`, and what is known of its place.
pub(crate) fn free_space(handle: &Handle, _: &Backing) -> io::Result<(u64, String)> {
    let stat = rustix::fs::fstatvfs(handle)?;
    if stat.f_blocks == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok((stat.f_bavail.saturating_mul(stat.f_frsize), "the runtime directory".to_owned()))
}

/// Objects of shm_open(3) have no files here that a path could name.
pub(crate) fn posix_directory() -> Option<PathBuf> {
    None
}

pub(crate) fn map(handle: &Handle, _: &Backing, len: usize, read_only: bool) -> io::Result<Map> {
    unix::map_handle(handle, len, read_only)
}

/// There is no advice to give.
pub(crate) fn advise_huge(_: &Map) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing beside the handle is needed to find the memory.
#[derive(Debug, Default)]
pub(crate) struct Backing;

impl Backing {
    pub(crate) fn wants_large_pages(&self) -> bool {
        false
    }
}

/// What to do when large pages are not to be had.
pub(crate) const LARGE_PAGES_FIX: &str = "ask with Try, or without large pages";

/// What to do when memory cannot be locked.
pub(crate) const LOCK_FIX: &str = "raise it: `ulimit -l`";

/// What to do when there is too little of it.
pub(crate) fn no_space_fix(size: u64, place: &str) -> String {
    format!("free {size} bytes in {place}, ask for less, or set CROSSING_RUNTIME_DIR to a larger disk")
}
