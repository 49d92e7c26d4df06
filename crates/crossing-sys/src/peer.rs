//! The process at the other end of a local socket, held so that its id may go to another one.
//!
//! Nothing in Crossing concludes a death from an id. This is a handle of the process itself, which the kernel gives for
//! the socket where it can.
//!
//! # Platform-specific behavior
//! Linux: SO_PEERPIDFD of unix(7), since 6.5; before that pidfd_open(2) of the id that the kernel noted when the
//! connection was made, which is of another process if the peer is gone by then and its id given away. Windows: a handle of
//! the process, whose user is compared with the one who connected. macOS and FreeBSD (type-checked only): kqueue(2), by the
//! id as before Linux 6.5.

use crate::local::{LocalStream, Wait};
use crate::os::children::Watched;
use std::io;

/// A process at the other end of a local socket: the one that connected or, seen from a client, that listened.
///
/// It may have given the socket to another one; the end of this process is not always the end of the connection.
///
/// On Unix it is a pollable descriptor (`AsFd`), on Windows a handle to wait on (`AsHandle`), ready once the process has
/// ended.
#[derive(Debug)]
pub struct PeerProcess(Watched);

impl PeerProcess {
    /// Whether it runs; a stopped process does, one that ended does not, reaped or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] and [`io::ErrorKind::TimedOut`] according to `wait`, and those of the system.
    pub fn wait_end(&self, wait: Wait) -> io::Result<()> {
        let (deadline, late) = match wait {
            Wait::Never if self.is_running() => return Err(io::ErrorKind::WouldBlock.into()),
            Wait::Never => return Ok(()),
            Wait::Until(at) => (Some(at), io::ErrorKind::TimedOut),
            Wait::Forever => (None, io::ErrorKind::TimedOut),
        };
        if self.0.has_ended(deadline)? { Ok(()) } else { Err(late.into()) }
    }
}

#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsFd for PeerProcess {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(all(windows, not(crossing_os_stub)))]
impl std::os::windows::io::AsHandle for PeerProcess {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl LocalStream {
    /// The process at the other end.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when it has ended and nothing is known of it any more, or when this process cannot see
    /// it (another PID namespace); those of the system.
    pub fn peer_process(&self) -> io::Result<PeerProcess> {
        Watched::of_peer(&self.0).map(PeerProcess)
    }
}

#[cfg(all(test, any(unix, windows), not(crossing_os_stub)))]
#[path = "peer_tests.rs"]
mod tests;
