//! No shared memory here yet.

use crate::file::Handle;
use crate::memory::{HugePages, Storage};
use std::io;
use std::path::{Path, PathBuf};

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn create(_: &Path, _: &Storage) -> io::Result<(Handle, Backing)> {
    unsupported()
}
pub(crate) fn open(_: &Path, _: bool) -> io::Result<Handle> {
    unsupported()
}
pub(crate) fn anonymous(_: &str, _: HugePages) -> io::Result<(Handle, Backing)> {
    unsupported()
}
pub(crate) fn seal(_: &Handle) -> io::Result<()> {
    unsupported()
}
pub(crate) fn is_sealed(_: &Handle) -> io::Result<bool> {
    unsupported()
}
pub(crate) fn allocate(_: &Handle, _: &Backing, _: u64) -> io::Result<()> {
    unsupported()
}
pub(crate) fn is_no_space(_: &io::Error) -> bool {
    false
}
pub(crate) fn free_space(_: &Handle, _: &Backing) -> io::Result<(u64, String)> {
    unsupported()
}
pub(crate) fn len(_: &Handle) -> io::Result<u64> {
    unsupported()
}
pub(crate) fn reopen(_: &Handle, _: bool) -> io::Result<Handle> {
    unsupported()
}
pub(crate) fn posix_directory() -> Option<PathBuf> {
    None
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

pub(crate) fn map(_: &Handle, _: &Backing, _: usize, _: bool) -> io::Result<Map> {
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

/// Nothing.
#[derive(Debug, Default)]
pub(crate) struct Backing;

impl Backing {
    pub(crate) fn wants_large_pages(&self) -> bool {
        false
    }
}

pub(crate) const LARGE_PAGES_FIX: &str = "ask without large pages";
pub(crate) const LOCK_FIX: &str = "ask without locking";

pub(crate) fn no_space_fix(_: u64, _: &str) -> String {
    "ask for less".to_owned()
}

pub(crate) fn is_gone(_: &Handle) -> bool {
    false
}
