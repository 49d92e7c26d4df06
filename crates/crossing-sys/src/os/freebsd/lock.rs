//! Record locks of a lock file: FreeBSD has no locks of an opening.
//! Type-checked only: no FreeBSD was at hand to run it on; the record locks themselves are tested on Linux.

pub(crate) use crate::os::unix::record_lock::{is_locked_elsewhere, release, try_lock, unlock};
