//! Regular files in the runtime directory, memfd_create(3) with its seals, posix_fallocate(2).
//! Type-checked only: no FreeBSD was at hand to run it on.
//!
//! Not shm_open(2): its objects cannot be listed by a directory, nor made under one name and published under another
//! without a moment between; files can, and their pages stay in memory until the system needs the space.

pub(crate) use crate::os::unix::memory::{Map, is_gone, is_no_space, len, lock, lock_limit, open};

use crate::file::Handle;
use crate::memory::{HugePages, Storage};
use crate::os::unix::memory as unix;
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) fn anonymous(label: &str, huge_pages: HugePages) -> io::Result<(Handle, Backing)> {
    if huge_pages == HugePages::Require {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "large pages cannot be demanded on this system",
        ));
    }
    let label: String = label.chars().filter(|c| !matches!(c, '\0' | '/')).take(200).collect();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok((rustix::fs::memfd_create(&*label, flags)?.into(), Backing))
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

pub(crate) fn seal(handle: &Handle) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(handle, SEALS)?)
}

pub(crate) fn is_sealed(handle: &Handle) -> io::Result<bool> {
    match rustix::fs::fcntl_get_seals(handle) {
        Ok(seals) => Ok(seals.contains(SealFlags::SHRINK)),
        Err(Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A duplicate: locks are not bound to an opening here (`unix/record_lock.rs`), but to the handle's number.
pub(crate) fn reopen(handle: &Handle, _: bool) -> io::Result<Handle> {
    handle.try_clone()
}

pub(crate) fn create(path: &Path, storage: &Storage) -> io::Result<(Handle, Backing)> {
    Ok((unix::create_file(path, storage.access)?, Backing))
}

pub(crate) fn allocate(handle: &Handle, _: &Backing, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(handle, FallocateFlags::empty(), 0, len) {
            Err(Errno::INTR) => {}
            // File systems that do not reserve space (ZFS): a full disk then shows when a page is first written (SIGBUS).
            Err(Errno::OPNOTSUPP | Errno::INVAL) => {
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

/// There is no advice to give: the kernel makes superpages by itself.
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
pub(crate) const LOCK_FIX: &str = "raise it: `ulimit -l`, or memorylocked in login.conf(5)";

/// What to do when there is too little of it.
pub(crate) fn no_space_fix(size: u64, place: &str) -> String {
    format!("free {size} bytes in {place}, ask for less, or set CROSSING_RUNTIME_DIR to a larger disk")
}
