//! No shared files here yet.

use crate::file::{Access, Handle};
use crate::shared_file::{FileId, Shortage};
use std::io;

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn anonymous(_: &str, _: bool) -> io::Result<Handle> {
    none()
}

pub(crate) fn check(_: &Handle) -> io::Result<bool> {
    none()
}

pub(crate) fn len(_: &Handle) -> io::Result<u64> {
    none()
}

pub(crate) fn identity(_: &Handle) -> io::Result<FileId> {
    none()
}

pub(crate) fn owner(_: &Handle) -> io::Result<u64> {
    none()
}

pub(crate) fn access(_: &Handle) -> io::Result<Access> {
    none()
}

pub(crate) fn changed_nanos(_: &Handle) -> io::Result<u64> {
    none()
}

pub(crate) fn allocate(_: &Handle, len: u64) -> Result<(), Shortage> {
    match len {
        u64::MAX => Err(Shortage::Space { need: len, have: 0, fix: String::new() }),
        _ => Err(Shortage::Other(io::ErrorKind::Unsupported.into())),
    }
}

pub(crate) fn seal_size(_: &Handle) -> io::Result<()> {
    none()
}

pub(crate) fn is_size_sealed(_: &Handle) -> bool {
    false
}

pub(crate) fn reopen(_: &Handle, _: bool) -> io::Result<Handle> {
    none()
}

pub(crate) fn read_at(_: &Handle, _: u64, _: &mut [u8]) -> io::Result<usize> {
    none()
}

pub(crate) fn create_posix(_: &str, _: Access) -> io::Result<Handle> {
    none()
}

pub(crate) fn open_posix(_: &str, _: bool) -> io::Result<Handle> {
    none()
}

pub(crate) fn remove_posix(_: &str) -> io::Result<()> {
    none()
}
