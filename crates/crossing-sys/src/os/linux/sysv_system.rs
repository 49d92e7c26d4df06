//! What Linux says of System V objects: sysvipc(7), proc_sys_kernel(5), semtimedop(2).
#![allow(unsafe_code)] // semtimedop of the C library

pub(crate) use libc::{GETVAL, SEM_UNDO, SETVAL, msgctl, msgget, msglen_t, msgrcv, msgsnd, msqid_ds};

use crate::os::unix::clock;
use crate::os::unix::sysv::{self as unix, Figure, Limit, pid, time};
use crate::sysv::{Key, MemoryStat, QueueStat, SemaphoreStat};
use crate::{Error, Result};
use std::io;
use std::time::{Duration, Instant};

unsafe extern "C" {
    /// semop(2): the crate `libc` has it not, and not every machine has a system call of its own for it.
    fn semtimedop(
        id: libc::c_int,
        operations: *mut libc::sembuf,
        count: usize,
        timeout: *const libc::timespec,
    ) -> libc::c_int;
}

/// "Marked for deletion" in the mode of a segment, linux/shm.h.
pub(crate) const SHM_REMOVED: u32 = 0o1000;

/// The kernel refuses what overflows its own arithmetic: it waits a year at a time.
const YEAR: Duration = Duration::from_secs(31_536_000);

pub(crate) fn limit(limit: Limit) -> Figure {
    // kernel.sem: semaphores in a set, semaphores in all, operations in a call, sets.
    let (name, part, index) = match limit {
        Limit::SegmentLen => ("kernel.shmmax", "", 0),
        Limit::Segments => ("kernel.shmmni", "", 0),
        Limit::AllSegments => ("kernel.shmall", "", 0),
        Limit::SetLen => ("kernel.sem", "the first number of ", 0),
        Limit::Semaphores => ("kernel.sem", "the second number of ", 1),
        Limit::Sets => ("kernel.sem", "the fourth number of ", 3),
        Limit::MessageLen => ("kernel.msgmax", "", 0),
        Limit::QueueLen => ("kernel.msgmnb", "", 0),
        Limit::Queues => ("kernel.msgmni", "", 0),
    };
    let text = std::fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).unwrap_or_default();
    let now = text.split_whitespace().nth(index).and_then(|word| word.parse().ok());
    Figure { name, part, now }
}

/// The bytes that the kernel could hand out without swapping, proc_meminfo(5); 0 if it does not say.
pub(crate) fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The bytes that wait in a queue.
pub(crate) fn queue_bytes(data: &msqid_ds) -> libc::c_ulong {
    data.__msg_cbytes
}

/// One operation of a semaphore that waits at most until `deadline`, or ends by EAGAIN a year before.
pub(crate) fn operate_until(id: i32, mut operation: libc::sembuf, deadline: Instant) -> io::Result<()> {
    // The timeout is relative and monotonic.
    let timeout = clock::timespec(deadline.saturating_duration_since(Instant::now()).min(YEAR));
    // SAFETY: one valid operation, and a timeout that lives through the call.
    if unsafe { semtimedop(id, &raw mut operation, 1, &raw const timeout) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
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

pub(crate) fn memory_list() -> Result<Vec<MemoryStat>> {
    let lines = listing("shm", "list System V segments")?;
    Ok(lines
        .iter()
        .map(|words| {
            let (key, id, mode) = head(words);
            MemoryStat {
                id,
                key,
                size: column(words, 3).cast_unsigned(),
                creator_pid: pid(column(words, 4)),
                last_pid: pid(column(words, 5)),
                attaches: column(words, 6).cast_unsigned(),
                owner: u32::try_from(column(words, 7)).unwrap_or(u32::MAX),
                mode: mode & 0o777,
                attached_at: time(column(words, 11)),
                detached_at: time(column(words, 12)),
                changed_at: time(column(words, 13)),
                marked_for_deletion: mode & SHM_REMOVED != 0,
            }
        })
        .collect())
}

pub(crate) fn set_list() -> Result<Vec<SemaphoreStat>> {
    let lines = listing("sem", "list System V semaphores")?;
    Ok(lines
        .iter()
        .map(|words| {
            let (key, id, mode) = head(words);
            SemaphoreStat {
                id,
                key,
                count: u32::try_from(column(words, 3)).unwrap_or(0),
                owner: u32::try_from(column(words, 4)).unwrap_or(u32::MAX),
                mode: mode & 0o777,
                used_at: time(column(words, 8)),
                changed_at: time(column(words, 9)),
            }
        })
        .collect())
}

pub(crate) fn queue_list() -> Result<Vec<QueueStat>> {
    let lines = listing("msg", "list System V queues")?;
    Ok(lines
        .iter()
        .map(|words| {
            let (key, id, mode) = head(words);
            QueueStat {
                id,
                key,
                len: column(words, 4).cast_unsigned(),
                bytes: column(words, 3).cast_unsigned(),
                max_bytes: unix::msg_stat(id, key).ok().and_then(|stat| stat.max_bytes),
                last_sender_pid: pid(column(words, 5)),
                last_receiver_pid: pid(column(words, 6)),
                owner: u32::try_from(column(words, 7)).unwrap_or(u32::MAX),
                mode: mode & 0o777,
                sent_at: time(column(words, 11)),
                received_at: time(column(words, 12)),
                changed_at: time(column(words, 13)),
            }
        })
        .collect())
}

#[cfg(test)]
#[path = "sysv_system_tests.rs"]
mod tests;
