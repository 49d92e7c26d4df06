//! The process at the other end of a local socket.

use super::{attempt, failed, register};
use crate::Result;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

#[derive(Debug)]
struct Watched(crate::PeerProcess);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// A [`PeerProcess`](crate::PeerProcess) for tokio.
#[derive(Debug)]
pub struct PeerProcess(AsyncFd<Watched>);

impl PeerProcess {
    /// Makes one of a process that is waited for otherwise.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn from_blocking(process: crate::PeerProcess) -> Result<Self> {
        match register(Watched(process), Interest::READABLE) {
            Ok(watched) => Ok(Self(watched)),
            Err(cause) => Err(failed(cause, "a process")),
        }
    }

    /// The process, to be waited for without tokio.
    #[must_use]
    pub fn into_blocking(self) -> crate::PeerProcess {
        self.0.into_inner().0
    }

    /// As [`crate::PeerProcess::is_running`].
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.get_ref().0.is_running()
    }

    /// Waits until it has ended.
    ///
    /// # Cancel safety
    /// Safe: it only looks.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn wait(&self) -> Result<()> {
        attempt(&self.0, Interest::READABLE, "a process", |_| None, || Ok((!self.is_running()).then_some(())))
            .await
    }
}
