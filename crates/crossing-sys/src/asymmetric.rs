//! A fence for two processes that costs only one of them.
//!
//! The usual "write mine, then read yours" of two processes needs a full fence on both sides. Where one side does it for
//! every message and the other one seldom, before it sleeps, the seldom side can fence for both: it interrupts the
//! processors on which the others run.
//!
//! The frequent side registers once, says in shared memory that it has ([`register`]), and from then on uses
//! [`light`], which costs nothing. The seldom side calls [`heavy`] where its fence would be. If that fails it cannot know
//! what the other one has not seen, and has to look again after a short time.

use std::sync::atomic::{Ordering, compiler_fence};

/// Makes [`heavy`] of other processes fence this one as well; whether it does. Once registered stays so.
///
/// # Platform-specific behavior
/// Linux 4.16 and newer: membarrier(2), MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED; some milliseconds the first time in a
/// process with several threads. Elsewhere, and where a sandbox forbids it: `false`.
#[must_use]
pub fn register() -> bool {
    use std::sync::OnceLock;
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(crate::os::asymmetric::register)
}

/// The frequent side's fence, in a process that [`register`]ed: between its write and its read.
#[inline]
pub fn light() {
    compiler_fence(Ordering::SeqCst);
}

/// A full fence here and in every registered process; `false` if that cannot be had, and then there was none elsewhere.
///
/// # Platform-specific behavior
/// Linux: membarrier(2), MEMBARRIER_CMD_GLOBAL_EXPEDITED, about a microsecond. Elsewhere: `false`.
#[must_use]
pub fn heavy() -> bool {
    crate::os::asymmetric::heavy()
}
