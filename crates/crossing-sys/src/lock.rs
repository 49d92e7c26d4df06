//! Locks on numbered slots of a file, which the kernel releases when the process that holds them dies.
//!
//! This is Crossing's proof of death: a slot that can be locked has no living owner, in whatever PID namespace it was.
//! A [`LockFile`] is one *opening* of a file; two openings contend even inside one process, clones of a handle do not.
//!
//! Which slots this opening holds is kept here as well: asking about a slot of one's own costs no system call, and never
//! disturbs it (`LockFileEx` would let a question about one's own lock take it apart).
//!
//! Source: fcntl_locking(2) (open file description locks), `LockFileEx` on Windows.
//!
//! # Platform-specific behavior
//! Windows: whoever may read the file may lock it, and the question [`LockFile::is_locked_elsewhere`] locks the slot,
//! shared, for a moment: a [`LockFile::try_lock`] at that moment answers `false` although nobody owns the slot.
//!
//! FreeBSD, and a macOS without F_OFD_SETLK: record locks of a file in `/tmp/crossing-locks-UID` (`os/unix/record_lock.rs`).

use crate::file::Handle;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Slots are numbered from 0 up to this, exclusively.
pub const MAX_SLOTS: u32 = 1024;

/// One opening of a file whose slots can be locked exclusively.
#[derive(Debug)]
pub struct LockFile {
    handle: Handle,
    /// One bit per slot that this opening holds.
    held: [AtomicU64; MAX_SLOTS as usize / 64],
}

impl LockFile {
    /// Uses `handle`, which must be an opening of its own (not a duplicate or an inherited or received handle).
    ///
    /// The handle is closed in a forked child, so that the child does not keep its parent's locks alive.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        crate::fork::close_in_child(&handle);
        Self { handle, held: [const { AtomicU64::new(0) }; MAX_SLOTS as usize / 64] }
    }

    /// The place of `slot` in [`Self::held`].
    fn bit(&self, slot: u32) -> io::Result<(&AtomicU64, u64)> {
        let word = self.held.get(slot as usize / 64);
        let word = word.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such slot"))?;
        Ok((word, 1 << (slot % 64)))
    }

    /// Locks `slot` if nobody else holds it; `false` if somebody does.
    ///
    /// # Errors
    /// The operating system's: the handle is not writable, or the file system has no locks; `InvalidInput` for a slot
    /// beyond [`MAX_SLOTS`].
    pub fn try_lock(&self, slot: u32) -> io::Result<bool> {
        let (word, bit) = self.bit(slot)?;
        // Relaxed: the bits say what this opening did; nothing else is read on the strength of them.
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(true);
        }
        let locked = crate::os::lock::try_lock(&self.handle, slot)?;
        if locked {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(locked)
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
        let (word, bit) = self.bit(slot)?;
        if word.fetch_and(!bit, Ordering::Relaxed) & bit == 0 {
            return Ok(());
        }
        crate::os::lock::unlock(&self.handle, slot)
    }

    /// Whether another opening holds `slot` now. Never disturbs the holder, needs only read access to the file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_locked_elsewhere(&self, slot: u32) -> io::Result<bool> {
        let (word, bit) = self.bit(slot)?;
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(false);
        }
        crate::os::lock::is_locked_elsewhere(&self.handle, slot)
    }

    /// Whether `path` still names the file that this has open: it may have been removed, or replaced, meanwhile.
    #[must_use]
    pub fn is_at(&self, path: &std::path::Path) -> bool {
        crate::directory::names(path, &self.handle)
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        crate::os::lock::release(&self.handle);
        crate::fork::forget(&self.handle);
    }
}
