//! How a sender or a receiver waits: it spins for a moment where that helps, then sleeps.

use super::bells::Which;
use super::core::{Core, HINT};
use super::words::Words;
use super::{aside, sweep};
use crossing_sync::Until;
use crossing_sync::atomic::{Ordering, model_atomics, spin};
use crossing_sys::wait::WaitEnd;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

/// How long a sleeper trusts that it is woken, while nobody holds a delivery.
pub(super) const TRUSTING: Duration = Duration::from_millis(100);
/// How long it sleeps while others hold deliveries, before it looks whether they live.
pub(super) const WATCHFUL: Duration = Duration::from_millis(4);
/// Turns of spinning before a sleep, at most: some ten microseconds. None in a model, whose sleeps are to be searched.
const SPINS: u32 = if model_atomics() { 0 } else { 512 };
/// A sleep shorter than this might have been spared by spinning.
const SHORT: Duration = Duration::from_micros(60);
/// How many sleeps to go without spinning once it did not help, since the other side may be on the same core; each time twice
/// as many, up to a limit.
const WARY: u32 = 256;
const MAX_WARY: u32 = 1 << 15;

/// Pauses, at most, in which a receiver lets messages gather.
const LULL: u32 = 256;
/// The least, to try whether they come densely.
const PROBE: u32 = 64;
/// How often it tries: once in so many looks in vain.
const PROBES: u32 = 32;
/// A stream is dense if no more pauses than this pass for each message.
const DENSE: u32 = 32;

/// What a process learnt about waiting in one queue: hints, each of them.
#[derive(Debug)]
pub(super) struct Habits {
    /// Turns to spin before a sleep.
    patience: AtomicU32,
    /// How many sleeps are to go without spinning, and how many next time.
    wary: AtomicU32,
    vain: AtomicU32,
    /// Pauses before the first look of a receiver that found nothing, what it had taken by then, and how often that was.
    lull: AtomicU32,
    since: AtomicU32,
    looks: AtomicU32,
    /// When it joined, and after how many milliseconds it last looked for the dead.
    joined: Instant,
    patrolled: AtomicU64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            patience: SPINS.into(),
            wary: 0.into(),
            vain: 0.into(),
            lull: 0.into(),
            since: 0.into(),
            looks: 0.into(),
            joined: Instant::now(),
            patrolled: 0.into(),
        }
    }
}

impl<W: Words> Core<W> {
    /// Spins for a moment, as long as that has helped lately.
    #[inline]
    pub(super) fn attempt<T>(
        &self,
        lull: u32,
        worth: impl Fn() -> bool,
        take: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let patience = self.habits.patience.load(HINT);
        let (mut turns, mut pause) = (0, lull.max(1));
        while turns < patience {
            // Longer and longer pauses: each look takes lines away from those who fill or empty the queue.
            for _ in 0..pause {
                spin();
            }
            turns += pause;
            pause = if pause > 16 { 1 } else { (pause * 2).min(16) };
            if worth()
                && let Some(taken) = take()
            {
                self.habits.patience.store(SPINS, HINT);
                self.habits.vain.store(0, HINT);
                return Some(taken);
            }
        }
        None
    }

    /// How long a receiver that found nothing waits before its first look. Who looks at each message as it comes takes the
    /// line of its cell away from the sender, who then is the slower for it: several times as slow where cores are far
    /// apart. So where messages come in a dense stream it lets some gather, as many as came while it waited before; and
    /// tries now and then whether they do.
    #[inline]
    pub(super) fn lull(&self) -> u32 {
        let taken = self.ledger().taken.load(Ordering::Relaxed) as u32;
        let batch = taken.wrapping_sub(self.habits.since.load(HINT));
        self.habits.since.store(taken, HINT);
        let lull = self.habits.lull.load(HINT);
        let looks = self.habits.looks.load(HINT).wrapping_add(1);
        self.habits.looks.store(looks, HINT);
        let next = if batch > self.words.capacity() / 2 {
            // Senders may have waited for room.
            lull / 2
        } else if batch.saturating_mul(DENSE) >= lull + 2 * DENSE {
            (lull * 2).min(LULL)
        } else if batch.saturating_mul(2 * DENSE) < lull + 2 * DENSE {
            lull / 2
        } else {
            lull
        };
        let next = if next < PROBE { 0 } else { next };
        let next = if next == 0 && looks.is_multiple_of(PROBES) { PROBE } else { next };
        self.habits.lull.store(next, HINT);
        next
    }

    /// Learns from a sleep that began at `begun` how long to spin before the next.
    fn learn(&self, begun: Instant) {
        let (patience, wary) = (self.habits.patience.load(HINT), self.habits.wary.load(HINT));
        if wary > 0 {
            // No look at the clock either.
            self.habits.wary.store(wary - 1, HINT);
            if wary == 1 {
                self.habits.patience.store(SPINS, HINT);
            }
            return;
        }
        let patience = if begun.elapsed() > SHORT {
            // Idle: soon no spinning at all.
            if patience < 8 { 0 } else { patience / 2 }
        } else if patience == SPINS {
            // It spun in vain, then had to wait only a moment asleep.
            let vain = self.habits.vain.load(HINT).clamp(WARY, MAX_WARY);
            self.habits.wary.store(vain, HINT);
            self.habits.vain.store(vain * 2, HINT);
            0
        } else {
            SPINS
        };
        self.habits.patience.store(patience, HINT);
    }

    /// Tries until `take` succeeds, asleep in between. Who was woken and leaves while it is `worth` another's look rings on.
    pub fn sleep_until<T>(
        &self,
        which: Which,
        until: Until,
        take: impl Fn() -> Option<T>,
        worth: impl Fn() -> bool,
    ) -> Option<T> {
        let me = self.words.me();
        let bell = which.bell(&self.words);
        let mut slept = false;
        // A model's time stands still.
        let mut look = model_atomics();
        loop {
            let ticket = bell.prepare();
            if let Some(taken) = take() {
                if slept && worth() {
                    which.ring(&self.words);
                }
                return Some(taken);
            }
            if until.passed() {
                // Short waits are to hear of the dead, too.
                if look
                    && self.patrol_at(Instant::now())
                    && let Some(taken) = take()
                {
                    return Some(taken);
                }
                if slept {
                    which.ring(&self.words);
                }
                return None;
            }
            let begun = Instant::now();
            let watchful = sweep::others_hold(&self.words);
            let slice = if watchful { WATCHFUL } else { TRUSTING };
            if (look || self.is_to_patrol(begun, slice)) && self.patrol_at(begun) {
                continue;
            }
            let slice = begun.checked_add(slice);
            let deadline = self.earlier(match until {
                Until::At(end) => Some(slice.map_or(end, |slice| slice.min(end))),
                _ => slice,
            });
            look = bell.wait(me, ticket, deadline) == WaitEnd::TimedOut;
            slept = true;
            self.learn(begun);
        }
    }

    /// Whether the last look for the dead is longer ago than `slice`. Asking costs a system call for each user, so that who
    /// sleeps often does not do so each time.
    fn is_to_patrol(&self, now: Instant, slice: Duration) -> bool {
        let now = now.saturating_duration_since(self.habits.joined).as_millis() as u64;
        now.saturating_sub(self.habits.patrolled.load(HINT)) >= slice.as_millis() as u64
    }

    fn patrol_at(&self, now: Instant) -> bool {
        self.habits
            .patrolled
            .store(now.saturating_duration_since(self.habits.joined).as_millis() as u64, HINT);
        self.patrol()
    }

    /// `slice`, or when something aside is due.
    pub(super) fn earlier(&self, slice: Option<Instant>) -> Option<Instant> {
        let Some(due) = aside::next_due(&self.words) else { return slice };
        let left = Duration::from_nanos(due.saturating_sub(self.now()));
        // The hint is rounded down; a little later rather than over and over.
        let due = Instant::now().checked_add(left + Duration::from_micros(66));
        match (slice, due) {
            (Some(slice), Some(due)) => Some(slice.min(due)),
            (slice, due) => slice.or(due),
        }
    }
}
