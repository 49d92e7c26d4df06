//! Who reads the connection of a service.
//!
//! At the client: a thread that waits for a reply reads for all who wait, and when it has its own hands the place to another one that waits: so a
//! call costs no change of threads in this process. While nobody waits, the thread of the connection reads, from [`SLICE`] after
//! the last one left: it takes replies that nobody waits for yet, and hears that the server died. It gives the place back when a
//! reply comes for a thread that waits. It reads all the time once a task waits here, which cannot read, or an answer comes in parts.
//!
//! At the server the same, with requests, as long as there is but one client: of several each needs its own reader.
//!
//! Nobody is left waiting: who wants to wait says so before it looks whether the place is free, and who leaves the place frees it
//! before it looks who waits. A place that was handed to somebody who does not want it any more is handed on.

use super::client::{Shared, lock};
use crate::RecvHalf;
use crossing_sys::{ErrorKind, Result};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the thread of the connection looks whether threads that wait still read.
pub(super) const SLICE: Duration = Duration::from_millis(10);

/// How long who reads for himself looks for the next frame at most before he sleeps.
const MOMENT: Duration = Duration::from_micros(30);

/// The place of the one who reads.
#[derive(Debug)]
pub(super) struct Turn {
    place: Mutex<Place>,
    /// For the thread of the connection.
    changed: Condvar,
    /// The thread of the connection reads all the time.
    kept: AtomicBool,
    /// Threads that wait for their replies and do not read.
    sleepers: AtomicUsize,
    habit: Habit,
}

#[derive(Debug)]
struct Place {
    /// Not here: somebody reads, or the connection has ended.
    receiver: Option<RecvHalf>,
    /// How often a thread that waits has taken it.
    taken: u64,
    /// The thread of the connection is to read as soon as it can.
    summoned: bool,
    /// The thread of the connection sleeps until the place is free.
    dozes: bool,
    ended: bool,
}

impl Turn {
    pub(super) fn new(receiver: RecvHalf) -> Self {
        let place = Place { receiver: Some(receiver), taken: 0, summoned: false, dozes: false, ended: false };
        Self {
            place: Mutex::new(place),
            changed: Condvar::new(),
            kept: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            habit: Habit::default(),
        }
    }

    /// From now on the thread of the connection reads.
    pub(super) fn keep(&self) {
        if !self.kept.load(Ordering::Relaxed) {
            // Under the lock, so that the thread does not miss it.
            let _place = lock(&self.place);
            // Relaxed: the lock publishes it to the thread; to others it is a hint.
            self.kept.store(true, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }

    /// The thread of the connection is to read now, if nobody does.
    pub(super) fn summon(&self) {
        lock(&self.place).summoned = true;
        self.changed.notify_one();
    }

    /// The place, for a thread that waits, if it is free.
    pub(super) fn take(&self) -> Option<RecvHalf> {
        let mut place = lock(&self.place);
        if place.summoned || self.kept.load(Ordering::Relaxed) {
            return None;
        }
        let receiver = place.receiver.take()?;
        place.taken = place.taken.wrapping_add(1);
        Some(receiver)
    }

    /// This thread will wait and not read; it looks for the place once more after that.
    pub(super) fn begin_sleep(&self) {
        // SeqCst: whoever frees the place under its lock and then finds no sleeper was before this, so that the look after this,
        // under the same lock, finds the place free.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end_sleep(&self) {
        // Relaxed: one that is counted too long is looked for in vain.
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_sleepers(&self) -> bool {
        self.sleepers.load(Ordering::SeqCst) > 0
    }

    /// Receives a frame until `deadline`. `soon`: it may come in a moment, and is looked for that long where this has been faster.
    pub(super) fn receive<'r>(
        &self,
        receiver: &'r mut RecvHalf,
        deadline: Option<Instant>,
        soon: bool,
    ) -> Result<&'r [u8]> {
        if !soon || receiver.0.is_here() {
            return receiver.recv_deadline(deadline);
        }
        let (begun, looks) = (Instant::now(), self.habit.choose());
        while looks && !receiver.0.has_arrived()? && begun.elapsed() < MOMENT {
            std::hint::spin_loop();
        }
        let received = receiver.recv_deadline(deadline);
        self.habit.learn(looks, begun.elapsed());
        received
    }

    fn is_free(&self) -> bool {
        lock(&self.place).receiver.is_some()
    }

    pub(super) fn put_back(&self, receiver: RecvHalf) {
        let mut place = lock(&self.place);
        place.receiver = Some(receiver);
        if place.summoned || place.dozes || self.kept.load(Ordering::Relaxed) {
            place.dozes = false;
            self.changed.notify_one();
        }
    }

    /// Nobody reads any more.
    pub(super) fn end(&self) {
        lock(&self.place).ended = true;
        self.changed.notify_one();
    }

    /// The place, for the thread of the connection, when it is to read; `None` when the connection has ended.
    pub(super) fn await_place(&self) -> Option<RecvHalf> {
        let mut place = lock(&self.place);
        let mut seen = None;
        loop {
            if place.ended {
                return None;
            }
            let idle = seen == Some(place.taken);
            if (idle || place.summoned || self.kept.load(Ordering::Relaxed))
                && let Some(receiver) = place.receiver.take()
            {
                place.summoned = false;
                return Some(receiver);
            }
            seen = Some(place.taken);
            // Somebody has been reading for as long: he will say when he leaves.
            place.dozes = idle;
            place = match idle {
                true => self.changed.wait(place).unwrap_or_else(PoisonError::into_inner),
                false => self.changed.wait_timeout(place, SLICE).unwrap_or_else(PoisonError::into_inner).0,
            };
            if idle {
                seen = None;
            }
        }
    }
}

/// Whether to look for a moment before sleeping: what has been faster on this connection. Looking is, where the other side answers
/// at once and has a core of its own; on one core it keeps the other side from answering. Written by whoever has the place.
#[derive(Debug)]
struct Habit {
    waits: AtomicU32,
    /// How long a wait takes by sleeping and by looking, in nanoseconds, on a moving average.
    takes: [AtomicU32; 2],
}

impl Default for Habit {
    fn default() -> Self {
        Self { waits: AtomicU32::new(0), takes: [const { AtomicU32::new(Self::LONG) }; 2] }
    }
}

impl Habit {
    /// Waits that take longer are no matter of looking or sleeping: they count as that.
    const LONG: u32 = 2 * MOMENT.as_nanos() as u32;
    /// How often the other way is tried: first, and later on.
    const TRIED: [u32; 2] = [16, 128];

    // Relaxed, all of them: whoever has the place writes, and its lock publishes.
    fn choose(&self) -> bool {
        let waits = self.waits.load(Ordering::Relaxed).wrapping_add(1);
        self.waits.store(waits, Ordering::Relaxed);
        let [sleeping, looking] = [0, 1].map(|way: usize| self.takes[way].load(Ordering::Relaxed));
        // Clearly faster only: it costs the processor.
        let better = u64::from(looking) * 4 < u64::from(sleeping) * 3;
        let [first, later] = Self::TRIED;
        let tried = waits.is_multiple_of(if waits < first * 16 { first } else { later });
        better != tried
    }

    fn learn(&self, looked: bool, took: Duration) {
        let took = u32::try_from(took.as_nanos()).map_or(Self::LONG, |took| took.min(Self::LONG));
        let average = &self.takes[usize::from(looked)];
        let before = average.load(Ordering::Relaxed);
        average.store(before - before / 4 + took / 4, Ordering::Relaxed);
    }
}

impl Shared {
    /// The thread of the connection.
    pub(super) fn keep_reading(&self) {
        while let Some(mut receiver) = self.turn.await_place() {
            loop {
                // Before the reply wakes who waits for it.
                let wanted = self.turn.has_sleepers() && !self.turn.kept.load(Ordering::Relaxed);
                if !self.read_one(&mut receiver, None, false) {
                    return;
                }
                if wanted || (self.turn.has_sleepers() && !self.turn.kept.load(Ordering::Relaxed)) {
                    break;
                }
            }
            self.give_back(receiver);
        }
    }

    /// Reads as the one whose turn it is until it is `done`, or until `deadline`.
    pub(super) fn read_until(
        &self,
        mut receiver: RecvHalf,
        deadline: Option<Instant>,
        done: impl Fn() -> bool,
    ) {
        while !done() {
            if deadline.is_some_and(|at| at <= Instant::now()) {
                break;
            }
            if !self.read_one(&mut receiver, deadline, true) {
                return;
            }
        }
        self.give_back(receiver);
    }

    /// Reads a frame, or nothing until `deadline`; `false` when the connection has ended, and everybody was told.
    fn read_one(&self, receiver: &mut RecvHalf, deadline: Option<Instant>, soon: bool) -> bool {
        let reason = match self.turn.receive(receiver, deadline, soon) {
            Ok(frame) => match self.take_frame(frame) {
                Ok(()) => return true,
                Err(what) => format!("the server breaks the protocol: {what}"),
            },
            Err(error) if error.kind() == ErrorKind::TimedOut => return true,
            Err(error) => format!("the server is gone: {error}"),
        };
        self.die(reason);
        self.turn.end();
        false
    }

    fn give_back(&self, receiver: RecvHalf) {
        self.turn.put_back(receiver);
        self.hand_over();
    }

    /// Lets one who waits read, if nobody does.
    pub(super) fn hand_over(&self) {
        if self.turn.has_sleepers() && self.turn.is_free() {
            self.wake_a_sleeper();
        }
    }
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
