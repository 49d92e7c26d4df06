//! The file of a Unix socket: made without a moment of wider permissions, replaced only when proven stale.
//!
//! Protocol: hold `PATH.lock` (flock(2), released by the kernel if its holder dies); look at PATH; a socket file is
//! stale if a connect to it says ECONNREFUSED, which the kernel gives exactly when no open socket is bound to that
//! inode (unix_find_bsd). The question is put by a *datagram* socket: a live stream listener answers EPROTOTYPE and
//! never sees a connection. Then unlink, bind, set the mode, unlink the lock file, release the lock. Who waited for a
//! lock file that was unlinked meanwhile sees another inode at the path and starts again.
//!
//! Death at each step: before unlink nothing changed; after unlink the path is free; after bind the file is stale, as
//! after any death of a listener. The lock file may stay, unlocked; the next one uses and removes it.

use crate::file::Access;
use crate::local::{LocalName, Owner};
use crate::os::sockets::{self as system, FINDER};
use crate::os::unix::directory::mode_of;
use crate::{Error, ErrorKind, Result};
use rustix::fs::{self, AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{self, SocketAddrUnix, SocketType};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const OPERATION: &str = "listen on";

/// How long to wait for others who are deciding about the same path: each takes microseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How often a path may change under our eyes (programs that do not know the lock) before we give up.
const MAX_ATTEMPTS: u32 = 16;

/// A bound socket file, removed on drop if it is still the same one.
#[derive(Debug)]
pub(in crate::os::unix) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    process_id: u32,
}

impl SocketFile {
    /// Binds `socket` to `path`, replacing a stale file.
    pub(in crate::os::unix) fn bind(
        socket: &OwnedFd,
        path: &Path,
        address: &SocketAddrUnix,
        access: Access,
        owner: Owner,
    ) -> Result<Self> {
        let failed = |cause: Errno| Error::os(cause.into(), OPERATION, path.display().to_string());
        // The file is made with the mode of the socket's own inode, less the umask: never wider than asked for. The
        // group that it has first must not get what its later group is meant to have.
        let first = if owner.is_default() { access } else { Access::Private };
        system::set_mode_before(socket, mode(first)).map_err(failed)?;
        // As an absolute path: the working directory may change before the file is removed.
        let absolute = std::path::absolute(path)
            .map_err(|cause| Error::os(cause, OPERATION, path.display().to_string()))?;
        let _lock = Lock::take(path)?;
        for _ in 0..MAX_ATTEMPTS {
            clear(path, address)?;
            match net::bind(socket, address) {
                Ok(()) => {}
                // Somebody who does not know the lock was faster: look again.
                Err(Errno::ADDRINUSE) => continue,
                Err(cause) => return Err(place_error(cause, path)),
            }
            let stat = fs::lstat(path).map_err(failed)?;
            let file = Self { path: absolute, identity: identity(&stat), process_id: std::process::id() };
            file.give(owner)?;
            file.widen(&stat, access)?;
            return Ok(file);
        }
        Err(failed(Errno::ADDRINUSE)
            .detail("another program keeps creating and removing this file")
            .fix(format!("find it with `{FINDER}`, or choose another path")))
    }

    /// Makes it the file of `owner`.
    fn give(&self, owner: Owner) -> Result<()> {
        if owner.is_default() {
            return Ok(());
        }
        system::set_owner(&self.path, self.identity, owner).map_err(|cause| {
            let name = |what: &str, id: Option<u32>| id.map_or(String::new(), |id| format!(" {what} {id}"));
            let (user, group) = (name("user", owner.user), name("group", owner.group));
            Error::os(cause, OPERATION, self.path.display().to_string())
                .detail(format!("the socket file could not be given to{user}{group}"))
                .fix("run as root, or name a group that this user is in (`id -G` lists them)")
        })
    }

    /// Puts back what the umask took off the mode.
    fn widen(&self, stat: &Stat, access: Access) -> Result<()> {
        if Mode::from_raw_mode(stat.st_mode) == mode_of(access) {
            return Ok(());
        }
        system::set_mode_after(&self.path, self.identity, mode(access)).map_err(|cause| {
            Error::os(cause, OPERATION, self.path.display().to_string())
                .detail("the permissions of the socket file could not be set")
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A forked child has a copy of this value, but the file is its parent's.
        if self.process_id != std::process::id() {
            return;
        }
        if fs::lstat(&self.path).is_ok_and(|stat| identity(&stat) == self.identity) {
            let _ = fs::unlink(&self.path);
        }
    }
}

/// Makes `path` free, if what is there is a stale socket. Called with the lock held.
fn clear(path: &Path, address: &SocketAddrUnix) -> Result<()> {
    let subject = || path.display().to_string();
    let stat = match fs::lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(cause) => return Err(place_error(cause, path)),
    };
    if !is_socket(&stat) {
        return Err(Error::new(ErrorKind::AlreadyExists, OPERATION, subject())
            .detail("there is something else at this path, not a socket")
            .fix("choose another path, or remove it if nobody needs it"));
    }
    let in_use = |detail: &'static str| {
        Error::new(ErrorKind::AddressInUse, OPERATION, subject())
            .detail(detail)
            .fix(format!("stop that process (`{FINDER}` shows it) or choose another path"))
    };
    let probe = system::socket(net::AddressFamily::UNIX, SocketType::DGRAM, true)
        .map_err(|cause| Error::os(cause.into(), OPERATION, subject()))?;
    match net::connect(&probe, address) {
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ACCESS | Errno::PERM) => {
            return Err(in_use(
                "another user's socket file is there, and it cannot be asked whether it is alive",
            ));
        }
        _ => return Err(in_use("a live process listens there")),
    }
    // The file that was asked about, or a newer one? The lock excludes those who know it; this narrows it for others.
    match fs::lstat(path) {
        Ok(now) if identity(&now) == identity(&stat) => {}
        _ => return Ok(()),
    }
    widen_window();
    match fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(cause) => {
            Err(place_error(cause, path).detail("a stale socket file is there and cannot be removed"))
        }
    }
}

/// Whether an open stream socket is bound to `address`, full or not.
pub(super) fn is_live(address: &SocketAddrUnix) -> bool {
    system::socket(net::AddressFamily::UNIX, SocketType::DGRAM, true)
        .is_ok_and(|probe| net::connect(&probe, address) == Err(Errno::PROTOTYPE))
}

/// In the unit tests, time for others to come between two steps; each caller stays a different while.
fn widen_window() {
    if cfg!(test) {
        let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
        std::thread::sleep(Duration::from_micros(u64::from(nanos % 1000)));
    }
}

/// An error about the directory that holds the file.
fn place_error(cause: Errno, path: &Path) -> Error {
    let error = Error::os(cause.into(), OPERATION, path.display().to_string());
    match cause {
        Errno::NOENT | Errno::NOTDIR => error
            .kinded(ErrorKind::NotFound)
            .detail("the directory of the socket file is missing")
            .fix("create the directory first, or choose another path"),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => error
            .kinded(ErrorKind::PermissionDenied)
            .detail("this user may not create files in that directory")
            .fix("choose a directory of this user, for example $XDG_RUNTIME_DIR"),
        _ => error,
    }
}

fn is_socket(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Socket
}

#[allow(clippy::unnecessary_cast)] // their widths differ from system to system
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

#[allow(clippy::useless_conversion)] // as above
fn mode(access: Access) -> u32 {
    mode_of(access).as_raw_mode().into()
}

/// Whether a file is at the path of `name` that is no socket.
pub(in crate::os::unix) fn is_other_than_socket(name: &LocalName) -> bool {
    match name {
        LocalName::Path(path) => fs::stat(path).is_ok_and(|stat| !is_socket(&stat)),
        LocalName::Abstract(_) | LocalName::Pipe(_) => false,
    }
}

/// The right to decide about a path.
struct Lock {
    path: PathBuf,
    file: OwnedFd,
}

impl Lock {
    fn take(socket: &Path) -> Result<Self> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let until = Instant::now() + LOCK_PATIENCE;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        loop {
            let file = fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|cause| {
                let error = place_error(cause, socket);
                match cause {
                    Errno::LOOP | Errno::ISDIR => error.detail(format!("{} is no lock file", path.display())),
                    _ => error,
                }
            })?;
            widen_window();
            match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    // Its last holder may have removed it before we got it.
                    let ours = fs::fstat(&file).map(|stat| identity(&stat));
                    let there = fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| identity(&stat));
                    if ours.is_ok() && ours == there {
                        return Ok(Self { path, file });
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => std::thread::sleep(Duration::from_millis(1)),
                Err(cause) => {
                    return Err(Error::os(cause.into(), OPERATION, socket.display().to_string())
                        .detail(format!("{} cannot be locked", path.display())));
                }
            }
            if Instant::now() >= until {
                return Err(Error::new(ErrorKind::Busy, OPERATION, socket.display().to_string())
                    .detail(format!("another process holds {}", path.display()))
                    .fix("find it with `fuser` on that file, or choose another path"));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held: who opens it later opens another file.
        let _ = fs::unlink(&self.path);
        let _ = fs::flock(&self.file, FlockOperation::Unlock);
    }
}
