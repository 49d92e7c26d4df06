//! mq_overview(7). The descriptors are always non-blocking; waiting is poll(2), whose timeout is monotonic.
#![allow(unsafe_code)] // mq_* of the C library

use crate::file::{Access, Handle};
use crate::mq::{Attributes, Direction, Received, RecvError, SendError};
use crate::os::unix::directory::mode_of;
use crate::{Bytes, Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{fchmod, fstat};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

/// What the kernel keeps per message besides its bytes: struct msg_msg and struct posix_msg_tree_node, getrlimit(2).
const PER_MESSAGE: u64 = 48 + 48;

fn c_name(operation: &'static str, name: &str) -> Result<CString> {
    CString::new(name)
        .map_err(|_| Error::new(ErrorKind::ApiMisuse, operation, name).detail("the name has a NUL byte"))
}

fn flags(direction: Direction) -> libc::c_int {
    let direction = match direction {
        Direction::Both => libc::O_RDWR,
        Direction::Send => libc::O_WRONLY,
        Direction::Receive => libc::O_RDONLY,
    };
    direction | libc::O_NONBLOCK | libc::O_CLOEXEC
}

fn zero_attributes() -> libc::mq_attr {
    // SAFETY: mq_attr is made of integers only, for which all zeros is a value.
    unsafe { std::mem::zeroed() }
}

pub(crate) fn create(
    name: &str,
    messages: u64,
    len: u64,
    access: Access,
    direction: Direction,
) -> Result<Handle> {
    const OPERATION: &str = "create message queue";
    let name_c = c_name(OPERATION, name)?;
    let mut attributes = zero_attributes();
    attributes.mq_maxmsg = libc::c_long::try_from(messages).unwrap_or(libc::c_long::MAX);
    attributes.mq_msgsize = libc::c_long::try_from(len).unwrap_or(libc::c_long::MAX);
    let flags = flags(direction) | libc::O_CREAT | libc::O_EXCL;
    // SAFETY: the name ends with NUL; a mode and a pointer to valid attributes follow, as O_CREAT demands.
    let fd = unsafe { libc::mq_open(name_c.as_ptr(), flags, 0o600 as libc::mode_t, &raw const attributes) };
    if fd < 0 {
        return Err(creation_error(io::Error::last_os_error(), OPERATION, name, messages, len));
    }
    // SAFETY: mq_open returned it, on Linux a descriptor (mq_overview(7)), and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // The umask took bits off the mode: this puts back what was asked for.
    if let Err(cause) = fchmod(&fd, mode_of(access)) {
        let _ = unlink(name);
        return Err(Error::os(cause.into(), OPERATION, name).detail("its permissions could not be set"));
    }
    Ok(Handle::from(fd))
}

pub(crate) fn open(name: &str, direction: Direction) -> Result<Handle> {
    const OPERATION: &str = "open message queue";
    let name_c = c_name(OPERATION, name)?;
    // SAFETY: the name ends with NUL; without O_CREAT no further argument is read.
    let fd = unsafe { libc::mq_open(name_c.as_ptr(), flags(direction)) };
    if fd < 0 {
        let cause = io::Error::last_os_error();
        let code = cause.raw_os_error();
        let error = Error::os(cause, OPERATION, name);
        return Err(match code {
            Some(libc::ENOENT) => error
                .detail("no such queue")
                .fix("create it first, or check the name (`ls /dev/mqueue` where mqueue is mounted)"),
            Some(libc::EACCES) => error
                .detail("its owner does not let this user in")
                .fix("have it created with wider access, or run as its owner"),
            Some(libc::EMFILE) => open_files_error(error),
            _ => error,
        });
    }
    // SAFETY: mq_open returned it, on Linux a descriptor (mq_overview(7)), and nobody else has it.
    Ok(Handle::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn open_files_error(error: Error) -> Error {
    error
        .kinded(ErrorKind::LimitReached)
        .detail("this process has as many files open as it may")
        .fix("raise the limit of open files (`ulimit -n`)")
}

fn sysctl(file: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/fs/mqueue/{file}")).ok()?.trim().parse().ok()
}

fn creation_error(cause: io::Error, operation: &'static str, name: &str, messages: u64, len: u64) -> Error {
    let code = cause.raw_os_error();
    let error = Error::os(cause, operation, name);
    match code {
        Some(libc::EEXIST) => error.fix("open it, or unlink it first"),
        Some(libc::EINVAL | libc::EOVERFLOW | libc::ENOMEM) => {
            let limit = error.kinded(ErrorKind::LimitReached);
            match (sysctl("msg_max"), sysctl("msgsize_max")) {
                (Some(max), _) if messages > max => {
                    limit.detail(format!("{messages} messages asked for, {max} allowed")).fix(format!(
                        "ask for at most {max}, or as root `sysctl fs.mqueue.msg_max={messages}` (now {max})"
                    ))
                }
                (_, Some(max)) if len > max => {
                    limit.detail(format!("messages of {len} bytes asked for, {max} allowed")).fix(format!(
                        "ask for at most {max}, or as root `sysctl fs.mqueue.msgsize_max={len}` (now {max})"
                    ))
                }
                _ => limit.detail(format!("{messages} messages of {len} bytes")).fix(
                    "ask for less; see fs.mqueue.msg_max and fs.mqueue.msgsize_max, in /proc/sys/fs/mqueue",
                ),
            }
        }
        Some(libc::ENOSPC) => {
            let max = sysctl("queues_max").map_or_else(|| "unknown".to_owned(), |max| max.to_string());
            error
                .kinded(ErrorKind::LimitReached)
                .detail("the system has as many message queues as it may")
                .fix(format!("unlink queues, or as root raise `sysctl fs.mqueue.queues_max` (now {max})"))
        }
        Some(libc::EMFILE) => {
            // The same code says "too many open files" and "too many bytes in queues": try the former.
            if let Err(cause) = std::fs::File::open("/dev/null")
                && cause.raw_os_error() == Some(libc::EMFILE)
            {
                return open_files_error(error);
            }
            let need = queue_bytes(messages, len);
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: `limit` is valid for writes.
            let known = unsafe { libc::getrlimit(libc::RLIMIT_MSGQUEUE, &raw mut limit) } == 0;
            #[allow(clippy::useless_conversion)] // 32 bits on some machines
            let have: u64 = if known { limit.rlim_cur.into() } else { 0 };
            error
                .kinded(ErrorKind::LimitReached)
                .detail(format!(
                    "the queue needs {need} bytes, all queues of this user together may have {have} ({})",
                    Bytes(have)
                ))
                .fix(format!(
                    "ask for less, unlink other queues, or raise RLIMIT_MSGQUEUE (`ulimit -q {}`)",
                    have.saturating_add(need)
                ))
        }
        Some(libc::EACCES) => error.detail("a queue of this name exists and belongs to somebody else"),
        _ => error,
    }
}

/// The bytes that a queue counts towards RLIMIT_MSGQUEUE, getrlimit(2).
pub(crate) fn queue_bytes(messages: u64, len: u64) -> u64 {
    messages.saturating_mul(len.saturating_add(PER_MESSAGE))
}

pub(crate) fn unlink(name: &str) -> Result<()> {
    const OPERATION: &str = "unlink message queue";
    let name_c = c_name(OPERATION, name)?;
    // SAFETY: the name ends with NUL.
    if unsafe { libc::mq_unlink(name_c.as_ptr()) } == 0 {
        return Ok(());
    }
    let cause = io::Error::last_os_error();
    let code = cause.raw_os_error();
    let error = Error::os(cause, OPERATION, name);
    Err(match code {
        Some(libc::ENOENT) => error.detail("no such queue"),
        Some(libc::EACCES | libc::EPERM) => error
            .kinded(ErrorKind::PermissionDenied)
            .detail("only its owner may unlink it")
            .fix("run as its owner"),
        _ => error,
    })
}

pub(crate) fn unlink_if_same(handle: &Handle, name: &str) -> Result<bool> {
    const OPERATION: &str = "unlink message queue";
    let named = match open(name, Direction::Receive) {
        Ok(named) => named,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let ours = fstat(handle.as_fd()).map_err(|cause| Error::os(cause.into(), OPERATION, name))?;
    let theirs = fstat(named.as_fd()).map_err(|cause| Error::os(cause.into(), OPERATION, name))?;
    if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino) {
        return Ok(false);
    }
    match unlink(name) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn check_owner(handle: &Handle, name: &str) -> Result<()> {
    const OPERATION: &str = "open message queue";
    let stat = fstat(handle.as_fd()).map_err(|cause| Error::os(cause.into(), OPERATION, name))?;
    let user = rustix::process::geteuid().as_raw();
    if stat.st_uid == user {
        return Ok(());
    }
    Err(Error::new(ErrorKind::PermissionDenied, OPERATION, name)
        .detail(format!("it belongs to user {}, not to this user ({user})", stat.st_uid))
        .fix("open it without creating, create it with wider access, or choose another name"))
}

pub(crate) fn attributes(handle: &Handle, name: &str) -> Result<Attributes> {
    let mut attributes = zero_attributes();
    // SAFETY: the descriptor is open for the life of `handle`; `attributes` is valid for writes.
    if unsafe { libc::mq_getattr(handle.as_fd().as_raw_fd(), &raw mut attributes) } != 0 {
        return Err(Error::os(io::Error::last_os_error(), "inspect message queue", name));
    }
    let figure = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    Ok(Attributes {
        max_messages: figure(attributes.mq_maxmsg),
        max_message_len: figure(attributes.mq_msgsize),
        len: figure(attributes.mq_curmsgs),
    })
}

fn wrong_direction(code: Option<i32>, error: Error, opened_for: &'static str) -> Error {
    if code == Some(libc::EBADF) {
        error.kinded(ErrorKind::ApiMisuse).detail(opened_for).fix("open it for both directions")
    } else {
        error
    }
}

pub(crate) fn try_send(handle: &Handle, name: &str, message: &[u8], priority: u32) -> Result<(), SendError> {
    loop {
        // SAFETY: the descriptor is open, the pointer and the length are those of a slice.
        let outcome = unsafe {
            libc::mq_send(handle.as_fd().as_raw_fd(), message.as_ptr().cast(), message.len(), priority)
        };
        if outcome == 0 {
            return Ok(());
        }
        let cause = io::Error::last_os_error();
        let code = cause.raw_os_error();
        match code {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Err(SendError::Full),
            Some(libc::EMSGSIZE) => {
                let max = attributes(handle, name).map_or(0, |attributes| attributes.max_message_len);
                return Err(SendError::TooLarge { len: message.len() as u64, max });
            }
            _ => {
                let error = Error::os(cause, "send to message queue", name);
                return Err(SendError::Os(wrong_direction(code, error, "it was opened to receive only")));
            }
        }
    }
}

pub(crate) fn try_recv(handle: &Handle, name: &str, buffer: &mut [u8]) -> Result<Received, RecvError> {
    loop {
        let mut priority = 0;
        // SAFETY: the descriptor is open, the pointer and the length are those of a slice that we may write.
        let outcome = unsafe {
            libc::mq_receive(
                handle.as_fd().as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut priority,
            )
        };
        if let Ok(len) = usize::try_from(outcome) {
            return Ok(Received { len: len.min(buffer.len()), priority });
        }
        let cause = io::Error::last_os_error();
        let code = cause.raw_os_error();
        match code {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Err(RecvError::Empty),
            Some(libc::EMSGSIZE) => {
                let need = attributes(handle, name).map_or(0, |attributes| attributes.max_message_len);
                return Err(RecvError::BufferTooSmall { len: buffer.len() as u64, need });
            }
            _ => {
                let error = Error::os(cause, "receive from message queue", name);
                return Err(RecvError::Os(wrong_direction(code, error, "it was opened to send only")));
            }
        }
    }
}

/// Waits until the descriptor may be ready or `deadline` passed; the caller looks again in any case.
fn wait(handle: &Handle, name: &str, events: PollFlags, deadline: Option<Instant>) -> Result<()> {
    let timeout = deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    match rustix::event::poll(&mut [PollFd::new(handle, events)], timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(cause) => Err(Error::os(cause.into(), "wait for message queue", name)),
    }
}

pub(crate) fn wait_writable(handle: &Handle, name: &str, deadline: Option<Instant>) -> Result<()> {
    wait(handle, name, PollFlags::OUT, deadline)
}

pub(crate) fn wait_readable(handle: &Handle, name: &str, deadline: Option<Instant>) -> Result<()> {
    wait(handle, name, PollFlags::IN, deadline)
}

#[cfg(test)]
#[path = "mq_tests.rs"]
mod tests;
