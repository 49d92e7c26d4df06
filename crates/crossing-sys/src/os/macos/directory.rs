//! The user's own temporary folder, and renamex_np(2); the rest is the same on every Unix.
//! Type-checked only: no macOS was at hand to run it on.
#![allow(unsafe_code)] // confstr

pub(crate) use crate::os::unix::directory::*;

use rustix::fs::{CWD, RenameFlags};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// confstr(3) and not $TMPDIR, which need not be the same in all processes of a user. The system removes files there that
/// nobody used for three days, and all of them at a start.
fn user_folder() -> Option<PathBuf> {
    let mut bytes = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: the buffer has room for the length given.
    let len =
        unsafe { libc::confstr(libc::_CS_DARWIN_USER_TEMP_DIR, bytes.as_mut_ptr().cast(), bytes.len()) };
    if len < 2 || len > bytes.len() {
        return None;
    }
    bytes.truncate(len - 1); // its NUL
    Some(OsString::from_vec(bytes).into())
}

pub(crate) fn default_root() -> PathBuf {
    let base = user_folder().unwrap_or_else(std::env::temp_dir);
    base.join(format!("crossing-{}", rustix::process::geteuid().as_raw()))
}

pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// APFS as it comes takes names that differ in case alone for the same.
pub(crate) const CASE_SENSITIVE: bool = false;
