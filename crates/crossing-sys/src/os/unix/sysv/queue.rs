//! msgget(2), msgop(2), msgctl(2).
#![allow(unsafe_code)] // the System V calls of the C library

use super::{
    Limit, common, count_error, creation, gone, key_t, limit_error, msg_list, open_error, pid, time,
    use_error, use_error_of, wide,
};
use crate::file::Access;
use crate::mq::{Direction, RecvError, SendError};
use crate::os::sysv_system::{self as system, limit};
use crate::sysv::{Key, Message, QueueStat, Select};
use crate::{Error, ErrorKind, Result};
use std::cell::RefCell;
use std::ffi::c_long;
use std::io;
use std::ptr;

thread_local! {
    /// A message as the kernel takes it: its type in the first word, then its bytes. Grows to the longest message.
    static SCRATCH: RefCell<Vec<c_long>> = const { RefCell::new(Vec::new()) };
}

/// Calls `body` with a message of `len` bytes to fill or to send: at least one word, and then as many as `len` needs.
fn with_message<T>(len: usize, body: impl FnOnce(&mut [c_long]) -> T) -> T {
    let words = 1 + len.div_ceil(size_of::<c_long>());
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            if scratch.len() < words {
                scratch.resize(words, 0);
            }
            body(&mut scratch)
        }
        // Only from within `body`, which does not call back: kept so that it could never panic.
        Err(_) => body(&mut vec![0; words]),
    })
}

pub(crate) fn msg_max_len() -> usize {
    limit(Limit::MessageLen).now.and_then(|max| usize::try_from(max).ok()).unwrap_or(8192)
}

pub(crate) fn msg_create(key: Key, access: Access) -> Result<i32> {
    const OPERATION: &str = "create System V queue";
    // SAFETY: no pointers are passed.
    let id = unsafe { system::msgget(key_t(key), creation(access)) };
    if id >= 0 {
        return Ok(id);
    }
    let cause = io::Error::last_os_error();
    if let Some(error) = common(&cause, OPERATION, key) {
        return Err(error);
    }
    Err(match cause.raw_os_error() {
        Some(libc::ENOSPC) => count_error(OPERATION, key, msg_list(), Limit::Queues, None),
        _ => Error::os(cause, OPERATION, key.to_string()),
    })
}

pub(crate) fn msg_open(key: Key, direction: Option<Direction>) -> Result<i32> {
    // The kernel checks that the rights in the flags are there.
    let flags = match direction {
        None => 0,
        Some(Direction::Both) => 0o600,
        Some(Direction::Send) => 0o200,
        Some(Direction::Receive) => 0o400,
    };
    // SAFETY: no pointers are passed.
    let id = unsafe { system::msgget(key_t(key), flags) };
    if id >= 0 { Ok(id) } else { Err(open_error("open System V queue", key)) }
}

pub(crate) fn msg_send(
    id: i32,
    key: Key,
    message: &[u8],
    message_type: i64,
    wait: bool,
) -> Result<(), SendError> {
    const OPERATION: &str = "send to System V queue";
    let flags = if wait { 0 } else { libc::IPC_NOWAIT };
    let number = c_long::try_from(message_type).map_err(|_| {
        SendError::Os(
            Error::new(ErrorKind::ApiMisuse, OPERATION, key.to_string())
                .detail("the type is too large for this machine"),
        )
    })?;
    with_message(message.len(), |words| {
        words[0] = number;
        let body = words[1..].as_mut_ptr().cast::<u8>();
        // SAFETY: the words after the first have room for `message.len()` bytes, and nobody else has them.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr(), body, message.len()) };
        loop {
            // SAFETY: the pointer is to a type and `message.len()` bytes after it.
            let outcome = unsafe { system::msgsnd(id, words.as_ptr().cast(), message.len(), flags) };
            if outcome == 0 {
                return Ok(());
            }
            let cause = io::Error::last_os_error();
            match cause.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => return Err(SendError::Full),
                Some(libc::EINVAL) => return Err(not_taken(id, key, OPERATION, message.len())),
                _ => {
                    let error = common(&cause, OPERATION, key);
                    return Err(SendError::Os(
                        error.unwrap_or_else(|| Error::os(cause, OPERATION, key.to_string())),
                    ));
                }
            }
        }
    })
}

/// Why msgsnd(2) says EINVAL: the message is longer than any may be, or (BSD) than all the queue may hold; or the queue is gone.
#[cold]
fn not_taken(id: i32, key: Key, operation: &'static str, len: usize) -> SendError {
    let Ok(queue) = control(id, key) else { return SendError::Os(gone(operation, key)) };
    let (len, max) = (len as u64, (msg_max_len() as u64).min(wide(queue.msg_qbytes)));
    if len > max { SendError::TooLarge { len, max } } else { SendError::Os(gone(operation, key)) }
}

pub(crate) fn msg_recv(
    id: i32,
    key: Key,
    buffer: &mut [u8],
    select: Select,
    wait: bool,
) -> Result<Message, RecvError> {
    const OPERATION: &str = "receive from System V queue";
    let flags = if wait { 0 } else { libc::IPC_NOWAIT };
    let wide = |number: i64| c_long::try_from(number).unwrap_or(c_long::MAX);
    let number = match select {
        Select::Any => 0,
        Select::Type(number) => wide(number),
        Select::LowestUpTo(number) => -wide(number),
    };
    with_message(buffer.len(), |words| {
        loop {
            // SAFETY: the pointer is to room for a type and `buffer.len()` bytes after it.
            let outcome =
                unsafe { system::msgrcv(id, words.as_mut_ptr().cast(), buffer.len(), number, flags) };
            if let Ok(len) = usize::try_from(outcome) {
                let len = len.min(buffer.len());
                let body = words[1..].as_ptr().cast::<u8>();
                // SAFETY: the kernel wrote `len` bytes after the first word; `buffer` has room for them and is apart.
                unsafe { ptr::copy_nonoverlapping(body, buffer.as_mut_ptr(), len) };
                #[allow(clippy::useless_conversion)] // c_long has 32 bits on some machines
                let message_type = i64::from(words[0]);
                return Ok(Message { len, message_type });
            }
            let cause = io::Error::last_os_error();
            match cause.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::ENOMSG | libc::EAGAIN) => return Err(RecvError::Empty),
                Some(libc::E2BIG) => {
                    return Err(RecvError::BufferTooSmall { len: buffer.len() as u64, need: 0 });
                }
                Some(libc::EINVAL) => return Err(RecvError::Os(gone(OPERATION, key))),
                _ => {
                    let error = common(&cause, OPERATION, key);
                    return Err(RecvError::Os(
                        error.unwrap_or_else(|| Error::os(cause, OPERATION, key.to_string())),
                    ));
                }
            }
        }
    })
}

fn control(id: i32, key: Key) -> Result<system::msqid_ds> {
    // SAFETY: msqid_ds is made of integers only, for which all zeros is a value.
    let mut data: system::msqid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT writes one msqid_ds, for which `data` is valid.
    if unsafe { system::msgctl(id, libc::IPC_STAT, &raw mut data) } != 0 {
        return Err(use_error("inspect System V queue", key));
    }
    Ok(data)
}

pub(crate) fn msg_stat(id: i32, key: Key) -> Result<QueueStat> {
    let data = control(id, key)?;
    Ok(QueueStat {
        id,
        key,
        len: wide(data.msg_qnum),
        bytes: wide(system::queue_bytes(&data)),
        max_bytes: Some(wide(data.msg_qbytes)),
        last_sender_pid: pid(data.msg_lspid.into()),
        last_receiver_pid: pid(data.msg_lrpid.into()),
        owner: data.msg_perm.uid,
        mode: u32::from(data.msg_perm.mode) & 0o777,
        sent_at: time(data.msg_stime),
        received_at: time(data.msg_rtime),
        changed_at: time(data.msg_ctime),
    })
}

pub(crate) fn msg_set_max_bytes(id: i32, key: Key, bytes: u64) -> Result<()> {
    const OPERATION: &str = "resize System V queue";
    let mut data = control(id, key)?;
    #[allow(clippy::useless_conversion)] // 32 bits on some machines
    {
        data.msg_qbytes = bytes.try_into().unwrap_or(system::msglen_t::MAX);
    }
    // SAFETY: IPC_SET reads one msqid_ds, which `data` is.
    let refused = unsafe { system::msgctl(id, libc::IPC_SET, &raw mut data) } != 0;
    let cause = io::Error::last_os_error();
    let over_limit = if refused {
        let max = limit(Limit::QueueLen).now;
        cause.raw_os_error() == Some(libc::EPERM) && max.is_some_and(|max| bytes > max)
    } else {
        // BSD gives as much as may be, and says nothing.
        wide(control(id, key)?.msg_qbytes) < bytes
    };
    if over_limit {
        let what = format!("{bytes} bytes in a queue asked for");
        return Err(limit_error(OPERATION, key, Limit::QueueLen, what));
    }
    if refused { Err(use_error_of(cause, OPERATION, key)) } else { Ok(()) }
}

pub(crate) fn msg_remove(id: i32, key: Key) -> Result<()> {
    // SAFETY: IPC_RMID reads no pointer.
    if unsafe { system::msgctl(id, libc::IPC_RMID, ptr::null_mut()) } != 0 {
        return Err(use_error("remove System V queue", key));
    }
    Ok(())
}
