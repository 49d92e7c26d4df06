//! pthread_atfork(3): the child handler runs before any other code of the child, and calls only open(2), dup2(2),
//! fcntl(2) and close(2), which are async-signal-safe. It puts /dev/null in the place of each registered descriptor rather than closing
//! it, so that the handle's later drop closes what it owns and not a stranger's file. The table is a fixed array of atomics, so that the handler needs no lock.
//!
//! States of an entry: 0 = free; n + 1 = descriptor n is closed in the child. Entries are claimed by compare-exchange;
//! when all are taken (more than [`TABLE`] lock files in one process) further handles stay unregistered: a child then
//! keeps those parents' locks until it execs or exits.
#![allow(unsafe_code)] // pthread_atfork, open, dup2, fcntl, close

use crate::file::Handle;
use std::os::fd::AsRawFd;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

const TABLE: usize = 16 * 1024;
static ENTRIES: [AtomicI32; TABLE] = [const { AtomicI32::new(0) }; TABLE];
/// One past the highest entry ever used.
static USED: AtomicU32 = AtomicU32::new(0);
static GENERATION: AtomicU32 = AtomicU32::new(0);
static REGISTER: Once = Once::new();

extern "C" fn in_child() {
    // Relaxed: the child has one thread, and fork orders it after everything its parent's forking thread did.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    let used = USED.load(Ordering::Relaxed) as usize;
    if used == 0 {
        return;
    }
    // SAFETY: a valid C string; open is async-signal-safe.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    for entry in &ENTRIES[..used.min(TABLE)] {
        let value = entry.swap(0, Ordering::Relaxed);
        if value > 0 && null >= 0 {
            // SAFETY: the descriptor belongs to a registered handle that `forget` has not yet taken back, so it is open;
            // replacing the child's copy gives up its share of the locks and leaves the handle valid.
            unsafe { libc::dup2(null, value - 1) };
            // Not in one step (dup3), which macOS lacks: the child has one thread, which is here.
            // SAFETY: the descriptor was opened by the line above; the flag is a plain integer.
            unsafe { libc::fcntl(value - 1, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    if null >= 0 {
        // SAFETY: opened above and used by nobody else.
        unsafe { libc::close(null) };
    }
}

pub(crate) fn close_in_child(handle: &Handle) {
    REGISTER.call_once(|| {
        // SAFETY: the handler is a plain function that lives as long as the program.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    let value = handle.0.as_raw_fd() + 1;
    for (index, entry) in ENTRIES.iter().enumerate() {
        // Relaxed: only whole values are exchanged, nothing else is published through them.
        if entry.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            USED.fetch_max(index as u32 + 1, Ordering::Relaxed);
            return;
        }
    }
}

pub(crate) fn forget(handle: &Handle) {
    let value = handle.0.as_raw_fd() + 1;
    let used = USED.load(Ordering::Relaxed) as usize;
    for entry in &ENTRIES[..used.min(TABLE)] {
        // Relaxed: as above.
        if entry.compare_exchange(value, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}
