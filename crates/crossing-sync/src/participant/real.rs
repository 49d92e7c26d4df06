//! The participant of a running process (the model's stands in `model.rs`).
#![allow(unsafe_code)] // a table in mapped memory

use super::{MAX_PARTICIPANTS, ParticipantId, SLOT_BITS};
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crossing_sys::doorbell::{Doorbell, Porch};
use crossing_sys::lock::LockFile;
use crossing_sys::wait::{self, Sleeper, WaitEnd, WaitSpace};
use crossing_sys::{Error, ErrorKind, Result};
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

/// The table of participants as it lies in shared memory. All zero: nobody ever joined.
// FORMAT: segment.md ParticipantTable size=4096
#[repr(C, align(64))]
pub struct ParticipantTable {
    entries: [Entry; MAX_PARTICIPANTS],
}

#[repr(C)]
struct Entry {
    /// Written by the slot's owner when it joins.
    generation: AtomicU32,
    /// The owner's process id, for listings; 0 when it left.
    pid: AtomicU32,
    /// When it joined, in nanoseconds of the Unix epoch, for listings.
    joined: AtomicU64,
}

const _: () = assert!(size_of::<ParticipantTable>() == 4096 && align_of::<ParticipantTable>() == 64);

/// One line of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParticipantInfo {
    /// The slot, 0 to 255.
    pub slot: usize,
    /// The process id that it wrote, in its own PID namespace.
    pub pid: u32,
    /// When it joined, in nanoseconds of the Unix epoch.
    pub joined: u64,
    /// Whether the kernel says that it lives.
    pub alive: bool,
}

/// This process's membership in one piece of shared memory.
///
/// It lasts until the last handle made with it is dropped; then the slot is free for others.
pub struct Participant {
    id: ParticipantId,
    table: NonNull<ParticipantTable>,
    locks: LockFile,
    space: WaitSpace,
    /// Where its memory's doorbells hang; none of memory without a name.
    porch: Option<Porch>,
    /// How often the program had forked when this one joined.
    born: u32,
    /// Keeps the table mapped. Dropped last: declared last.
    _keep: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the table consists of atomics and stays mapped while `_keep` lives; everything else is Send and Sync.
unsafe impl Send for Participant {}
// SAFETY: as above.
unsafe impl Sync for Participant {}

impl Participant {
    /// Joins `table` in the first free slot of `locks`.
    ///
    /// # Safety
    /// `table` must point to a mapped, writable table for as long as `keep` lives, aligned to 64 bytes.
    ///
    /// # Errors
    /// `LimitReached` when [`MAX_PARTICIPANTS`] live participants hold every slot; the operating system's when the file
    /// cannot be locked (it must be open for writing).
    pub unsafe fn join(
        table: NonNull<ParticipantTable>,
        locks: LockFile,
        space: WaitSpace,
        keep: Arc<dyn Any + Send + Sync>,
    ) -> Result<Arc<Self>> {
        // SAFETY: as this function's.
        unsafe { Self::join_at(table, locks, space, None, keep) }
    }

    /// Joins `table` as [`join`](Self::join) does; the memory's doorbells hang at `porch`.
    ///
    /// # Safety
    /// As [`join`](Self::join).
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub unsafe fn join_at(
        table: NonNull<ParticipantTable>,
        locks: LockFile,
        space: WaitSpace,
        porch: Option<Porch>,
        keep: Arc<dyn Any + Send + Sync>,
    ) -> Result<Arc<Self>> {
        // SAFETY: mapped for as long as `keep` lives, which this function holds; all its fields are atomics.
        let entries = unsafe { &table.as_ref().entries };
        for (slot, entry) in entries.iter().enumerate() {
            let taken = locks.try_lock(slot as u32);
            if !taken.map_err(|cause| Error::os(cause, "join", "participant table"))? {
                continue;
            }
            crossing_sys::crash::point("participant.join.locked");
            // ORD: join-generation (release) <-> judge-generation
            let generation = entry.generation.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
            let id = ParticipantId::new(slot, generation & (u32::MAX >> SLOT_BITS));
            // Relaxed: for listings only.
            entry.pid.store(std::process::id(), Ordering::Relaxed);
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            entry.joined.store(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            crossing_sys::crash::point("participant.join.done");
            let born = crossing_sys::fork::generation();
            let participant = Self { id, table, locks, space, porch, born, _keep: keep };
            participant.space.sweep(&|id| participant.lives(id));
            return Ok(Arc::new(participant));
        }
        Err(Error::new(ErrorKind::LimitReached, "join", "participant table")
            .detail(format!("{MAX_PARTICIPANTS} live participants"))
            .fix("let one of them close the segment"))
    }

    fn entry(&self, slot: usize) -> &Entry {
        // SAFETY: mapped while `_keep` lives; all its fields are atomics.
        let entries = unsafe { &self.table.as_ref().entries };
        &entries[slot]
    }

    /// Who this is.
    #[must_use]
    #[inline]
    pub fn id(&self) -> ParticipantId {
        self.id
    }

    /// Whether this process is a forked child of the one that joined: it is no participant, and must open for itself.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        crossing_sys::fork::generation() != self.born
    }

    /// Whether `path` names the very file on which this participant holds its lock.
    #[must_use]
    pub fn is_at(&self, path: &std::path::Path) -> bool {
        self.locks.is_at(path)
    }

    /// Whether `id` is a living participant of the same table. Takes one system call, unless it is this one.
    #[must_use]
    pub fn is_alive(&self, id: ParticipantId) -> bool {
        if id == self.id {
            return true;
        }
        let Some(slot) = id.slot() else { return false };
        // ORD: judge-generation (acquire) <-> join-generation
        let generation = self.entry(slot).generation.load(Ordering::Acquire) & (u32::MAX >> SLOT_BITS);
        if generation != id.generation() {
            return false;
        }
        if Some(slot) == self.id.slot() {
            return false; // our own slot at an older generation wrapped into view: it cannot live beside us
        }
        // When the system cannot say, the participant counts as alive: waiting too long is better than two owners.
        self.locks.is_locked_elsewhere(slot as u32).unwrap_or(true)
    }

    /// The current generation of `slot`, and the id of its present or last owner.
    pub(crate) fn current(&self, slot: usize) -> ParticipantId {
        // ORD: judge-generation (acquire) <-> join-generation
        let generation = self.entry(slot).generation.load(Ordering::Acquire);
        ParticipantId::new(slot, generation & (u32::MAX >> SLOT_BITS))
    }

    /// As [`is_alive`](Self::is_alive), for a number found in shared memory.
    fn lives(&self, raw: u32) -> bool {
        ParticipantId::from_raw(raw).is_some_and(|id| self.is_alive(id))
    }

    fn sleeper(&self, watch: Option<ParticipantId>) -> Sleeper {
        let watch = watch.and_then(|id| {
            // Relaxed: a hint. A wrong process ends the sleep too early or not at all; sleeps are short for that.
            let pid = self.entry(id.slot()?).pid.load(Ordering::Relaxed);
            Some((id.raw(), pid))
        });
        Sleeper { id: self.id.raw(), watch }
    }

    /// Sleeps while `word`, which lies in the memory whose table this is, holds `expected`; until woken or `deadline`.
    pub fn wait(&self, word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> WaitEnd {
        self.space.wait(word, expected, deadline, self.sleeper(None))
    }

    /// Wakes at most `count` of those who [wait](Self::wait) on `word`.
    pub fn wake(&self, word: &AtomicU32, count: u32) {
        self.space.wake(word, count, &|id| self.lives(id));
    }

    /// Hangs up doorbell `number` of this participant, for an event loop to wait on.
    ///
    /// # Errors
    /// `Unsupported` for memory without a name; and as [`Porch::hang`].
    pub fn hang_doorbell(&self, number: u32) -> Result<Doorbell> {
        let porch = self.porch.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "hang up doorbell", "shared memory")
                .detail("memory without a name has no place for it")
                .fix("use a named segment, or wait in a thread of its own (recv_timeout)")
        })?;
        porch.hang(self.id.raw(), number)
    }

    /// Rings doorbell `number` of `owner`, both as found in shared memory.
    pub(crate) fn ring_doorbell(&self, owner: u32, number: u32) {
        if let Some(porch) = &self.porch {
            // Nobody there: who was armed is dead, or about to go.
            let _ = porch.ring(owner, number);
        }
    }

    /// Removes what is left of doorbell `number` of `owner`, who is proven dead.
    pub(crate) fn remove_doorbell(&self, owner: u32, number: u32) {
        if let Some(porch) = &self.porch {
            porch.remove(owner, number);
        }
    }

    /// Waits while the low half of `word` is `expected`; also until `owner` dies, where the system can tell.
    pub(crate) fn wait_low(
        &self,
        word: &AtomicU64,
        expected: u32,
        deadline: Option<Instant>,
        owner: Option<ParticipantId>,
    ) -> WaitEnd {
        let who = if wait::WATCHES_DEATH { self.sleeper(owner) } else { self.sleeper(None) };
        self.space.wait(low_half(word), expected, deadline, who)
    }

    pub(crate) fn wake_low(&self, word: &AtomicU64, count: u32) {
        self.space.wake(low_half(word), count, &|id| self.lives(id));
    }

    #[inline]
    pub(crate) fn ring_on_death(&self, word: &AtomicU64) -> bool {
        wait::ring_on_death(low_half(word))
    }

    #[inline]
    pub(crate) fn unring(&self, word: &AtomicU64) {
        wait::unring(low_half(word));
    }
}

/// The half of a 64-bit word that the kernel waits on. Only its address is used on systems with a futex.
#[inline]
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    let offset = usize::from(cfg!(target_endian = "big"));
    // SAFETY: in bounds of the 8-byte word and aligned to 4.
    let half = unsafe { word.as_ptr().cast::<u32>().add(offset) };
    // SAFETY: lives as long as `word`; other accesses to these bytes are atomic.
    unsafe { AtomicU32::from_ptr(half) }
}

impl Drop for Participant {
    fn drop(&mut self) {
        if let Some(slot) = self.id.slot() {
            // Relaxed: for listings only. The slot is released when `locks` is closed.
            self.entry(slot).pid.store(0, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The participants that `table` shows: the living, and the dead whose slots nobody has taken since.
///
/// # Safety
/// `table` must point to a mapped, readable table for the length of the call, aligned to 64 bytes.
#[must_use]
pub unsafe fn list(table: NonNull<ParticipantTable>, locks: &LockFile) -> Vec<ParticipantInfo> {
    // SAFETY: mapped during the call; all its fields are atomics.
    let entries = unsafe { &table.as_ref().entries };
    let mut found = Vec::new();
    for (slot, entry) in entries.iter().enumerate() {
        // Relaxed: figures for people.
        let pid = entry.pid.load(Ordering::Relaxed);
        let alive = locks.is_locked_elsewhere(slot as u32).unwrap_or(false);
        if alive || pid != 0 {
            found.push(ParticipantInfo { slot, pid, joined: entry.joined.load(Ordering::Relaxed), alive });
        }
    }
    found
}
