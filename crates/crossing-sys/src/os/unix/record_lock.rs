//! Slots as record locks of POSIX, fcntl(2), for systems whose record locks belong to a process and not to an opening.
//!
//! Two traits of such locks stand against the contract of `crate::lock`, and each is met:
//!
//! * *A process loses all its locks on a file when it closes any descriptor of it.* So the locks lie not on the memory's
//!   own file, which the process opens and closes at will, but on a lock file that nothing but this module touches:
//!   `BASE/crossing-locks-UID/DEVICE-INODE`, opened once in a process however many openings of the memory it has.
//! * *A process does not contend with itself.* So a table of this process says which of its openings holds which slot.
//!
//! A child does not inherit its parent's locks: a fork needs no more than a table of the child's own.
//!
//! # The lock file's life
//! Byte `n` of it is slot `n`, byte [`GATE`] the gate. Who locks a slot: locks its byte; waits until nobody has the gate;
//! then looks whether the path still names the file that it locked, and begins again if it does not. Who gives up the last
//! slot of its process: locks the gate; removes the file if no slot of it is locked; closes it. Whichever of the two was
//! first, no lock survives on a removed file: either the remover sees the locked slot, or the locker sees the gate and
//! then the missing name. If the remover dies, the kernel opens the gate; a file without locks is left, to be used again.
//!
//! The folder belongs to the memory's owner, who alone makes files in it, with the permissions of the memory: nobody holds
//! a slot whom the owner did not let in. A process asks the file that it holds a slot of, whatever became of the name;
//! but who removes such a file by hand (a cleaner of old files) hides those who hold slots from those who come later.
#![allow(unsafe_code)] // fcntl with a struct flock

use crate::file::{Access, Handle};
use crate::lock::MAX_SLOTS;
use crate::os::unix::directory;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Not in the environment's reach: all who share memory must find the same file.
const BASE: &str = "/tmp";

/// The byte that who removes a lock file holds.
const GATE: i64 = MAX_SLOTS as i64;

/// How often a lock file may be replaced under our eyes before something is wrong.
const MAX_ATTEMPTS: u32 = 100;

/// What tells one piece of memory from another: device and inode.
type Identity = (u64, u64);

/// A lock file that this process has open, and who in this process holds which slot of it.
struct LockFile {
    fd: OwnedFd,
    path: PathBuf,
    /// The slots held, and the descriptor of the opening that holds each.
    holders: HashMap<u32, RawFd>,
}

type Table = Mutex<HashMap<Identity, LockFile>>;

/// A table for each generation of forks: a child's parent may have been in the middle of its own.
static TABLES: [OnceLock<Table>; 64] = [const { OnceLock::new() }; 64];

fn table() -> MutexGuard<'static, HashMap<Identity, LockFile>> {
    let generation = (crate::fork::generation() as usize).min(TABLES.len() - 1);
    let table = TABLES[generation].get_or_init(Table::default);
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // their widths differ from system to system
fn identity(stat: &Stat) -> Identity {
    (stat.st_dev as u64, stat.st_ino.into())
}

fn stat_of(handle: &Handle) -> io::Result<Stat> {
    Ok(rustix::fs::fstat(handle)?)
}

fn folder(base: &Path, owner: u32) -> PathBuf {
    base.join(format!("crossing-locks-{owner}"))
}

fn path_of(stat: &Stat) -> PathBuf {
    let (device, inode) = identity(stat);
    folder(Path::new(BASE), stat.st_uid).join(format!("{device:x}-{inode:x}"))
}

/// Makes the folder of this user's memory, or looks whether it is ours.
fn make_folder(path: &Path) -> io::Result<()> {
    directory::make(path, Access::World)?;
    match directory::verify(path)? {
        None => Ok(()),
        Some(problem) => {
            let text = format!("{}: {problem}; remove it", path.display());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
        }
    }
}

/// Opens the lock file of the memory that `stat` is of; `None` if there is none and `make` is not asked for.
fn open(stat: &Stat, make: bool) -> io::Result<Option<LockFile>> {
    let path = path_of(stat);
    let mine = stat.st_uid == rustix::process::geteuid().as_raw();
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let parent = path.parent().unwrap_or(Path::new(BASE));
    if make && mine {
        make_folder(parent)?;
    }
    let mode = Mode::from_raw_mode(0o600);
    let create = if make && mine { OFlags::CREATE } else { OFlags::empty() };
    let fd = match rustix::fs::open(&path, flags | OFlags::RDWR | create, mode) {
        Ok(fd) => fd,
        Err(Errno::NOENT) if !make => return Ok(None),
        Err(Errno::NOENT) => {
            let text = format!("{} is missing: the memory's owner makes it", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        // Enough to ask. No second descriptor is ever opened beside it: its closing would drop this process's locks.
        Err(Errno::ACCESS) => rustix::fs::open(&path, flags | OFlags::RDONLY, Mode::empty())?,
        Err(cause) => return Err(cause.into()),
    };
    let found = rustix::fs::fstat(&fd)?;
    if found.st_uid != stat.st_uid {
        let text = format!("{} belongs to user {}, not to the memory's owner", path.display(), found.st_uid);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let wanted = stat.st_mode & 0o666;
    if mine && found.st_mode & 0o777 != wanted {
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(wanted))?;
    }
    Ok(Some(LockFile { fd, path, holders: HashMap::new() }))
}

impl LockFile {
    fn call(
        &self,
        command: libc::c_int,
        kind: libc::c_short,
        start: i64,
        len: i64,
    ) -> io::Result<libc::flock> {
        // SAFETY: a flock is made of integers only, for which all zeros is a value.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        // Below MAX_SLOTS, so that it fits an offset of 32 bits as well.
        lock.l_start = start as libc::off_t;
        lock.l_len = len as libc::off_t;
        loop {
            // SAFETY: the descriptor is open for the whole call and `lock` is a valid flock that outlives it.
            let outcome = unsafe { libc::fcntl(self.fd.as_raw_fd(), command, &raw mut lock) };
            if outcome != -1 {
                return Ok(lock);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn lock_byte(&self, byte: i64) -> io::Result<bool> {
        match self.call(libc::F_SETLK, libc::F_WRLCK as libc::c_short, byte, 1) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn unlock_byte(&self, byte: i64) -> io::Result<()> {
        self.call(libc::F_SETLK, libc::F_UNLCK as libc::c_short, byte, 1).map(drop)
    }

    /// Whether another process has a lock on one of `len` bytes from `start`.
    fn is_locked(&self, start: i64, len: i64) -> io::Result<bool> {
        let found = self.call(libc::F_GETLK, libc::F_WRLCK as libc::c_short, start, len)?;
        Ok(found.l_type != libc::F_UNLCK as libc::c_short)
    }

    /// Whether the path still names this file.
    fn is_current(&self) -> bool {
        let there = rustix::fs::lstat(&self.path).map(|stat| identity(&stat));
        let open = rustix::fs::fstat(&self.fd).map(|stat| identity(&stat));
        there.is_ok() && there == open
    }

    /// Locks `slot` against other processes: `None` if the file turns out to be removed.
    fn lock(&self, slot: u32) -> io::Result<Option<bool>> {
        if !self.lock_byte(slot.into())? {
            return Ok(self.is_current().then_some(false));
        }
        while self.is_locked(GATE, 1)? {
            std::thread::sleep(Duration::from_micros(50));
        }
        if self.is_current() {
            return Ok(Some(true));
        }
        self.unlock_byte(slot.into())?;
        Ok(None)
    }

    /// Removes the file if nobody has a slot of it; called when this process has none.
    fn retire(&self) -> io::Result<()> {
        // Another is removing it: his work.
        if !self.lock_byte(GATE)? {
            return Ok(());
        }
        if !self.is_locked(0, GATE)? && self.is_current() {
            rustix::fs::unlink(&self.path)?;
        }
        self.unlock_byte(GATE)
    }
}

pub(crate) fn try_lock(handle: &Handle, slot: u32) -> io::Result<bool> {
    let stat = stat_of(handle)?;
    let (key, me) = (identity(&stat), handle.0.as_raw_fd());
    let mut table = table();
    for _ in 0..MAX_ATTEMPTS {
        let file = match table.entry(key) {
            std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => match open(&stat, true)? {
                Some(file) => place.insert(file),
                None => return Err(io::ErrorKind::NotFound.into()),
            },
        };
        if let Some(holder) = file.holders.get(&slot) {
            return Ok(*holder == me);
        }
        // A file that this process holds a slot of is the right one, whatever became of its name.
        let outcome =
            if file.holders.is_empty() { file.lock(slot)? } else { Some(file.lock_byte(slot.into())?) };
        match outcome {
            Some(true) => {
                file.holders.insert(slot, me);
                return Ok(true);
            }
            Some(false) => {
                close_if_idle(&mut table, key);
                return Ok(false);
            }
            None => drop(table.remove(&key)),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "the lock file keeps being replaced"))
}

pub(crate) fn unlock(handle: &Handle, slot: u32) -> io::Result<()> {
    let key = identity(&stat_of(handle)?);
    let mut table = table();
    let Some(file) = table.get_mut(&key) else { return Ok(()) };
    if file.holders.get(&slot) == Some(&handle.0.as_raw_fd()) {
        file.holders.remove(&slot);
        file.unlock_byte(slot.into())?;
    }
    close_if_idle(&mut table, key);
    Ok(())
}

pub(crate) fn is_locked_elsewhere(handle: &Handle, slot: u32) -> io::Result<bool> {
    let stat = stat_of(handle)?;
    let (key, me) = (identity(&stat), handle.0.as_raw_fd());
    let mut table = table();
    for _ in 0..MAX_ATTEMPTS {
        let file = match table.entry(key) {
            std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => match open(&stat, false)? {
                Some(file) => place.insert(file),
                None => return Ok(false), // nobody ever locked a slot
            },
        };
        if let Some(holder) = file.holders.get(&slot) {
            return Ok(*holder != me);
        }
        let locked = file.is_locked(slot.into(), 1)?;
        if locked || !file.holders.is_empty() || file.is_current() {
            if file.holders.is_empty() {
                table.remove(&key);
            }
            return Ok(locked);
        }
        table.remove(&key);
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "the lock file keeps being replaced"))
}

/// Gives up what `handle` holds: before it is closed, and its number is another's.
pub(crate) fn release(handle: &Handle) {
    let Ok(stat) = stat_of(handle) else { return };
    let (key, me) = (identity(&stat), handle.0.as_raw_fd());
    let mut table = table();
    let Some(file) = table.get_mut(&key) else { return };
    let slots: Vec<u32> =
        file.holders.iter().filter(|(_, holder)| **holder == me).map(|(slot, _)| *slot).collect();
    for slot in slots {
        file.holders.remove(&slot);
        // It cannot fail for a lock that is held; if it did, closing the file would give it up.
        let _ = file.unlock_byte(slot.into());
    }
    close_if_idle(&mut table, key);
}

/// Closes the lock file if no opening of this process holds a slot of it.
fn close_if_idle(table: &mut HashMap<Identity, LockFile>, key: Identity) {
    if table.get(&key).is_some_and(|file| file.holders.is_empty())
        && let Some(file) = table.remove(&key)
    {
        // A file that is left is used again or found by hand; who may not remove it leaves it to the owner.
        let _ = file.retire();
    }
}

#[cfg(test)]
#[path = "record_lock_tests.rs"]
mod tests;
