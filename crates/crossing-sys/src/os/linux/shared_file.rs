//! tmpfs files and memfds: memfd_create(2), fallocate(2), fcntl(2) seals, shm_overview(7).

use crate::file::{Access, Handle};
use crate::os::directory::{file_mode, widen};
use crate::shared_file::{FileId, Shortage};
use rustix::fs::{self, FileType, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// What every opening is made with: never through a link, never blocking on a FIFO, closed on exec.
pub(crate) const SAFE: OFlags =
    OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

pub(crate) fn anonymous(label: &str, huge: bool) -> io::Result<Handle> {
    let label: String = label.chars().filter(|char| *char != '\0').take(50).collect();
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if huge {
        flags |= MemfdFlags::HUGETLB;
    }
    Ok(Handle(fs::memfd_create(label, flags)?))
}

/// Whether `handle` is of a regular file, and writable.
pub(crate) fn check(handle: &Handle) -> io::Result<bool> {
    check_regular(handle)?;
    let flags = fs::fcntl_getfl(&handle.0)?;
    match flags & OFlags::RWMODE {
        OFlags::RDWR => Ok(true),
        OFlags::RDONLY => Ok(false),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

pub(crate) fn check_regular(handle: &Handle) -> io::Result<()> {
    match FileType::from_raw_mode(fs::fstat(&handle.0)?.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

pub(crate) fn len(handle: &Handle) -> io::Result<u64> {
    Ok(u64::try_from(fs::fstat(&handle.0)?.st_size).unwrap_or(0))
}

pub(crate) fn identity(handle: &Handle) -> io::Result<FileId> {
    let stat = fs::fstat(&handle.0)?;
    Ok(FileId { device: stat.st_dev, number: stat.st_ino })
}

pub(crate) fn owner(handle: &Handle) -> io::Result<u64> {
    Ok(u64::from(fs::fstat(&handle.0)?.st_uid))
}

pub(crate) fn access(handle: &Handle) -> io::Result<Access> {
    let mode = fs::fstat(&handle.0)?.st_mode;
    Ok(match mode {
        _ if mode & 0o006 != 0 => Access::World,
        _ if mode & 0o060 != 0 => Access::Group,
        _ => Access::Private,
    })
}

pub(crate) fn changed_nanos(handle: &Handle) -> io::Result<u64> {
    let stat = fs::fstat(&handle.0)?;
    let seconds = u64::try_from(stat.st_ctime).unwrap_or(0);
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_ctime_nsec))
}

pub(crate) fn allocate(handle: &Handle, len: u64) -> Result<(), Shortage> {
    let old = self::len(handle).map_err(Shortage::Other)?;
    let need = len.saturating_sub(old);
    let volume = fs::fstatvfs(&handle.0).map_err(|errno| Shortage::Other(errno.into()))?;
    // A memfd's file system has no limit of its own (0 blocks): the machine's memory is the limit, and going beyond it
    // would be answered by the kernel killing processes, not by an error.
    let unlimited = volume.f_blocks == 0;
    let free = || {
        if unlimited {
            return available_memory();
        }
        let volume = fs::fstatvfs(&handle.0).ok();
        volume.map_or(0, |volume| volume.f_bavail.saturating_mul(volume.f_frsize))
    };
    let short = |have: u64| {
        let fix = if unlimited {
            "ask for less, or free memory".to_owned()
        } else {
            let unit = crate::Bytes(need);
            format!(
                "free some of what `crossing ls` and `ls -l /dev/shm` show, or enlarge the file system by {unit} \
                 (for /dev/shm: `mount -o remount,size=SIZE /dev/shm`; in a container: `--shm-size`)"
            )
        };
        Shortage::Space { need, have, fix }
    };
    if i64::try_from(len).is_err() || (need > free() && need > 0) {
        return Err(short(free()));
    }
    loop {
        return match fs::fallocate(&handle.0, fs::FallocateFlags::empty(), 0, len.max(1)) {
            Ok(()) => Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::NOSPC | Errno::FBIG | Errno::NOMEM | Errno::DQUOT) => {
                let have = free();
                // A system without room for all of it gives back what it took so far.
                let _ = fs::ftruncate(&handle.0, old);
                Err(short(have))
            }
            Err(errno) => Err(Shortage::Other(errno.into())),
        };
    }
}

/// `MemAvailable` of /proc/meminfo in bytes; no limit if it cannot be read.
fn available_memory() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return u64::MAX };
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.map_or(u64::MAX, |kib| kib.saturating_mul(1024))
}

pub(crate) fn seal_size(handle: &Handle) -> io::Result<()> {
    Ok(fs::fcntl_add_seals(&handle.0, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?)
}

pub(crate) fn is_size_sealed(handle: &Handle) -> bool {
    let wanted = SealFlags::SHRINK | SealFlags::GROW;
    fs::fcntl_get_seals(&handle.0).is_ok_and(|seals| seals.contains(wanted))
}

pub(crate) fn reopen(handle: &Handle, writable: bool) -> io::Result<Handle> {
    let path = format!("/proc/self/fd/{}", handle.0.as_raw_fd());
    let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY };
    // No NOFOLLOW: the entry of /proc is a link by nature.
    Ok(Handle(fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?))
}

pub(crate) fn read_at(handle: &Handle, offset: u64, to: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::pread(&handle.0, to, offset)?)
}

/// What shm_open(3) does, written out so that the checks of other openings apply too.
fn posix_directory() -> io::Result<std::os::fd::OwnedFd> {
    Ok(fs::open("/dev/shm", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

pub(crate) fn create_posix(name: &str, access: Access) -> io::Result<Handle> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | SAFE;
    let handle = Handle(fs::openat(posix_directory()?, name, flags, Mode::RUSR | Mode::WUSR)?);
    widen(handle.as_fd(), file_mode(access))?;
    Ok(handle)
}

pub(crate) fn open_posix(name: &str, writable: bool) -> io::Result<Handle> {
    let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY } | SAFE;
    let handle = Handle(fs::openat(posix_directory()?, name, flags, Mode::empty())?);
    check_regular(&handle)?;
    Ok(handle)
}

pub(crate) fn remove_posix(name: &str) -> io::Result<()> {
    Ok(fs::unlinkat(posix_directory()?, name, fs::AtFlags::empty())?)
}
