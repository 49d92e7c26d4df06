//! Participants: who uses a piece of shared memory, and which of them are alive.
//!
//! # Protocol
//! [`ParticipantTable`] has one entry per slot. The process that holds the kernel's lock on slot `n` of the segment's
//! file owns entry `n` and alone writes it:
//!
//! | step of joining | if it dies right after |
//! |---|---|
//! | lock slot n | the kernel releases the lock; the entry still shows the last owner, whose generation is dead |
//! | generation += 1 (`ORD: join-generation (release) <-> judge-generation`) | the new id was never used: nothing refers to it |
//! | write pid and time | shown by listings only |
//!
//! A [`ParticipantId`] is slot and generation. It is alive if the entry still has that generation *and* the slot is
//! locked. A dead id can never become alive again (until the 22-bit generation has wrapped around). The pid is for
//! people; it proves nothing. A peer that scribbles over the table can make live owners look dead or be looked up in
//! vain; it shares writable locks with us and could break them directly; it cannot make us read out of bounds.

/// How many participants one table holds at a time.
pub const MAX_PARTICIPANTS: usize = 256;

/// A participant of one segment: slot and generation, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParticipantId(u32);

const SLOT_BITS: u32 = 10;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

impl ParticipantId {
    /// From the number found in shared memory; `None` for 0 ("nobody"). Any other number is accepted: one that no
    /// participant ever had is simply not alive.
    #[must_use]
    pub fn from_raw(raw: u32) -> Option<Self> {
        (raw != 0).then_some(Self(raw))
    }

    /// The number to store in shared memory; never 0.
    #[must_use]
    pub fn raw(self) -> u32 {
        self.0
    }

    /// The slot, if the number can be one.
    #[must_use]
    pub fn slot(self) -> Option<usize> {
        let slot = ((self.0 & SLOT_MASK) as usize).checked_sub(1)?;
        (slot < MAX_PARTICIPANTS).then_some(slot)
    }

    /// The generation: how many participants had the slot before, modulo 2^22.
    #[must_use]
    pub fn generation(self) -> u32 {
        self.0 >> SLOT_BITS
    }

    pub(crate) fn new(slot: usize, generation: u32) -> Self {
        Self((generation << SLOT_BITS) | (slot as u32 + 1))
    }
}

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub use model::Participant;

#[cfg(not(loom))]
mod real;
#[cfg(not(loom))]
pub use real::{Participant, ParticipantInfo, ParticipantTable, list};
