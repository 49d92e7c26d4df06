//! Who reads the connection of a service.
//!
//! At the client: a thread that waits for a reply reads for all who wait, and when it has its own hands the place to another one that waits: so a
//! call costs no change of threads in this process. While nobody waits, the thread of the connection reads, from [`SLICE`] after
//! the last one left: it takes replies that nobody waits for yet, and hears that the server died. It gives the place back when a
//! reply comes for a thread that waits. It reads all the time once a thread awaits an answer in parts.
//!
//! At the server the same, with requests, as long as there is but one client: of several each needs its own reader.
//!
//! For tasks that wait a task of its own reads the connection, which has the place only while it is at work: what waits in between
//! is the reactor. So a thread that waits may read meanwhile, whether that runtime runs or not. At the client the thread of the
//! connection reads as soon as no task has waited for a while; at the server, which has a task for each client, only when the
//! program takes requests by threads as well, or the runtime ends. The thread reads all the time where the tasks are of several
//! runtimes, of which one may rest, and where bytes may lie between the system and the frames (TLS, handles).
//!
//! Nobody is left waiting: who wants to wait says so before it looks whether the place is free, and who leaves the place frees it
//! before it looks who waits. A place that was handed to somebody who does not want it any more is handed on.

#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
mod tasks;

#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
pub(super) use tasks::Watch;

use super::client::{Shared, lock};
use crate::RecvHalf;
use crossing_sys::{Error, ErrorKind, Result};
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How often the thread of the connection looks whether threads that wait still read.
pub(super) const SLICE: Duration = Duration::from_millis(10);

/// How long who reads for himself looks for the next frame at most before he sleeps.
const MOMENT: Duration = Duration::from_micros(30);

/// The runtime whose task reads.
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
type Runtime = ::tokio::runtime::Id;
#[cfg(not(all(feature = "tokio", unix, not(crossing_os_stub))))]
type Runtime = std::convert::Infallible;

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
    /// What the system has is all that there is to receive, so that a reactor can tell of it.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    plain: bool,
}

#[derive(Debug, Default)]
struct Place {
    /// Not here: somebody reads, or the connection has ended.
    receiver: Option<RecvHalf>,
    /// How often who waits has taken it.
    taken: u64,
    /// The thread of the connection is to read as soon as it can.
    summoned: bool,
    /// The thread of the connection sleeps until the place is free.
    dozes: bool,
    ended: bool,
    /// A task of this runtime reads.
    reader: Option<Runtime>,
    /// How that task is woken.
    waker: Option<Waker>,
    /// It found the place taken, and wants it.
    wants: bool,
    /// Tasks that wait for what it reads.
    watchers: usize,
    /// It reads whether any wait or not.
    resident: bool,
}

impl Place {
    /// Whether a task reads what comes.
    fn is_watched(&self) -> bool {
        self.reader.is_some() && (self.resident || self.watchers > 0)
    }
}

impl Turn {
    pub(super) fn new(receiver: RecvHalf) -> Self {
        #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
        let plain = receiver.0.is_plain();
        let place = Place { receiver: Some(receiver), ..Place::default() };
        Self {
            #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
            plain,
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
            let mut place = lock(&self.place);
            // Relaxed: the lock publishes it to the thread; to others it is a hint.
            self.kept.store(true, Ordering::Relaxed);
            self.changed.notify_one();
            let waker = place.waker.take();
            drop(place);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// The thread of the connection is to read now, if nobody does.
    pub(super) fn summon(&self) {
        lock(&self.place).summoned = true;
        self.changed.notify_one();
    }

    /// The same, unless a task reads whether it is waited for or not.
    pub(super) fn summon_from_threads(&self) {
        let mut place = lock(&self.place);
        if !(place.resident && place.is_watched()) {
            place.summoned = true;
            self.changed.notify_one();
        }
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

    /// Whether somebody waits for the place who reads himself when he has it.
    fn is_wanted(&self) -> bool {
        !self.is_kept() && (self.has_sleepers() || self.is_watched())
    }

    fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    pub(super) fn is_watched(&self) -> bool {
        lock(&self.place).is_watched()
    }

    fn is_free(&self) -> bool {
        lock(&self.place).receiver.is_some()
    }

    pub(super) fn put_back(&self, receiver: RecvHalf) {
        // What was read and not taken the system does not tell of, not even if it came a moment ago.
        let leaves_frames = receiver.0.is_here();
        let mut place = lock(&self.place);
        place.receiver = Some(receiver);
        let dozes = place.dozes && !place.is_watched();
        if place.summoned || dozes || self.kept.load(Ordering::Relaxed) {
            place.dozes = false;
            self.changed.notify_one();
        }
        let wakes = std::mem::take(&mut place.wants) || leaves_frames;
        let waker = if wakes { place.waker.take() } else { None };
        drop(place);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Nobody reads any more.
    pub(super) fn end(&self) {
        let mut place = lock(&self.place);
        place.ended = true;
        self.changed.notify_one();
        let waker = place.waker.take();
        drop(place);
        waker.into_iter().for_each(Waker::wake);
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
            let watched = place.is_watched();
            if ((idle && !watched) || place.summoned || self.kept.load(Ordering::Relaxed))
                && let Some(receiver) = place.receiver.take()
            {
                place.summoned = false;
                return Some(receiver);
            }
            seen = Some(place.taken);
            // Somebody has been reading for as long, or a task will: they say when they leave.
            let rests = idle || (watched && place.resident);
            place.dozes = rests;
            place = match rests {
                true => self.changed.wait(place).unwrap_or_else(PoisonError::into_inner),
                false => self.changed.wait_timeout(place, SLICE).unwrap_or_else(PoisonError::into_inner).0,
            };
            if rests {
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
                let wanted = self.turn.is_wanted();
                if !self.read_one(&mut receiver, None, false) {
                    return;
                }
                if wanted || self.turn.is_wanted() {
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
                Err(what) => broken(&what),
            },
            Err(error) if error.kind() == ErrorKind::TimedOut => return true,
            Err(error) => gone(&error),
        };
        self.die(reason);
        self.turn.end();
        false
    }

    /// Reads for the tasks that wait, as one of them; ready: it is not to read any more.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn poll_reading(
        &self,
        watch: &mut Watch,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        let soon = || self.turn.is_watched();
        let polled = self.turn.poll_frames(watch, context, soon, |frame| {
            let reason = match frame.map(|frame| self.take_frame(frame)) {
                Ok(Ok(())) => return ControlFlow::Continue(()),
                Ok(Err(what)) => broken(&what),
                Err(error) => gone(&error),
            };
            self.die(reason);
            self.turn.end();
            ControlFlow::Break(())
        });
        // Threads that found the place taken meanwhile: this runtime may not run when their replies come.
        self.hand_over();
        polled.map(drop)
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

fn broken(what: &str) -> String {
    format!("the server breaks the protocol: {what}")
}

fn gone(error: &Error) -> String {
    format!("the server is gone: {error}")
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
