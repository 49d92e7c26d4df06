//! Files on tmpfs, memfd_create(2), fallocate(2), mmap(2).
#![allow(unsafe_code)] // mmap and munmap

use crate::file::{Access, Handle};
use crate::memory::{HugePages, Storage};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

pub(crate) fn mode_of(access: Access) -> Mode {
    match access {
        Access::Private => Mode::from_raw_mode(0o600),
        Access::Group => Mode::from_raw_mode(0o660),
        Access::World => Mode::from_raw_mode(0o666),
    }
}

pub(crate) fn create(path: &Path, storage: &Storage) -> io::Result<(Handle, Backing)> {
    let access = storage.access;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
    if access != Access::Private {
        // Past the umask, which must not narrow what was asked for.
        rustix::fs::fchmod(&file, mode_of(access))?;
    }
    Ok((file.into(), Backing::default()))
}

/// A file's memory stays with its name.
pub(crate) fn is_gone(_: &Handle) -> bool {
    false
}

pub(crate) fn open(path: &Path, read_only: bool) -> io::Result<Handle> {
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
    let file = rustix::fs::open(
        path,
        access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK,
        Mode::empty(),
    )?;
    let stat = rustix::fs::fstat(&file)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file.into())
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

pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG | libc::EDQUOT))
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

pub(crate) fn len(handle: &Handle) -> io::Result<u64> {
    Ok(rustix::fs::fstat(handle)?.st_size as u64)
}

pub(crate) fn reopen(handle: &Handle, read_only: bool) -> io::Result<Handle> {
    let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
    Ok(rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty())?.into())
}

pub(crate) fn posix_directory() -> Option<PathBuf> {
    Some(PathBuf::from("/dev/shm"))
}

/// A mapping, undone on drop.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: an address range; what happens to the bytes is the users' protocol.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and unmapped once.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

pub(crate) fn map(handle: &Handle, _: &Backing, len: usize, read_only: bool) -> io::Result<Map> {
    let protection = if read_only { ProtFlags::READ } else { ProtFlags::READ | ProtFlags::WRITE };
    // SAFETY: a fresh range chosen by the kernel: no existing memory is touched.
    let start = unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, handle, 0) }?;
    let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok(Map { start, len })
}

pub(crate) fn advise_huge(map: &Map) -> io::Result<()> {
    // SAFETY: the range is mapped; the advice changes no content.
    Ok(unsafe { rustix::mm::madvise(map.as_ptr().cast(), map.len, Advice::LinuxHugepage) }?)
}

pub(crate) fn lock(map: &Map) -> io::Result<()> {
    // SAFETY: the range is mapped; locking changes no content.
    Ok(unsafe { rustix::mm::mlock(map.as_ptr().cast(), map.len) }?)
}

pub(crate) fn lock_limit() -> String {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    limit.map_or_else(
        || "no limit on locked memory".into(),
        |limit| format!("RLIMIT_MEMLOCK is {limit} bytes"),
    )
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
