//! shmget(2), semget(2), msgget(2) and what belongs to them, as POSIX has them in its XSI option. What each system says of its
//! limits and of the objects there are, and where its structures differ, is in its own `sysv_system.rs`.

mod memory;
mod queue;
mod semaphore;

pub(crate) use crate::os::sysv_system::{
    memory_list as shm_list, queue_list as msg_list, set_list as sem_list,
};
pub(crate) use memory::*;
pub(crate) use queue::*;
pub(crate) use semaphore::*;

use crate::file::Access;
use crate::os::sysv_system::limit;
use crate::os::unix::directory::mode_of;
use crate::sysv::Key;
use crate::{Error, ErrorKind, Result};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The device and the inode that ftok(3) computes with.
pub(crate) fn file_identity(path: &Path) -> io::Result<(u64, u64)> {
    let data = std::fs::metadata(path)?;
    Ok((data.dev(), data.ino()))
}

/// The number of the user that this process acts as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The flags that make a new object.
fn creation(access: Access) -> i32 {
    // Nine bits, in a type that is not as wide everywhere.
    let mode = i32::try_from(mode_of(access).as_raw_mode()).unwrap_or(0);
    libc::IPC_CREAT | libc::IPC_EXCL | mode
}

/// A key as the C library takes it: it has 64 bits on FreeBSD, the sign's.
#[allow(clippy::useless_conversion)]
fn key_t(key: Key) -> libc::key_t {
    key.0.into()
}

/// The C library's times have 32 bits on some machines.
pub(crate) fn time(seconds: impl Into<i64>) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds.into()).ok().filter(|seconds| *seconds > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A figure that has 32 bits on some machines.
fn wide(figure: impl Into<u64>) -> u64 {
    figure.into()
}

pub(crate) fn pid(pid: i64) -> u32 {
    u32::try_from(pid).unwrap_or(0)
}

/// What the system limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Bytes of a segment.
    SegmentLen,
    Segments,
    /// Pages of all segments.
    AllSegments,
    /// Semaphores of a set.
    SetLen,
    /// Semaphores of all sets.
    Semaphores,
    Sets,
    /// Bytes of a message.
    MessageLen,
    /// Bytes of a queue.
    QueueLen,
    Queues,
}

/// A limit as the system has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// The name that sysctl(8) takes; empty: it knows it not.
    pub(crate) name: &'static str,
    /// Where there are several numbers under that name: which one.
    pub(crate) part: &'static str,
    pub(crate) now: Option<u64>,
}

/// The error of making an object that exists already, or that may not be used; `None` for any other code.
fn common(cause: &io::Error, operation: &'static str, key: Key) -> Option<Error> {
    let error = || {
        Error::os(io::Error::from_raw_os_error(cause.raw_os_error().unwrap_or(0)), operation, key.to_string())
    };
    Some(match cause.raw_os_error()? {
        libc::EEXIST => error().fix("open it, or remove it first"),
        libc::ENOENT => error()
            .detail("nothing has this key")
            .fix("create it first, or check the path and the project (`ipcs` lists what there is)"),
        libc::EACCES | libc::EPERM => error()
            .kinded(ErrorKind::PermissionDenied)
            .detail("its owner does not let this user do that")
            .fix("have it created with wider access, or run as its owner"),
        libc::EIDRM => gone(operation, key),
        _ => return None,
    })
}

fn gone(operation: &'static str, key: Key) -> Error {
    Error::new(ErrorKind::NotFound, operation, key.to_string()).detail("it was removed")
}

/// The error of using an object by its id: EINVAL means that the id names nothing any more.
fn use_error(operation: &'static str, key: Key) -> Error {
    use_error_of(io::Error::last_os_error(), operation, key)
}

fn use_error_of(cause: io::Error, operation: &'static str, key: Key) -> Error {
    if cause.raw_os_error() == Some(libc::EINVAL) {
        return gone(operation, key);
    }
    common(&cause, operation, key).unwrap_or_else(|| Error::os(cause, operation, key.to_string()))
}

/// The error of finding an object by its key.
fn open_error(operation: &'static str, key: Key) -> Error {
    let cause = io::Error::last_os_error();
    common(&cause, operation, key).unwrap_or_else(|| Error::os(cause, operation, key.to_string()))
}

/// The error of creating one object more, where there are as many as in `list`, if that can be told. `all`: what else that may run
/// into, if there is such a thing, and how that is said.
fn count_error<T>(
    operation: &'static str,
    key: Key,
    list: Result<Vec<T>>,
    figure: Limit,
    all: Option<(Limit, String)>,
) -> Error {
    let count = list.ok().map(|list| list.len() as u64);
    let has_room = count.zip(limit(figure).now).is_some_and(|(count, most)| count < most);
    match (all, count) {
        (Some((all, what)), _) if has_room => limit_error(operation, key, all, what),
        (_, Some(count)) => limit_error(operation, key, figure, format!("there are {count} already")),
        (_, None) => limit_error(operation, key, figure, "there are as many as there may be".to_owned()),
    }
}

/// The error of creating an object: a limit, told with its present value.
fn limit_error(operation: &'static str, key: Key, figure: Limit, what: String) -> Error {
    let Figure { name, part, now } = limit(figure);
    let now = now.map_or_else(|| "unknown".to_owned(), |now| now.to_string());
    let raise = match name {
        "" => String::new(),
        name => format!(", or as root raise {part}`sysctl {name}` (now {now})"),
    };
    Error::new(ErrorKind::LimitReached, operation, key.to_string())
        .detail(what)
        .fix(format!("remove what is not needed (`ipcs`, `ipcrm`){raise}"))
}

#[cfg(test)]
#[path = "sysv_tests.rs"]
mod tests;
