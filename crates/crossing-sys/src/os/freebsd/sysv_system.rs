//! What FreeBSD says of System V objects: its limits by sysctl(8), and constants of its <sys/sem.h>.
//! Type-checked only: no FreeBSD was at hand to run it on.

pub(crate) use super::sysv_bsd::*;
pub(crate) use libc::{msgctl, msgget, msglen_t, msgrcv, msgsnd, msqid_ds};

use crate::os::unix::sysv::{Figure, Limit};

// <sys/sem.h>: the crate `libc` has them not.
pub(crate) const SEM_UNDO: libc::c_int = 0o10000;
pub(crate) const GETVAL: libc::c_int = 5;
pub(crate) const SETVAL: libc::c_int = 8;

pub(crate) fn limit(limit: Limit) -> Figure {
    let name = match limit {
        Limit::SegmentLen => "kern.ipc.shmmax",
        Limit::Segments => "kern.ipc.shmmni",
        Limit::AllSegments => "kern.ipc.shmall",
        Limit::SetLen => "kern.ipc.semmsl",
        Limit::Semaphores => "kern.ipc.semmns",
        Limit::Sets => "kern.ipc.semmni",
        Limit::MessageLen => "kern.ipc.msgmax",
        Limit::QueueLen => "kern.ipc.msgmnb",
        Limit::Queues => "kern.ipc.msgmni",
    };
    Figure { name, part: "", now: number(name) }
}

/// The bytes of the pages that are free; 0 if the kernel does not say.
pub(crate) fn free_memory() -> u64 {
    number("vm.stats.vm.v_free_count").unwrap_or(0).saturating_mul(rustix::param::page_size() as u64)
}

/// The bytes that wait in a queue.
pub(crate) fn queue_bytes(data: &msqid_ds) -> msglen_t {
    data.msg_cbytes
}
