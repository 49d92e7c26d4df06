//! shmget(2), shmop(2), shmctl(2).
#![allow(unsafe_code)] // the System V calls of the C library

use super::{
    Limit, common, count_error, creation, key_t, limit_error, open_error, pid, shm_list, time, use_error,
    wide,
};
use crate::file::Access;
use crate::os::sysv_system::{SHM_REMOVED, free_memory, limit};
use crate::sysv::{Key, MemoryStat};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::ptr::{self, NonNull};

pub(crate) fn shm_create(key: Key, size: usize, access: Access) -> Result<i32> {
    const OPERATION: &str = "create System V segment";
    // SAFETY: no pointers are passed.
    let id = unsafe { libc::shmget(key_t(key), size, creation(access)) };
    if id >= 0 {
        return Ok(id);
    }
    let cause = io::Error::last_os_error();
    if let Some(error) = common(&cause, OPERATION, key) {
        return Err(error);
    }
    let max = limit(Limit::SegmentLen).now;
    Err(match cause.raw_os_error() {
        Some(libc::EINVAL | libc::ENOSPC | libc::ENOMEM) if max.is_some_and(|max| size as u64 > max) => {
            limit_error(OPERATION, key, Limit::SegmentLen, format!("{size} bytes asked for"))
        }
        Some(libc::ENOSPC) => {
            let what = format!("{size} bytes asked for; the limit counts the pages of all segments");
            count_error(OPERATION, key, shm_list(), Limit::Segments, Some((Limit::AllSegments, what)))
        }
        Some(libc::ENOMEM) => Error::os(cause, OPERATION, key.to_string())
            .kinded(ErrorKind::NoSpace { need: size as u64, have: free_memory() })
            .fix("ask for less, or free memory"),
        _ => Error::os(cause, OPERATION, key.to_string()),
    })
}

pub(crate) fn shm_open(key: Key) -> Result<i32> {
    // SAFETY: no pointers are passed.
    let id = unsafe { libc::shmget(key_t(key), 0, 0) };
    if id >= 0 { Ok(id) } else { Err(open_error("open System V segment", key)) }
}

pub(crate) fn shm_attach(id: i32, key: Key, read_only: bool) -> Result<NonNull<u8>> {
    let flags = if read_only { libc::SHM_RDONLY } else { 0 };
    // SAFETY: a null address lets the kernel choose a free place, so that no existing mapping is touched.
    let address = unsafe { libc::shmat(id, ptr::null(), flags) };
    if address.addr() == usize::MAX {
        return Err(use_error("attach System V segment", key));
    }
    NonNull::new(address.cast()).ok_or_else(|| use_error("attach System V segment", key))
}

pub(crate) fn shm_detach(pointer: NonNull<u8>) {
    // SAFETY: `Mapping` got the address from shmat and detaches it once, when it is dropped. (An address that is no
    // mapping would be refused with an error.)
    unsafe { libc::shmdt(pointer.as_ptr().cast()) };
}

pub(crate) fn shm_stat(id: i32, key: Key) -> Result<MemoryStat> {
    // SAFETY: shmid_ds is made of integers only, for which all zeros is a value.
    let mut data: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT writes one shmid_ds, for which `data` is valid.
    if unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut data) } != 0 {
        return Err(use_error("inspect System V segment", key));
    }
    let mode = u32::from(data.shm_perm.mode);
    Ok(MemoryStat {
        id,
        key,
        size: data.shm_segsz as u64,
        attaches: wide(data.shm_nattch),
        creator_pid: pid(data.shm_cpid.into()),
        last_pid: pid(data.shm_lpid.into()),
        owner: data.shm_perm.uid,
        mode: mode & 0o777,
        attached_at: time(data.shm_atime),
        detached_at: time(data.shm_dtime),
        changed_at: time(data.shm_ctime),
        marked_for_deletion: mode & SHM_REMOVED != 0,
    })
}

pub(crate) fn shm_remove(id: i32, key: Key) -> Result<()> {
    // SAFETY: IPC_RMID reads no pointer.
    if unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) } != 0 {
        return Err(use_error("remove System V segment", key));
    }
    Ok(())
}
