//! No mappings here yet.

use crate::file::Handle;
use crate::map::{LockRefused, MapOptions};
use std::io;
use std::ptr::NonNull;

pub(crate) fn map(_: &Handle, _: usize, _: &MapOptions) -> io::Result<NonNull<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn lock(_: NonNull<u8>, _: usize) -> Result<(), LockRefused> {
    Err(LockRefused { cause: io::ErrorKind::Unsupported.into(), limit: None })
}

pub(crate) fn unmap(_: NonNull<u8>, _: usize) {}

pub(crate) fn huge_advice_works() -> Result<(), &'static str> {
    Err("there are no segments on this platform yet")
}

pub(crate) fn huge_page_len() -> usize {
    2 << 20
}
