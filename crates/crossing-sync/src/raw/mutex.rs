//! The mutex: one 64-bit word that names its owner.
//!
//! # Protocol
//! | bits | field | meaning |
//! |---|---|---|
//! | 63..32 | owner | id of the participant that holds the lock, 0 = free |
//! | 31 | SLEEPERS | somebody may sleep on the low half: who unlocks must wake one |
//! | 30 | BELL | the kernel will wake a sleeper if the owner's thread dies |
//! | 29..0 | zero | the kernel's condition for ringing (`crossing_sys::wait::ring_on_death`) |
//!
//! | word | step | next |
//! |---|---|---|
//! | 0 | lock: compare-exchange (`ORD: mutex-lock (acquire) <-> mutex-unlock`) | owner, BELL if armed |
//! | owner | a waiter marks itself | owner, SLEEPERS |
//! | owner | unlock (`ORD: mutex-unlock (release) <-> mutex-lock`) | 0, then wakes one if SLEEPERS was set |
//! | dead owner | a survivor takes over: compare-exchange | survivor, SLEEPERS; the survivor is told `Recovered` |
//!
//! Sleepers wait while the *low half* is unchanged. That the owner changed meanwhile does no harm: with SLEEPERS set,
//! whoever owns it wakes one when it unlocks. One who was woken acquires with SLEEPERS set, because others may sleep.
//!
//! # Death
//! * before the lock's compare-exchange: no trace. Armed bell: one sleeper wakes in vain.
//! * owning: the bell wakes one sleeper at once; without a bell sleepers look every few milliseconds. The sleeper proves
//!   the death by the owner's kernel lock and takes over by compare-exchange on the whole word, so exactly one succeeds.
//!   The bell may ring a little before the kernel releases the lock (a process dies in that order), so a sleeper that
//!   was woken without a change looks often for a short while. Where there are no bells but processes can be watched
//!   (`crossing_sys::wait::WATCHES_DEATH`), every sleeper watches the owner's process instead.
//! * unlocked, but not yet woken the sleeper: the bell is still armed and wakes it; without a bell it looks by itself
//!   within 100 ms.
//! * woken, but not yet acquired: the waiter has the bell armed too, which passes the wake on.
//!
//! A stopped owner (SIGSTOP) is alive: waiters wait, with their timeouts.

use super::{TRUSTING, WATCHFUL};
use crate::atomic::{AtomicU64, Ordering, spin};
use crate::participant::{Participant, ParticipantId};
use crate::{Acquired, TimedOut, Until};
use crossing_sys::crash;
use crossing_sys::wait::{WATCHES_DEATH, WaitEnd};
use std::time::Duration;

/// The mutex word. All zero: unlocked.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct RawMutex(AtomicU64);

const SLEEPERS: u64 = 1 << 31;
const BELL: u64 = 1 << 30;

/// Looks before the first sleep, with doubling pauses between them: some microseconds, about what a sleep costs.
const SPIN_TURNS: u32 = if cfg!(loom) { 1 } else { 6 };

/// After a wake without a change: how often to look whether the owner is about to be dead, and the first pause.
const SUSPICIOUS_LOOKS: u32 = 12;
const SUSPICIOUS_PAUSE: Duration = Duration::from_micros(50);

fn owner_of(word: u64) -> Option<ParticipantId> {
    ParticipantId::from_raw((word >> 32) as u32)
}

fn owned_by(me: &Participant, flags: u64) -> u64 {
    (u64::from(me.id().raw()) << 32) | flags
}

impl RawMutex {
    /// An unlocked mutex.
    #[must_use]
    #[cfg_attr(not(loom), allow(clippy::missing_const_for_fn))]
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.0
    }

    /// Who holds it, as far as can be said from outside.
    #[must_use]
    pub fn owner(&self) -> Option<ParticipantId> {
        // Relaxed: information for people and tests, nothing is read on the strength of it.
        owner_of(self.0.load(Ordering::Relaxed))
    }

    /// Locks, waiting as long as `until` says.
    ///
    /// # Errors
    /// [`TimedOut`].
    #[inline]
    pub fn lock(&self, me: &Participant, until: Until) -> Result<Acquired<()>, TimedOut> {
        let bell = if me.ring_on_death(&self.0) { BELL } else { 7 };
        crash::point("mutex.lock.before");
        // ORD: mutex-lock (acquire) <-> mutex-unlock; SeqCst, at no cost on a locked instruction, for the readers-writer
        // lock: a writer takes the word and then looks at readers, who count themselves and then look at the word.
        // ORD: rwlock-writer-in (seqcst) <-> rwlock-reader-looks
        let taken = self.0.compare_exchange(0, owned_by(me, bell), Ordering::SeqCst, Ordering::Relaxed);
        crash::point("mutex.lock.after");
        match taken {
            Ok(_) => Ok(Acquired::Normal(())),
            Err(_) => self.lock_contended(me, until, bell),
        }
    }

    #[cold]
    fn lock_contended(&self, me: &Participant, until: Until, bell: u64) -> Result<Acquired<()>, TimedOut> {
        let outcome = Waiting { mutex: self, me, until, bell, slept: false, suspicion: 0, sleeps: 0 }.run();
        if outcome.is_err() {
            if bell != 0 {
                me.unring(&self.0);
            }
            if until != Until::Now {
                // A wake that came for us just as the time ran out belongs to the next sleeper.
                me.wake_low(&self.0, 1);
            }
        }
        outcome
    }

    /// Unlocks, waking at most `wake` sleepers if there may be any.
    ///
    /// A mutex that `me` does not hold (a peer scribbled over it) stays as it is.
    #[inline]
    pub fn unlock(&self, me: &Participant, wake: u32) {
        crash::point("mutex.unlock.before");
        let plain = owned_by(me, BELL);
        // ORD: mutex-unlock (release) <-> mutex-lock
        if self.0.compare_exchange(plain, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.unlock_contended(me, wake);
        }
        me.unring(&self.0);
    }

    #[cold]
    fn unlock_contended(&self, me: &Participant, wake: u32) {
        // Relaxed: only the exchange below publishes.
        let mut word = self.0.load(Ordering::Relaxed);
        while owner_of(word) == Some(me.id()) {
            // ORD: mutex-unlock (release) <-> mutex-lock
            match self.0.compare_exchange(word, 0, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    crash::point("mutex.unlock.before-wake");
                    if word & SLEEPERS != 0 {
                        me.wake_low(&self.0, wake);
                    }
                    return;
                }
                Err(now) => word = now,
            }
        }
    }

    /// The owner in the one order of all SeqCst accesses; for Dekker's argument of the readers-writer lock.
    pub(crate) fn owner_seqcst(&self) -> Option<ParticipantId> {
        owner_of(self.0.load(Ordering::SeqCst))
    }

    /// Waits while a living owner holds the mutex, without taking it; a dead owner is reported.
    pub(crate) fn wait_while_locked(&self, me: &Participant, until: Until) -> Result<OwnerSeen, TimedOut> {
        for turn in 0..SPIN_TURNS {
            (0..1_u32 << turn).for_each(|_| spin());
            // ORD: mutex-lock (acquire) <-> mutex-unlock
            if owner_of(self.0.load(Ordering::Acquire)).is_none() {
                return Ok(OwnerSeen::Gone);
            }
        }
        loop {
            let word = self.0.load(Ordering::Acquire);
            let Some(owner) = owner_of(word) else { return Ok(OwnerSeen::Gone) };
            if !me.is_alive(owner) {
                return Ok(OwnerSeen::Dead);
            }
            if until.passed() {
                return Err(TimedOut);
            }
            if word & SLEEPERS == 0
                && self
                    .0
                    .compare_exchange(word, word | SLEEPERS, Ordering::Relaxed, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            me.wait_low(&self.0, (word | SLEEPERS) as u32, until.slice(WATCHFUL), Some(owner));
        }
    }
}

/// What [`RawMutex::wait_while_locked`] saw last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnerSeen {
    /// Nobody holds it.
    Gone,
    /// A dead participant holds it.
    Dead,
}

struct Waiting<'a> {
    mutex: &'a RawMutex,
    me: &'a Participant,
    until: Until,
    bell: u64,
    slept: bool,
    /// Looks left after a wake that changed nothing.
    suspicion: u32,
    /// Sleeps so far: the first is short, in case the bell rang just before it.
    sleeps: u32,
}

impl Waiting<'_> {
    fn run(&mut self) -> Result<Acquired<()>, TimedOut> {
        if self.until == Until::Now {
            return self.attempt(self.mutex.0.load(Ordering::Relaxed)).ok_or(TimedOut);
        }
        for turn in 0..SPIN_TURNS {
            // Each look takes the line away from its owner: the pauses between them double.
            (0..1_u32 << turn).for_each(|_| spin());
            // Relaxed: a look before the real attempt.
            let word = self.mutex.0.load(Ordering::Relaxed);
            if word == 0
                && let Some(acquired) = self.take(word)
            {
                return Ok(acquired);
            }
            if word & SLEEPERS != 0 {
                break;
            }
        }
        loop {
            let word = self.mutex.0.load(Ordering::Relaxed);
            if let Some(acquired) = self.attempt(word) {
                return Ok(acquired);
            }
            if self.until.passed() {
                return Err(TimedOut);
            }
            self.sleep();
        }
    }

    /// Takes a free mutex, or one whose owner is dead.
    fn attempt(&self, word: u64) -> Option<Acquired<()>> {
        match owner_of(word) {
            None => self.take(word),
            Some(owner) if !self.me.is_alive(owner) => self.take(word),
            Some(_) => None,
        }
    }

    fn take(&self, word: u64) -> Option<Acquired<()>> {
        let recovered = owner_of(word).is_some();
        let sleepers = if self.slept || recovered { SLEEPERS } else { word & SLEEPERS };
        let next = owned_by(self.me, self.bell | sleepers);
        crash::point("mutex.take.before");
        // ORD: mutex-lock (acquire) <-> mutex-unlock
        let taken = self.mutex.0.compare_exchange(word, next, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        crash::point("mutex.take.after");
        taken.then_some(if recovered { Acquired::Recovered(()) } else { Acquired::Normal(()) })
    }

    fn sleep(&mut self) {
        let mutex = &self.mutex.0;
        let word = mutex.load(Ordering::Relaxed);
        if owner_of(word).is_none() {
            return;
        }
        let marked = word | SLEEPERS;
        // Relaxed: a mark for whoever unlocks; the sleep compares it again inside the kernel.
        if word != marked
            && mutex.compare_exchange(word, marked, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        crash::point("mutex.sleep.marked");
        let slice = match (self.suspicion, word & BELL, self.sleeps) {
            (0, _, _) if WATCHES_DEATH => TRUSTING,
            (0, 0, _) | (0, _, 0) => WATCHFUL,
            (0, _, _) => TRUSTING,
            (left, _, _) => SUSPICIOUS_PAUSE * (1 << (SUSPICIOUS_LOOKS - left).min(6)),
        };
        self.slept = true;
        self.sleeps = self.sleeps.saturating_add(1);
        let end = self.me.wait_low(mutex, marked as u32, self.until.slice(slice), owner_of(word));
        crash::point("mutex.sleep.woken");
        let unchanged = mutex.load(Ordering::Relaxed) == marked;
        self.suspicion = match (end, unchanged) {
            (WaitEnd::Woken, true) => SUSPICIOUS_LOOKS,
            (_, true) => self.suspicion.saturating_sub(1),
            (_, false) => 0,
        };
    }
}
