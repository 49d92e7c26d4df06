//! Locks on numbered slots of a file, which the kernel releases when the process that holds them dies.
//!
//! This is Crossing's proof of death: a slot that can be locked has no living owner, in whatever PID namespace it was.
//! A [`LockFile`] is one *opening* of a file; two openings contend even inside one process, clones of a handle do not.
//!
//! Source: fcntl_locking(2) (open file description locks), `LockFileEx` on Windows.

use crate::file::Handle;
use std::io;
use std::time::{Duration, Instant};

/// One opening of a file whose slots can be locked exclusively.
#[derive(Debug)]
pub struct LockFile(pub(crate) Handle);

impl LockFile {
    /// Uses `handle`, which must be an opening of its own (not a duplicate or an inherited or received handle).
    ///
    /// The handle is closed in a forked child, so that the child does not keep its parent's locks alive.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        crate::fork::close_in_child(&handle);
        Self(handle)
    }

    /// Locks `slot` if nobody else holds it; `false` if somebody does.
    ///
    /// # Errors
    /// The operating system's: the handle is not writable, or the file system has no locks.
    pub fn try_lock(&self, slot: u32) -> io::Result<bool> {
        crate::os::lock::try_lock(&self.0, slot)
    }

    /// Locks `slot`, waiting until `deadline` (`None`: without end); `false` when the time ran out.
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock).
    pub fn lock_deadline(&self, slot: u32, deadline: Option<Instant>) -> io::Result<bool> {
        let mut pause = Duration::from_micros(50);
        loop {
            if self.try_lock(slot)? {
                return Ok(true);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            std::thread::sleep(left.map_or(pause, |left| left.min(pause)));
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// Releases `slot`; no effect if this opening does not hold it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn unlock(&self, slot: u32) -> io::Result<()> {
        crate::os::lock::unlock(&self.0, slot)
    }

    /// Whether another opening holds `slot` now. Never disturbs the holder, needs only read access to the file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_locked_elsewhere(&self, slot: u32) -> io::Result<bool> {
        crate::os::lock::is_locked_elsewhere(&self.0, slot)
    }

    /// Whether `path` still names the file that this has open: it may have been removed, or replaced, meanwhile.
    #[must_use]
    pub fn is_at(&self, path: &std::path::Path) -> bool {
        crate::directory::names(path, &self.0)
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        crate::fork::forget(&self.0);
    }
}
