//! No way to forbid system calls to oneself.

use std::io;

pub(crate) fn keep() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn break_with(_: &[u8]) -> ! {
    std::process::exit(0)
}
