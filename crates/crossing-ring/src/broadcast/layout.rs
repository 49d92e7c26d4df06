//! What a topic's members say of themselves, and where everything lies because of it. Drawn in `docs/format/topic.md`.

use super::cursors::MAX_RINGS;
use crossing_sync::ParticipantId;
use crossing_sys::{Error, ErrorKind, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const RING_MAGIC: [u8; 8] = *b"CROSRING";
const CURSORS_MAGIC: [u8; 8] = *b"CROSCURS";
const MAJOR: u16 = 4;
const MINOR: u16 = 0;

/// The most messages that a ring keeps.
pub const MAX_DEPTH: u32 = 1 << 20;
/// The most subscribers of one publisher that read in place.
pub const MAX_SUBSCRIBERS: u32 = 256;
/// The most messages that one subscriber holds in place.
pub const MAX_BORROWED: u32 = 64;
/// The most messages that one publisher has on loan.
pub const MAX_LOANS: u32 = 1024;
/// The strictest alignment of a message.
pub const MAX_ALIGN: u32 = 64;
/// Bytes of the longest message that may ride inside a descriptor.
pub const MAX_INLINE: usize = 112;
/// Bytes of a descriptor before the message that rides inside.
pub(super) const SLOT_HEAD: usize = 16;
/// A ring of so many slots or more has some made ready before they are written.
const AHEAD_FROM: u32 = 64;
/// As many. A line of descriptors that stand apart has four: so what is made ready is never in the line that is written.
const AHEAD: u32 = 4;
/// What a message of up to so many bytes takes, if no message is longer, is a line of its own, apart from its descriptor: where
/// both together would take two lines, four descriptors share one.
const LINE: usize = 64;

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
    /// 0: drop the oldest, 1: block, 2: drop the newest, 3: fail.
    pub overflow: u32,
    /// Zero.
    pub zero: u32,
}

impl Shape {
    /// Whether messages may be dropped before they are published, so that gaps are told by the publisher.
    #[must_use]
    pub fn drops_newest(&self) -> bool {
        self.overflow == 2
    }
}

/// How large a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Messages kept: a power of two.
    pub depth: u32,
    /// The longest message, in bytes.
    pub max_len: u32,
    /// Subscribers that may read in place.
    pub max_subscribers: u32,
    /// Messages that each of them may hold.
    pub max_borrowed: u32,
    /// Messages that the publisher may have on loan.
    pub max_loans: u32,
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
    inline: u32,
    total_len: u64,
    max_subscribers: u32,
    max_borrowed: u32,
    max_loans: u32,
    asymmetric: u32,
    reserved: [u64; 5],
}

const _: () = assert!(size_of::<RingHeader>() == 128);

/// Offsets from the start of a ring's region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingLayout {
    pub(super) depth: u32,
    /// So many slots are made ready ahead of the message that is written: their messages are gone.
    pub(super) ahead: u32,
    pub(super) max_len: u32,
    pub(super) inline: usize,
    pub(super) tail: usize,
    pub(super) admitted: usize,
    pub(super) max_subscribers: usize,
    pub(super) slots: usize,
    pub(super) slot_len: usize,
    pub(super) bodies: usize,
    pub(super) body_len: usize,
    pub(super) gaps: usize,
    pub(super) chunks: usize,
    pub(super) chunk_len: usize,
    pub(super) chunk_count: u32,
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
    /// Whether a ring may have these figures.
    ///
    /// # Errors
    /// `ApiMisuse` that names the limit.
    pub fn check_figures(figures: &Figures, shape: &Shape) -> Result<()> {
        let misuse = |detail: String| Error::new(ErrorKind::ApiMisuse, "create topic", "ring").detail(detail);
        let Figures { depth, max_len: _, max_subscribers, max_borrowed, max_loans } = *figures;
        if !depth.is_power_of_two() || depth > MAX_DEPTH {
            return Err(
                misuse(format!("a depth of {depth}")).fix(format!("use a power of two, {MAX_DEPTH} at most"))
            );
        }
        let bounds = [
            ("max_subscribers", max_subscribers, 1, MAX_SUBSCRIBERS),
            ("max_borrowed", max_borrowed, 1, MAX_BORROWED),
            ("max_loans", max_loans, 1, MAX_LOANS),
            ("the alignment", shape.align, 1, MAX_ALIGN),
        ];
        if let Some((what, value, least, most)) =
            bounds.into_iter().find(|(_, value, least, most)| value < least || value > most)
        {
            return Err(misuse(format!("{what} is {value}")).fix(format!("use {least} to {most}")));
        }
        Ok(())
    }

    /// The header of a ring. `key` is the publisher's number, never 0; `bell_owner` who it is among the participants of its
    /// bell; `asymmetric` whether it has registered for [`crossing_sys::asymmetric::heavy`].
    ///
    /// # Errors
    /// `ApiMisuse` for figures outside of their limits, or a size beyond this machine's addresses.
    pub fn new(
        figures: Figures,
        shape: Shape,
        key: u64,
        bell_owner: ParticipantId,
        asymmetric: bool,
    ) -> Result<Self> {
        Self::check_figures(&figures, &shape)?;
        let Figures { depth, max_len, max_subscribers, max_borrowed, max_loans } = figures;
        let max_len = max_len.max(1);
        // A value in a descriptor is aligned to 16.
        let inline = match max_len {
            _ if shape.align > 16 => 0,
            0..=48 => 48,
            49..=64 => LINE as u32,
            _ => MAX_INLINE as u32,
        };
        let mut header = Self {
            magic: RING_MAGIC,
            major: MAJOR,
            minor: MINOR,
            depth,
            max_len,
            bell_owner: bell_owner.raw(),
            key,
            shape,
            pid: std::process::id(),
            inline,
            total_len: 0,
            max_subscribers,
            max_borrowed,
            max_loans,
            asymmetric: u32::from(asymmetric),
            reserved: [0; 5],
        };
        let layout = header.layout().ok_or_else(|| {
            Error::new(ErrorKind::ApiMisuse, "create topic", "ring")
                .detail(format!("{depth} messages of {max_len} bytes are beyond this machine's addresses"))
                .fix("use less depth, or shorter messages")
        })?;
        header.total_len = layout.len as u64;
        Ok(header)
    }

    /// Messages that the publisher may have on loan.
    #[must_use]
    pub fn max_loans(&self) -> u32 {
        self.max_loans
    }

    /// Subscribers that may read in place.
    #[must_use]
    pub fn max_subscribers(&self) -> u32 {
        self.max_subscribers
    }

    /// Messages that each subscriber may hold in place.
    #[must_use]
    pub fn max_borrowed(&self) -> u32 {
        self.max_borrowed
    }

    /// Messages kept.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The longest message, in bytes.
    #[must_use]
    pub fn max_len(&self) -> u32 {
        self.max_len
    }

    /// Whether the publisher fences only when a subscriber makes it.
    #[must_use]
    pub fn is_asymmetric(&self) -> bool {
        self.asymmetric == 1
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
        let sane = self.depth.is_power_of_two()
            && self.depth <= MAX_DEPTH
            && self.max_len > 0
            && self.key != 0
            && [0, 48, LINE as u32, MAX_INLINE as u32].contains(&self.inline)
            && (1..=MAX_SUBSCRIBERS).contains(&self.max_subscribers)
            && (1..=MAX_BORROWED).contains(&self.max_borrowed)
            && (1..=MAX_LOANS).contains(&self.max_loans)
            && (1..=MAX_ALIGN).contains(&self.shape.align);
        match if sane { self.layout() } else { None } {
            Some(layout) if layout.len as u64 == self.total_len && layout.len <= len => Ok(layout),
            _ => Err(corrupt("the figures of its ring do not fit".into())
                .fix("end the publisher that made it; `crossing rm --stale` removes what the dead left")),
        }
    }

    fn layout(&self) -> Option<RingLayout> {
        let (depth, inline) = (self.depth as usize, self.inline as usize);
        let tail = size_of::<Self>();
        let admitted = tail + 64;
        let slots = admitted.checked_add((self.max_subscribers as usize * 16).next_multiple_of(64))?;
        let together = (SLOT_HEAD + inline).next_multiple_of(64);
        let (slot_len, body_len) = if inline == LINE { (SLOT_HEAD, LINE) } else { (together, together) };
        let after = slots.checked_add(depth.checked_mul(slot_len)?.checked_next_multiple_of(64)?)?;
        let (bodies, gaps) = match inline {
            LINE => (after, after.checked_add(depth.checked_mul(LINE)?)?),
            _ => (slots + SLOT_HEAD, after),
        };
        let gaps_len = if self.shape.drops_newest() { (depth * 8).next_multiple_of(64) } else { 0 };
        let chunks = gaps.checked_add(gaps_len)?;
        // Messages that ride inside need no chunks.
        let (chunk_len, chunk_count) = match self.max_len as usize {
            len if len <= inline => (0, 0),
            len => {
                let held = self.max_subscribers.checked_mul(self.max_borrowed)?;
                // One more: a message can be copied in while all loans are out.
                let count = self.depth.checked_add(self.max_loans)?.checked_add(held)?.checked_add(1)?;
                (len.checked_next_multiple_of(64)?, count)
            }
        };
        let len = chunks.checked_add((chunk_count as usize).checked_mul(chunk_len)?)?;
        (len <= isize::MAX as usize).then_some(RingLayout {
            depth: self.depth,
            ahead: if self.depth < AHEAD_FROM { 0 } else { AHEAD },
            max_len: self.max_len,
            inline,
            tail,
            admitted,
            max_subscribers: self.max_subscribers as usize,
            slots,
            slot_len,
            bodies,
            body_len,
            gaps,
            chunks,
            chunk_len,
            chunk_count,
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
    borrowed: u32,
    zero: u32,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<CursorsHeader>() == 128);

impl CursorsHeader {
    /// The header of the cursors of subscriber `key`, which holds at most `borrowed` messages in place.
    #[must_use]
    pub fn new(shape: Shape, key: u64, bell_owner: ParticipantId, borrowed: u32) -> Self {
        Self {
            magic: CURSORS_MAGIC,
            major: MAJOR,
            minor: MINOR,
            rings: MAX_RINGS as u32,
            bell_owner: bell_owner.raw(),
            pid: std::process::id(),
            key,
            shape,
            borrowed: borrowed.clamp(1, MAX_BORROWED),
            zero: 0,
            reserved: [0; 8],
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

    /// How many messages it holds in place at most.
    #[must_use]
    pub fn borrowed(&self) -> u32 {
        self.borrowed
    }

    /// Who the subscriber is among the participants of its bell.
    #[must_use]
    pub fn bell_owner(&self) -> Option<ParticipantId> {
        ParticipantId::from_raw(self.bell_owner)
    }

    pub(super) fn check(&self) -> Result<()> {
        check_version(self.magic == CURSORS_MAGIC, "cursors", self.major, self.minor)?;
        let borrowed = (1..=MAX_BORROWED).contains(&self.borrowed);
        if self.rings as usize != MAX_RINGS || self.key == 0 || !borrowed {
            return Err(corrupt("the figures of its cursors do not fit".into())
                .fix("end the subscriber that made them"));
        }
        Ok(())
    }
}
