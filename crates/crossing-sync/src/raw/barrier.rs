//! The barrier: members meet; nobody goes on before all have come; a member's death breaks the round, not the others.
//!
//! # Protocol
//! * `parties`: how many members make a round, 1 to 32; set once by compare-exchange from 0.
//! * `members[i]`: the participant that took place i (0 = nobody), claimed by compare-exchange from 0 or from a dead one.
//! * `state`: low half = round, high half = one bit per member that has arrived in this round.
//!
//! Arriving is one compare-exchange that sets the member's own bit (`ORD: barrier-arrive (release) <-> barrier-leave`).
//! Whoever sees all bits set moves the state to the next round with no bits (any member may: it is one step), and wakes
//! all; sleepers sleep while the round is unchanged.
//!
//! # Death
//! * before arriving: the others find a claimed place whose owner is dead and that has no bit: they take their own bits
//!   back and return `Broken`. A new member may claim the place and the next round is whole.
//! * after arriving: its bit stays, the round completes without it; the place counts as dead in the next round.
//! * after the last bit, before the round moved, or before the wake: a sleeper looks every few milliseconds and helps.

use super::WATCHFUL;
use crate::Until;
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::participant::{Participant, ParticipantId};
use crossing_sys::crash;

/// The most members of one barrier.
pub const MAX_PARTIES: u32 = 32;

/// Members a model uses.
const PLACES: usize = if cfg!(loom) { 2 } else { MAX_PARTIES as usize };

/// The words of a barrier. All zero: no members, parties not chosen.
#[repr(C)]
#[derive(Debug)]
pub struct RawBarrier {
    state: AtomicU64,
    parties: AtomicU32,
    reserved: u32,
    members: [AtomicU32; PLACES],
}

/// How a round ended for a member that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierWait {
    /// All came; this member moved the round on (exactly one does).
    Leader,
    /// All came.
    Follower,
}

/// Why a round did not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierBroken {
    /// The time ran out; this member is no longer counted as arrived.
    TimedOut,
    /// The member in this place died before it arrived; a new one may join in its place.
    MemberDied(usize),
}

impl std::fmt::Display for BarrierBroken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => f.write_str("timed out before all members came"),
            Self::MemberDied(place) => write!(f, "the member in place {place} died; let a new one join"),
        }
    }
}

impl std::error::Error for BarrierBroken {}

impl Default for RawBarrier {
    fn default() -> Self {
        Self::new()
    }
}

impl RawBarrier {
    /// A barrier without members.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            parties: AtomicU32::new(0),
            reserved: 0,
            members: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// How many members make a round; 0 before the first joined.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.parties.load(Ordering::Relaxed).min(PLACES as u32)
    }

    /// Claims a place in a barrier of `parties` members.
    ///
    /// `None` when `parties` is 0, more than [`MAX_PARTIES`] or differs from what the barrier has, or when living
    /// members hold every place.
    pub fn join(&self, me: &Participant, parties: u32) -> Option<usize> {
        if parties == 0 || parties as usize > PLACES {
            return None;
        }
        // Relaxed: the number alone matters.
        let chosen = self.parties.compare_exchange(0, parties, Ordering::Relaxed, Ordering::Relaxed);
        if chosen.is_err_and(|chosen| chosen != parties) {
            return None;
        }
        self.members[..parties as usize].iter().position(|place| {
            // Relaxed: nothing is published by a claim.
            let owner = place.load(Ordering::Relaxed);
            let free = ParticipantId::from_raw(owner).is_none_or(|owner| !me.is_alive(owner));
            crash::point("barrier.join.claiming");
            free && place.compare_exchange(owner, me.id().raw(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Gives `place` up.
    pub fn leave(&self, me: &Participant, place: usize) {
        if let Some(word) = self.members.get(place) {
            let _ = word.compare_exchange(me.id().raw(), 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Arrives as the member in `place`, and waits for the others.
    ///
    /// # Errors
    /// [`BarrierBroken`]; the member may call again.
    pub fn wait(&self, me: &Participant, place: usize, until: Until) -> Result<BarrierWait, BarrierBroken> {
        let bit = 1_u64 << (32 + (place as u32).min(31));
        let all = ((1_u64 << self.parties()) - 1) << 32;
        // ORD: barrier-arrive (release) <-> barrier-leave
        let before = self.state.fetch_or(bit, Ordering::AcqRel);
        crash::point("barrier.wait.arrived");
        let round = before as u32;
        loop {
            // ORD: barrier-leave (acquire) <-> barrier-arrive
            let state = self.state.load(Ordering::Acquire);
            if state as u32 != round {
                return Ok(BarrierWait::Follower);
            }
            if state & all == all {
                if self.move_on(me, state) {
                    return Ok(BarrierWait::Leader);
                }
                continue;
            }
            let broken = match self.dead_absentee(me, state) {
                Some(place) => BarrierBroken::MemberDied(place),
                None if until.passed() => BarrierBroken::TimedOut,
                None => {
                    me.wait_low(&self.state, round, until.slice(WATCHFUL), None);
                    crash::point("barrier.wait.woken");
                    continue;
                }
            };
            if self.state.compare_exchange(state, state & !bit, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Err(broken);
            }
        }
    }

    fn move_on(&self, me: &Participant, state: u64) -> bool {
        let next = u64::from((state as u32).wrapping_add(1));
        crash::point("barrier.move.before");
        let moved = self.state.compare_exchange(state, next, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        crash::point("barrier.move.after");
        if moved {
            me.wake_low(&self.state, u32::MAX);
        }
        moved
    }

    fn dead_absentee(&self, me: &Participant, state: u64) -> Option<usize> {
        self.members[..self.parties() as usize].iter().enumerate().position(|(place, member)| {
            let arrived = state & (1 << (32 + place)) != 0;
            // Relaxed: an id, judged by itself.
            let owner = ParticipantId::from_raw(member.load(Ordering::Relaxed));
            !arrived && owner.is_some_and(|owner| !me.is_alive(owner))
        })
    }
}
