//! What a queue's creator decides, and where everything lies because of it. Drawn in `docs/format/queue.md`.

use super::core::Limits;
use super::words::{DEAD, DOORBELLS, INLINE, Ledger, MAX_CAPACITY, MAX_INLINE, Shared, Slot, map_words};
use crossing_sync::participant::MAX_PARTICIPANTS;
use crossing_sys::{Error, ErrorKind, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const MAGIC: [u8; 8] = *b"CROSQUEU";
const MAJOR: u16 = 1;
const MINOR: u16 = 2;

/// Bytes of a small block.
const FINE: u64 = 256;
/// Messages above this many bytes use large blocks.
const FINE_MAX: u64 = 64 * FINE;
/// The most blocks of one message.
const MAX_BLOCKS: u64 = 64;
/// How many bytes a queue sets aside for messages unless it is told.
const DEFAULT_BYTES: u64 = 64 << 20;

/// What the creator of a queue wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// The most messages: 1 to 1,048,576.
    pub capacity: u32,
    /// The longest message, in bytes, its properties included; below 4 GiB.
    pub max_len: u32,
    /// Bytes for the messages longer than `inline`, all together; `None`: room for `capacity` messages of `max_len`, at
    /// most 64 MiB, but at least for four.
    pub max_bytes: Option<u64>,
    /// Priorities 0 to this less one; 1 to 32.
    pub priorities: u32,
    /// After how many deliveries a message that is given back is buried; 0: never.
    pub max_deliveries: u32,
    /// Bytes of a message that lie in its slot itself, which is as much longer: 64, or more in steps of 64, at most 4096.
    pub inline: u32,
}

/// What the bytes of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The number of the type, whoever gives them; 0: none.
    pub schema: u64,
    /// Bytes of the value that each message is; `None`: any number.
    pub size: Option<u32>,
    /// Alignment of the value.
    pub align: u32,
}

impl Shape {
    /// Bytes, any number of them.
    pub const BYTES: Self = Self { schema: 0, size: None, align: 1 };
}

/// The first bytes of a queue's segment, written before it has a name and never changed.
// FORMAT: queue.md QueueHeader size=128
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct QueueHeader {
    magic: [u8; 8],
    major: u16,
    minor: u16,
    capacity: u32,
    max_len: u32,
    priorities: u32,
    max_deliveries: u32,
    lane_bits: u32,
    fine_blocks: u32,
    coarse_blocks: u32,
    coarse_len: u32,
    /// Bytes of a slot beyond its 128.
    slot_more: u32,
    max_bytes: u64,
    total_len: u64,
    schema: u64,
    /// Bytes of a value and one more; 0: messages are bytes, any number.
    value_len: u32,
    align: u32,
    reserved: [u64; 6],
}

const _: () = assert!(size_of::<QueueHeader>() == 128);

/// Blocks of one size: where their words and they themselves begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Blocks {
    pub(super) words: usize,
    pub(super) bytes: usize,
    pub(super) block_len: usize,
    pub(super) count: u32,
}

/// Offsets from the start of the segment's region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) capacity: u32,
    pub(super) max_len: u32,
    pub(super) max_bytes: u64,
    pub(super) shape: Shape,
    pub(super) limits: Limits,
    pub(super) lane_bits: u32,
    pub(super) shared: usize,
    pub(super) lanes: usize,
    pub(super) ledgers: usize,
    pub(super) doorbells: usize,
    pub(super) busy: usize,
    pub(super) aside: usize,
    pub(super) slots: usize,
    /// From one slot to the next, and how much of it is for the message.
    pub(super) slot_len: usize,
    pub(super) inline: usize,
    pub(super) cells: usize,
    pub(super) fine: Blocks,
    pub(super) coarse: Blocks,
    pub(super) len: usize,
}

fn misuse(detail: String) -> Error {
    Error::new(ErrorKind::ApiMisuse, "create queue", "shared memory").detail(detail)
}

impl QueueHeader {
    /// The header of a queue as wished.
    ///
    /// # Errors
    /// `ApiMisuse` for figures outside of their limits, or a size beyond this machine's addresses.
    pub fn new(wishes: &Wishes) -> Result<Self> {
        if wishes.capacity == 0 || wishes.capacity > MAX_CAPACITY {
            return Err(misuse(format!("capacity {}; 1 to {MAX_CAPACITY} are possible", wishes.capacity)));
        }
        if wishes.priorities == 0 || wishes.priorities > DEAD {
            return Err(misuse(format!("{} priorities; 1 to {DEAD} are possible", wishes.priorities)));
        }
        let max_len = u64::from(wishes.max_len.max(1));
        let capacity = u64::from(wishes.capacity);
        // The longest message of a power of two, so that 64 large blocks hold it.
        let coarse_len =
            if max_len > FINE_MAX { max_len.div_ceil(MAX_BLOCKS).next_multiple_of(FINE) } else { 0 };
        let all = capacity.saturating_mul(max_len.next_multiple_of(coarse_len.max(FINE)));
        let bytes = match wishes.max_bytes {
            Some(bytes) if bytes < max_len => {
                return Err(misuse(format!("max_bytes {bytes} is less than one message of {max_len} bytes")));
            }
            Some(bytes) => bytes,
            None => all.min(DEFAULT_BYTES.max(4 * max_len)),
        };
        let inline = (wishes.inline as usize).clamp(INLINE, MAX_INLINE).next_multiple_of(64);
        let (fine, coarse) = if max_len <= inline as u64 {
            (0, 0)
        } else if coarse_len == 0 {
            (bytes.div_ceil(FINE).max(max_len.div_ceil(FINE)), 0)
        } else {
            // Small messages have blocks of their own beside the large ones: a quarter of the bytes, 1 KiB a message at most.
            let fine = (bytes / 4).min(capacity * 1024).max(FINE_MAX) / FINE;
            (fine, bytes.div_ceil(coarse_len).max(MAX_BLOCKS))
        };
        let number =
            |count: u64| u32::try_from(count).map_err(|_| misuse(format!("{bytes} bytes of messages")));
        let mut header = Self {
            magic: MAGIC,
            major: MAJOR,
            minor: MINOR,
            capacity: wishes.capacity,
            max_len: max_len as u32,
            priorities: wishes.priorities,
            max_deliveries: wishes.max_deliveries,
            // Twice the messages, so that repairs find room.
            lane_bits: (2 * capacity).next_power_of_two().trailing_zeros(),
            fine_blocks: number(fine)?,
            coarse_blocks: number(coarse)?,
            coarse_len: number(coarse_len)?,
            slot_more: (inline - INLINE) as u32,
            max_bytes: bytes,
            total_len: 0,
            schema: 0,
            value_len: 0,
            align: 0,
            reserved: [0; 6],
        };
        let layout = header.layout().ok_or_else(|| misuse("larger than this machine's addresses".into()))?;
        header.total_len = layout.len as u64;
        Ok(header)
    }

    /// Says what the messages are.
    ///
    /// # Errors
    /// `ApiMisuse` for values that are longer than the longest message.
    pub fn shaped(mut self, shape: Shape) -> Result<Self> {
        if let Some(size) = shape.size.filter(|size| *size > self.max_len) {
            let max = self.max_len;
            return Err(misuse(format!("values of {size} bytes in messages of at most {max}")));
        }
        self.schema = shape.schema;
        self.value_len = shape.size.map_or(0, |size| size.saturating_add(1));
        self.align = shape.align;
        Ok(self)
    }

    fn shape(&self) -> Shape {
        Shape { schema: self.schema, size: self.value_len.checked_sub(1), align: self.align.max(1) }
    }

    /// Bytes that the segment needs.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// The layout, if the header is one and `len` bytes are enough for it.
    pub(super) fn check(&self, len: usize) -> Result<Layout> {
        let corrupt =
            |detail: String| Error::new(ErrorKind::Corrupt, "open queue", "shared memory").detail(detail);
        if self.magic != MAGIC {
            return Err(corrupt("the segment holds no queue".into()).fix("choose another name"));
        }
        if self.major != MAJOR {
            return Err(Error::new(ErrorKind::Incompatible, "open queue", "shared memory").detail(format!(
                "the queue has format {}.{}, this program knows {MAJOR}.{MINOR}",
                self.major, self.minor
            )));
        }
        let sane = (1..=MAX_CAPACITY).contains(&self.capacity)
            && (1..=DEAD).contains(&self.priorities)
            && self.max_len >= 1
            && (1..=21).contains(&self.lane_bits)
            && 1_u64 << self.lane_bits >= u64::from(self.capacity)
            && (self.coarse_blocks == 0 || self.coarse_len > 0)
            // Blocks are whole lines.
            && self.coarse_len.is_multiple_of(64)
            && self.slot_more.is_multiple_of(64)
            && self.slot_more as usize <= MAX_INLINE - INLINE;
        let layout = if sane { self.layout() } else { None };
        match layout {
            Some(layout) if layout.len as u64 == self.total_len && layout.len <= len => Ok(layout),
            _ => Err(corrupt("its header's figures do not fit".into()).fix("remove it: `crossing queue rm`")),
        }
    }

    fn layout(&self) -> Option<Layout> {
        let mut end = size_of::<Self>();
        let mut place = |len: usize| -> Option<usize> {
            let start = end.checked_next_multiple_of(64)?;
            end = start.checked_add(len)?;
            Some(start)
        };
        let capacity = self.capacity as usize;
        let maps = map_words(self.capacity) * 8;
        let lanes = self.priorities as usize + 1;
        let shared = place(size_of::<Shared>())?;
        let lane_words = place(lanes * 128)?;
        let ledgers = place(MAX_PARTICIPANTS * size_of::<Ledger>())?;
        let doorbells = place(2 * DOORBELLS * 8)?;
        let busy = place(maps)?;
        let aside = place(maps)?;
        let slot_len = size_of::<Slot>().checked_add(self.slot_more as usize)?;
        let slots = place(capacity.checked_mul(slot_len)?)?;
        let cells = place(lanes.checked_mul(8usize.checked_shl(self.lane_bits)?)?)?;
        let mut blocks = |count: u32, block_len: u64| -> Option<Blocks> {
            let (number, block_len) = (count as usize, usize::try_from(block_len).ok()?);
            let words = place(number.checked_mul(8)?)?;
            let bytes = place(number.checked_mul(block_len)?)?;
            Some(Blocks { words, bytes, block_len, count })
        };
        let fine = blocks(self.fine_blocks, FINE)?;
        let coarse = blocks(self.coarse_blocks, u64::from(self.coarse_len))?;
        Some(Layout {
            capacity: self.capacity,
            max_len: self.max_len,
            max_bytes: self.max_bytes,
            shape: self.shape(),
            limits: Limits { priorities: self.priorities, max_deliveries: self.max_deliveries },
            lane_bits: self.lane_bits,
            shared,
            lanes: lane_words,
            ledgers,
            doorbells,
            busy,
            aside,
            slots,
            slot_len,
            inline: slot_len - size_of::<Slot>() + INLINE,
            cells,
            fine,
            coarse,
            len: end.checked_next_multiple_of(64)?,
        })
    }
}
