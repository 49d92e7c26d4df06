//! /tmp and link(2); the rest is the same on every Unix.
//! Type-checked only: no FreeBSD was at hand to run it on.

pub(crate) use crate::os::unix::directory::*;

use std::io;
use std::path::{Path, PathBuf};

/// Not by the environment ($XDG_RUNTIME_DIR, $TMPDIR): all processes of a user must find the same, also those that cron
/// started. Who squats there is found out by [`verify`].
pub(crate) fn default_root() -> PathBuf {
    Path::new("/tmp").join(format!("crossing-{}", rustix::process::geteuid().as_raw()))
}

/// For files, as there is no rename that keeps what it finds: a second name, then without the first. Who dies between
/// the two leaves the file under both, complete.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

/// File names that differ in case alone are different files.
pub(crate) const CASE_SENSITIVE: bool = true;
