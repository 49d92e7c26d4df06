//! Mapping shared files into this process.
#![allow(unsafe_code)] // Send and Sync of a mapping

use crate::shared_file::SharedFile;
use crate::{Error, ErrorKind, Result};
use std::io;
use std::ptr::NonNull;

/// How to map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MapOptions {
    /// Map to read only: a write to it would kill this process.
    pub read_only: bool,
    /// Enter every page into the page table now, so that no first touch takes a fault.
    pub populate: bool,
    /// Ask for huge pages; whether they come is the system's decision.
    pub advise_huge: bool,
    /// Keep every page in memory, never on the swap.
    pub lock: bool,
}

/// A file mapped into this process; unmapped on drop.
///
/// Peers may write to it at any time: there is no reference into it to be had here, only a pointer and a length.
#[derive(Debug)]
pub struct Mapping {
    pointer: NonNull<u8>,
    len: usize,
    read_only: bool,
}

impl Mapping {
    /// Maps the first `len` bytes of `file`, which must be that long: touching a page beyond its end kills this process.
    ///
    /// # Errors
    /// [`ErrorKind::LimitReached`] naming the limit when `lock` is refused; the operating system's otherwise.
    ///
    /// # Platform-specific behavior
    /// Linux: mmap(2) with `MAP_SHARED`, `MAP_POPULATE`; madvise(2) with `MADV_HUGEPAGE`; mlock(2).
    pub fn new(file: &SharedFile, len: usize, options: &MapOptions, subject: &str) -> Result<Self> {
        const OPERATION: &str = "map segment";
        if len == 0 {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, subject).detail("no bytes to map"));
        }
        let have = file.len().map_err(|cause| Error::os(cause, OPERATION, subject))?;
        if have < len as u64 {
            return Err(Error::new(ErrorKind::Corrupt, OPERATION, subject)
                .detail(format!("{len} bytes expected, the file has {have}")));
        }
        let pointer = crate::os::map::map(file.handle(), len, options)
            .map_err(|cause| Error::os(cause, OPERATION, subject))?;
        let mapping = Self { pointer, len, read_only: options.read_only };
        if options.lock {
            crate::os::map::lock(pointer, len).map_err(|LockRefused { cause, limit }| {
                let error = Error::os(cause, "lock segment in memory", subject);
                match limit {
                    Some((limit, fix)) => error
                        .kinded(ErrorKind::LimitReached)
                        .detail(format!("{len} bytes to lock, the limit is {limit}"))
                        .fix(fix),
                    None => error,
                }
            })?;
        }
        Ok(mapping)
    }

    /// Where the mapping begins; page-aligned, valid for [`Mapping::len`] bytes while this object lives.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes, which does not happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it may only be read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// Whether the system would honour [`MapOptions::advise_huge`] for named files; if not, what to do about it.
///
/// # Errors
/// The text of the fix.
pub fn huge_advice_works() -> std::result::Result<(), &'static str> {
    crate::os::map::huge_advice_works()
}

/// The length of the huge pages of [`SharedFile::anonymous`], in bytes.
#[must_use]
pub fn huge_page_len() -> usize {
    crate::os::map::huge_page_len()
}

/// The system refuses to keep pages in memory; with the limit and the fix when it is the limit's doing.
pub(crate) struct LockRefused {
    pub(crate) cause: io::Error,
    pub(crate) limit: Option<(u64, &'static str)>,
}

// SAFETY: a mapping belongs to the process, not to a thread: any thread may use its address and unmap it.
unsafe impl Send for Mapping {}

// SAFETY: through a shared reference only the address and the length are to be had.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        crate::os::map::unmap(self.pointer, self.len);
    }
}
