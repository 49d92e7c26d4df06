//! Clocks, life and randomness of processes.

use std::io;

/// Ends this process at once, as `kill -9` does: nothing is flushed, dropped or unlocked by the program itself.
///
/// # Platform-specific behavior
/// Unix: SIGKILL to itself, kill(2). Elsewhere an abort.
pub fn kill_self() -> ! {
    crate::os::process::kill_self()
}

/// Nanoseconds of the clock that all processes of this machine share and that never goes back; meaningful only as a
/// difference.
///
/// # Platform-specific behavior
/// Linux: `CLOCK_MONOTONIC`, clock_gettime(2).
#[must_use]
pub fn monotonic_nanos() -> u64 {
    crate::os::process::monotonic_nanos()
}

/// Nanoseconds since 1970-01-01 UTC by the machine's clock; 0 if it is set before that.
#[must_use]
pub fn unix_nanos() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Sixteen random bytes of the operating system: an identity that nothing else has.
///
/// # Errors
/// The operating system's, on systems that have no source of randomness.
///
/// # Platform-specific behavior
/// Linux: getrandom(2).
pub fn random_identity() -> io::Result<[u8; 16]> {
    crate::os::process::random_identity()
}

/// A number for the user whom this process acts for: the same for all processes of the user.
#[must_use]
pub fn user_number() -> u64 {
    crate::os::process::user_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run_and_identities_differ() {
        let before = monotonic_nanos();
        assert!(monotonic_nanos() >= before && before > 0);
        assert!(unix_nanos() > 1_600_000_000_000_000_000);
        assert_ne!(random_identity().unwrap(), random_identity().unwrap());
    }
}
