//! sem_overview(7).
#![allow(unsafe_code)] // sem_* of the C library, one of them found by dlsym

use crate::file::Access;
use crate::os::unix::clock;
use crate::os::unix::directory::mode_of;
use crate::{Error, ErrorKind, Result};
use rustix::fs::{Mode, OFlags, fchmod, fstat, statvfs};
use std::ffi::CString;
use std::io;
use std::mem;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Where glibc keeps the file behind the name `/NAME`: `/dev/shm/sem.NAME`.
const DIRECTORY: &str = "/dev/shm";

fn file_of(name: &str) -> String {
    format!("{DIRECTORY}/sem.{}", name.trim_start_matches('/'))
}

/// Closed once, by its drop: sem_open counts its calls for each name.
#[derive(Debug)]
pub(crate) struct Semaphore(NonNull<libc::sem_t>);

// SAFETY: a sem_t is made to be used by any thread of any process.
unsafe impl Send for Semaphore {}

// SAFETY: as above: all its operations are atomic.
unsafe impl Sync for Semaphore {}

fn c_name(operation: &'static str, name: &str) -> Result<CString> {
    CString::new(name)
        .map_err(|_| Error::new(ErrorKind::ApiMisuse, operation, name).detail("the name has a NUL byte"))
}

fn opened(pointer: *mut libc::sem_t, operation: &'static str, name: &str) -> Result<Semaphore> {
    // SEM_FAILED is null with both C libraries.
    NonNull::new(pointer).map(Semaphore).ok_or_else(|| open_error(operation, name))
}

fn open_error(operation: &'static str, name: &str) -> Error {
    let cause = io::Error::last_os_error();
    let code = cause.raw_os_error();
    let error = Error::os(cause, operation, name);
    match code {
        Some(libc::EEXIST) => error.fix("open it, or unlink it first"),
        Some(libc::ENOENT) => {
            error.detail("no such semaphore").fix("create it first, or check the name (`ls /dev/shm/sem.*`)")
        }
        Some(libc::EACCES) => error
            .detail("its owner does not let this user in")
            .fix("have it created with wider access, or run as its owner"),
        Some(libc::ENOSPC) => {
            let have = statvfs(DIRECTORY).map_or(0, |found| found.f_bavail * found.f_frsize);
            error.kinded(ErrorKind::NoSpace { need: size_of::<libc::sem_t>() as u64, have }).fix(
                "remove what is not needed from /dev/shm, or as root `mount -o remount,size=SIZE /dev/shm`",
            )
        }
        Some(libc::EINVAL) => error
            .kinded(ErrorKind::Incompatible)
            .detail("the file behind the name is no semaphore of this system"),
        Some(libc::EMFILE | libc::ENFILE) => {
            error.kinded(ErrorKind::LimitReached).fix("raise the limit of open files (`ulimit -n`)")
        }
        _ => error,
    }
}

pub(crate) fn create(name: &str, value: u32, access: Access) -> Result<Semaphore> {
    const OPERATION: &str = "create semaphore";
    let c_name = c_name(OPERATION, name)?;
    let flags = libc::O_CREAT | libc::O_EXCL;
    // SAFETY: the name ends with NUL; a mode and a value follow, as O_CREAT demands.
    let pointer =
        unsafe { libc::sem_open(c_name.as_ptr(), flags, mode_of(Access::Private).as_raw_mode(), value) };
    let semaphore = opened(pointer, OPERATION, name)?;
    if let Err(cause) = widen(name, access) {
        let _ = unlink(name);
        return Err(Error::os(cause, OPERATION, name).detail("its permissions could not be set"));
    }
    Ok(semaphore)
}

/// Gives the file behind a new semaphore the mode that was asked for, whatever the umask: first made private, then
/// widened, by a descriptor that is checked to be a file of this user.
fn widen(name: &str, access: Access) -> io::Result<()> {
    if access == Access::Private {
        return Ok(());
    }
    let file =
        rustix::fs::open(file_of(name), OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&file)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_nlink != 1 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(fchmod(&file, mode_of(access))?)
}

pub(crate) fn open(name: &str, own_only: bool) -> Result<Semaphore> {
    const OPERATION: &str = "open semaphore";
    let c_name = c_name(OPERATION, name)?;
    check_file(OPERATION, name, own_only)?;
    // SAFETY: the name ends with NUL; without O_CREAT no further argument is read.
    let pointer = unsafe { libc::sem_open(c_name.as_ptr(), 0) };
    opened(pointer, OPERATION, name)
}

/// Looks at the file behind the name. glibc maps whatever it finds there: of a file that is too short, the first use would
/// kill this process.
fn check_file(operation: &'static str, name: &str, own_only: bool) -> Result<()> {
    // What is missing or elsewhere (another C library) is for sem_open to say.
    let Ok(stat) = rustix::fs::lstat(file_of(name)) else { return Ok(()) };
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile
        || usize::try_from(stat.st_size).unwrap_or(0) < size_of::<libc::sem_t>()
    {
        return Err(Error::new(ErrorKind::Incompatible, operation, name)
            .detail(format!("{} is no semaphore", file_of(name)))
            .fix("remove that file, or use another name"));
    }
    let user = rustix::process::geteuid().as_raw();
    if own_only && stat.st_uid != user {
        return Err(Error::new(ErrorKind::PermissionDenied, operation, name)
            .detail(format!("it belongs to user {}, not to this user ({user})", stat.st_uid))
            .fix("open it without creating, create it with wider access, or choose another name"));
    }
    Ok(())
}

pub(crate) fn unlink(name: &str) -> Result<()> {
    const OPERATION: &str = "unlink semaphore";
    let c_name = c_name(OPERATION, name)?;
    // SAFETY: the name ends with NUL.
    if unsafe { libc::sem_unlink(c_name.as_ptr()) } == 0 {
        return Ok(());
    }
    let cause = io::Error::last_os_error();
    let code = cause.raw_os_error();
    let error = Error::os(cause, OPERATION, name);
    Err(match code {
        Some(libc::ENOENT) => error.detail("no such semaphore"),
        Some(libc::EACCES | libc::EPERM) => error
            .kinded(ErrorKind::PermissionDenied)
            .detail("only its owner may unlink it")
            .fix("run as its owner"),
        _ => error,
    })
}

type ClockWait =
    unsafe extern "C" fn(*mut libc::sem_t, libc::clockid_t, *const libc::timespec) -> libc::c_int;

/// sem_clockwait, which glibc has since 2.30 and other C libraries do not.
fn clock_wait() -> Option<ClockWait> {
    static FOUND: OnceLock<Option<ClockWait>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: the name ends with NUL.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"sem_clockwait".as_ptr()) };
        if address.is_null() {
            return None;
        }
        // SAFETY: the function of that name has this signature (semaphore.h of glibc, POSIX.1-2024).
        Some(unsafe { mem::transmute::<*mut libc::c_void, ClockWait>(address) })
    })
}

const WAIT: &str = "wait for semaphore";

impl Semaphore {
    pub(crate) fn post(&self, name: &str) -> Result<()> {
        // SAFETY: the semaphore is open until it is dropped.
        if unsafe { libc::sem_post(self.0.as_ptr()) } == 0 {
            return Ok(());
        }
        let cause = io::Error::last_os_error();
        let full = cause.raw_os_error() == Some(libc::EOVERFLOW);
        let error = Error::os(cause, "post semaphore", name);
        Err(if full {
            error.kinded(ErrorKind::LimitReached).detail("it has its highest value")
        } else {
            error
        })
    }

    pub(crate) fn try_wait(&self, name: &str) -> Result<bool> {
        loop {
            // SAFETY: the semaphore is open until it is dropped.
            if unsafe { libc::sem_trywait(self.0.as_ptr()) } == 0 {
                return Ok(true);
            }
            let cause = io::Error::last_os_error();
            match cause.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => return Ok(false),
                _ => return Err(Error::os(cause, WAIT, name)),
            }
        }
    }

    pub(crate) fn wait(&self, name: &str, deadline: Option<Instant>) -> Result<bool> {
        let until = deadline.map(clock::monotonic);
        loop {
            let outcome = match (until, clock_wait()) {
                (None, _) => {
                    // SAFETY: the semaphore is open until it is dropped.
                    unsafe { libc::sem_wait(self.0.as_ptr()) }
                }
                (Some(until), Some(wait)) => {
                    // SAFETY: the semaphore is open until it is dropped, `until` is a valid timespec.
                    unsafe { wait(self.0.as_ptr(), libc::CLOCK_MONOTONIC, &raw const until) }
                }
                (Some(_), None) => return self.wait_by_asking(name, deadline),
            };
            if outcome == 0 {
                return Ok(true);
            }
            let cause = io::Error::last_os_error();
            match cause.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::ETIMEDOUT) => return Ok(false),
                _ => return Err(Error::os(cause, WAIT, name)),
            }
        }
    }

    /// For C libraries without sem_clockwait: their sem_timedwait would go by a clock that can be set.
    fn wait_by_asking(&self, name: &str, deadline: Option<Instant>) -> Result<bool> {
        let mut pause = Duration::from_micros(50);
        loop {
            if self.try_wait(name)? {
                return Ok(true);
            }
            let left = deadline.map_or(pause, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    pub(crate) fn value(&self, name: &str) -> Result<u32> {
        let mut value = 0;
        // SAFETY: the semaphore is open until it is dropped, `value` is valid for writes.
        if unsafe { libc::sem_getvalue(self.0.as_ptr(), &raw mut value) } != 0 {
            return Err(Error::os(io::Error::last_os_error(), "inspect semaphore", name));
        }
        Ok(u32::try_from(value).unwrap_or(0)) // POSIX lets a system count waiters as negative
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: sem_open returned it, and each of its calls is matched by one close.
        unsafe { libc::sem_close(self.0.as_ptr()) };
    }
}

#[cfg(test)]
#[path = "named_semaphore_tests.rs"]
mod tests;
