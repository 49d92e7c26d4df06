//! No directories here yet.

use crate::directory::Refused;
use crate::file::{Access, Handle};
use crate::shared_file::FileId;
use std::io;
use std::path::{Path, PathBuf};

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn default_runtime_path() -> PathBuf {
    std::env::temp_dir().join("crossing")
}

pub(crate) fn open_secure(_: &Path, others_may_own: bool) -> Result<Handle, Refused> {
    match others_may_own {
        true => Err(Refused::Os(io::ErrorKind::Unsupported.into())),
        false => Err(Refused::Unsafe("this platform has no runtime directory yet".to_owned())),
    }
}

pub(crate) fn widen_directory(_: &Handle, _: Access) -> io::Result<()> {
    none()
}

pub(crate) fn create_directory(_: &Handle, _: &str, _: Access) -> io::Result<Handle> {
    none()
}

pub(crate) fn open_directory(_: &Handle, _: &str) -> io::Result<Handle> {
    none()
}

pub(crate) fn list(_: &Handle) -> io::Result<Vec<String>> {
    none()
}

pub(crate) fn create_file(_: &Handle, _: &str, _: Access) -> io::Result<Handle> {
    none()
}

pub(crate) fn open_file(_: &Handle, _: &str, _: bool) -> io::Result<Handle> {
    none()
}

pub(crate) fn identity_of(_: &Handle, _: &str) -> io::Result<FileId> {
    none()
}

pub(crate) fn remove_file(_: &Handle, _: &str) -> io::Result<()> {
    none()
}

pub(crate) fn remove_directory(_: &Handle, _: &str) -> io::Result<()> {
    none()
}

pub(crate) fn rename(_: &Handle, _: &str, _: &str) -> io::Result<()> {
    none()
}
