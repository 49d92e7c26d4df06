//! What a forked child must not inherit: the handles whose locks say that the parent is alive.
//!
//! A child made by `fork` without `exec` shares its parent's open files, and so would keep the parent's locks held after
//! the parent's death. Handles registered here are closed in the child. Spawning a program (`exec`) needs none of this.

use crate::file::Handle;

/// Closes `handle` in every child forked from now on, until [`forget`].
///
/// # Platform-specific behavior
/// Only Unix forks; elsewhere this does nothing.
pub fn close_in_child(handle: &Handle) {
    crate::os::fork::close_in_child(handle);
}

/// Ends what [`close_in_child`] began; call it before the handle is closed.
pub fn forget(handle: &Handle) {
    crate::os::fork::forget(handle);
}

/// How many forks lie between this process and the first one that asked: differs between parent and child.
#[must_use]
pub fn generation() -> u32 {
    crate::os::fork::generation()
}
