//! The words of a slot queue: how they are packed, and where a protocol finds them. Drawn in `docs/format/queue.md`.

use super::memo::Memo;
use crossing_sync::Participant;
use crossing_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crossing_sync::raw::bell::RawBell;

/// Bytes that travel in the slot itself, at least.
pub const INLINE: usize = 64;

/// The most.
pub const MAX_INLINE: usize = 4096;

/// Priorities 0 to 31, the highest first; and one lane more, for dead letters.
pub const LANES: usize = 33;

/// The lane of dead letters.
pub const DEAD: u32 = 32;

/// The most slots.
pub const MAX_CAPACITY: u32 = 1 << 20;

/// How many receivers of a queue, and how many senders, can wait in event loops at a time.
pub const DOORBELLS: usize = 64;

/// What a slot is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nobody's; what lies in it means nothing.
    Free = 0,
    /// Being filled by its owner.
    Writing = 1,
    /// Committed; its owner is its sender.
    Ready = 2,
    /// Delivered to its owner.
    Taken = 3,
    /// Committed, waiting outside of the lanes for its due time; its owner put it there.
    Aside = 4,
}

/// The first word of a slot: state, count of uses, owner. Each change of it is one atomic step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(pub u64);

const USE_BITS: u32 = 28;
const USE_MASK: u64 = (1 << USE_BITS) - 1;

impl Word {
    /// Packs.
    #[must_use]
    pub fn new(state: State, uses: u64, owner: u32) -> Self {
        Self(((state as u64) << 60) | ((uses & USE_MASK) << 32) | u64::from(owner))
    }

    /// `None` for a number that no honest party writes.
    #[must_use]
    #[inline]
    pub fn state(self) -> Option<State> {
        match self.0 >> 60 {
            0 => Some(State::Free),
            1 => Some(State::Writing),
            2 => Some(State::Ready),
            3 => Some(State::Taken),
            4 => Some(State::Aside),
            _ => None,
        }
    }

    /// How often the slot was freed, modulo 2^28.
    #[must_use]
    #[inline]
    pub fn uses(self) -> u64 {
        (self.0 >> 32) & USE_MASK
    }

    /// Whose it is; 0: nobody's.
    #[must_use]
    #[inline]
    pub fn owner(self) -> u32 {
        self.0 as u32
    }

    /// The same use in another state, of another owner.
    #[must_use]
    #[inline]
    pub fn to(self, state: State, owner: u32) -> Self {
        Self::new(state, self.uses(), owner)
    }

    /// Free, one use later.
    #[must_use]
    #[inline]
    pub fn freed(self) -> Self {
        Self::new(State::Free, self.uses() + 1, 0)
    }
}

/// One place of a lane: which slot, at which of its uses, and for which turn around the lane it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell(pub u64);

const SLOT_BITS: u32 = 21;
const CELL_USE_BITS: u32 = 22;
const TURNS: u64 = (1 << 21) - 1;

impl Cell {
    /// Packs.
    #[must_use]
    #[inline]
    pub fn new(turn: u64, slot: u32, uses: u64) -> Self {
        let uses = uses & ((1 << CELL_USE_BITS) - 1);
        Self((turn << (SLOT_BITS + CELL_USE_BITS)) | (uses << SLOT_BITS) | u64::from(slot))
    }

    /// The number of the turn to which position `position` of a lane of `1 << bits` cells belongs: 1 to 2^21 - 1.
    #[must_use]
    #[inline]
    pub fn turn_of(position: u64, bits: u32) -> u64 {
        let lap = position >> bits;
        // A division for those alone who went around two million times.
        if lap < TURNS { lap + 1 } else { lap % TURNS + 1 }
    }

    /// The turn; 0: never written.
    #[must_use]
    #[inline]
    pub fn turn(self) -> u64 {
        self.0 >> (SLOT_BITS + CELL_USE_BITS)
    }

    /// The slot; to be checked.
    #[must_use]
    #[inline]
    pub fn slot(self) -> u32 {
        (self.0 & ((1 << SLOT_BITS) - 1)) as u32
    }

    /// Whether it speaks of the use that `word` is at.
    #[must_use]
    #[inline]
    pub fn speaks_of(self, word: Word) -> bool {
        (self.0 >> SLOT_BITS) & ((1 << CELL_USE_BITS) - 1) == word.uses() & ((1 << CELL_USE_BITS) - 1)
    }
}

/// A slot. Written by the owner that `word` names, except `word` itself.
// FORMAT: queue.md Slot size=128
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Slot {
    /// See [`Word`].
    pub word: AtomicU64,
    /// Lane in bits 0..8, deliveries in bits 32..64.
    pub meta: AtomicU64,
    /// Bytes of the body in the low half, of the properties in the high half.
    pub len: AtomicU64,
    /// First block in the low half, count of blocks in the high half; count 0: in the slot itself.
    pub extent: AtomicU64,
    /// When it is worth nothing any more, in nanoseconds of the machine's clock; 0: never.
    pub expires: AtomicU64,
    /// When it is due, while aside.
    pub due: AtomicU64,
    /// Its position when it was last taken from a lane: redelivered messages keep their order by it.
    pub position: AtomicU64,
    /// Zero.
    pub reserved: AtomicU64,
    /// Short messages. The slots of a queue may be longer: more of such bytes follow.
    pub inline: [AtomicU64; INLINE / 8],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 128);

/// Where a lane is read and where it is written; each on a cache line of its own.
// FORMAT: queue.md Lane size=128
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Lane {
    /// The next position to take.
    pub head: Line,
    /// The next position to write.
    pub tail: Line,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Lane>() == 128);

/// A word alone on its cache line.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Line(pub AtomicU64);

/// What all share.
// FORMAT: queue.md Shared size=256
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Shared {
    /// Bit n: lane n may have messages.
    pub lanes: AtomicU64,
    /// Sleeping receivers.
    pub arrivals: RawBell,
    /// The earliest due time of what is aside and a count of additions, inverted: see `aside.rs`.
    pub due: Line,
    /// Sleeping senders.
    pub room: Line2,
    /// One more than the highest slot of a user so far.
    pub users: Line,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Shared>() == 256);

/// A bell alone on its cache line.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Line2(pub RawBell);

/// What one participant did, written by it alone. Listed by its slot in the table of participants.
// FORMAT: queue.md Ledger size=64
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Ledger {
    /// The participant that uses the queue from this slot, 0: none. What a dead one left is put right before it is cleared.
    pub user: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
    /// Messages committed with a delay; the others are counted by their lanes' positions.
    pub delayed: AtomicU64,
    /// Messages taken. Hints, as `done`: threads of one process may lose counts.
    pub taken: AtomicU64,
    /// Messages done with: acknowledged, or given back.
    pub done: AtomicU64,
    /// Messages dropped for newer ones.
    pub dropped: AtomicU64,
    /// Messages that expired.
    pub expired: AtomicU64,
    /// Messages delivered once more.
    pub redelivered: AtomicU64,
    /// Messages moved to the lane of dead letters.
    pub buried: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Ledger>() == 64);

/// Where the protocol finds its words: mapped memory, or a model's.
pub trait Words {
    /// Slots.
    fn capacity(&self) -> u32;
    /// A lane has `1 << lane_bits` cells.
    fn lane_bits(&self) -> u32;
    /// Slots of the table of participants.
    fn users(&self) -> usize;
    /// Who this process is among them.
    fn me(&self) -> &Participant;
    /// The words that all share.
    fn shared(&self) -> &Shared;
    /// `index` is below the capacity.
    fn slot(&self, index: u32) -> &Slot;
    /// `lane` is below [`LANES`].
    fn lane(&self, lane: u32) -> &Lane;
    /// Any position.
    fn cell(&self, lane: u32, position: u64) -> &AtomicU64;
    /// Bit n of word `index`: slot 64 * index + n was found in use.
    fn busy(&self, index: usize) -> &AtomicU64;
    /// Bit n of word `index`: slot 64 * index + n may be aside.
    fn aside(&self, index: usize) -> &AtomicU64;
    /// `user` is below [`users`](Self::users).
    fn ledger(&self, user: usize) -> &Ledger;
    /// What this process remembers of a lane.
    fn memo(&self, lane: u32) -> &Memo;
    /// The doorbells of receivers: entries of `arrivals`, numbered from 0.
    fn receivers(&self) -> &[AtomicU64];
    /// The doorbells of senders: entries of `room`, numbered from [`DOORBELLS`].
    fn senders(&self) -> &[AtomicU64];
    /// Brings a slot near that will be written soon; any number.
    fn prefetch(&self, slot: u32);
    /// Brings a cell near that will be written soon; any position.
    fn prefetch_cell(&self, lane: u32, position: u64);
}

impl Ledger {
    /// Adds one to a count that this process alone writes, at no cost; threads that do so at once may count for one.
    #[inline]
    pub(super) fn tick(count: &AtomicU64) -> u64 {
        // Relaxed: a hint.
        let before = count.load(Ordering::Relaxed);
        count.store(before.wrapping_add(1), Ordering::Relaxed);
        before
    }
}

/// Words of a bitmap over the slots.
#[must_use]
pub fn map_words(capacity: u32) -> usize {
    (capacity as usize).div_ceil(64)
}
