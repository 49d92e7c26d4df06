//! The process at the other end of a local socket.

use crate::link::{Link, until};
use crate::{Error, ErrorKind, RawStream, Result, Stream};
use crossing_sys::local::Wait;
use crossing_sys::peer;
use std::io;
use std::time::{Duration, Instant};

const OPERATION: &str = "watch the process at the other end of";

/// A process at the other end of a local socket: the one that connected or, seen from a client, that listened. It is held,
/// so that its id may go to another process meanwhile ([`Stream::peer_process`]).
///
/// It may have given its end of the connection to another process: its end is not always that of the connection.
///
/// ```
/// use crossing_net::{Endpoint, Listener, Stream};
/// use std::time::Duration;
/// let endpoint = Endpoint::local(&format!("doc-process-{}", std::process::id()))?;
/// let listener = Listener::bind(&endpoint)?;
/// let client = Stream::connect(&endpoint)?;
/// let server = client.peer_process()?;
/// // It is this process, which does not end while it waits for that.
/// assert!(server.is_running() && server.wait_timeout(Duration::from_millis(1)).is_err());
/// # Ok::<(), crossing_net::Error>(())
/// ```
///
/// On Unix it is a descriptor (`AsFd`), on Windows a handle (`AsHandle`), that event loops can wait on: ready once the
/// process has ended.
///
/// # Platform-specific behavior
/// Linux: a pidfd, which the kernel gives for the socket since 6.5 (SO_PEERPIDFD). Older kernels, macOS and FreeBSD: found
/// by the id that the kernel noted when the connection was made; if the process is gone, that may be another one's by then.
#[derive(Debug)]
pub struct PeerProcess {
    process: peer::PeerProcess,
    name: String,
}

impl PeerProcess {
    pub(crate) fn of(link: &Link) -> Result<Self> {
        let Some(local) = link.local() else {
            return Err(link
                .fault(ErrorKind::Unsupported, OPERATION)
                .detail("the network does not tell which process is there")
                .fix("use unix:PATH, or pipe:NAME on Windows"));
        };
        match local.peer_process() {
            Ok(process) => Ok(Self { process, name: link.name().to_owned() }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(link
                .error(cause, OPERATION)
                .detail("it has ended, or lives where this process cannot see it")),
            Err(cause) => Err(link.error(cause, OPERATION)),
        }
    }

    /// Whether it runs; a stopped process does, one that ended does not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Waits without end until it has ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn wait(&self) -> Result<()> {
        self.wait_deadline(None)
    }

    /// Waits until it has ended, at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and those of the system.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        self.wait_deadline(Instant::now().checked_add(timeout))
    }

    /// Waits until it has ended, at most until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and those of the system.
    pub fn wait_deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<()> {
        let wait: Wait = until(deadline.into());
        self.process
            .wait_end(wait)
            .map_err(|cause| Error::os(cause, "wait for the end of the process of", self.name.clone()))
    }
}

#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsFd for PeerProcess {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.process.as_fd()
    }
}

#[cfg(all(windows, not(crossing_os_stub)))]
impl std::os::windows::io::AsHandle for PeerProcess {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.process.as_handle()
    }
}

impl Stream {
    /// The process at the other end, to wait for its death. Over local sockets alone.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] over TCP and TLS, [`ErrorKind::NotFound`] when the process has ended or cannot be seen from
    /// here, and those of the system.
    pub fn peer_process(&self) -> Result<PeerProcess> {
        PeerProcess::of(self.link())
    }
}

impl RawStream {
    /// As [`Stream::peer_process`].
    ///
    /// # Errors
    /// As [`Stream::peer_process`].
    pub fn peer_process(&self) -> Result<PeerProcess> {
        PeerProcess::of(self.link())
    }
}
