//! Regular files and mmap(2): what is alike wherever memory is a descriptor.
#![allow(unsafe_code)] // mmap and munmap

use super::directory::mode_of;
use crate::file::{Access, Handle};
use rustix::fs::{Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::io;
use std::path::Path;
use std::ptr::{self, NonNull};

/// Creates a regular file, exclusively.
pub(crate) fn create_file(path: &Path, access: Access) -> io::Result<Handle> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
    if access != Access::Private {
        // Past the umask, which must not narrow what was asked for.
        rustix::fs::fchmod(&file, mode_of(access))?;
    }
    Ok(file.into())
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

pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG | libc::EDQUOT))
}

pub(crate) fn len(handle: &Handle) -> io::Result<u64> {
    Ok(rustix::fs::fstat(handle)?.st_size as u64)
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

/// Maps `len` bytes from the start.
pub(crate) fn map_handle(handle: &Handle, len: usize, read_only: bool) -> io::Result<Map> {
    let protection = if read_only { ProtFlags::READ } else { ProtFlags::READ | ProtFlags::WRITE };
    // SAFETY: a fresh range chosen by the kernel: no existing memory is touched.
    let start = unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, handle, 0) }?;
    let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok(Map { start, len })
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
