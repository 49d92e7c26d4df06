//! What macOS says of System V objects: its limits by sysctl(8), and its <sys/msg.h>, which the crate `libc` has not.
//! Type-checked only: no macOS was at hand to run it on.
#![allow(unsafe_code)] // the System V calls of the C library

pub(crate) use super::sysv_bsd::*;
pub(crate) use libc::{GETVAL, SEM_UNDO, SETVAL};

use crate::os::unix::sysv::{Figure, Limit};
use libc::{c_int, c_long, c_ulong, c_void};

#[allow(non_camel_case_types)]
pub(crate) type msglen_t = c_ulong;

/// `struct __msqid_ds_new`, which 64-bit programs know as `struct msqid_ds`: its pragma packs it to 4 bytes.
#[allow(non_camel_case_types)]
#[repr(C, packed(4))]
pub(crate) struct msqid_ds {
    pub(crate) msg_perm: libc::ipc_perm,
    msg_first: i32,
    msg_last: i32,
    msg_cbytes: c_ulong,
    pub(crate) msg_qnum: c_ulong,
    pub(crate) msg_qbytes: c_ulong,
    pub(crate) msg_lspid: libc::pid_t,
    pub(crate) msg_lrpid: libc::pid_t,
    pub(crate) msg_stime: libc::time_t,
    msg_pad1: i32,
    pub(crate) msg_rtime: libc::time_t,
    msg_pad2: i32,
    pub(crate) msg_ctime: libc::time_t,
    msg_pad3: i32,
    msg_pad4: [i32; 4],
}

const _: () = assert!(size_of::<libc::ipc_perm>() == 24 && size_of::<msqid_ds>() == 116);

unsafe extern "C" {
    pub(crate) fn msgget(key: libc::key_t, flags: c_int) -> c_int;
    pub(crate) fn msgctl(id: c_int, command: c_int, data: *mut msqid_ds) -> c_int;
    pub(crate) fn msgsnd(id: c_int, message: *const c_void, len: usize, flags: c_int) -> c_int;
    pub(crate) fn msgrcv(id: c_int, message: *mut c_void, len: usize, number: c_long, flags: c_int) -> isize;
}

/// Those of messages are built into the kernel, in its sysv_msg.c: sysctl(8) does not name them.
pub(crate) fn limit(limit: Limit) -> Figure {
    let name = match limit {
        Limit::SegmentLen => "kern.sysv.shmmax",
        Limit::Segments => "kern.sysv.shmmni",
        Limit::AllSegments => "kern.sysv.shmall",
        Limit::SetLen => "kern.sysv.semmsl",
        Limit::Semaphores => "kern.sysv.semmns",
        Limit::Sets => "kern.sysv.semmni",
        Limit::MessageLen => return built_in(8 * 2048),
        Limit::QueueLen => return built_in(2048),
        Limit::Queues => return built_in(40),
    };
    Figure { name, part: "", now: number(name) }
}

fn built_in(number: u64) -> Figure {
    Figure { name: "", part: "", now: Some(number) }
}

/// The bytes of the pages that are free; 0 if the kernel does not say.
pub(crate) fn free_memory() -> u64 {
    number("vm.page_free_count").unwrap_or(0).saturating_mul(rustix::param::page_size() as u64)
}

/// The bytes that wait in a queue.
pub(crate) fn queue_bytes(data: &msqid_ds) -> msglen_t {
    data.msg_cbytes
}
