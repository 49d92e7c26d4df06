//! No shared memory here yet.

use crate::file::{Access, Handle};
use crate::memory::HugePages;
use std::io;
use std::path::{Path, PathBuf};

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn create(_: &Path, _: Access) -> io::Result<Handle> {
    unsupported()
}
pub(crate) fn open(_: &Path, _: bool) -> io::Result<Handle> {
    unsupported()
}
pub(crate) fn anonymous(_: &str, _: HugePages) -> io::Result<Handle> {
    unsupported()
}
pub(crate) fn seal(_: &Handle) -> io::Result<()> {
    unsupported()
}
pub(crate) fn is_sealed(_: &Handle) -> io::Result<bool> {
    unsupported()
}
pub(crate) fn allocate(_: &Handle, _: u64) -> io::Result<()> {
    unsupported()
}
pub(crate) fn is_no_space(_: &io::Error) -> bool {
    false
}
pub(crate) fn free_space(_: &Handle) -> io::Result<(u64, String)> {
    unsupported()
}
pub(crate) fn len(_: &Handle) -> io::Result<u64> {
    unsupported()
}
pub(crate) fn reopen(_: &Handle, _: bool) -> io::Result<Handle> {
    unsupported()
}
pub(crate) fn posix_directory() -> PathBuf {
    std::env::temp_dir()
}

/// A mapping.
#[derive(Debug)]
pub(crate) enum Map {}

impl Map {
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        match *self {}
    }
    pub(crate) fn len(&self) -> usize {
        match *self {}
    }
}

pub(crate) fn map(_: &Handle, _: usize, _: bool) -> io::Result<Map> {
    unsupported()
}
pub(crate) fn advise_huge(_: &Map) -> io::Result<()> {
    unsupported()
}
pub(crate) fn lock(_: &Map) -> io::Result<()> {
    unsupported()
}
pub(crate) fn lock_limit() -> String {
    String::new()
}
