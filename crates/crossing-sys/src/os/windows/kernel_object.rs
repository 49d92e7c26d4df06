//! Named mutexes, semaphores, events and sections.
#![allow(unsafe_code)] // calls of the system with handles and strings

use super::memory::{self, Map};
use super::security::{Descriptor, enable_privilege};
use super::text::wide;
use crate::file::Access;
use crate::kernel_object::{MappingOptions, Namespace, Reset};
use crate::memory::HugePages;
use crate::{Bytes, Error, ErrorKind, Result};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_INVALID_HANDLE, ERROR_TOO_MANY_POSTS, GetLastError, HANDLE,
    INVALID_HANDLE_VALUE, SetLastError, WAIT_ABANDONED, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, GetLargePageMinimum, MEMORY_BASIC_INFORMATION,
    OpenFileMappingW, PAGE_READWRITE, SEC_COMMIT, SEC_LARGE_PAGES, VirtualQuery,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateMutexW, CreateSemaphoreW, EVENT_MODIFY_STATE, INFINITE, MUTEX_MODIFY_STATE,
    OpenEventW, OpenMutexW, OpenSemaphoreW, ReleaseMutex, ReleaseSemaphore, ResetEvent,
    SEMAPHORE_MODIFY_STATE, SYNCHRONIZATION_SYNCHRONIZE, SetEvent, WaitForSingleObject,
};

/// Creates an object that nobody has: `create` takes the security attributes and the name.
fn exclusive(
    operation: &'static str,
    name: &str,
    access: Access,
    create: impl FnOnce(*const SECURITY_ATTRIBUTES, *const u16) -> HANDLE,
) -> Result<OwnedHandle> {
    let error = |cause| explained(cause, operation, name);
    let (text, descriptor) = (wide(name).map_err(error)?, Descriptor::for_access(access).map_err(error)?);
    // SAFETY: no pointers; an error of earlier calls must not be taken for this one's.
    unsafe { SetLastError(0) };
    let handle = create(descriptor.attributes(), text.as_ptr());
    // SAFETY: no arguments.
    let code = unsafe { GetLastError() };
    let object = owned(handle).map_err(error)?;
    // Somebody made it before and may have any rights on it: that one is not ours.
    if code == ERROR_ALREADY_EXISTS {
        return Err(error(io::Error::from_raw_os_error(code as i32)));
    }
    Ok(object)
}

/// Opens an object that exists: `open` takes the name.
fn existing(
    operation: &'static str,
    name: &str,
    open: impl FnOnce(*const u16) -> HANDLE,
) -> Result<OwnedHandle> {
    let error = |cause| explained(cause, operation, name);
    let text = wide(name).map_err(error)?;
    owned(open(text.as_ptr())).map_err(error)
}

fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: made just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn explained(cause: io::Error, operation: &'static str, name: &str) -> Error {
    let other_kind = cause.raw_os_error() == Some(ERROR_INVALID_HANDLE as i32);
    let error = Error::os(cause, operation, name);
    if other_kind {
        return error
            .kinded(ErrorKind::Incompatible)
            .detail("an object of another kind has this name")
            .fix("choose another name: all kinds of kernel objects share one table of names");
    }
    match error.kind() {
        ErrorKind::AlreadyExists => error.fix("open it, or choose another name"),
        ErrorKind::NotFound => error
            .fix("create it first; a program of another session sees only names in the namespace Global"),
        ErrorKind::PermissionDenied if name.starts_with(&Namespace::Global.qualify("")) => error.fix(
            "let its creator give access to the group or the world; to create a mapping in the namespace Global run as \
             a service or administrator (SeCreateGlobalPrivilege), or use the namespace Local",
        ),
        ErrorKind::PermissionDenied => {
            error.fix("let its creator give access to the group or the world, or run as the same user")
        }
        _ => error,
    }
}

/// How a wait for an object ended.
enum Waited {
    Signalled,
    Abandoned,
    TimedOut,
}

fn wait(object: &OwnedHandle, deadline: Option<Instant>) -> io::Result<Waited> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let millis = left.map_or(INFINITE, millis);
        // SAFETY: an open handle with the right to wait.
        match unsafe { WaitForSingleObject(object.as_raw_handle(), millis) } {
            WAIT_OBJECT_0 => return Ok(Waited::Signalled),
            WAIT_ABANDONED => return Ok(Waited::Abandoned),
            // The longest single wait is 49 days.
            WAIT_TIMEOUT if deadline.is_some_and(|deadline| Instant::now() < deadline) => {}
            WAIT_TIMEOUT => return Ok(Waited::TimedOut),
            _ => return Err(io::Error::last_os_error()),
        }
    }
}

/// Milliseconds, rounded up so that a wait never ends too early and never spins through its last millisecond.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1)
}

fn wait_plain(
    object: &OwnedHandle,
    operation: &'static str,
    name: &str,
    deadline: Option<Instant>,
) -> Result<bool> {
    match wait(object, deadline) {
        Ok(waited) => Ok(!matches!(waited, Waited::TimedOut)),
        Err(cause) => Err(Error::os(cause, operation, name)),
    }
}

fn done(result: i32, operation: &'static str, name: &str) -> Result<()> {
    if result == 0 { Err(Error::os(io::Error::last_os_error(), operation, name)) } else { Ok(()) }
}

pub(crate) enum Taken {
    Normal,
    Abandoned,
}

pub(crate) struct Mutex(OwnedHandle);

impl Mutex {
    pub(crate) fn create(name: &str, access: Access) -> Result<Self> {
        exclusive("create mutex", name, access, |attributes, name| {
            // SAFETY: attributes and a string ending in 0 that live through the call.
            unsafe { CreateMutexW(attributes, 0, name) }
        })
        .map(Self)
    }

    pub(crate) fn open(name: &str) -> Result<Self> {
        let rights = SYNCHRONIZATION_SYNCHRONIZE | MUTEX_MODIFY_STATE;
        existing("open mutex", name, |name| {
            // SAFETY: a string that ends in 0.
            unsafe { OpenMutexW(rights, 0, name) }
        })
        .map(Self)
    }

    pub(crate) fn lock(&self, name: &str, deadline: Option<Instant>) -> Result<Option<Taken>> {
        match wait(&self.0, deadline) {
            Ok(Waited::Signalled) => Ok(Some(Taken::Normal)),
            Ok(Waited::Abandoned) => Ok(Some(Taken::Abandoned)),
            Ok(Waited::TimedOut) => Ok(None),
            Err(cause) => Err(Error::os(cause, "lock mutex", name)),
        }
    }

    pub(crate) fn unlock(&self) {
        // SAFETY: an open handle. It fails only for a thread that does not own the mutex: guards do not change threads.
        let unlocked = unsafe { ReleaseMutex(self.0.as_raw_handle()) };
        debug_assert!(unlocked != 0, "a guard was dropped by another thread");
    }
}

pub(crate) struct Semaphore(OwnedHandle);

impl Semaphore {
    /// `max` fits an `i32`: the contract checks it.
    pub(crate) fn create(name: &str, initial: u32, max: u32, access: Access) -> Result<Self> {
        exclusive("create semaphore", name, access, |attributes, name| {
            // SAFETY: attributes and a string ending in 0 that live through the call.
            unsafe { CreateSemaphoreW(attributes, initial as i32, max as i32, name) }
        })
        .map(Self)
    }

    pub(crate) fn open(name: &str) -> Result<Self> {
        let rights = SYNCHRONIZATION_SYNCHRONIZE | SEMAPHORE_MODIFY_STATE;
        existing("open semaphore", name, |name| {
            // SAFETY: a string that ends in 0.
            unsafe { OpenSemaphoreW(rights, 0, name) }
        })
        .map(Self)
    }

    pub(crate) fn release(&self, name: &str, count: u32) -> Result<u32> {
        let mut before = 0;
        // SAFETY: an open handle, and a place for the result.
        let released = unsafe { ReleaseSemaphore(self.0.as_raw_handle(), count as i32, &raw mut before) };
        if released != 0 {
            return Ok(before as u32);
        }
        let cause = io::Error::last_os_error();
        let full = cause.raw_os_error() == Some(ERROR_TOO_MANY_POSTS as i32);
        let error = Error::os(cause, "release semaphore", name);
        Err(if full {
            let error = error.kinded(ErrorKind::LimitReached).detail(format!("{count} more permits"));
            error.fix("create it with a higher maximum, or release as often as was waited")
        } else {
            error
        })
    }

    pub(crate) fn wait(&self, name: &str, deadline: Option<Instant>) -> Result<bool> {
        wait_plain(&self.0, "wait for semaphore", name, deadline)
    }
}

pub(crate) struct Event(OwnedHandle);

impl Event {
    pub(crate) fn create(name: &str, reset: Reset, set: bool, access: Access) -> Result<Self> {
        let manual = i32::from(reset == Reset::Manual);
        exclusive("create event", name, access, |attributes, name| {
            // SAFETY: attributes and a string ending in 0 that live through the call.
            unsafe { CreateEventW(attributes, manual, i32::from(set), name) }
        })
        .map(Self)
    }

    pub(crate) fn open(name: &str) -> Result<Self> {
        let rights = SYNCHRONIZATION_SYNCHRONIZE | EVENT_MODIFY_STATE;
        existing("open event", name, |name| {
            // SAFETY: a string that ends in 0.
            unsafe { OpenEventW(rights, 0, name) }
        })
        .map(Self)
    }

    pub(crate) fn set(&self, name: &str) -> Result<()> {
        // SAFETY: an open handle.
        done(unsafe { SetEvent(self.0.as_raw_handle()) }, "set event", name)
    }

    pub(crate) fn reset(&self, name: &str) -> Result<()> {
        // SAFETY: an open handle.
        done(unsafe { ResetEvent(self.0.as_raw_handle()) }, "reset event", name)
    }

    pub(crate) fn wait(&self, name: &str, deadline: Option<Instant>) -> Result<bool> {
        wait_plain(&self.0, "wait for event", name, deadline)
    }
}

pub(crate) struct View(Map);

impl View {
    pub(crate) fn create(name: &str, len: usize, options: &MappingOptions) -> Result<Self> {
        match options.large_pages {
            HugePages::No => Self::create_with(name, len, options.access, false),
            HugePages::Require => Self::create_with(name, len, options.access, true),
            HugePages::Try => match Self::create_with(name, len, options.access, true) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    Self::create_with(name, len, options.access, false)
                }
                outcome => outcome,
            },
        }
    }

    fn create_with(name: &str, len: usize, access: Access, large: bool) -> Result<Self> {
        const OPERATION: &str = "create file mapping";
        let (mut size, mut protection) = (len, PAGE_READWRITE | SEC_COMMIT);
        if large {
            size = large_size(name, len)?;
            protection |= SEC_LARGE_PAGES;
        }
        let (high, low) = ((size as u64 >> 32) as u32, size as u32);
        let section = exclusive(OPERATION, name, access, |attributes, name| {
            // SAFETY: no file; attributes and a string ending in 0 that live through the call.
            unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, attributes, protection, high, low, name) }
        });
        let section = section.map_err(|error| no_space(error, name, size))?;
        let map = memory::map_section(section, size, false, large);
        map.map(Self).map_err(|cause| no_space(Error::os(cause, OPERATION, name), name, size))
    }

    pub(crate) fn open(name: &str, read_only: bool) -> Result<Self> {
        const OPERATION: &str = "open file mapping";
        let rights = if read_only { FILE_MAP_READ } else { FILE_MAP_READ | FILE_MAP_WRITE };
        let section = existing(OPERATION, name, |name| {
            // SAFETY: a string that ends in 0.
            unsafe { OpenFileMappingW(rights, 0, name) }
        })?;
        let map = map_whole(section, read_only);
        map.map(Self).map_err(|cause| Error::os(cause, OPERATION, name))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }
}

/// Maps a section whose length is known to the system alone: once to measure, once to keep.
fn map_whole(section: OwnedHandle, read_only: bool) -> io::Result<Map> {
    let probe = memory::map_section(section.try_clone()?, 0, read_only, false)?;
    let mut region = MEMORY_BASIC_INFORMATION::default();
    // SAFETY: only asks about an address; a structure with its length.
    let known = unsafe {
        VirtualQuery(probe.as_ptr().cast(), &raw mut region, size_of::<MEMORY_BASIC_INFORMATION>())
    };
    if known == 0 {
        return Err(io::Error::last_os_error());
    }
    drop(probe);
    memory::map_section(section, region.RegionSize, read_only, false)
}

/// `len` in whole large pages, after asking for the right to have them.
fn large_size(name: &str, len: usize) -> Result<usize> {
    const OPERATION: &str = "use large pages for file mapping";
    // SAFETY: no arguments.
    let unit = unsafe { GetLargePageMinimum() };
    if unit == 0 {
        return Err(Error::new(ErrorKind::Unsupported, OPERATION, name)
            .detail("this processor has no large pages")
            .fix("ask with HugePages::Try, or not at all"));
    }
    enable_privilege("SeLockMemoryPrivilege").map_err(|cause| {
        Error::os(cause, OPERATION, name)
            .kinded(ErrorKind::PermissionDenied)
            .detail("the privilege SeLockMemoryPrivilege is missing")
            .fix(memory::LARGE_PAGES_FIX)
    })?;
    len.checked_next_multiple_of(unit).ok_or_else(|| {
        Error::new(ErrorKind::ApiMisuse, OPERATION, name).detail(Bytes(len as u64).to_string())
    })
}

/// Tells a lack of memory with its figures; leaves other errors as they are.
fn no_space(error: Error, name: &str, size: usize) -> Error {
    let cause = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    let lacking =
        |cause: &io::Error| memory::is_no_space(cause) || cause.kind() == io::ErrorKind::OutOfMemory;
    if !cause.is_some_and(lacking) {
        return error;
    }
    let (need, have) = (size as u64, memory::paging_file_left().unwrap_or(0));
    Error::new(ErrorKind::NoSpace { need, have }, "create file mapping", name)
        .detail("the paging file")
        .fix(memory::no_space_fix(need.saturating_add(have).next_multiple_of(1 << 20), "the paging file"))
}
