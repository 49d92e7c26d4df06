//! The semaphore: a count, and for permits that are held, who holds how many.
//!
//! # Protocol
//! `central` is one word: count (20 bits), the last operation (2 bits: none, take, give, reset), the slot it was for (10
//! bits) and a sequence (32 bits). `held[slot]` belongs to the participant in that slot: its generation (16 bits), how
//! many permits it holds (16 bits) and the sequence of the last operation applied to it (32 bits).
//!
//! A plain `post` or `wait` changes only the count. An operation with an owner is one compare-exchange on `central`,
//! which changes the count and *names* the operation; then it is applied to `held[slot]`. Before anybody changes
//! `central` again, he applies the operation it names, if `held[slot]` does not carry its sequence yet (helping). So the
//! count and the holdings agree whenever `central` changes, whoever died in between.
//!
//! A helper reads `central`, then `held[slot]`, then `central` again: if it is unchanged (the sequence is unique), the
//! operation was the last one, and `held[slot]` is before or after it. Its compare-exchange on `held[slot]` fails if
//! somebody else applied it meanwhile.
//!
//! Sleeping: a waiter sets `sleepers`, looks at the count again, sleeps on `bell`. Who adds to the count swaps
//! `sleepers` to 0 and, if it was set, adds to `bell` and wakes one (`ORD: semaphore-post (seqcst) <-> semaphore-sleep`).
//! Who was woken sets `sleepers` again, since others may sleep, and passes the wake on if the count is not used up.
//!
//! # Death
//! * before the exchange on `central`: no trace. After it: the next one applies it (helping).
//! * holding permits: waiters, and `recover`, prove the holder dead and return its permits by a *reset* operation. While
//!   others hold permits a waiter looks every few milliseconds.
//! * having posted but not yet woken, or woken but not yet taken: sleepers look by themselves within 100 ms.

use super::{TRUSTING, WATCHFUL};
use crate::atomic::{AtomicU32, AtomicU64, Ordering, dekker};
use crate::participant::{MAX_PARTICIPANTS, Participant, ParticipantId};
use crate::{TimedOut, Until};
use crossing_sys::crash;

const SLOTS: usize = if cfg!(loom) { 2 } else { MAX_PARTICIPANTS };

/// The largest count.
pub const MAX_COUNT: u32 = (1 << 20) - 1;

/// The most permits one participant holds at a time.
pub const MAX_HELD: u32 = 0xffff;

/// The words of a semaphore. All zero: no permits.
#[repr(C)]
#[derive(Debug)]
pub struct RawSemaphore {
    central: AtomicU64,
    sleepers: AtomicU32,
    bell: AtomicU32,
    held: [AtomicU64; SLOTS],
}

/// The count would exceed [`MAX_COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostError;

impl std::fmt::Display for PostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a semaphore counts to {MAX_COUNT} at most")
    }
}

impl std::error::Error for PostError {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    None = 0,
    Take = 1,
    Give = 2,
    Reset = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Central {
    count: u32,
    step: Step,
    slot: usize,
    sequence: u32,
}

impl Central {
    fn unpack(word: u64) -> Self {
        let step = match (word >> 42) & 3 {
            1 => Step::Take,
            2 => Step::Give,
            3 => Step::Reset,
            _ => Step::None,
        };
        Self {
            count: (word >> 44) as u32,
            step,
            slot: ((word >> 32) & 0x3ff) as usize,
            sequence: word as u32,
        }
    }

    fn pack(self) -> u64 {
        (u64::from(self.count) << 44)
            | ((self.step as u64) << 42)
            | ((self.slot as u64 & 0x3ff) << 32)
            | u64::from(self.sequence)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    generation: u16,
    count: u16,
    sequence: u32,
}

impl Held {
    fn unpack(word: u64) -> Self {
        Self { generation: (word >> 48) as u16, count: (word >> 32) as u16, sequence: word as u32 }
    }

    fn pack(self) -> u64 {
        (u64::from(self.generation) << 48) | (u64::from(self.count) << 32) | u64::from(self.sequence)
    }
}

impl Default for RawSemaphore {
    fn default() -> Self {
        Self::new()
    }
}

impl RawSemaphore {
    /// A semaphore without permits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            central: AtomicU64::new(0),
            sleepers: AtomicU32::new(0),
            bell: AtomicU32::new(0),
            held: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// How many permits are free at this moment.
    #[must_use]
    pub fn count(&self) -> u32 {
        Central::unpack(self.central.load(Ordering::Relaxed)).count
    }

    /// How many permits participants hold at this moment, dead ones included.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.held.iter().map(|held| u32::from(Held::unpack(held.load(Ordering::Relaxed)).count)).sum()
    }

    /// Applies what `central` names, unless it was applied; afterwards `central` may be changed from `seen`.
    fn settle(&self, seen: u64) {
        let central = Central::unpack(seen);
        let Some(cell) = self.held.get(central.slot) else { return };
        if central.step == Step::None {
            return;
        }
        loop {
            // ORD: semaphore-apply (acquire) <-> semaphore-applied
            let word = cell.load(Ordering::SeqCst);
            let held = Held::unpack(word);
            if held.sequence == central.sequence || self.central.load(Ordering::SeqCst) != seen {
                return;
            }
            let count = match central.step {
                Step::Take => held.count.saturating_add(1),
                Step::Give => held.count.saturating_sub(1),
                Step::Reset | Step::None => 0,
            };
            crash::point("semaphore.settle.before");
            let next = Held { generation: held.generation, count, sequence: central.sequence };
            // ORD: semaphore-applied (release) <-> semaphore-apply. Failure: another helper applied it, or the slot was
            // adopted meanwhile; look again.
            if cell.compare_exchange(word, next.pack(), Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                crash::point("semaphore.settle.after");
                return;
            }
        }
    }

    /// One change of `central`: `None` from `change` gives up.
    fn change(&self, mut change: impl FnMut(u32) -> Option<u32>, step: Step, slot: usize) -> Option<u32> {
        loop {
            let seen = self.central.load(Ordering::SeqCst);
            self.settle(seen);
            let central = Central::unpack(seen);
            let count = change(central.count)?;
            let next = Central { count, step, slot, sequence: central.sequence.wrapping_add(1) }.pack();
            crash::point("semaphore.change.before");
            // ORD: semaphore-post (seqcst) <-> semaphore-sleep
            if self.central.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                crash::point("semaphore.change.after");
                self.settle(next);
                return Some(count);
            }
        }
    }

    fn take_plain(&self) -> Option<u32> {
        self.change(|count| count.checked_sub(1), Step::None, 0)
    }

    /// Adds `permits` and wakes who waits.
    ///
    /// # Errors
    /// [`PostError`]; nothing was added.
    pub fn post(&self, me: &Participant, permits: u32) -> Result<(), PostError> {
        let add = |count: u32| count.checked_add(permits).filter(|count| *count <= MAX_COUNT);
        self.change(add, Step::None, 0).ok_or(PostError)?;
        crash::point("semaphore.post.before-wake");
        self.wake_one(me);
        Ok(())
    }

    fn wake_one(&self, me: &Participant) {
        // ORD: semaphore-post (seqcst) <-> semaphore-sleep
        dekker();
        if self.sleepers.swap(0, Ordering::SeqCst) != 0 {
            self.bell.fetch_add(1, Ordering::SeqCst);
            me.wake(&self.bell, 1);
        }
    }

    /// Takes a permit for good; somebody else may post it back.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait(&self, me: &Participant, until: Until) -> Result<(), TimedOut> {
        self.wait_with(me, until, || self.take_plain())
    }

    /// Takes a permit on loan: it returns by [`release`](Self::release), or when this participant dies.
    ///
    /// # Errors
    /// [`TimedOut`]; also when this participant holds [`MAX_HELD`] permits.
    pub fn acquire(&self, me: &Participant, until: Until) -> Result<(), TimedOut> {
        let slot = me.id().slot().ok_or(TimedOut)?;
        self.adopt(me, slot);
        let full = || u32::from(Held::unpack(self.held[slot].load(Ordering::SeqCst)).count) >= MAX_HELD;
        if full() {
            return Err(TimedOut);
        }
        self.wait_with(me, until, || self.change(|count| count.checked_sub(1), Step::Take, slot))
    }

    /// Makes the own cell this participant's: what a dead predecessor in the slot held is returned first.
    fn adopt(&self, me: &Participant, slot: usize) {
        let generation = me.id().generation() as u16;
        loop {
            let word = self.held[slot].load(Ordering::SeqCst);
            let held = Held::unpack(word);
            if held.generation == generation {
                return;
            }
            let seen = self.central.load(Ordering::SeqCst);
            self.settle(seen);
            if held.count != 0 {
                self.return_all(me, slot, held);
                continue;
            }
            let next = Held { generation, ..held }.pack();
            let _ = self.held[slot].compare_exchange(word, next, Ordering::SeqCst, Ordering::Relaxed);
        }
    }

    /// Returns a permit that [`acquire`](Self::acquire) took.
    pub fn release(&self, me: &Participant) {
        let Some(slot) = me.id().slot() else { return };
        let holds = |count: u32| {
            let held = Held::unpack(self.held[slot].load(Ordering::SeqCst));
            (held.count > 0 && count < MAX_COUNT).then_some(count + 1)
        };
        if self.change(holds, Step::Give, slot).is_some() {
            crash::point("semaphore.release.before-wake");
            self.wake_one(me);
        }
    }

    /// Returns the permits of participants that died, and says how many those were.
    pub fn recover(&self, me: &Participant) -> u32 {
        let mut returned = 0;
        for slot in 0..SLOTS {
            self.settle(self.central.load(Ordering::SeqCst));
            let held = Held::unpack(self.held[slot].load(Ordering::SeqCst));
            let current = me.current(slot);
            let alive = current.generation() as u16 == held.generation && me.is_alive(current);
            if held.count != 0 && !alive {
                returned += self.return_all(me, slot, held);
            }
        }
        returned
    }

    /// Returns what `slot` held as `seen`, if it still does.
    fn return_all(&self, me: &Participant, slot: usize, seen: Held) -> u32 {
        let add = |count: u32| {
            let now = Held::unpack(self.held[slot].load(Ordering::SeqCst));
            let unchanged = now == seen;
            unchanged.then(|| (count + u32::from(seen.count)).min(MAX_COUNT))
        };
        if self.change(add, Step::Reset, slot).is_none() {
            return 0;
        }
        crash::point("semaphore.recover.before-wake");
        self.wake_one(me);
        u32::from(seen.count)
    }

    fn others_hold(&self, me: Option<ParticipantId>) -> bool {
        let own = me.and_then(ParticipantId::slot);
        self.held
            .iter()
            .enumerate()
            .any(|(slot, held)| Some(slot) != own && Held::unpack(held.load(Ordering::Relaxed)).count != 0)
    }

    fn wait_with(
        &self,
        me: &Participant,
        until: Until,
        mut take: impl FnMut() -> Option<u32>,
    ) -> Result<(), TimedOut> {
        let mut slept = false;
        loop {
            if slept {
                // SeqCst: others may sleep still; whoever posts from here on must look.
                self.sleepers.swap(1, Ordering::SeqCst);
                dekker();
            }
            if let Some(left) = take() {
                if slept && left > 0 {
                    self.wake_one(me);
                }
                return Ok(());
            }
            let watchful = self.others_hold(Some(me.id()));
            if watchful && self.recover(me) > 0 {
                continue;
            }
            if until.passed() {
                if slept {
                    self.wake_one(me);
                }
                return Err(TimedOut);
            }
            let bell = self.bell.load(Ordering::SeqCst);
            // ORD: semaphore-sleep (seqcst) <-> semaphore-post: mark, then look; the poster adds, then looks at the mark
            self.sleepers.swap(1, Ordering::SeqCst);
            dekker();
            crash::point("semaphore.wait.marked");
            if Central::unpack(self.central.load(Ordering::SeqCst)).count == 0 {
                me.wait(&self.bell, bell, until.slice(if watchful { WATCHFUL } else { TRUSTING }));
            }
            crash::point("semaphore.wait.woken");
            slept = true;
        }
    }
}
