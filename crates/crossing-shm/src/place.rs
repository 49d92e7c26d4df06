//! One name's directory: made, locked, cleared and removed. The protocol is at the top of `registry.rs`.

use crate::name::{self, Entry};
use crate::registry::Witness;
use crossing_sync::participant::ParticipantId;
use crossing_sys::file::Access;
use crossing_sys::lock::LockFile;
use crossing_sys::memory::MemoryFile;
use crossing_sys::{Error, ErrorKind, Result, crash, directory};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where a name lies.
pub(crate) struct Place {
    pub(crate) name: String,
    root: PathBuf,
    /// The directory of all names that are the same up to the last slash, if there is one.
    group: Option<PathBuf>,
    pub(crate) directory: PathBuf,
    pub(crate) segment: PathBuf,
    lock: PathBuf,
    trash: PathBuf,
}

impl Place {
    pub(crate) fn new(root: &Path, name: &str) -> Result<Self> {
        let Entry { group, own } = name::encode(name)?;
        let group = group.map(|group| root.join(group));
        let directory = group.as_deref().unwrap_or(root).join(own);
        let (segment, lock) = (directory.join("segment"), directory.join("lock"));
        let (name, root) = (name.to_owned(), root.to_owned());
        Ok(Self { name, trash: trash(&root), root, group, directory, segment, lock })
    }

    /// Lets `access` look the name up.
    pub(crate) fn open_to(&self, access: Access) -> Result<()> {
        directory::open_to(&self.root, access)?;
        self.group.as_deref().map_or(Ok(()), |group| directory::open_to(group, access))
    }

    /// The directories above the name's files, made.
    fn make(&self, access: Access) -> Result<()> {
        if let Some(group) = &self.group {
            directory::make(group, Access::Private)?;
            crash::point("registry.lock.group-made");
        }
        directory::make(&self.directory, access)
    }

    /// Removes the directories, as far as nobody has anything in them.
    fn remove_directories(&self) -> Result<bool> {
        let gone = directory::remove_empty(&self.directory)?;
        if gone && let Some(group) = &self.group {
            crash::point("registry.remove.directory-gone");
            directory::remove_empty(group)?;
        }
        Ok(gone)
    }

    /// Locks the name. Without `create` a missing directory is `NotFound`.
    pub(crate) fn lock(&self, create: Option<Access>, timeout: Duration) -> Result<NameLock<'_>> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(access) = create {
                match self.make(access) {
                    // Made, and removed by one who cleans up before it was looked at or filled: again.
                    Err(error)
                        if error.kind() == ErrorKind::NotFound
                            && self.root.is_dir()
                            && deadline.is_none_or(|deadline| Instant::now() < deadline) =>
                    {
                        continue;
                    }
                    made => made?,
                }
            } else if !self.directory.is_dir() {
                return Err(not_found(&self.name));
            }
            let handle = match directory::open_lock_file(&self.lock, create.unwrap_or_default()) {
                Ok(handle) => handle,
                // Removed between the two steps: again.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    // What was made for it goes again. If that fails, too, it is the first failure that is told.
                    let _ = self.remove_directories();
                    return Err(error);
                }
            };
            let locks = LockFile::new(handle);
            let locked = locks.lock_deadline(0, deadline);
            if !locked.map_err(|cause| Error::os(cause, "lock name", &*self.name))? {
                return Err(Error::new(ErrorKind::TimedOut, "lock name", &*self.name)
                    .detail("another process is creating, opening or removing it")
                    .fix("see `lsof` on its lock file; a stopped process (SIGSTOP) must be continued or killed"));
            }
            crash::point("registry.lock.held");
            if locks.is_at(&self.lock) {
                return Ok(NameLock { place: self, _locks: locks });
            }
        }
    }
}

/// Where what cannot be deleted yet waits; no name's directory begins with a dot.
pub(crate) fn trash(root: &Path) -> PathBuf {
    root.join(".trash")
}

pub(crate) fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, "open segment", name)
        .fix(format!("create it first: `crossing shm create {name} --size 64K`, or open_or_create"))
}

/// The right to create, open or remove a name, until dropped.
pub(crate) struct NameLock<'a> {
    place: &'a Place,
    _locks: LockFile,
}

impl NameLock<'_> {
    /// Removes what creators left half-made, and the doorbells of dead participants.
    pub(crate) fn sweep(&self) -> Result<()> {
        let error = |cause| Error::os(cause, "sweep", self.place.directory.display().to_string());
        let living = DoorbellOwners::new(&self.place.segment);
        for entry in directory::entries(&self.place.directory).map_err(error)? {
            let path = entry.map_err(error)?.path();
            if path != self.place.segment && path != self.place.lock && !living.has(&path) {
                crash::point("registry.sweep.before");
                remove_file(&path, &self.place.trash)?;
            }
        }
        Ok(())
    }

    /// Removes the segment if it is stale; whether there is none now.
    pub(crate) fn clear_if_stale(&self) -> Result<bool> {
        match Witness::open(&self.place.segment) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
            Ok(witness) if witness.is_stale() => {
                crash::point("registry.clear.before");
                remove_file(&self.place.segment, &self.place.trash)?;
                Ok(true)
            }
            Ok(_) => Ok(false),
        }
    }

    /// As `clear_if_stale` after `sweep`, for one who is about to create the name: if it fails, nothing that was made for it
    /// stays.
    pub(crate) fn prepare(self) -> Result<(Self, bool)> {
        match self.sweep().and_then(|()| self.clear_if_stale()) {
            Ok(cleared) => Ok((self, cleared)),
            Err(error) => {
                if matches!(self.place.segment.try_exists(), Ok(false)) {
                    let _ = self.remove_all();
                }
                Err(error)
            }
        }
    }

    /// Removes everything the name comprises.
    pub(crate) fn remove_all(self) -> Result<()> {
        crash::point("registry.remove.before");
        remove_file(&self.place.segment, &self.place.trash)?;
        crash::point("registry.remove.segment-gone");
        // One who has no file left to look with removes what he can: mostly there is nothing else.
        let swept = self.sweep();
        remove_file(&self.place.lock, &self.place.trash)?;
        crash::point("registry.remove.lock-gone");
        // If the directory is not empty: somebody who comes after the lock file went has made a new one, and it is his.
        if self.place.remove_directories()? { Ok(()) } else { swept }
    }
}

/// Who may have doorbells in a name's directory: the living participants of its segment.
struct DoorbellOwners<'a> {
    segment: &'a Path,
    /// Opened when the first doorbell is found: mostly there is none.
    locks: std::cell::OnceCell<Option<LockFile>>,
}

impl<'a> DoorbellOwners<'a> {
    fn new(segment: &'a Path) -> Self {
        Self { segment, locks: std::cell::OnceCell::new() }
    }

    /// Whether `path` is a doorbell in a slot of the table where somebody lives. One that a predecessor in the same slot left
    /// stays: whoever sweeps the structure in the segment knows whose it was.
    fn has(&self, path: &Path) -> bool {
        let owner = path.file_name().and_then(crossing_sys::doorbell::owner_of);
        let slot = owner.and_then(ParticipantId::from_raw).and_then(ParticipantId::slot);
        let Some(slot) = slot else { return false };
        let locks = self.locks.get_or_init(|| {
            MemoryFile::open(self.segment, true).ok().map(|file| LockFile::new(file.into_handle()))
        });
        locks.as_ref().is_some_and(|locks| locks.is_locked_elsewhere(slot as u32).unwrap_or(true))
    }
}

fn remove_file(path: &Path, trash: &Path) -> Result<()> {
    match directory::remove(path, trash) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
