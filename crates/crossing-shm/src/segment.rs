//! Segments: creating, opening, owning.
#![allow(unsafe_code)] // the participant table within a mapping

use crate::header::{PAYLOAD_OFFSET, SegmentHeader, TABLE_OFFSET, WAIT_TABLE_OFFSET};
use crate::options::SegmentOptions;
use crate::place::{NameLock, Place};
use crate::region::{Ground, Region};
use crate::registry::OWNER_SLOT;
use crossing_sync::Participant;
use crossing_sync::participant::{MAX_PARTICIPANTS, ParticipantInfo, ParticipantTable};
use crossing_sys::doorbell::Porch;
use crossing_sys::file::{Access, Handle};
use crossing_sys::lock::LockFile;
use crossing_sys::memory::{MapOptions, Mapping, MemoryFile, Storage};
use crossing_sys::wait::WaitSpace;
use crossing_sys::{Error, ErrorKind, Result, crash, directory};
use std::ops::Deref;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use zerocopy::{FromZeros, IntoBytes};

/// A piece of memory that processes share. Derefs to its [`Region`].
///
/// The one who created a named segment owns it: dropping it removes the name (others keep the memory they have open).
/// With `persist` it stays. Who merely opened it never removes a living owner's; the last user of a dead owner's does.
#[derive(Debug)]
pub struct Segment {
    // Dropped first: `Drop` removes the name while this process still counts as living.
    kind: Kind,
    region: Region,
    created: bool,
}

#[derive(Debug)]
enum Kind {
    Named { root: PathBuf, name: String, header: SegmentHeader },
    Anonymous { handle: Handle, header: SegmentHeader },
    Foreign,
}

impl Deref for Segment {
    type Target = Region;

    fn deref(&self) -> &Region {
        &self.region
    }
}

fn root_of(options: &SegmentOptions) -> Result<PathBuf> {
    options.root.clone().map_or_else(directory::runtime_root, Ok)
}

fn size_to_create(options: &SegmentOptions, name: &str) -> Result<usize> {
    match options.size.or(options.min_size) {
        Some(size) if size < options.content.len() => {
            Err(Error::new(ErrorKind::ApiMisuse, "create segment", name)
                .detail(format!("{} bytes of content, a size of {size}", options.content.len())))
        }
        Some(size) if size > 0 && size <= isize::MAX as usize - PAYLOAD_OFFSET => Ok(size),
        size => Err(Error::new(ErrorKind::ApiMisuse, "create segment", name)
            .detail(size.map_or("no size".to_owned(), |size| format!("size {size}")))
            .fix("say how many bytes: .size(65536), `--size 64K`")),
    }
}

impl Segment {
    /// Options to create or open a segment with.
    #[must_use]
    pub fn options() -> SegmentOptions {
        SegmentOptions::new()
    }

    pub(crate) fn create(options: &SegmentOptions, name: &str) -> Result<Self> {
        size_to_create(options, name)?;
        let place = Place::new(&root_of(options)?, name)?;
        let (lock, free) = place.lock(Some(options.access), options.timeout)?.prepare()?;
        if !free {
            return Err(Error::new(ErrorKind::AlreadyExists, "create segment", name)
                .fix(format!("open it, choose another name, or remove it: `crossing rm {name}`")));
        }
        Self::create_locked(options, name, lock)
    }

    pub(crate) fn open(options: &SegmentOptions, name: &str) -> Result<Self> {
        let place = Place::new(&root_of(options)?, name)?;
        if options.map.read_only {
            return Self::open_file(options, &place);
        }
        let lock = place.lock(None, options.timeout)?;
        lock.sweep()?;
        if lock.clear_if_stale()? {
            lock.remove_all()?;
        }
        Self::open_file(options, &place)
    }

    pub(crate) fn open_or_create(options: &SegmentOptions, name: &str) -> Result<Self> {
        size_to_create(options, name)?;
        let place = Place::new(&root_of(options)?, name)?;
        let (lock, free) = place.lock(Some(options.access), options.timeout)?.prepare()?;
        if free { Self::create_locked(options, name, lock) } else { Self::open_file(options, &place) }
    }

    fn create_locked(options: &SegmentOptions, name: &str, lock: NameLock<'_>) -> Result<Self> {
        let root = root_of(options)?;
        let place = Place::new(&root, name)?;
        if options.access != Access::Private {
            place.open_to(options.access)?;
        }
        match Self::build(options, &place) {
            Ok((region, header)) => {
                drop(lock);
                let kind = Kind::Named { root, name: name.to_owned(), header };
                Ok(Self { kind, region, created: true })
            }
            Err(error) => {
                // Nothing of a failed creation stays; that this works too is not what the caller asked.
                let _ = lock.remove_all();
                Err(error)
            }
        }
    }

    /// Makes the file complete and locked under a temporary name, then gives it its name.
    fn build(options: &SegmentOptions, place: &Place) -> Result<(Region, SegmentHeader)> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let size = size_to_create(options, &place.name)?;
        let header = SegmentHeader::new(size as u64, options.schema.unwrap_or(0), options.persist)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = place.directory.join(format!("new-{}-{number}", std::process::id()));
        let storage = Storage {
            access: options.access,
            persist: options.persist,
            huge_pages: options.map.huge_pages,
            across_sessions: options.across_sessions,
        };
        let file = MemoryFile::create(&temporary, &storage)?;
        crash::point("segment.create.file");
        file.allocate(header.file_len(), &place.name)?;
        crash::point("segment.create.allocated");
        let map = MapOptions { read_only: false, ..options.map };
        let mapping = file.map(PAYLOAD_OFFSET + size, map)?;
        // SAFETY: the mapping is longer than the header and writable; nobody else knows the file yet.
        unsafe { crossing_sys::copy::to_shared(header.as_bytes(), mapping.as_ptr()) };
        write_content(&mapping, &options.content);
        let locks = lock_opening(&temporary)?;
        let owner =
            locks.try_lock(OWNER_SLOT).map_err(|cause| Error::os(cause, "own segment", &*place.name))?;
        debug_assert!(owner, "nobody else knows the file yet");
        crash::point("segment.create.owned");
        let region = join(mapping, locks, &header, options.access, Some(&place.directory), &place.name)?;
        directory::rename_new(&temporary, &place.segment)?;
        crash::point("segment.create.named");
        Ok((region, header))
    }

    fn open_file(options: &SegmentOptions, place: &Place) -> Result<Self> {
        let file =
            MemoryFile::open(&place.segment, options.map.read_only).map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    Error::new(ErrorKind::NotFound, "open segment", &*place.name).fix(format!(
                        "create it first: `crossing shm create {} --size 64K`, or open_or_create",
                        place.name
                    ))
                }
                _ => error,
            })?;
        let (header, _) = look(&file, &place.name)?;
        check_wishes(options, &place.name, header.payload_len, Some(header.schema))?;
        let mapping = file.map(mapped_len(&header, &place.name)?, options.map)?;
        let region = if options.map.read_only {
            Region::new(Arc::new(Ground::Mapped(mapping)), PAYLOAD_OFFSET, true, &place.name)
        } else {
            join(
                mapping,
                lock_opening(&place.segment)?,
                &header,
                directory::access_of(&place.segment).unwrap_or_default(),
                Some(&place.directory),
                &place.name,
            )?
        };
        crash::point("segment.open.joined");
        let kind = Kind::Named { root: root_of(options)?, name: place.name.clone(), header };
        Ok(Self { kind, region, created: false })
    }

    pub(crate) fn anonymous(options: &SegmentOptions, label: &str) -> Result<Self> {
        let size = size_to_create(options, label)?;
        let header = SegmentHeader::new(size as u64, options.schema.unwrap_or(0), false)?;
        let file = MemoryFile::anonymous(label, header.file_len(), options.map.huge_pages)?;
        let mapping = file.map(PAYLOAD_OFFSET + size, options.map)?;
        // SAFETY: the mapping is longer than the header and writable; nobody else has the memory yet.
        unsafe { crossing_sys::copy::to_shared(header.as_bytes(), mapping.as_ptr()) };
        write_content(&mapping, &options.content);
        Self::of_anonymous(file, mapping, header, label, true)
    }

    pub(crate) fn from_handle(options: &SegmentOptions, handle: Handle) -> Result<Self> {
        let (file, label) = (MemoryFile::received(handle)?, "received handle");
        let (header, _) = look(&file, label)?;
        check_wishes(options, label, header.payload_len, Some(header.schema))?;
        let mapping = file.map(mapped_len(&header, label)?, options.map)?;
        Self::of_anonymous(file, mapping, header, label, false)
    }

    fn of_anonymous(
        file: MemoryFile,
        mapping: Mapping,
        header: SegmentHeader,
        label: &str,
        created: bool,
    ) -> Result<Self> {
        // A handle that travels carries its locks along, so each participant locks through an opening of its own.
        let region =
            join(mapping, LockFile::new(file.reopen(false)?), &header, Access::Private, None, label)?;
        Ok(Self { kind: Kind::Anonymous { handle: file.into_handle(), header }, region, created })
    }

    pub(crate) fn foreign(region: Region, created: bool) -> Self {
        Self { kind: Kind::Foreign, region, created }
    }

    /// Whether this call created it (and did not find it).
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// The region: its bytes in this process.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The handle of an anonymous segment, to send it to another process.
    #[must_use]
    pub fn handle(&self) -> Option<&Handle> {
        match &self.kind {
            Kind::Anonymous { handle, .. } => Some(handle),
            _ => None,
        }
    }

    /// The number that its creator gave for what lies in it; `None` for foreign memory.
    #[must_use]
    pub fn schema(&self) -> Option<u64> {
        match &self.kind {
            Kind::Named { header, .. } | Kind::Anonymous { header, .. } => Some(header.schema),
            Kind::Foreign => None,
        }
    }

    fn remove_if_mine(&self, me: &Participant, root: &std::path::Path, name: &str) -> Result<()> {
        let place = Place::new(root, name)?;
        let lock = place.lock(None, Duration::from_secs(5))?;
        // The file itself is compared, not what its bytes say: a peer may have scribbled over them.
        if !me.is_at(&place.segment) {
            return Ok(()); // the name was taken over by another
        }
        let locks = LockFile::new(MemoryFile::open(&place.segment, true)?.into_handle());
        let used = |slot: usize| {
            Some(slot) != me.id().slot() && locks.is_locked_elsewhere(slot as u32).unwrap_or(true)
        };
        let abandoned =
            !locks.is_locked_elsewhere(OWNER_SLOT).unwrap_or(true) && !(0..MAX_PARTICIPANTS).any(used);
        crash::point("segment.drop.decided");
        if self.created || abandoned { lock.remove_all() } else { Ok(()) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Kind::Named { root, name, header } = &self.kind
            && !header.persist()
            && let Some(me) = self.region.participant()
            && !me.is_forked()
        {
            // What cannot be removed now is stale as soon as this process ends, and reclaimed then.
            let _ = self.remove_if_mine(me, root, name);
        }
    }
}

/// An opening for locks alone. A mapping keeps the opening alive that it was made from, also in a forked child, and with it
/// the opening's locks: so what is mapped is never what is locked.
fn lock_opening(path: &std::path::Path) -> Result<LockFile> {
    Ok(LockFile::new(MemoryFile::open(path, false)?.into_handle()))
}

/// The first of the users' bytes of a file that nobody else knows yet; `content` was checked to fit.
fn write_content(mapping: &Mapping, content: &[u8]) {
    debug_assert!(PAYLOAD_OFFSET + content.len() <= mapping.len());
    // SAFETY: the mapping is longer than the header's pages by the size, which `content` does not exceed.
    let to = unsafe { mapping.as_ptr().add(PAYLOAD_OFFSET) };
    // SAFETY: as above, and writable.
    unsafe { crossing_sys::copy::to_shared(content, to) };
}

fn mapped_len(header: &SegmentHeader, name: &str) -> Result<usize> {
    usize::try_from(header.file_len()).map_err(|_| {
        Error::new(ErrorKind::Incompatible, "open segment", name)
            .detail("larger than this process can address")
    })
}

/// Checks a size and schema against what the options ask for.
pub(crate) fn check_wishes(
    options: &SegmentOptions,
    name: &str,
    has: u64,
    schema: Option<u64>,
) -> Result<()> {
    let error =
        |detail: String| Err(Error::new(ErrorKind::Incompatible, "open segment", name).detail(detail));
    if let Some(size) = options.size.filter(|size| *size as u64 != has) {
        return error(format!("it has {has} bytes, {size} were asked for"));
    }
    if let Some(least) = options.min_size.filter(|least| *least as u64 > has) {
        return error(format!("it has {has} bytes, at least {least} were asked for"));
    }
    match (options.schema, schema) {
        (Some(wish), Some(has)) if wish != has => {
            error(format!("its schema is {has:#x}, {wish:#x} was asked for"))
        }
        _ => Ok(()),
    }
}

/// Joins the table of participants in `mapping`, whose doorbells hang in `directory`.
fn join(
    mapping: Mapping,
    locks: LockFile,
    header: &SegmentHeader,
    access: Access,
    directory: Option<&std::path::Path>,
    name: &str,
) -> Result<Region> {
    let (base, len) = (mapping.as_ptr(), mapping.len());
    let ground = Arc::new(Ground::Mapped(mapping));
    // SAFETY: every segment is longer than the table's place in it.
    let table = unsafe { base.add(TABLE_OFFSET) }.cast::<ParticipantTable>();
    let table = NonNull::new(table).ok_or_else(|| Error::new(ErrorKind::Os, "map memory", name))?;
    // SAFETY: the table of sleepers lies before the participants' in the same mapping.
    let beds = unsafe { table.byte_sub(TABLE_OFFSET - WAIT_TABLE_OFFSET) }.cast();
    // SAFETY: mapped writable and aligned to 64 while `ground` lives, which the participant keeps with the space.
    let space = unsafe { WaitSpace::shared(header.identity, base.addr(), len, beds, access) };
    let porch = directory.map(|directory| Porch::new(directory, header.identity, access));
    // SAFETY: the table is mapped writable (read-only openings do not join) while `ground` lives, and aligned to a page.
    let participant = unsafe { Participant::join_at(table, locks, space, porch, ground.clone()) }?;
    Ok(Region::new(ground, PAYLOAD_OFFSET, false, name).with_participant(participant))
}

/// A checked copy of the header, and the mapping of it and the table of participants.
pub(crate) fn look(file: &MemoryFile, name: &str) -> Result<(SegmentHeader, Mapping)> {
    let len = file.len()?;
    if len < PAYLOAD_OFFSET as u64 {
        return Err(Error::new(ErrorKind::Corrupt, "open segment", name)
            .detail(format!("{len} bytes, a segment has more than {PAYLOAD_OFFSET}")));
    }
    let mapping = file.map(PAYLOAD_OFFSET, MapOptions { read_only: true, ..MapOptions::default() })?;
    let mut header = SegmentHeader::new_zeroed();
    // SAFETY: the mapping is longer than the header; the copy tolerates writers.
    unsafe { crossing_sys::copy::from_shared(mapping.as_ptr(), header.as_mut_bytes()) };
    header.check(name, len)?;
    Ok((header, mapping))
}

/// The participants that the table in a mapping of [`look`] shows.
pub(crate) fn participants(mapping: &Mapping, locks: &LockFile) -> Vec<ParticipantInfo> {
    assert!(mapping.len() >= PAYLOAD_OFFSET);
    // SAFETY: within the mapping, which is as long as header page and table.
    let table = unsafe { mapping.as_ptr().add(TABLE_OFFSET) }.cast::<ParticipantTable>();
    // SAFETY: mapped during the call, aligned to a page.
    NonNull::new(table)
        .map_or_else(Vec::new, |table| unsafe { crossing_sync::participant::list(table, locks) })
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
