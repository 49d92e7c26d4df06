//! The registry of names: one directory per name, a lock to create and remove it under, locks that say who lives.
//!
//! # Protocol
//! A name with a slash lies in the directory of its group: what stands before its last slash, and a `+`. So who lives in a
//! group is found out without a look at anything else. The group's directory is made by whoever makes a name in it, and
//! removed with its last name: a directory that is not empty cannot be removed, and who finds it gone between making it
//! and making the name's own in it makes it again.
//!
//! `ROOT/NAME/lock` is locked (slot 0) by whoever creates, opens or removes the name, for that moment. `ROOT/NAME/segment`
//! is complete whenever it exists: it is made under a temporary name, locked by its owner (slot 1000), and then
//! renamed. Removing takes the segment, then the lock file, then the directory; whoever waited for a lock file that was
//! removed meanwhile sees that the path no longer names it, and starts again.
//!
//! # Death
//! * creating: the temporary file stays, without a lock; the next one who holds the name's lock removes it.
//! * owning or using: the kernel releases its slot. A segment that does not persist, whose owner slot and participant
//!   slots are all free, is stale: the next `create` or `open` of the name, or `remove_stale`, removes it.
//! * removing: the rest is removed by the next one.
//! * a group's directory that is empty goes with the next name in it, or by `remove_stale`.
//! * a name that nobody will make again (those of members of topics are random): `remove_unfinished`.
//! * waiting for a doorbell (`bell-...`, see `crossing_sys::doorbell`): it stays until the slot of its owner is seen free by whoever
//!   opens or creates the name next, or the structure in the segment is swept.
//!
//! *Prove dead, then lock, then delete*: the proof is taken again under the name's lock, so nothing living is removed.

use crate::header::SegmentHeader;
use crate::name;
use crate::place::{Place, not_found, trash};
use crossing_sync::participant::{MAX_PARTICIPANTS, ParticipantInfo};
use crossing_sys::file::Access;
use crossing_sys::lock::LockFile;
use crossing_sys::memory::MemoryFile;
use crossing_sys::{Error, ErrorKind, Result, directory};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Locked by the owner of a segment as long as it lives.
pub(crate) const OWNER_SLOT: u32 = 1000;

/// One name, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Bytes for users.
    pub size: u64,
    /// Bytes that it takes in all, with the header and the table of participants.
    pub memory: u64,
    /// What its creator said lies in it; 0 if nothing.
    pub schema: u64,
    /// Whether it stays when nobody uses it.
    pub persist: bool,
    /// Whether its owner lives.
    pub owned: bool,
    /// Whether it is what dead processes left, to be removed by the next user of the name.
    pub stale: bool,
    /// Its creator's process id, in the creator's PID namespace.
    pub creator_pid: u32,
    /// When it was created, in nanoseconds of the Unix epoch.
    pub created: u64,
    /// Who may open it.
    pub access: Access,
    /// Who uses it, and the dead whose places nobody has taken since.
    pub participants: Vec<ParticipantInfo>,
    /// The damage, if the header or the file is damaged; the other fields are then zero.
    pub problem: Option<String>,
    /// Where it lies.
    pub path: PathBuf,
}

/// A segment's file seen from outside: who lives is asked of the kernel, what it is of its header.
pub(crate) struct Witness {
    header: Result<SegmentHeader>,
    /// The memory went with its last user; only its file is left.
    gone: bool,
    locks: LockFile,
    /// Only if they were asked for.
    participants: Vec<ParticipantInfo>,
}

impl Witness {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::see(path, false)
    }

    fn with_participants(path: &Path) -> Result<Self> {
        Self::see(path, true)
    }

    fn see(path: &Path, wants_participants: bool) -> Result<Self> {
        let file = MemoryFile::open(path, true)?;
        let header = crate::segment::look(&file, &path.display().to_string());
        let gone = header.is_err() && file.is_gone();
        // The file's only opening: under Wine one that is closed costs as long as others hold locks.
        let locks = LockFile::new(file.into_handle());
        // The mapping goes at once: a file that is mapped cannot be removed everywhere.
        let (header, participants) = match header {
            Ok((header, mapping)) if wants_participants => {
                (Ok(header), crate::segment::participants(&mapping, &locks))
            }
            other => (other.map(|(header, _)| header), Vec::new()),
        };
        Ok(Self { header, gone, locks, participants })
    }

    fn owned(&self) -> bool {
        self.locks.is_locked_elsewhere(OWNER_SLOT).unwrap_or(true)
    }

    fn in_use(&self) -> bool {
        (0..MAX_PARTICIPANTS as u32).any(|slot| self.locks.is_locked_elsewhere(slot).unwrap_or(true))
    }

    /// Nobody living owns or uses it, and it says that it was not meant to stay. A header that cannot be read says nothing:
    /// it may be of a newer build, or the damage of something kept, so only [`remove`] by name takes it.
    pub(crate) fn is_stale(&self) -> bool {
        let leaves = self.header.as_ref().is_ok_and(|header| !header.persist());
        (leaves || self.gone) && !self.owned() && !self.in_use()
    }

    fn entry(self, name: String, path: PathBuf) -> Entry {
        let (stale, owned) = (self.is_stale(), self.owned());
        let access = directory::access_of(&path).unwrap_or_default();
        let participants = self.participants;
        let (header, problem) = match self.header {
            Ok(header) => (Some(header), None),
            Err(_) if self.gone => (None, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let figure = |pick: fn(&SegmentHeader) -> u64| header.as_ref().map_or(0, pick);
        Entry {
            name,
            size: figure(|header| header.payload_len),
            memory: figure(SegmentHeader::file_len),
            schema: figure(|header| header.schema),
            persist: header.as_ref().is_some_and(SegmentHeader::persist),
            owned,
            stale,
            creator_pid: header.as_ref().map_or(0, |header| header.creator_pid),
            created: figure(|header| header.created),
            access,
            participants,
            problem,
            path,
        }
    }
}

/// Every name of this user, sorted. Needs nobody's cooperation and disturbs nobody.
///
/// # Errors
/// The operating system's; `PermissionDenied` if the runtime directory is not this user's own.
pub fn list() -> Result<Vec<Entry>> {
    list_under("")
}

/// Every name of this user that begins with `prefix`, sorted.
///
/// # Errors
/// As [`list`].
pub fn list_under(prefix: &str) -> Result<Vec<Entry>> {
    Ok(entries_of(&names_under(prefix)?))
}

/// Every name of `group`, sorted: those that are `group`, a slash, and something without one. Others cost nothing, however
/// many there are.
///
/// # Errors
/// As [`list`]; `ApiMisuse` for what begins no name.
pub fn list_in(group: &str) -> Result<Vec<Entry>> {
    Ok(entries_of(&names_in(group)?))
}

fn entries_of(names: &[String]) -> Vec<Entry> {
    // If one cannot be inspected: gone meanwhile, of another user, or no file of ours. One odd entry does not hide the
    // others.
    names.iter().filter_map(|name| inspect(name).ok()).collect()
}

/// What can be seen of `name` from outside.
///
/// # Errors
/// `NotFound`; the operating system's.
pub fn inspect(name: &str) -> Result<Entry> {
    let place = Place::new(&directory::runtime_root()?, name)?;
    match Witness::with_participants(&place.segment) {
        Ok(witness) => Ok(witness.entry(name.to_owned(), place.segment)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(name)),
        Err(error) => Err(error),
    }
}

/// A short look at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// What its maker said it holds; 0 if its header cannot be read.
    pub schema: u64,
    /// Nobody living owns or uses it, and it was not meant to stay.
    pub stale: bool,
}

/// As [`inspect`], but only what costs little: no look at who participates.
///
/// # Errors
/// As [`inspect`].
///
/// ```
/// use crossing_shm::{Segment, registry};
/// # let _guard = crossing_testkit::RuntimeDirGuard::new();
///
/// let kept = Segment::options().size(64).schema(7).create("glanced")?;
/// let glance = registry::glance("glanced")?;
/// assert_eq!((glance.schema, glance.stale), (7, false));
/// # drop(kept);
/// # Ok::<(), crossing_sys::Error>(())
/// ```
pub fn glance(name: &str) -> Result<Glance> {
    let place = Place::new(&directory::runtime_root()?, name)?;
    match Witness::open(&place.segment) {
        Ok(witness) => {
            let schema = witness.header.as_ref().map_or(0, |header| header.schema);
            Ok(Glance { schema, stale: witness.is_stale() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(name)),
        Err(error) => Err(error),
    }
}

/// Whether the owner of a segment lives, to be asked again and again: one file stays open.
#[derive(Debug)]
pub struct Owner(LockFile);

impl Owner {
    /// Whether it lives, or has at least not dropped the segment. A system call.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.is_locked_elsewhere(OWNER_SLOT).unwrap_or(true)
    }
}

/// The owner of `name`.
///
/// ```
/// use crossing_shm::{Segment, registry};
///
/// let name = format!("owned-doc-{}", std::process::id());
/// let segment = Segment::options().size(64).create(&name)?;
/// let owner = registry::owner(&name)?;
/// assert!(owner.is_alive());
/// drop(segment);
/// assert!(!owner.is_alive());
/// # Ok::<(), crossing_sys::Error>(())
/// ```
///
/// # Errors
/// `NotFound`; the operating system's.
pub fn owner(name: &str) -> Result<Owner> {
    let place = Place::new(&directory::runtime_root()?, name)?;
    match MemoryFile::open(&place.segment, true) {
        Ok(file) => Ok(Owner(LockFile::new(file.into_handle()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(name)),
        Err(error) => Err(error),
    }
}

/// The names of this user that begin with `prefix`, sorted: those in use, the stale, and those that are not complete yet.
/// Looks at all directories of groups.
///
/// # Errors
/// As [`list`].
pub fn names_under(prefix: &str) -> Result<Vec<String>> {
    let root = directory::runtime_root()?;
    let mut names = Vec::new();
    for entry in file_names(&root)? {
        match name::decode_group(&entry) {
            // Gone meanwhile, of another user, or a file: it does not hide the others.
            Some(group) => names.extend(names_within(&root.join(&entry), &group).unwrap_or_default()),
            None => names.extend(name::decode(None, &entry)),
        }
    }
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    Ok(names)
}

/// As [`names_under`], of one group: names that are `group`, a slash, and something without one. Others cost nothing, however
/// many there are.
///
/// ```
/// use crossing_shm::{Segment, registry};
/// # let _guard = crossing_testkit::RuntimeDirGuard::new();
/// # let group = format!("doc-group-{}", std::process::id());
///
/// let one = Segment::options().size(64).create(&format!("{group}/one"))?;
/// let inner = Segment::options().size(64).create(&format!("{group}/inner/two"))?;
/// assert_eq!(registry::names_in(&group)?, [format!("{group}/one")]);
/// assert_eq!(registry::names_under(&group)?.len(), 2);
/// # drop((one, inner));
/// # Ok::<(), crossing_sys::Error>(())
/// ```
///
/// # Errors
/// As [`list_in`].
pub fn names_in(group: &str) -> Result<Vec<String>> {
    let place = directory::runtime_root()?.join(name::encode_group(group)?);
    let mut names = match names_within(&place, group) {
        // Nobody is there.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    names.sort();
    Ok(names)
}

fn names_within(directory: &Path, group: &str) -> Result<Vec<String>> {
    let entries = file_names(directory)?;
    Ok(entries.iter().filter_map(|entry| name::decode(Some(group), entry)).collect())
}

fn file_names(directory: &Path) -> Result<Vec<String>> {
    let error = |cause| Error::os(cause, "list names", directory.display().to_string());
    let mut names = Vec::new();
    for entry in directory::entries(directory).map_err(error)? {
        names.extend(entry.map_err(error)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// How long `remove` waits for others who are busy with the name.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes `name`: a segment that persists or is stale. Processes that have it open keep their memory.
///
/// # Errors
/// `NotFound`; `Busy` while its owner or a user of it lives.
pub fn remove(name: &str) -> Result<()> {
    let place = Place::new(&directory::runtime_root()?, name)?;
    let lock = place.lock(None, PATIENCE)?;
    match Witness::with_participants(&place.segment) {
        Ok(witness) if witness.owned() || witness.in_use() => {
            let pids: Vec<String> = witness
                .participants
                .iter()
                .filter(|user| user.alive)
                .map(|user| user.pid.to_string())
                .collect();
            Err(Error::new(ErrorKind::Busy, "remove segment", name)
                .detail(format!("living processes use it: {}", pids.join(", ")))
                .fix("end them first"))
        }
        Ok(_) => lock.remove_all(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            lock.remove_all()?;
            Err(not_found(name))
        }
        Err(error) => Err(error),
    }
}

/// Removes the names of `group` that have no segment: who made or removed one of them died meanwhile. What somebody living
/// is busy with stays. For names that nobody will ever make again, such as random ones: [`list_in`] does not show them.
///
/// # Errors
/// As [`list_in`].
pub fn remove_unfinished(group: &str) -> Result<()> {
    let root = directory::runtime_root()?;
    for name in names_in(group)? {
        let place = Place::new(&root, &name)?;
        let unfinished = || matches!(place.segment.try_exists(), Ok(false));
        // One that cannot be removed now does not keep the others.
        if unfinished()
            && let Ok(lock) = place.lock(None, Duration::ZERO)
            && unfinished()
        {
            let _ = lock.remove_all();
        }
    }
    Ok(())
}

/// Removes everything that dead processes of this user left; the names that went.
///
/// # Errors
/// The operating system's.
pub fn remove_stale() -> Result<Vec<String>> {
    let root = directory::runtime_root()?;
    let mut removed = Vec::new();
    for name in names_under("")? {
        let place = Place::new(&root, &name)?;
        let lock = match place.lock(None, PATIENCE) {
            Ok(lock) => lock,
            // Gone meanwhile, somebody living is busy with it, or it is of another user.
            Err(_) => continue,
        };
        // One entry that cannot be judged or removed does not keep the others.
        let stale = lock.sweep().and_then(|()| lock.clear_if_stale()).unwrap_or(false);
        if stale && lock.remove_all().is_ok() {
            removed.push(name);
        }
    }
    for entry in file_names(&root)?.iter().filter(|entry| name::decode_group(entry).is_some()) {
        // Those in which somebody lives, or that are another user's, stay.
        let _ = directory::remove_empty(&root.join(entry));
    }
    directory::empty_trash(&trash(&root));
    Ok(removed)
}
