//! Files on tmpfs, memfd_create(2), fallocate(2).
#![allow(unsafe_code)] // madvise

pub(crate) use crate::os::unix::memory::{Map, is_gone, is_no_space, len, lock, lock_limit, open};

use crate::file::Handle;
use crate::memory::{HugePages, Storage};
use crate::os::unix::memory as unix;
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mm::Advice;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

pub(crate) fn create(path: &Path, storage: &Storage) -> io::Result<(Handle, Backing)> {
    Ok((unix::create_file(path, storage.access)?, Backing::default()))
}

pub(crate) fn anonymous(label: &str, huge_pages: HugePages) -> io::Result<(Handle, Backing)> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let backing = Backing { large_pages: huge_pages == HugePages::Require };
    let label: String = label.chars().filter(|c| *c != '\0').take(200).collect();
    if huge_pages == HugePages::Require {
        return Ok((rustix::fs::memfd_create(&*label, flags | MemfdFlags::HUGETLB)?.into(), backing));
    }
    Ok((rustix::fs::memfd_create(&*label, flags)?.into(), backing))
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

pub(crate) fn seal(handle: &Handle) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(handle, SEALS)?)
}

pub(crate) fn is_sealed(handle: &Handle) -> io::Result<bool> {
    match rustix::fs::fcntl_get_seals(handle) {
        Ok(seals) => Ok(seals.contains(SealFlags::SHRINK)),
        Err(rustix::io::Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn allocate(handle: &Handle, _: &Backing, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(handle, FallocateFlags::empty(), 0, len) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::OPNOTSUPP) => {
                return Ok(rustix::fs::ftruncate(handle, len)?);
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Free bytes of the storage that holds `handle`, and where that is mounted.
pub(crate) fn free_space(handle: &Handle, _: &Backing) -> io::Result<(u64, String)> {
    let stat = rustix::fs::fstatvfs(handle)?;
    if stat.f_blocks == 0 {
        return Err(io::ErrorKind::Unsupported.into()); // a memfd: as much as there is memory
    }
    let link =
        std::fs::read_link(format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd())).unwrap_or_default();
    let place =
        if link.starts_with("/dev/shm") { Path::new("/dev/shm") } else { link.parent().unwrap_or(&link) };
    Ok((stat.f_bavail.saturating_mul(stat.f_frsize), place.display().to_string()))
}

pub(crate) fn reopen(handle: &Handle, read_only: bool) -> io::Result<Handle> {
    let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
    Ok(rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty())?.into())
}

pub(crate) fn posix_directory() -> Option<PathBuf> {
    Some(PathBuf::from("/dev/shm"))
}

pub(crate) fn map(handle: &Handle, _: &Backing, len: usize, read_only: bool) -> io::Result<Map> {
    unix::map_handle(handle, len, read_only)
}

pub(crate) fn advise_huge(map: &Map) -> io::Result<()> {
    // SAFETY: the range is mapped; the advice changes no content.
    Ok(unsafe { rustix::mm::madvise(map.as_ptr().cast(), map.len(), Advice::LinuxHugepage) }?)
}

/// Nothing beside the handle is needed to find the memory.
#[derive(Debug, Default)]
pub(crate) struct Backing {
    large_pages: bool,
}

impl Backing {
    pub(crate) fn wants_large_pages(&self) -> bool {
        self.large_pages
    }
}

/// What to do when large pages are not to be had.
pub(crate) const LARGE_PAGES_FIX: &str =
    "mount the memory storage with huge=advise, or set vm.nr_hugepages, or ask with Try";

/// What to do when memory cannot be locked.
pub(crate) const LOCK_FIX: &str = "raise it: `ulimit -l`, LimitMEMLOCK= in a unit, or CAP_IPC_LOCK";

/// What to do when there is too little of it.
pub(crate) fn no_space_fix(size: u64, place: &str) -> String {
    format!(
        "free space there, ask for less, or enlarge it: `mount -o remount,size={size} {place}` (in a container: \
         `docker run --shm-size`)"
    )
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
