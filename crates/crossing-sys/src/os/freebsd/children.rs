//! The end of a process by kqueue(2); the signals are the same on every Unix.
//! Type-checked only: no FreeBSD was at hand to run it on.

#[path = "../unix/kqueue.rs"]
mod kqueue;

pub(crate) use crate::os::unix::children::*;
pub(crate) use kqueue::Watched;

use std::io;

pub(crate) fn become_user(_: u32, _: u32, _: &[u32]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
