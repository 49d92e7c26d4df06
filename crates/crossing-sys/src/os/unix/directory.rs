//! mkdir(2), fstatat(2), chmod(2): the checks against squatters. Shared by the systems that have file modes.

use crate::file::{Access, Handle};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use std::io;
use std::path::Path;

/// The mode of a file.
pub(crate) fn mode_of(access: Access) -> Mode {
    match access {
        Access::Private => Mode::from_raw_mode(0o600),
        Access::Group => Mode::from_raw_mode(0o660),
        Access::World => Mode::from_raw_mode(0o666),
    }
}

fn directory_mode(access: Access) -> Mode {
    match access {
        Access::Private => Mode::from_raw_mode(0o700),
        Access::Group => Mode::from_raw_mode(0o750),
        Access::World => Mode::from_raw_mode(0o755),
    }
}

fn stat_of(path: &Path) -> io::Result<Stat> {
    Ok(rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?)
}

pub(crate) fn make(path: &Path, access: Access) -> io::Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Ok(()) if access == Access::Private => Ok(()),
        Ok(()) => Ok(rustix::fs::chmod(path, directory_mode(access))?),
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn verify(path: &Path) -> io::Result<Option<String>> {
    let stat = stat_of(path)?;
    let me = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(Some("it is not a directory".into()));
    }
    if stat.st_uid != me {
        return Ok(Some(format!("user {} owns it, this process runs as user {me}", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        return Ok(Some(format!("others may write in it (mode {:o})", stat.st_mode & 0o7777)));
    }
    Ok(None)
}

pub(crate) fn open_to(path: &Path, access: Access) -> io::Result<()> {
    let search = match access {
        Access::Private => return Ok(()),
        Access::Group => 0o010,
        Access::World => 0o011,
    };
    let mode = stat_of(path)?.st_mode & 0o777;
    Ok(rustix::fs::chmod(path, Mode::from_raw_mode(mode | search))?)
}

pub(crate) fn open_lock_file(path: &Path, access: Access) -> io::Result<Handle> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
    let stat = rustix::fs::fstat(&file)?;
    if access != Access::Private && stat.st_uid == rustix::process::geteuid().as_raw() {
        rustix::fs::fchmod(&file, mode_of(access))?;
    }
    Ok(file.into())
}

pub(crate) fn names(path: &Path, handle: &Handle) -> io::Result<bool> {
    let (named, open) = (stat_of(path)?, rustix::fs::fstat(handle)?);
    Ok((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
}

pub(crate) fn access_of(path: &Path) -> io::Result<Access> {
    let mode = stat_of(path)?.st_mode;
    Ok(match (mode & 0o006, mode & 0o060) {
        (0, 0) => Access::Private,
        (0, _) => Access::Group,
        _ => Access::World,
    })
}

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

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
