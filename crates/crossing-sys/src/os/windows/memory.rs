//! File mapping objects (sections): in the paging file, found by a record, or over a file that persists.
//!
//! # The record
//! A memory file that does not persist holds 64 bytes that name a section: `CROSSSEC`, version, flags, 16 random bytes,
//! length. The section is `Global\` or `Local\crossing-` and the random bytes in hexadecimal; it lives as long as somebody
//! has it open, so that a machine full of crashed programs has no memory to give back. Nobody can take the name before its
//! creator does: it is known only from the file, which is as private as the memory. Still the creator refuses one
//! that exists (`ERROR_ALREADY_EXISTS`), and whoever opens it maps only what the record and the section agree on.
#![allow(unsafe_code)] // calls of the system with handles, mapped memory

use super::directory::{SHARE_ALL, open_file};
use super::security::Descriptor;
use super::text::wide;
use crate::file::{Access, Handle};
use crate::memory::{HugePages, Storage};
use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_FILE_NOT_FOUND,
    ERROR_HANDLE_DISK_FULL, GENERIC_READ, GENERIC_WRITE, GetLastError, INVALID_HANDLE_VALUE, SetLastError,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, DELETE, FILE_ATTRIBUTE_TEMPORARY, FILE_FLAG_DELETE_ON_CLOSE, OPEN_EXISTING, ReOpenFile,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, GetLargePageMinimum, MEMORY_MAPPED_VIEW_ADDRESS,
    MapViewOfFile, OpenFileMappingW, PAGE_READONLY, PAGE_READWRITE, SEC_COMMIT, SEC_LARGE_PAGES,
    UnmapViewOfFile, VirtualLock,
};
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};

const MAGIC: [u8; 8] = *b"CROSSSEC";
const VERSION: u32 = 1;
/// The section has large pages.
const LARGE: u32 = 1;
/// The section is seen by every session of the machine.
const GLOBAL: u32 = 2;
// FORMAT: segment.md SectionRecord size=64
const RECORD_LEN: usize = 64;

/// What to do when large pages are not to be had.
pub(crate) const LARGE_PAGES_FIX: &str = "give the user the right \"Lock pages in memory\" (SeLockMemoryPrivilege) in \
     secpol.msc, Local Policies, User Rights Assignment, and log on again; or ask with Try";

/// What to do when memory cannot be locked.
pub(crate) const LOCK_FIX: &str =
    "enlarge the working set first: SetProcessWorkingSetSize; memory in large pages is always locked";

/// What to do when there is too little of it.
pub(crate) fn no_space_fix(size: u64, place: &str) -> String {
    format!(
        "close programs, ask for less, or let {place} grow to {size} bytes: System Properties, Advanced, Performance, \
         Virtual memory"
    )
}

/// How memory is, or is to be, found from its file.
#[derive(Debug, Default)]
pub(crate) struct Backing {
    storage: Storage,
    /// Whether this value created the file, and so may give it memory.
    created: bool,
    /// The section that this value created, and whether it has large pages.
    section: OnceLock<(OwnedHandle, bool)>,
}

impl Backing {
    pub(crate) fn wants_large_pages(&self) -> bool {
        self.storage.huge_pages == HugePages::Require
    }
}

#[derive(Debug, Clone, Copy)]
struct Record {
    flags: u32,
    identity: [u8; 16],
    len: u64,
}

impl Record {
    fn bytes(&self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.flags.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.identity);
        bytes[32..40].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    /// The record in the file; `None` if it holds something else.
    fn read(handle: &Handle) -> io::Result<Option<Self>> {
        let file = file_of(handle)?;
        let mut bytes = [0_u8; RECORD_LEN];
        let mut filled = 0;
        while filled < RECORD_LEN {
            match file.seek_read(&mut bytes[filled..], filled as u64)? {
                0 => return Ok(None),
                read => filled += read,
            }
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..8] != MAGIC || word(8) != VERSION {
            return Ok(None);
        }
        let (mut identity, mut len) = ([0; 16], [0; 8]);
        identity.copy_from_slice(&bytes[16..32]);
        len.copy_from_slice(&bytes[32..40]);
        Ok(Some(Self { flags: word(12), identity, len: u64::from_le_bytes(len) }))
    }

    fn name(&self) -> io::Result<Vec<u16>> {
        let hex: String = self.identity.iter().map(|byte| format!("{byte:02x}")).collect();
        let space = if self.flags & GLOBAL == 0 { "Local" } else { "Global" };
        wide(format!("{space}\\crossing-{hex}"))
    }

    fn open(&self, read_only: bool) -> io::Result<OwnedHandle> {
        let rights = if read_only { FILE_MAP_READ } else { FILE_MAP_READ | FILE_MAP_WRITE };
        let name = self.name()?;
        // SAFETY: a string that ends in 0.
        owned(unsafe { OpenFileMappingW(rights, 0, name.as_ptr()) })
    }
}

/// A handle just made by a function that answers null when it fails.
fn owned(handle: windows_sys::Win32::Foundation::HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: made just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn file_of(handle: &Handle) -> io::Result<File> {
    Ok(handle.0.try_clone()?.into())
}

const READ_WRITE: u32 = GENERIC_READ | GENERIC_WRITE;

pub(crate) fn create(path: &Path, storage: &Storage) -> io::Result<(Handle, Backing)> {
    let handle = open_file(path, READ_WRITE, CREATE_NEW, storage.access, FILE_ATTRIBUTE_TEMPORARY)?;
    Ok((Handle(handle), Backing { storage: *storage, created: true, section: OnceLock::new() }))
}

pub(crate) fn open(path: &Path, read_only: bool) -> io::Result<Handle> {
    let rights = if read_only { GENERIC_READ } else { READ_WRITE };
    match open_file(path, rights, OPEN_EXISTING, Access::Private, 0) {
        Err(error) if super::directory::is_being_deleted(&error, path) => Err(io::ErrorKind::NotFound.into()),
        opened => Ok(Handle(opened?)),
    }
}

/// A record without a lasting name: its file goes with its last handle, also that of a killed process.
pub(crate) fn anonymous(_label: &str, huge_pages: HugePages) -> io::Result<(Handle, Backing)> {
    let root = crate::directory::runtime_root().map_err(io::Error::other)?;
    let unique: String =
        super::process::random_identity()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let handle = open_file(
        &root.join(format!(".anonymous-{unique}")),
        READ_WRITE | DELETE,
        CREATE_NEW,
        Access::Private,
        FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE,
    )?;
    let storage = Storage { huge_pages, ..Storage::default() };
    Ok((Handle(handle), Backing { storage, created: true, section: OnceLock::new() }))
}

/// Sections have their length for life.
pub(crate) fn seal(_: &Handle) -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_sealed(handle: &Handle) -> io::Result<bool> {
    Ok(Record::read(handle)?.is_some())
}

pub(crate) fn allocate(handle: &Handle, backing: &Backing, len: u64) -> io::Result<()> {
    if !backing.created {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "sections have their length for life"));
    }
    if backing.storage.persist {
        return file_of(handle)?.set_len(len);
    }
    let flags = if backing.storage.across_sessions { GLOBAL } else { 0 };
    let mut record = Record { flags, identity: super::process::random_identity()?, len };
    let section = match backing.storage.huge_pages {
        HugePages::No => create_section(&record, backing.storage.access)?,
        wish => {
            let large = create_section(&Record { flags: flags | LARGE, ..record }, backing.storage.access);
            match (large, wish) {
                (Ok(section), _) => {
                    record.flags |= LARGE;
                    section
                }
                (Err(error), HugePages::Require) => return Err(error),
                (Err(_), _) => create_section(&record, backing.storage.access)?,
            }
        }
    };
    file_of(handle)?.seek_write(&record.bytes(), 0)?;
    // Set once: a file is allocated once.
    let _ = backing.section.set((section, record.flags & LARGE != 0));
    Ok(())
}

fn create_section(record: &Record, access: Access) -> io::Result<OwnedHandle> {
    let (name, descriptor) = (record.name()?, Descriptor::for_access(access)?);
    let (mut len, mut protection) = (record.len, PAGE_READWRITE | SEC_COMMIT);
    if record.flags & LARGE != 0 {
        // SAFETY: no arguments.
        let unit = unsafe { GetLargePageMinimum() } as u64;
        if unit == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        super::security::enable_privilege("SeLockMemoryPrivilege")?;
        len = len.checked_next_multiple_of(unit).ok_or(io::ErrorKind::InvalidInput)?;
        protection |= SEC_LARGE_PAGES;
    }
    // SAFETY: no arguments; an error of earlier calls must not be taken for this one's.
    unsafe { SetLastError(0) };
    // SAFETY: a string that ends in 0; the descriptor lives through the call.
    let section = owned(unsafe {
        CreateFileMappingW(
            INVALID_HANDLE_VALUE,
            descriptor.attributes(),
            protection,
            (len >> 32) as u32,
            len as u32,
            name.as_ptr(),
        )
    })?;
    // SAFETY: no arguments.
    if unsafe { GetLastError() } == ERROR_ALREADY_EXISTS {
        return Err(io::Error::from_raw_os_error(ERROR_ALREADY_EXISTS as i32));
    }
    Ok(section)
}

pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(|code| code as u32),
        Some(ERROR_DISK_FULL | ERROR_HANDLE_DISK_FULL | ERROR_COMMITMENT_LIMIT)
    )
}

/// What the paging file and memory can still promise. A disk's free space is not asked: the file system says when it ends.
pub(crate) fn free_space(_: &Handle, backing: &Backing) -> io::Result<(u64, String)> {
    if backing.storage.persist {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok((paging_file_left()?, "the paging file".to_owned()))
}

/// Bytes that memory and the paging file together can still promise. At least what is free of memory: Wine on a machine whose
/// processes have reserved more than there is says 0; where that is the truth, the allocation itself fails.
///
/// Nothing at all is no answer: Wine (8.0, kernelbase `GlobalMemoryStatusEx`) notes the time of a look before it has looked, and
/// gives a second thread that asks meanwhile the zeros of a look that never was.
pub(crate) fn paging_file_left() -> io::Result<u64> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut status: MEMORYSTATUSEX = unsafe { std::mem::zeroed() };
    status.dwLength = size_of::<MEMORYSTATUSEX>() as u32;
    // SAFETY: a structure with its length set.
    if unsafe { GlobalMemoryStatusEx(&raw mut status) } == 0 {
        return Err(io::Error::last_os_error());
    }
    match status.ullAvailPageFile.max(status.ullAvailPhys) {
        0 => Err(io::ErrorKind::Unsupported.into()),
        left => Ok(left),
    }
}

pub(crate) fn len(handle: &Handle) -> io::Result<u64> {
    match Record::read(handle)? {
        Some(record) => Ok(record.len),
        None => Ok(file_of(handle)?.metadata()?.len()),
    }
}

pub(crate) fn is_gone(handle: &Handle) -> bool {
    let Ok(Some(record)) = Record::read(handle) else { return false };
    let opened = record.open(true);
    opened.is_err_and(|error| error.raw_os_error() == Some(ERROR_FILE_NOT_FOUND as i32))
}

pub(crate) fn reopen(handle: &Handle, read_only: bool) -> io::Result<Handle> {
    let rights = if read_only { GENERIC_READ } else { READ_WRITE };
    // SAFETY: an open handle.
    let again = unsafe { ReOpenFile(handle.0.as_raw_handle(), rights, SHARE_ALL, 0) };
    if again == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    Ok(Handle(owned(again)?))
}

pub(crate) fn posix_directory() -> Option<PathBuf> {
    None
}

/// A mapping, undone on drop. Keeps its section open: the section's name goes with its last handle.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    len: usize,
    large: bool,
    _section: OwnedHandle,
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
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.start.as_ptr().cast() };
        // SAFETY: mapped by `map`, and unmapped once.
        unsafe { UnmapViewOfFile(view) };
    }
}

pub(crate) fn map(handle: &Handle, backing: &Backing, len: usize, read_only: bool) -> io::Result<Map> {
    let (section, large) = match backing.section.get() {
        Some((section, large)) => (section.try_clone()?, *large),
        None => match Record::read(handle)? {
            Some(record) => (record.open(read_only)?, record.flags & LARGE != 0),
            None => (section_over(handle, read_only)?, false),
        },
    };
    map_section(section, len, read_only, large)
}

/// Maps the first `len` bytes of a section; an error if it is shorter.
pub(crate) fn map_section(section: OwnedHandle, len: usize, read_only: bool, large: bool) -> io::Result<Map> {
    let rights = if read_only { FILE_MAP_READ } else { FILE_MAP_READ | FILE_MAP_WRITE };
    // SAFETY: an open section; a fresh range chosen by the system: no existing memory is touched.
    let view = unsafe { MapViewOfFile(section.as_raw_handle(), rights, 0, 0, len) };
    let start = NonNull::new(view.Value.cast()).ok_or_else(io::Error::last_os_error)?;
    Ok(Map { start, len, large, _section: section })
}

fn section_over(handle: &Handle, read_only: bool) -> io::Result<OwnedHandle> {
    let protection = if read_only { PAGE_READONLY } else { PAGE_READWRITE };
    // SAFETY: an open file; no name, the file's own length.
    owned(unsafe { CreateFileMappingW(handle.0.as_raw_handle(), ptr::null(), protection, 0, 0, ptr::null()) })
}

/// Whether the memory was made of large pages: it cannot become so later.
pub(crate) fn advise_huge(map: &Map) -> io::Result<()> {
    if map.large { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

pub(crate) fn lock(map: &Map) -> io::Result<()> {
    // SAFETY: the range is mapped; locking changes no content.
    if unsafe { VirtualLock(map.as_ptr().cast(), map.len) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

pub(crate) fn lock_limit() -> String {
    "the minimum working set of this process is smaller".to_owned()
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
