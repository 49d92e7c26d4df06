//! Plain directories of the standard library, without the checks that need an owner.

use crate::file::{Access, Handle};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) fn default_root() -> PathBuf {
    std::env::temp_dir().join("crossing")
}
pub(crate) fn make(path: &Path, _: Access) -> io::Result<()> {
    std::fs::create_dir_all(path)
}
pub(crate) fn verify(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}
pub(crate) fn open_to(_: &Path, _: Access) -> io::Result<()> {
    Ok(())
}
pub(crate) fn open_lock_file(_: &Path, _: Access) -> io::Result<Handle> {
    Err(io::ErrorKind::Unsupported.into())
}
pub(crate) fn names(_: &Path, _: &Handle) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}
pub(crate) fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
pub(crate) fn access_of(_: &Path) -> io::Result<Access> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) const CASE_SENSITIVE: bool = true;

pub(crate) fn remove(path: &Path, _: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

pub(crate) fn entries(path: &Path) -> io::Result<std::fs::ReadDir> {
    std::fs::read_dir(path)
}

pub(crate) fn remove_empty(path: &Path) -> io::Result<()> {
    std::fs::remove_dir(path)
}

pub(crate) fn empty_trash(_: &Path) {}
