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

/// How long who reads for himself looks for the next frame before he sleeps, where they come densely: some times what it takes
/// there and back, and less than falling asleep and being woken on another core.
const MOMENT: Duration = Duration::from_micros(30);
/// How many waits at most are slept through at once after looking was in vain.
const MAX_REST: u32 = 1024;

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
    /// How many waits are slept through before the next that looks first, and how many the next time that it is in vain. Written by
    /// whoever reads.
    rest: [AtomicU32; 2],
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
            rest: [const { AtomicU32::new(1) }; 2],
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

    /// Receives a frame until `deadline`. `soon`: it may come in a moment, and is looked for that long, unless that was in vain the
    /// last times: where the other side has no core of its own, or is slow.
    pub(super) fn receive<'r>(
        &self,
        receiver: &'r mut RecvHalf,
        deadline: Option<Instant>,
        soon: bool,
    ) -> Result<&'r [u8]> {
        if soon && !receiver.0.is_here() {
            let [rest, next] = &self.rest;
            // Relaxed: whoever reads has the place, whose lock publishes them.
            match rest.load(Ordering::Relaxed) {
                0 if look(receiver)? => next.store(1, Ordering::Relaxed),
                0 => {
                    let vain = next.load(Ordering::Relaxed);
                    rest.store(vain, Ordering::Relaxed);
                    next.store((vain * 2).min(MAX_REST), Ordering::Relaxed);
                }
                left => rest.store(left - 1, Ordering::Relaxed),
            }
        }
        receiver.recv_deadline(deadline)
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

/// Looks for a frame for a moment.
fn look(receiver: &mut RecvHalf) -> Result<bool> {
    let end = Instant::now() + MOMENT;
    loop {
        if receiver.0.has_arrived()? {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        std::hint::spin_loop();
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
