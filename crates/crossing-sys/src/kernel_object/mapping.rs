//! Named file mappings: memory that other programs open by name.
#![allow(unsafe_code)] // reading and writing mapped memory

use super::{Namespace, checked};
use crate::file::Access;
use crate::memory::HugePages;
use crate::os::kernel_object as os;
use crate::{Bytes, Error, ErrorKind, Result};
use std::fmt;
use std::sync::atomic::AtomicU32;

/// What a mapping is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MappingOptions {
    /// Which sessions see its name.
    pub namespace: Namespace,
    /// Who may open it.
    pub access: Access,
    /// Larger pages. They are always kept in memory, and take the right "Lock pages in memory".
    pub large_pages: HugePages,
}

/// Memory in the paging file that other programs open by name, mapped here.
///
/// Everybody who has it mapped reads and writes it at any time: what is read is a mixture of what they wrote, unless both
/// sides keep to a lock or an event.
///
/// # Platform-specific behavior
/// Windows: CreateFileMappingW with INVALID_HANDLE_VALUE, OpenFileMappingW, MapViewOfFile. Elsewhere: unsupported.
pub struct NamedMapping {
    name: String,
    view: os::View,
    read_only: bool,
}

impl NamedMapping {
    /// Creates the mapping `name` of `len` bytes, all zero, and maps it.
    ///
    /// # Errors
    /// As [`NamedMutex::create`](super::NamedMutex::create). [`ErrorKind::NoSpace`] if neither memory nor the paging file
    /// has so many bytes left. [`ErrorKind::PermissionDenied`] with the right to ask for, if it wants large pages or a
    /// global name and the user may not.
    pub fn create(name: &str, len: usize, options: &MappingOptions) -> Result<Self> {
        const OPERATION: &str = "create file mapping";
        let full = checked(OPERATION, options.namespace, name)?;
        if len == 0 {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, full).fix("create at least one byte"));
        }
        Ok(Self { view: os::View::create(&full, len, options)?, name: full, read_only: false })
    }

    /// Opens the mapping `name`, which somebody created, and maps all of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], and as [`NamedMapping::create`].
    pub fn open(name: &str, namespace: Namespace, read_only: bool) -> Result<Self> {
        let full = checked("open file mapping", namespace, name)?;
        Ok(Self { view: os::View::open(&full, read_only)?, name: full, read_only })
    }

    /// The name, with its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes. Opened, that is in whole pages (4096 bytes, or large ones): the system tells no less.
    #[must_use]
    pub fn len(&self) -> usize {
        self.view.len()
    }

    /// Whether it has no bytes; it always has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it starts in this process.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.view.as_ptr()
    }

    /// Copies `to.len()` bytes at `offset` out of it.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] beyond its end.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.at("read file mapping", offset, to.len())?;
        // SAFETY: `at` found the whole range mapped.
        unsafe { crate::copy::from_shared(from, to) };
        Ok(())
    }

    /// Copies `from` into it at `offset`.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] beyond its end; [`ErrorKind::PermissionDenied`] if it was opened for reading alone.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<()> {
        const OPERATION: &str = "write file mapping";
        self.writable(OPERATION)?;
        let to = self.at(OPERATION, offset, from.len())?;
        // SAFETY: `at` found the whole range mapped, and it is mapped for writing.
        unsafe { crate::copy::to_shared(from, to) };
        Ok(())
    }

    /// The word at `offset`, for what programs exchange by `Interlocked...` functions.
    ///
    /// # Errors
    /// As [`NamedMapping::write`]; [`ErrorKind::ApiMisuse`] also for an offset that is no multiple of 4.
    pub fn word(&self, offset: usize) -> Result<&AtomicU32> {
        const OPERATION: &str = "use a word of file mapping";
        self.writable(OPERATION)?;
        if !offset.is_multiple_of(4) {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, &*self.name)
                .detail(format!("offset {offset}"))
                .fix("use a multiple of 4"));
        }
        let at = self.at(OPERATION, offset, 4)?;
        // SAFETY: `at` found it mapped as long as this value lives; views start at pages, so it is aligned.
        Ok(unsafe { AtomicU32::from_ptr(at.cast()) })
    }

    fn writable(&self, operation: &'static str) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        Err(Error::new(ErrorKind::PermissionDenied, operation, &*self.name)
            .detail("it was opened for reading alone")
            .fix("open it with read_only = false"))
    }

    fn at(&self, operation: &'static str, offset: usize, len: usize) -> Result<*mut u8> {
        if offset.checked_add(len).is_none_or(|end| end > self.len()) {
            return Err(Error::new(ErrorKind::ApiMisuse, operation, &*self.name)
                .detail(format!("{} at offset {offset} of {}", Bytes(len as u64), Bytes(self.len() as u64)))
                .fix("stay within its length"));
        }
        Ok(self.as_ptr().wrapping_add(offset))
    }
}

impl fmt::Debug for NamedMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedMapping")
            .field("name", &self.name)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
