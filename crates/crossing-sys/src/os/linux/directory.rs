//! /dev/shm and renameat2(2); the rest is the same on every Unix.

pub(crate) use crate::os::unix::directory::*;

use rustix::fs::{CWD, RenameFlags};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) fn default_root() -> PathBuf {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    base.join(format!("crossing-{}", rustix::process::geteuid().as_raw()))
}

pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// File names that differ in case alone are different files.
pub(crate) const CASE_SENSITIVE: bool = true;
