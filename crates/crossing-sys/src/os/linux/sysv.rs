//! sysvipc(7).

mod memory;
mod queue;
mod semaphore;

pub(crate) use memory::*;
pub(crate) use queue::*;
pub(crate) use semaphore::*;

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

/// The C library's times have 32 bits on some machines.
fn time(seconds: impl Into<i64>) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds.into()).ok().filter(|seconds| *seconds > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A figure that has 32 bits on some machines.
fn wide(figure: impl Into<u64>) -> u64 {
    figure.into()
}

fn pid(pid: i64) -> u32 {
    u32::try_from(pid).unwrap_or(0)
}

/// The numbers of /proc/sys/kernel/`file`, which is `sysctl kernel.file`.
fn sysctl(file: &str) -> Vec<u64> {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn limit(file: &str) -> Option<u64> {
    sysctl(file).first().copied()
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
    let cause = io::Error::last_os_error();
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

/// The error of creating an object: a limit, told with its present value.
fn limit_error(operation: &'static str, key: Key, limit: &str, now: Option<u64>, what: String) -> Error {
    let now = now.map_or_else(|| "unknown".to_owned(), |now| now.to_string());
    Error::new(ErrorKind::LimitReached, operation, key.to_string()).detail(what).fix(format!(
        "remove what is not needed (`ipcs`, `ipcrm`), or as root raise `sysctl {limit}` (now {now})"
    ))
}

/// The lines of /proc/sysvipc/`file` after the first, as words.
fn listing(file: &str, operation: &'static str) -> Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(format!("/proc/sysvipc/{file}"))
        .map_err(|cause| Error::os(cause, operation, format!("/proc/sysvipc/{file}")))?;
    Ok(text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
}

/// A column of a listing as a number; one that is missing or odd counts as 0.
fn column(words: &[String], index: usize) -> i64 {
    words.get(index).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The key, the id and the permissions, which are the first columns of each listing.
fn head(words: &[String]) -> (Key, i32, u32) {
    let key = words.first().and_then(|word| word.parse().ok()).unwrap_or(0);
    let id = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(-1);
    let mode = words.get(2).and_then(|word| u32::from_str_radix(word, 8).ok()).unwrap_or(0);
    (Key(key), id, mode)
}

#[cfg(test)]
#[path = "sysv_tests.rs"]
mod tests;
