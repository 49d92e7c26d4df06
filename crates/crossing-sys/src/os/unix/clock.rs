//! Deadlines as the kernel wants them.

use std::time::{Duration, Instant};

/// `deadline` as CLOCK_MONOTONIC counts; an `Instant` is of that clock (Linux, FreeBSD) but hides its origin.
pub(crate) fn monotonic(deadline: Instant) -> libc::timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0));
    timespec(now.saturating_add(left))
}

/// A length of time, or a point of it since its clock's origin. What does not fit becomes the furthest that does.
pub(crate) fn timespec(time: Duration) -> libc::timespec {
    // Nanoseconds are below 1,000,000,000: they fit the 32 bits that c_long has at least.
    match libc::time_t::try_from(time.as_secs()) {
        Ok(tv_sec) => libc::timespec { tv_sec, tv_nsec: time.subsec_nanos() as libc::c_long },
        Err(_) => libc::timespec { tv_sec: libc::time_t::MAX, tv_nsec: 0 },
    }
}
