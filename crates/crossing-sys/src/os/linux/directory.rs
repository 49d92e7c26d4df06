//! openat(2) and its family, relative to open directories.

use crate::directory::Refused;
use crate::file::{Access, Handle};
use crate::os::shared_file::{SAFE, check_regular};
use crate::shared_file::FileId;
use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const OWNER_ONLY: Mode = Mode::RWXU;

pub(crate) fn file_mode(access: Access) -> Mode {
    Mode::from_raw_mode(match access {
        Access::Private => 0o600,
        Access::Group => 0o660,
        Access::World => 0o666,
    })
}

fn directory_mode(access: Access) -> Mode {
    Mode::from_raw_mode(match access {
        Access::Private => 0o700,
        Access::Group => 0o750,
        Access::World => 0o755,
    })
}

/// Sets the mode whatever the umask is; files are created for their owner only and widened once they are safe.
pub(crate) fn widen(file: BorrowedFd<'_>, mode: Mode) -> io::Result<()> {
    Ok(fs::fchmod(file, mode)?)
}

pub(crate) fn default_runtime_path() -> PathBuf {
    PathBuf::from(format!("/dev/shm/crossing-{}", rustix::process::geteuid().as_raw()))
}

pub(crate) fn open_secure(path: &Path, others_may_own: bool) -> Result<Handle, Refused> {
    match fs::mkdir(path, OWNER_ONLY) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Refused::Os(errno.into())),
    }
    let handle = match fs::open(path, OPEN, Mode::empty()) {
        Ok(fd) => Handle(fd),
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(Refused::Unsafe("it is a symbolic link or no directory".to_owned()));
        }
        Err(errno) => return Err(Refused::Os(errno.into())),
    };
    let stat = fs::fstat(&handle.0).map_err(|errno| Refused::Os(errno.into()))?;
    let me = rustix::process::geteuid().as_raw();
    if stat.st_uid != me && !others_may_own {
        return Err(Refused::Unsafe(format!("it belongs to user {}, not to user {me}", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        let mode = stat.st_mode & 0o7777;
        return Err(Refused::Unsafe(format!("others may write to it (mode {mode:o})")));
    }
    Ok(handle)
}

pub(crate) fn widen_directory(handle: &Handle, access: Access) -> io::Result<()> {
    let now = Mode::from_raw_mode(fs::fstat(&handle.0)?.st_mode & 0o777);
    let wanted = now | directory_mode(access);
    if wanted != now {
        widen(handle.as_fd(), wanted)?;
    }
    Ok(())
}

pub(crate) fn create_directory(at: &Handle, name: &str, access: Access) -> io::Result<Handle> {
    fs::mkdirat(&at.0, name, OWNER_ONLY)?;
    let handle = Handle(fs::openat(&at.0, name, OPEN, Mode::empty())?);
    widen(handle.as_fd(), directory_mode(access))?;
    Ok(handle)
}

pub(crate) fn open_directory(at: &Handle, name: &str) -> io::Result<Handle> {
    Ok(Handle(fs::openat(&at.0, name, OPEN, Mode::empty())?))
}

pub(crate) fn list(at: &Handle) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(&at.0)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

pub(crate) fn create_file(at: &Handle, name: &str, access: Access) -> io::Result<Handle> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | SAFE;
    let handle = Handle(fs::openat(&at.0, name, flags, Mode::RUSR | Mode::WUSR)?);
    widen(handle.as_fd(), file_mode(access))?;
    Ok(handle)
}

pub(crate) fn open_file(at: &Handle, name: &str, writable: bool) -> io::Result<Handle> {
    let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY } | SAFE;
    let handle = Handle(fs::openat(&at.0, name, flags, Mode::empty())?);
    check_regular(&handle)?;
    Ok(handle)
}

pub(crate) fn identity_of(at: &Handle, name: &str) -> io::Result<FileId> {
    let stat = fs::statat(&at.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileId { device: stat.st_dev, number: stat.st_ino })
}

pub(crate) fn remove_file(at: &Handle, name: &str) -> io::Result<()> {
    Ok(fs::unlinkat(&at.0, name, AtFlags::empty())?)
}

pub(crate) fn remove_directory(at: &Handle, name: &str) -> io::Result<()> {
    Ok(fs::unlinkat(&at.0, name, AtFlags::REMOVEDIR)?)
}

pub(crate) fn rename(at: &Handle, from: &str, to: &str) -> io::Result<()> {
    Ok(fs::renameat_with(&at.0, from, &at.0, to, RenameFlags::NOREPLACE)?)
}
