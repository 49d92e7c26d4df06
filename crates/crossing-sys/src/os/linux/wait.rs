//! futex(2), futex_waitv(2), and the death bell on the thread's robust list.
#![allow(unsafe_code)] // raw system calls; writes to the thread's own robust list head

use crate::os::unix::{clock, turns};
use crate::wait::{Sleeper, WaitEnd, WaitSpace};
use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, compiler_fence};
use std::time::Instant;

/// The death bell does it, and the lock of the dead.
pub(crate) const WATCHES_DEATH: bool = false;

/// The kernel keeps the sleepers: nothing to remember.
#[derive(Debug, Default)]
pub(crate) struct Room;

fn end_of(outcome: libc::c_long) -> WaitEnd {
    if outcome >= 0 {
        return WaitEnd::Woken;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => WaitEnd::Changed,
        Some(libc::ETIMEDOUT) => WaitEnd::TimedOut,
        _ => WaitEnd::Woken, // EINTR, and faults: the caller looks at its word again
    }
}

pub(crate) fn wait(
    _: &WaitSpace,
    word: &AtomicU32,
    expected: u32,
    deadline: Option<Instant>,
    _: Sleeper,
) -> WaitEnd {
    wait_one(word, expected, deadline)
}

fn wait_one(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> WaitEnd {
    let until = deadline.map(clock::monotonic);
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    // FUTEX_WAIT_BITSET takes an absolute deadline on CLOCK_MONOTONIC: no drift when a signal interrupts.
    // SAFETY: the word is a live atomic, `until` is null or a timespec that lives through the call.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            until,
            ptr::null::<u32>(),
            u32::MAX,
        )
    };
    end_of(outcome)
}

#[repr(C)]
struct Waitv {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// The time of the newer system calls: 64 bits, on machines of 32 bits as well.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl From<libc::timespec> for Timespec {
    #[allow(clippy::useless_conversion)] // the C library's have 32 bits on some machines
    fn from(time: libc::timespec) -> Self {
        Self { seconds: time.tv_sec.into(), nanoseconds: time.tv_nsec.into() }
    }
}

const FUTEX2_SIZE_U32: u32 = 2;

/// Set when the kernel turns out to have no futex_waitv (before 5.16, or refused by seccomp).
static NO_WAITV: AtomicBool = AtomicBool::new(false);

pub(crate) fn wait_any(
    _: &WaitSpace,
    words: &[(&AtomicU32, u32)],
    deadline: Option<Instant>,
    _: Sleeper,
) -> WaitEnd {
    if let [(word, expected)] = words {
        return wait_one(word, *expected, deadline);
    }
    // Relaxed: a flag that only ever becomes true; seeing it late costs one more refused call.
    if NO_WAITV.load(Ordering::Relaxed) {
        return turns::wait_any(words, deadline, wait_one);
    }
    let mut list = [const { Waitv { value: 0, address: 0, flags: FUTEX2_SIZE_U32, reserved: 0 } }; 128];
    for (entry, (word, expected)) in list.iter_mut().zip(words) {
        entry.value = u64::from(*expected);
        entry.address = word.as_ptr() as u64;
    }
    let until = deadline.map(clock::monotonic).map(Timespec::from);
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the list holds `words.len()` valid entries, `until` is null or a timespec that lives through the call.
    let outcome = unsafe {
        libc::syscall(libc::SYS_futex_waitv, list.as_ptr(), words.len(), 0_u32, until, libc::CLOCK_MONOTONIC)
    };
    if outcome < 0 && matches!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) {
        NO_WAITV.store(true, Ordering::Relaxed);
        return turns::wait_any(words, deadline, wait_one);
    }
    end_of(outcome)
}

pub(crate) fn wake(_: &WaitSpace, word: &AtomicU32, count: u32, _: &dyn Fn(u32) -> bool) {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    // SAFETY: the word is a live atomic; waking has no other requirement.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

pub(crate) fn sweep(_: &WaitSpace, _: &dyn Fn(u32) -> bool) {}

/// The head of a thread's robust list (linux/futex.h).
#[repr(C)]
struct RobustListHead {
    list: *mut libc::c_void,
    futex_offset: libc::c_long,
    list_op_pending: Cell<*mut libc::c_void>,
}

/// Stands for "asked, and this thread has no robust list".
const NONE: *const RobustListHead = ptr::without_provenance(1);

thread_local! {
    static HEAD: Cell<*const RobustListHead> = const { Cell::new(ptr::null()) };
    static OFFSET: Cell<isize> = const { Cell::new(0) };
}

#[cold]
fn find_head() -> *const RobustListHead {
    let mut head: *const RobustListHead = ptr::null();
    let mut len = 0_usize;
    // SAFETY: pid 0 is this thread; both out-pointers are valid for writes.
    let outcome = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut len) };
    let found = if outcome == 0 && !head.is_null() && len == size_of::<RobustListHead>() {
        // SAFETY: the kernel returned the head that this thread registered (glibc does so when a thread starts), which
        // lives in the thread's own control block as long as the thread.
        OFFSET.set(unsafe { (*head).futex_offset } as isize);
        head
    } else {
        NONE
    };
    HEAD.set(found);
    found
}

#[inline]
fn head() -> Option<&'static RobustListHead> {
    let mut head = HEAD.get();
    if head.is_null() {
        head = find_head();
    }
    if head == NONE {
        return None;
    }
    // SAFETY: `find_head` stored a pointer into this thread's own control block, valid as long as this thread runs, and
    // the reference does not leave it (the callers use it at once). Its fields are only touched by this thread, and by
    // the kernel after the thread has stopped for good.
    Some(unsafe { &*head })
}

/// What the kernel must find as pending so that it looks at `word`: it adds the offset to it and reads only the sum.
#[inline]
fn pending_for(word: &AtomicU32) -> *mut libc::c_void {
    word.as_ptr().cast::<libc::c_void>().wrapping_byte_offset(OFFSET.get().wrapping_neg())
}

#[inline]
pub(crate) fn ring_on_death(word: &AtomicU32) -> bool {
    let Some(head) = head() else { return false };
    if !head.list_op_pending.get().is_null() {
        return false;
    }
    head.list_op_pending.set(pending_for(word));
    // The kernel reads it after this thread stopped: program order is enough, so only the compiler must keep it.
    compiler_fence(Ordering::SeqCst);
    true
}

#[inline]
pub(crate) fn unring(word: &AtomicU32) {
    compiler_fence(Ordering::SeqCst);
    if let Some(head) = head()
        && head.list_op_pending.get() == pending_for(word)
    {
        head.list_op_pending.set(ptr::null_mut());
    }
}
