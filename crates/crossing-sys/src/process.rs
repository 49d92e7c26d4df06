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

/// What [`std::process::Child::kill`] uses to end a process, as its manual calls it.
///
/// # Platform-specific behavior
/// Unix: `SIGKILL`, signal(7). Windows: `TerminateProcess`.
#[must_use]
pub fn kill_name() -> &'static str {
    crate::os::process::KILL_NAME
}

/// Whether a process ended as one does that [`std::process::Child::kill`] has ended.
///
/// # Platform-specific behavior
/// Unix: it died by SIGKILL, and not by its own doing; wait(2). Windows: its exit code is the 1 that `kill` gives to
/// `TerminateProcess`, which a process may also choose itself.
#[must_use]
pub fn looks_killed(status: std::process::ExitStatus) -> bool {
    crate::os::process::looks_killed(status)
}

/// 16 bytes that no other caller gets, from the system's source of randomness.
///
/// # Errors
/// The operating system's, where it has no such source.
pub fn random_identity() -> std::io::Result<[u8; 16]> {
    crate::os::process::random_identity()
}
