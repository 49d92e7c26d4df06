//! This process and its clock.

/// Nanoseconds on the machine's monotonic clock: the same clock in every process of this machine since it started.
///
/// # Platform-specific behavior
/// Linux: clock_gettime(2) with CLOCK_MONOTONIC.
#[must_use]
pub fn monotonic_nanos() -> u64 {
    crate::os::process::monotonic_nanos()
}

/// A number for the user on whose behalf this process acts, as listings show it; 0 is the administrator on Unix.
#[must_use]
pub fn user_number() -> u32 {
    crate::os::process::user_number()
}

/// Ends this process at once as `kill -9` would: nothing is dropped, flushed or unwound. For crash tests.
pub fn kill_self() -> ! {
    crate::os::process::kill_self()
}

/// 16 bytes that no other caller gets, from the system's source of randomness.
///
/// # Errors
/// The operating system's, where it has no such source.
pub fn random_identity() -> std::io::Result<[u8; 16]> {
    crate::os::process::random_identity()
}
