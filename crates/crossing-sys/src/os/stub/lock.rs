//! No slot locks here yet.

use crate::file::Handle;
use std::io;

pub(crate) fn try_lock(_: &Handle, _: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn unlock(_: &Handle, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_locked_elsewhere(_: &Handle, _: u32) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives up what is not bound to the handle: here all is, and goes with its closing.
pub(crate) fn release(_: &Handle) {}
