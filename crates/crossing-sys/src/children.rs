//! Other processes as tests handle them: stopped, resumed, asked to end, killed, watched.
//!
//! Nothing in Crossing concludes anything from a process id (see [`crate::lock`] for how the death of an owner is told);
//! this module is for test programs, which hold on to the processes they started.

use std::io;
use std::process::Child;

/// Stops every thread of `child` until [`resume`]; stopped on return.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it has ended; else the operating system's.
///
/// # Platform-specific behavior
/// Unix: SIGSTOP. Windows: `NtSuspendProcess`; stops are counted, and as many resumes continue it.
pub fn stop(child: &Child) -> io::Result<()> {
    crate::os::children::stop(child)
}

/// Continues it after [`stop`].
///
/// # Errors
/// As [`stop`].
pub fn resume(child: &Child) -> io::Result<()> {
    crate::os::children::resume(child)
}

/// Asks it to end, as a service manager does.
///
/// # Errors
/// As [`stop`]; [`io::ErrorKind::Unsupported`] where there are no signals.
///
/// # Platform-specific behavior
/// Unix: SIGTERM. Windows: not supported.
pub fn terminate(child: &Child) -> io::Result<()> {
    crate::os::children::terminate(child)
}

/// Interrupts it as Ctrl-C does.
///
/// # Errors
/// As [`terminate`].
///
/// # Platform-specific behavior
/// Unix: SIGINT. Windows: not supported.
pub fn interrupt(child: &Child) -> io::Result<()> {
    crate::os::children::interrupt(child)
}

/// Kills the process `pid`, which the caller knows to be its own: a child that it has not waited for.
///
/// # Errors
/// The operating system's, also when there is no such process.
///
/// # Platform-specific behavior
/// Unix: SIGKILL. Windows: `TerminateProcess`.
pub fn kill(pid: u32) -> io::Result<()> {
    crate::os::children::kill(pid)
}

/// Goes on as another user, as a child does that must be somebody else than its test.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] unless this process is root's, [`io::ErrorKind::Unsupported`] where it is not
/// implemented.
///
/// # Platform-specific behavior
/// Linux: this thread alone, for good (setgroups, setgid and setuid without the C library). Elsewhere: not supported.
pub fn become_user(user: u32, group: u32, groups: &[u32]) -> io::Result<()> {
    crate::os::children::become_user(user, group, groups)
}

/// A process that was alive when it was opened, whatever becomes of its id.
#[derive(Debug)]
pub struct Watched(crate::os::children::Watched);

impl Watched {
    /// Begins to watch the process that has this id now.
    ///
    /// # Errors
    /// The operating system's, also when there is no such process.
    ///
    /// # Platform-specific behavior
    /// Linux: pidfd_open(2), so that the id may go to another process. Windows: a handle of the process. macOS,
    /// FreeBSD: kqueue(2).
    pub fn open(pid: u32) -> io::Result<Self> {
        crate::os::children::Watched::open(pid).map(Self)
    }

    /// Whether it runs; a stopped process does, one that ended does not, reaped or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }
}

#[cfg(test)]
#[path = "children_tests.rs"]
mod tests;
