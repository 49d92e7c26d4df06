//! What a topic's members say of themselves, and where everything lies because of it. Drawn in `docs/format/topic.md`.

use super::cursors::MAX_RINGS;
use crossing_sync::ParticipantId;
use crossing_sys::{Error, ErrorKind, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const RING_MAGIC: [u8; 8] = *b"CROSRING";
const CURSORS_MAGIC: [u8; 8] = *b"CROSCURS";
const MAJOR: u16 = 1;
const MINOR: u16 = 0;

/// Bytes of a message that ride inside its descriptor.
pub const INLINE: usize = 48;
/// The most messages that a ring keeps.
pub const MAX_DEPTH: u32 = 1 << 20;

/// What the members of one topic must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Shape {
    /// The user's number for the meaning of the bytes; 0: not given.
    pub schema: u64,
    /// Bytes of each message; `u32::MAX`: any number.
    pub size: u32,
    /// The alignment of the type.
    pub align: u32,
    /// 0: drop the oldest, 1: block.
    pub overflow: u32,
    /// Zero.
    pub zero: u32,
}

/// The first bytes of a publisher's segment, written before it has a name and never changed.
// FORMAT: topic.md RingHeader size=128
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RingHeader {
    magic: [u8; 8],
    major: u16,
    minor: u16,
    depth: u32,
    max_len: u32,
    bell_owner: u32,
    key: u64,
    shape: Shape,
    pid: u32,
    zero: u32,
    total_len: u64,
    reserved: [u64; 7],
}

const _: () = assert!(size_of::<RingHeader>() == 128);

/// Offsets from the start of a ring's region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingLayout {
    pub(super) depth: u32,
    pub(super) max_len: u32,
    pub(super) tail: usize,
    pub(super) descriptors: usize,
    pub(super) chunks: usize,
    pub(super) chunk_len: usize,
    pub(super) len: usize,
}

fn corrupt(detail: String) -> Error {
    Error::new(ErrorKind::Corrupt, "open topic", "shared memory").detail(detail)
}

fn check_version(magic_fits: bool, what: &str, major: u16, minor: u16) -> Result<()> {
    if !magic_fits {
        return Err(corrupt(format!("the segment holds no {what}")).fix("choose another name for the topic"));
    }
    if major != MAJOR {
        return Err(Error::new(ErrorKind::Incompatible, "open topic", "shared memory")
            .detail(format!("its {what} has format {major}.{minor}, this program knows {MAJOR}.{MINOR}"))
            .fix("let all members of the topic use the same version"));
    }
    Ok(())
}

impl RingHeader {
    /// The header of a ring of `depth` messages (a power of two) of at most `max_len` bytes. `key` is the publisher's
    /// number, never 0; `bell_owner` who it is among the participants of its bell.
    ///
    /// # Errors
    /// `ApiMisuse` for figures outside of their limits, or a size beyond this machine's addresses.
    pub fn new(depth: u32, max_len: u32, shape: Shape, key: u64, bell_owner: ParticipantId) -> Result<Self> {
        let misuse = |detail: String| Error::new(ErrorKind::ApiMisuse, "create topic", "ring").detail(detail);
        if !depth.is_power_of_two() || depth > MAX_DEPTH {
            return Err(
                misuse(format!("a depth of {depth}")).fix(format!("use a power of two, {MAX_DEPTH} at most"))
            );
        }
        let mut header = Self {
            magic: RING_MAGIC,
            major: MAJOR,
            minor: MINOR,
            depth,
            max_len: max_len.max(1),
            bell_owner: bell_owner.raw(),
            key,
            shape,
            pid: std::process::id(),
            zero: 0,
            total_len: 0,
            reserved: [0; 7],
        };
        let layout = header.layout().ok_or_else(|| {
            misuse(format!("{depth} messages of {max_len} bytes are beyond this machine's addresses"))
                .fix("use less depth, or shorter messages")
        })?;
        header.total_len = layout.len as u64;
        Ok(header)
    }

    /// Bytes that the segment needs.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// What it carries.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The publisher's number.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The publisher's process, as it says.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Who the publisher is among the participants of its bell.
    #[must_use]
    pub fn bell_owner(&self) -> Option<ParticipantId> {
        ParticipantId::from_raw(self.bell_owner)
    }

    /// The layout, if the header is one and `len` bytes are enough for it.
    pub(super) fn check(&self, len: usize) -> Result<RingLayout> {
        check_version(self.magic == RING_MAGIC, "ring", self.major, self.minor)?;
        let sane =
            self.depth.is_power_of_two() && self.depth <= MAX_DEPTH && self.max_len > 0 && self.key != 0;
        match if sane { self.layout() } else { None } {
            Some(layout) if layout.len as u64 == self.total_len && layout.len <= len => Ok(layout),
            _ => Err(corrupt("the figures of its ring do not fit".into())
                .fix("end the publisher that made it; `crossing rm --stale` removes what the dead left")),
        }
    }

    fn layout(&self) -> Option<RingLayout> {
        let tail = size_of::<Self>();
        let descriptors = tail + 64;
        let chunks = descriptors.checked_add((self.depth as usize).checked_mul(64)?)?;
        // Messages that ride inside need no chunks.
        let chunk_len = match self.max_len as usize {
            len if len <= INLINE => 0,
            len => len.checked_next_multiple_of(64)?,
        };
        let len = chunks.checked_add((self.depth as usize).checked_mul(chunk_len)?)?;
        let (depth, max_len) = (self.depth, self.max_len);
        (len <= isize::MAX as usize).then_some(RingLayout {
            depth,
            max_len,
            tail,
            descriptors,
            chunks,
            chunk_len,
            len,
        })
    }
}

/// The first bytes of a subscriber's segment, written before it has a name and never changed.
// FORMAT: topic.md CursorsHeader size=128
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CursorsHeader {
    magic: [u8; 8],
    major: u16,
    minor: u16,
    rings: u32,
    bell_owner: u32,
    pid: u32,
    key: u64,
    shape: Shape,
    reserved: [u64; 9],
}

const _: () = assert!(size_of::<CursorsHeader>() == 128);

impl CursorsHeader {
    /// The header of the cursors of subscriber `key`.
    #[must_use]
    pub fn new(shape: Shape, key: u64, bell_owner: ParticipantId) -> Self {
        Self {
            magic: CURSORS_MAGIC,
            major: MAJOR,
            minor: MINOR,
            rings: MAX_RINGS as u32,
            bell_owner: bell_owner.raw(),
            pid: std::process::id(),
            key,
            shape,
            reserved: [0; 9],
        }
    }

    /// What it expects.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The subscriber's number.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The subscriber's process, as it says.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Who the subscriber is among the participants of its bell.
    #[must_use]
    pub fn bell_owner(&self) -> Option<ParticipantId> {
        ParticipantId::from_raw(self.bell_owner)
    }

    pub(super) fn check(&self) -> Result<()> {
        check_version(self.magic == CURSORS_MAGIC, "cursors", self.major, self.minor)?;
        if self.rings as usize != MAX_RINGS || self.key == 0 {
            return Err(corrupt("the figures of its cursors do not fit".into())
                .fix("end the subscriber that made them"));
        }
        Ok(())
    }
}
