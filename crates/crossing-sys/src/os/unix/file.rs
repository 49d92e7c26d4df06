//! A handle is a file descriptor, closed on drop and on exec.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An owned handle of the operating system: a file descriptor on Unix, a `HANDLE` on Windows.
#[derive(Debug)]
pub struct Handle(pub(crate) OwnedFd);

impl From<OwnedFd> for Handle {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Handle> for OwnedFd {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Handle {
    /// Another handle of the same opening: it shares the opening's locks.
    ///
    /// # Errors
    /// The operating system's: too many open handles.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}
