//! Deadlines as the kernel wants them.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// `deadline` as CLOCK_MONOTONIC counts; an `Instant` is of that clock (Linux, FreeBSD) but hides its origin, which is
/// found out once: no clock is read here afterwards.
pub(crate) fn monotonic(deadline: Instant) -> libc::timespec {
    static ORIGIN: OnceLock<(Instant, Duration)> = OnceLock::new();
    let (instant, time) = *ORIGIN.get_or_init(|| {
        // The tightest of a few looks, and its later end: a deadline is told some nanoseconds late, never early.
        let look = || {
            let (before, instant, after) = (now(), Instant::now(), now());
            (after.saturating_sub(before), (instant, after))
        };
        let looks: [_; 8] = std::array::from_fn(|_| look());
        looks.into_iter().min_by_key(|(gap, _)| *gap).map_or_else(|| look().1, |(_, origin)| origin)
    });
    timespec(match deadline.checked_duration_since(instant) {
        Some(after) => time.saturating_add(after),
        None => time.saturating_sub(instant.saturating_duration_since(deadline)),
    })
}

/// CLOCK_MONOTONIC.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A length of time, or a point of it since its clock's origin. What does not fit becomes the furthest that does.
pub(crate) fn timespec(time: Duration) -> libc::timespec {
    // Nanoseconds are below 1,000,000,000: they fit the 32 bits that c_long has at least.
    match libc::time_t::try_from(time.as_secs()) {
        Ok(tv_sec) => libc::timespec { tv_sec, tv_nsec: time.subsec_nanos() as libc::c_long },
        Err(_) => libc::timespec { tv_sec: libc::time_t::MAX, tv_nsec: 0 },
    }
}
