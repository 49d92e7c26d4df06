//! semget(2), semop(2), semctl(2).
#![allow(unsafe_code)] // the System V calls of the C library

use super::{
    Limit, common, count_error, creation, gone, key_t, limit_error, open_error, sem_list, time, use_error,
};
use crate::file::Access;
use crate::os::sysv_system::{GETVAL, SEM_UNDO, SETVAL, operate_until};
use crate::sysv::{Key, SemaphoreStat, Undo};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::time::Instant;

const USE: &str = "use System V semaphore";

pub(crate) fn sem_create(key: Key, count: usize, access: Access) -> Result<i32> {
    const OPERATION: &str = "create System V semaphores";
    let wanted = i32::try_from(count).unwrap_or(i32::MAX);
    // SAFETY: no pointers are passed.
    let id = unsafe { libc::semget(key_t(key), wanted, creation(access)) };
    if id >= 0 {
        return Ok(id);
    }
    let cause = io::Error::last_os_error();
    if let Some(error) = common(&cause, OPERATION, key) {
        return Err(error);
    }
    Err(match cause.raw_os_error() {
        Some(libc::EINVAL) => {
            limit_error(OPERATION, key, Limit::SetLen, format!("{count} semaphores in a set asked for"))
        }
        Some(libc::ENOSPC) => {
            let what = format!("{count} semaphores asked for; the limit counts those of all sets");
            count_error(OPERATION, key, sem_list(), Limit::Sets, Some((Limit::Semaphores, what)))
        }
        _ => Error::os(cause, OPERATION, key.to_string()),
    })
}

pub(crate) fn sem_open(key: Key) -> Result<i32> {
    // SAFETY: no pointers are passed.
    let id = unsafe { libc::semget(key_t(key), 0, 0) };
    if id >= 0 { Ok(id) } else { Err(open_error("open System V semaphores", key)) }
}

/// One semop(2); EINTR, EAGAIN and the rest are the caller's.
pub(crate) fn operate(id: i32, operations: &mut [libc::sembuf]) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of a slice.
    if unsafe { libc::semop(id, operations.as_mut_ptr(), operations.len()) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

fn operation(index: u16, change: i16, undo: Undo, wait: bool) -> libc::sembuf {
    let undo = if undo == Undo::OnExit { SEM_UNDO } else { 0 };
    let wait = if wait { 0 } else { libc::IPC_NOWAIT };
    libc::sembuf { sem_num: index, sem_op: change, sem_flg: (undo | wait) as i16 }
}

/// The error of semop(2), which says EINVAL and EIDRM of a set that is gone.
fn operation_error(cause: io::Error, key: Key) -> Error {
    match cause.raw_os_error() {
        Some(libc::EINVAL | libc::EIDRM) => gone(USE, key),
        Some(libc::ERANGE) => Error::os(cause, USE, key.to_string())
            .kinded(ErrorKind::LimitReached)
            .detail("its value, or what is to be undone on it, would pass 32767"),
        Some(libc::ENOSPC | libc::ENOMEM) => Error::os(cause, USE, key.to_string())
            .kinded(ErrorKind::LimitReached)
            .detail("the kernel has no room to note what to undo")
            .fix("use the semaphore without undo"),
        _ => common(&cause, USE, key).unwrap_or_else(|| Error::os(cause, USE, key.to_string())),
    }
}

pub(crate) fn sem_add_all(id: i32, key: Key, values: &[u16]) -> Result<()> {
    let mut operations: Vec<libc::sembuf> = values
        .iter()
        .zip(0_u16..)
        .filter(|(value, _)| **value > 0)
        .map(|(value, index)| operation(index, i16::try_from(*value).unwrap_or(i16::MAX), Undo::Never, false))
        .collect();
    if operations.is_empty() {
        return Ok(());
    }
    operate(id, &mut operations).map_err(|cause| operation_error(cause, key))
}

pub(crate) fn sem_post(id: i32, key: Key, index: u16, undo: Undo) -> Result<()> {
    operate(id, &mut [operation(index, 1, undo, false)]).map_err(|cause| operation_error(cause, key))
}

pub(crate) fn sem_try_wait(id: i32, key: Key, index: u16, undo: Undo) -> Result<bool> {
    match operate(id, &mut [operation(index, -1, undo, false)]) {
        Ok(()) => Ok(true),
        Err(cause) if cause.raw_os_error() == Some(libc::EAGAIN) => Ok(false),
        Err(cause) => Err(operation_error(cause, key)),
    }
}

pub(crate) fn sem_wait(id: i32, key: Key, index: u16, undo: Undo, deadline: Option<Instant>) -> Result<bool> {
    loop {
        let outcome = match deadline {
            None => operate(id, &mut [operation(index, -1, undo, true)]),
            Some(deadline) => operate_until(id, operation(index, -1, undo, true), deadline),
        };
        let Err(cause) = outcome else { return Ok(true) };
        match cause.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => {
                if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                    return Ok(false);
                }
            }
            _ => return Err(operation_error(cause, key)),
        }
    }
}

pub(crate) fn sem_value(id: i32, key: Key, index: u16) -> Result<u32> {
    // SAFETY: GETVAL reads no further argument.
    let value = unsafe { libc::semctl(id, i32::from(index), GETVAL) };
    u32::try_from(value).map_err(|_| use_error(USE, key))
}

pub(crate) fn sem_set_value(id: i32, key: Key, index: u16, value: u16) -> Result<()> {
    // The further argument is `union semun`, a pointer wide, of which SETVAL reads the int.
    let value = libc::c_long::from(value);
    // SAFETY: SETVAL reads an int from the further argument and no pointer.
    if unsafe { libc::semctl(id, i32::from(index), SETVAL, value) } == 0 {
        return Ok(());
    }
    let cause = io::Error::last_os_error();
    if cause.raw_os_error() == Some(libc::ERANGE) {
        return Err(
            Error::new(ErrorKind::ApiMisuse, USE, key.to_string()).detail("the highest value is 32767")
        );
    }
    Err(operation_error(cause, key))
}

pub(crate) fn sem_stat(id: i32, key: Key) -> Result<SemaphoreStat> {
    // SAFETY: semid_ds is made of integers only, for which all zeros is a value.
    let mut data: libc::semid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT writes one semid_ds, for which `data` is valid.
    if unsafe { libc::semctl(id, 0, libc::IPC_STAT, &raw mut data) } != 0 {
        return Err(use_error("inspect System V semaphores", key));
    }
    Ok(SemaphoreStat {
        id,
        key,
        count: u32::try_from(data.sem_nsems).unwrap_or(u32::MAX),
        owner: data.sem_perm.uid,
        mode: u32::from(data.sem_perm.mode) & 0o777,
        used_at: time(data.sem_otime),
        changed_at: time(data.sem_ctime),
    })
}

pub(crate) fn sem_remove(id: i32, key: Key) -> Result<()> {
    // SAFETY: IPC_RMID reads no further argument.
    if unsafe { libc::semctl(id, 0, libc::IPC_RMID) } != 0 {
        return Err(use_error("remove System V semaphores", key));
    }
    Ok(())
}
