//! Sleepers in a table of the shared memory, each with a named event. `WaitOnAddress` for words of this process alone.
//!
//! # Protocol
//! A *bed* is one 64-bit word of the [`WaitTable`]: the sleeper's number in the high half, the place of its word (its
//! offset / 4, plus 1) in the low half. Bed `n` has the auto-reset event `Global\crossing-IDENTITY-n`, which every
//! process opens when it first needs it and keeps.
//!
//! | bed | step | next |
//! |---|---|---|
//! | 0 | a sleeper lies down (`ORD: bed-taken (seqcst) <-> word-changed`), then looks at its word, then waits for the event | id, place |
//! | id, place | a waker, having changed the word (`ORD: word-changed (seqcst) <-> bed-taken`), marks it, then sets the event | id, WOKEN |
//! | id, place or WOKEN | the sleeper gets up, for whatever reason | 0 |
//! | dead id, any | who needs a bed, or spent a wake on it, clears it | 0 |
//!
//! The sleeper lies down before it looks and the waker changes the word before it searches the beds, all in the one order
//! of SeqCst operations: one of the two sees the other, so no wake is lost. Only the sleeper frees its bed, so nobody else
//! waits for the same event; an event set late finds the next sleeper of that bed, who gets up in vain and looks again.
//!
//! # Cost
//! Nobody sleeps: none here, the callers' marks say so. Per sleep: one wait. Per wake of one: one `SetEvent`, and one question
//! whether it lives (a refused lock). The wake searches 384 words; that is some 100 ns, paid only when somebody sleeps.
//!
//! # Death
//! * lying down, sleeping: the bed stays. A wake that hits it is noticed (`is_alive`) and given to another; when the table
//!   is full, the beds of the dead are cleared.
//! * waker, between mark and event: that sleeper sleeps on until its caller's next look (100 ms at most in crossing-sync).
//! * the process that a sleeper watches: its handle is waited for together with the event.
//!
//! A peer that scribbles over the table makes sleeps end late (at the caller's next look) or early; indices are never read
//! from it.
#![allow(unsafe_code)] // events, waiting, the table in mapped memory

use super::security::Descriptor;
use super::text::wide;
use crate::wait::{MAX_SLEEPERS, Place, Sleeper, WaitEnd, WaitSpace};
use std::collections::BTreeMap;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    ERROR_TIMEOUT, GetLastError, HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, OpenProcess, PROCESS_SYNCHRONIZE, SetEvent, WaitForMultipleObjects,
    WaitForSingleObject, WaitOnAddress, WakeByAddressAll, WakeByAddressSingle,
};

/// A watched process is one more handle to wait for.
pub(crate) const WATCHES_DEATH: bool = true;

/// The low half of a bed whose sleeper was woken.
const WOKEN: u32 = u32::MAX;

/// `WaitForMultipleObjects` takes 64 handles; one is for the watched process.
const MAX_BEDS: usize = 63;

/// How long to sleep where there is no bed, event or watch to be had.
const NAP: Duration = Duration::from_millis(1);

/// The longest sleep beside a process that was dead already, or could not be opened: its user looks then.
const UNWATCHED: Duration = Duration::from_millis(4);

/// The handles that one space has opened so far.
pub(crate) struct Room {
    events: OnceLock<Box<[OnceLock<OwnedHandle>]>>,
    processes: Mutex<BTreeMap<u32, Option<Arc<OwnedHandle>>>>,
}

impl Default for Room {
    fn default() -> Self {
        Self { events: OnceLock::new(), processes: Mutex::new(BTreeMap::new()) }
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Room")
    }
}

impl Room {
    /// The event of bed `index`: found, or made if this is the first process that needs it.
    fn event(&self, place: &Place, index: usize) -> io::Result<&OwnedHandle> {
        let events = self.events.get_or_init(|| (0..MAX_SLEEPERS).map(|_| OnceLock::new()).collect());
        if let Some(event) = events[index].get() {
            return Ok(event);
        }
        let hex: String = place.identity.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = wide(format!("Global\\crossing-{hex}-{index}"))?;
        let descriptor = Descriptor::for_access(place.access)?;
        // SAFETY: a string that ends in 0; the descriptor lives through the call.
        let event = unsafe { CreateEventW(descriptor.attributes(), 0, 0, name.as_ptr()) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: made just now, owned by nobody else.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        Ok(events[index].get_or_init(|| event))
    }

    /// A handle of the process `pid` that has the number `id`; `None` if it cannot be watched, or is dead already.
    fn process(&self, id: u32, pid: u32) -> Option<Arc<OwnedHandle>> {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        if processes.len() > 1024 {
            processes.clear(); // of owners long gone
        }
        let entry = processes.entry(id).or_insert_with(|| {
            // SAFETY: no pointers; a number that no process has is an error.
            let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, pid) };
            // SAFETY: opened just now, owned by nobody else.
            (!handle.is_null()).then(|| Arc::new(unsafe { OwnedHandle::from_raw_handle(handle) }))
        });
        let process = entry.clone()?;
        // SAFETY: an open handle; asks and returns.
        let dead = unsafe { WaitForSingleObject(process.as_raw_handle(), 0) } != WAIT_TIMEOUT;
        (!dead).then_some(process)
    }
}

impl Place {
    fn beds(&self) -> &[AtomicU64; MAX_SLEEPERS] {
        // SAFETY: mapped as long as the space is used (the promise of `WaitSpace::shared`); all its words are atomics.
        unsafe { &self.table.as_ref().beds }
    }

    /// What the low half of a bed says for `word`; `None` for a word elsewhere.
    fn number(&self, word: &AtomicU32) -> Option<u32> {
        let offset = word.as_ptr().addr().checked_sub(self.base)?;
        if offset.checked_add(4)? > self.len {
            return None;
        }
        u32::try_from(offset / 4 + 1).ok().filter(|number| *number != WOKEN)
    }

    /// Lies down in a free bed.
    fn lie_down(&self, id: u32, number: u32) -> Option<usize> {
        let taken = bed(id, number);
        let start = (id as usize).wrapping_mul(7);
        (0..MAX_SLEEPERS).map(|step| (start + step) % MAX_SLEEPERS).find(|index| {
            let bed = &self.beds()[*index];
            // Relaxed: a look before the real attempt.
            bed.load(Ordering::Relaxed) == 0
                // ORD: bed-taken (seqcst) <-> word-changed
                && bed.compare_exchange(0, taken, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        })
    }

    /// Gets up from a bed; whether somebody had woken the sleeper.
    fn get_up(&self, index: usize, id: u32, number: u32) -> bool {
        let bed_word = &self.beds()[index];
        // AcqRel: what the waker did before is seen after a wake; nothing else is published.
        if bed_word.compare_exchange(bed(id, number), 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return false;
        }
        // If this fails too, the bed was taken for a dead one's: it is somebody else's now.
        let _ = bed_word.compare_exchange(bed(id, WOKEN), 0, Ordering::AcqRel, Ordering::Relaxed);
        true
    }
}

fn bed(id: u32, number: u32) -> u64 {
    (u64::from(id) << 32) | u64::from(number)
}

/// Milliseconds until `deadline`, rounded up so that a wait never ends too early.
fn millis(deadline: Option<Instant>) -> u32 {
    let Some(deadline) = deadline else { return INFINITE };
    let left = deadline.saturating_duration_since(Instant::now());
    u32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1)
}

fn nap(deadline: Option<Instant>) -> WaitEnd {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    if left == Some(Duration::ZERO) {
        return WaitEnd::TimedOut;
    }
    std::thread::sleep(left.map_or(NAP, |left| left.min(NAP)));
    WaitEnd::Woken
}

pub(crate) fn wait(
    space: &WaitSpace,
    word: &AtomicU32,
    expected: u32,
    deadline: Option<Instant>,
    who: Sleeper,
) -> WaitEnd {
    match &space.place {
        Some(place) => Sleep { room: &space.room, place, words: &[(word, expected)], who, taken: Vec::new() }
            .run(deadline),
        None => wait_private(word, expected, deadline),
    }
}

pub(crate) fn wait_any(
    space: &WaitSpace,
    words: &[(&AtomicU32, u32)],
    deadline: Option<Instant>,
    who: Sleeper,
) -> WaitEnd {
    match &space.place {
        Some(place) => Sleep { room: &space.room, place, words, who, taken: Vec::new() }.run(deadline),
        None => match words {
            [(word, expected)] => wait_private(word, *expected, deadline),
            // Relaxed: the caller looks at its words again with the order it needs.
            _ if words.iter().any(|(word, expected)| word.load(Ordering::Relaxed) != *expected) => {
                WaitEnd::Changed
            }
            _ => nap(deadline),
        },
    }
}

fn wait_private(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> WaitEnd {
    // Relaxed: the caller looks at its word again with the order it needs.
    if word.load(Ordering::Relaxed) != expected {
        return WaitEnd::Changed;
    }
    // SAFETY: a live word and a value to compare, both of 4 bytes.
    let woken =
        unsafe { WaitOnAddress(word.as_ptr().cast(), (&raw const expected).cast(), 4, millis(deadline)) };
    // SAFETY: no arguments.
    if woken == 0 && unsafe { GetLastError() } == ERROR_TIMEOUT { WaitEnd::TimedOut } else { WaitEnd::Woken }
}

/// One sleep on words of a place.
struct Sleep<'a> {
    room: &'a Room,
    place: &'a Place,
    words: &'a [(&'a AtomicU32, u32)],
    who: Sleeper,
    /// Bed and number of each word lain down for.
    taken: Vec<(usize, u32)>,
}

impl Sleep<'_> {
    fn run(mut self, deadline: Option<Instant>) -> WaitEnd {
        let everything = self.lie_down();
        // After lying down: see the protocol.
        // ORD: bed-taken (seqcst) <-> word-changed
        fence(Ordering::SeqCst);
        if self.words.iter().any(|(word, expected)| word.load(Ordering::SeqCst) != *expected) {
            self.get_up();
            return WaitEnd::Changed;
        }
        let (watched, limit) = self.watched();
        let end = match (everything, self.handles(watched.as_deref())) {
            (true, Ok(handles)) => wait_for(&handles, earlier(deadline, limit)),
            _ => nap(deadline),
        };
        let woken = self.get_up();
        let timed_out =
            end == WaitEnd::TimedOut && deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if timed_out && !woken { WaitEnd::TimedOut } else { WaitEnd::Woken }
    }

    /// Takes a bed for each word; whether there was one for all.
    fn lie_down(&mut self) -> bool {
        if self.words.len() > MAX_BEDS || self.words.is_empty() || self.who.id == 0 {
            return false;
        }
        for (word, _) in self.words {
            let Some(number) = self.place.number(word) else { return false };
            let Some(index) = self.place.lie_down(self.who.id, number) else { return false };
            self.taken.push((index, number));
        }
        true
    }

    fn get_up(&mut self) -> bool {
        let mut woken = false;
        for (index, number) in self.taken.drain(..) {
            woken |= self.place.get_up(index, self.who.id, number);
        }
        woken
    }

    /// The process to watch, and how long to sleep at most if that cannot be.
    fn watched(&self) -> (Option<Arc<OwnedHandle>>, Option<Instant>) {
        let Some((id, pid)) = self.who.watch else { return (None, None) };
        let process = self.room.process(id, pid);
        let limit = process.is_none().then(|| Instant::now() + UNWATCHED);
        (process, limit)
    }

    fn handles(&self, watched: Option<&OwnedHandle>) -> io::Result<Vec<HANDLE>> {
        let mut handles = Vec::with_capacity(self.taken.len() + 1);
        for (index, _) in &self.taken {
            handles.push(self.room.event(self.place, *index)?.as_raw_handle());
        }
        handles.extend(watched.map(AsRawHandle::as_raw_handle));
        Ok(handles)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn wait_for(handles: &[HANDLE], deadline: Option<Instant>) -> WaitEnd {
    // SAFETY: at most 64 handles, which their owners keep open through the call.
    let end = unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, millis(deadline)) };
    match end {
        WAIT_TIMEOUT => WaitEnd::TimedOut,
        WAIT_FAILED => nap(deadline),
        _ => {
            debug_assert!(
                end.wrapping_sub(WAIT_OBJECT_0) < handles.len() as u32,
                "no mutexes are waited for"
            );
            WaitEnd::Woken
        }
    }
}

pub(crate) fn wake(space: &WaitSpace, word: &AtomicU32, count: u32, is_alive: &dyn Fn(u32) -> bool) {
    let Some(place) = &space.place else {
        return if count == 1 {
            // SAFETY: only the address is used.
            unsafe { WakeByAddressSingle(word.as_ptr().cast()) }
        } else {
            // SAFETY: as above.
            unsafe { WakeByAddressAll(word.as_ptr().cast()) }
        };
    };
    let Some(number) = place.number(word) else { return };
    // The caller's change of the word comes before the search.
    // ORD: word-changed (seqcst) <-> bed-taken
    fence(Ordering::SeqCst);
    let mut left = count;
    let mut occupied = 0;
    for (index, bed_word) in place.beds().iter().enumerate() {
        if left == 0 {
            break;
        }
        let found = bed_word.load(Ordering::SeqCst);
        occupied += usize::from(found != 0);
        let id = (found >> 32) as u32;
        if found as u32 != number {
            continue;
        }
        // AcqRel: publishes the change of the word to the sleeper that sees the mark.
        if bed_word.compare_exchange(found, bed(id, WOKEN), Ordering::AcqRel, Ordering::Relaxed).is_err() {
            continue;
        }
        crate::crash::point("wait.wake.marked");
        if let Ok(event) = space.room.event(place, index) {
            // SAFETY: an open event.
            unsafe { SetEvent(event.as_raw_handle()) };
        }
        if is_alive(id) {
            left -= 1;
        } else {
            clear(bed_word, bed(id, WOKEN));
        }
    }
    if occupied > MAX_SLEEPERS / 2 {
        clear_the_dead(place, is_alive);
    }
}

fn clear(bed_word: &AtomicU64, found: u64) {
    // Relaxed: the dead published nothing, and a sleeper that lies down publishes for itself.
    let _ = bed_word.compare_exchange(found, 0, Ordering::Relaxed, Ordering::Relaxed);
}

/// Clears the beds of the dead: when the table fills up, and whenever somebody joins.
#[cold]
fn clear_the_dead(place: &Place, is_alive: &dyn Fn(u32) -> bool) {
    for bed_word in place.beds() {
        let found = bed_word.load(Ordering::Relaxed);
        if found != 0 && !is_alive((found >> 32) as u32) {
            clear(bed_word, found);
        }
    }
}

pub(crate) fn sweep(space: &WaitSpace, is_alive: &dyn Fn(u32) -> bool) {
    if let Some(place) = &space.place {
        clear_the_dead(place, is_alive);
    }
}

/// The kernel rings for nobody; death is watched instead.
pub(crate) fn ring_on_death(_: &AtomicU32) -> bool {
    false
}

pub(crate) fn unring(_: &AtomicU32) {}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
