//! Windows programs do not fork.

use crate::file::Handle;

pub(crate) fn close_in_child(_: &Handle) {}

pub(crate) fn forget(_: &Handle) {}

pub(crate) fn generation() -> u32 {
    0
}
