//! How a segment is created or opened.

use crate::segment::Segment;
use crossing_sys::Result;
use crossing_sys::file::{Access, Handle};
use crossing_sys::memory::{HugePages, MapOptions};
use std::path::PathBuf;
use std::time::Duration;

/// Options of a [`Segment`], in the manner of `std::fs::OpenOptions`: set what you need, then create or open.
///
/// ```
/// # use crossing_shm::Segment;
/// # let name = format!("doc-options-{}", std::process::id());
/// let mut options = Segment::options();
/// options.size(64 << 10).schema(0x7153);
/// let segment = options.open_or_create(&name)?;
/// assert_eq!(segment.len(), 64 << 10);
/// # Ok::<(), crossing_sys::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    pub(crate) size: Option<usize>,
    pub(crate) min_size: Option<usize>,
    pub(crate) access: Access,
    pub(crate) map: MapOptions,
    pub(crate) persist: bool,
    pub(crate) across_sessions: bool,
    pub(crate) schema: Option<u64>,
    pub(crate) timeout: Duration,
    pub(crate) root: Option<PathBuf>,
    pub(crate) content: Vec<u8>,
}

impl SegmentOptions {
    pub(crate) fn new() -> Self {
        Self {
            size: None,
            min_size: None,
            access: Access::Private,
            map: MapOptions::default(),
            persist: false,
            across_sessions: false,
            schema: None,
            timeout: Duration::from_secs(5),
            root: None,
            content: Vec::new(),
        }
    }

    /// Bytes for users, exactly: needed to create; when opening, another size is an error.
    pub fn size(&mut self, bytes: usize) -> &mut Self {
        self.size = Some(bytes);
        self
    }

    /// Bytes for users, at least: created with as many; when opening, a smaller size is an error.
    pub fn min_size(&mut self, bytes: usize) -> &mut Self {
        self.min_size = Some(bytes);
        self
    }

    /// Who may open it; only its creator's user by default.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.access = access;
        self
    }

    /// Open it for reading alone: this process then cannot write it, nor attach cells.
    pub fn read_only(&mut self, read_only: bool) -> &mut Self {
        self.map.read_only = read_only;
        self
    }

    /// Ask for larger pages.
    pub fn huge_pages(&mut self, huge_pages: HugePages) -> &mut Self {
        self.map.huge_pages = huge_pages;
        self
    }

    /// Keep its pages in memory (mlock).
    pub fn lock_in_memory(&mut self, lock: bool) -> &mut Self {
        self.map.lock = lock;
        self
    }

    /// Whether it stays when its creator and all users are gone. By default its creator removes it.
    pub fn persist(&mut self, persist: bool) -> &mut Self {
        self.persist = persist;
        self
    }

    /// Whether processes of other login sessions are to find its memory too (if its access admits them).
    ///
    /// # Platform-specific behavior
    /// Windows: its section is `Global\` instead of `Local\`, which outside of services takes the privilege
    /// SeCreateGlobalPrivilege; a segment that [persists](Self::persist) needs none. Elsewhere sessions do not matter.
    pub fn across_sessions(&mut self, yes: bool) -> &mut Self {
        self.across_sessions = yes;
        self
    }

    /// A number for what lies in it; opening with another one is an error.
    pub fn schema(&mut self, schema: u64) -> &mut Self {
        self.schema = Some(schema);
        self
    }

    /// How long to wait for another process that creates, opens or removes the same name at this moment; 5 s by default.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = timeout;
        self
    }

    /// The first bytes of a segment that is created: there before anybody can open it. The rest is zero. At most its size.
    pub fn content(&mut self, bytes: &[u8]) -> &mut Self {
        self.content = bytes.to_vec();
        self
    }

    /// Look names up in this directory instead of the user's own: another user's runtime directory, for example.
    pub fn directory(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.root = Some(directory.into());
        self
    }

    /// Creates `name`, exclusively. What a dead owner left under the name is removed first.
    ///
    /// # Errors
    /// `AlreadyExists` while somebody living uses the name or it persists; `NoSpace` with the bytes needed and free;
    /// `ApiMisuse` for a bad name or no size; `TimedOut` while another process is busy with the name.
    pub fn create(&self, name: &str) -> Result<Segment> {
        Segment::create(self, name)
    }

    /// Opens `name`.
    ///
    /// # Errors
    /// `NotFound` if there is none, or if only a dead owner's leftover was there; `Incompatible` with both sides' size
    /// or schema; `Corrupt` if the file is damaged; `PermissionDenied`.
    pub fn open(&self, name: &str) -> Result<Segment> {
        Segment::open(self, name)
    }

    /// Opens `name`, or creates it; exactly one of several callers creates it.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create(&self, name: &str) -> Result<Segment> {
        Segment::open_or_create(self, name)
    }

    /// Creates a segment without a name, sealed against changes of its size, to be passed to other processes by its
    /// [handle](Segment::handle). `label` is for people.
    ///
    /// # Errors
    /// `NoSpace`, `ApiMisuse` without a size.
    pub fn anonymous(&self, label: &str) -> Result<Segment> {
        Segment::anonymous(self, label)
    }

    /// Opens the segment behind a handle that another process sent.
    ///
    /// # Errors
    /// `Incompatible` if it is not sealed or not a segment; `Corrupt`.
    pub fn from_handle(&self, handle: Handle) -> Result<Segment> {
        Segment::from_handle(self, handle)
    }

    /// Creates the POSIX shared memory object `/NAME` for programs that use shm_open(3): raw bytes, no header.
    ///
    /// # Errors
    /// `AlreadyExists`, `NoSpace`, `ApiMisuse`.
    pub fn create_posix(&self, name: &str) -> Result<Segment> {
        Segment::create_posix(self, name)
    }

    /// Opens the POSIX shared memory object `/NAME`.
    ///
    /// # Errors
    /// `NotFound`; `Incompatible` if its size is another.
    pub fn open_posix(&self, name: &str) -> Result<Segment> {
        Segment::open_posix(self, name)
    }

    /// Creates the System V segment of `key` for programs that use shmget(2): raw bytes, no header.
    ///
    /// # Errors
    /// `AlreadyExists`, `LimitReached`, `NoSpace`.
    pub fn create_sysv(&self, key: crossing_sys::sysv::Key) -> Result<Segment> {
        Segment::create_sysv(self, key)
    }

    /// Opens the System V segment of `key`.
    ///
    /// # Errors
    /// `NotFound`; `Incompatible` if its size is another.
    pub fn open_sysv(&self, key: crossing_sys::sysv::Key) -> Result<Segment> {
        Segment::open_sysv(self, key)
    }
}
