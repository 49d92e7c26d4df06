//! A handle is a `HANDLE`, closed on drop, not inherited by programs started.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};

/// An owned handle of the operating system: a file descriptor on Unix, a `HANDLE` on Windows.
#[derive(Debug)]
pub struct Handle(pub(crate) OwnedHandle);

impl From<OwnedHandle> for Handle {
    fn from(handle: OwnedHandle) -> Self {
        Self(handle)
    }
}

impl From<Handle> for OwnedHandle {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

impl AsHandle for Handle {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
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
