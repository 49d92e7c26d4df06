//! The readers-writer lock: a mutex for writers, and one word per participant for its readers.
//!
//! # Protocol
//! `readers[slot]` belongs to the participant in that slot: generation (high 16 bits) and how many of its threads read
//! (low 16 bits). Only that participant writes it, except that anybody may set the word of a *dead* participant to 0 by
//! compare-exchange.
//!
//! * read: own count += 1 (`ORD: rwlock-reader-in (seqcst) <-> rwlock-writer-looks`), then look at the writer's word. If
//!   a writer is there: count -= 1, wake the writer, wait for it to go, try again. Both sides write their own word and
//!   then read the other's, all SeqCst, so at least one of them sees the other (Dekker).
//! * write: lock the writers' mutex, then wait for every word with a count whose participant is alive to become 0.
//!   Writers thus go before readers who come later.
//! * leaving reader: count -= 1 (`ORD: rwlock-reader-out (release) <-> rwlock-writer-looks`), and if it was the
//!   participant's last and a writer is there, `drained` += 1 and wake.
//!
//! `torn` is 1 from when a writer's death is found until a writer who knows of it unlocks: meanwhile readers are told
//! `Recovered` too.
//!
//! # Death
//! * a reader: its word is stale; the writer proves it dead (generation, kernel lock) and sets it to 0. A writer that
//!   waits for readers looks every few milliseconds.
//! * a writer waiting or writing: as for the mutex. A reader that finds it dead takes the mutex over, sets `torn` and
//!   unlocks; a writer that takes it over is the one who is told.
//! * a reader that decremented but did not yet wake: the writer looks by itself.

use super::WATCHFUL;
use super::mutex::{OwnerSeen, RawMutex};
use crate::atomic::{AtomicU32, Ordering, dekker};
use crate::participant::{MAX_PARTICIPANTS, Participant, ParticipantId};
use crate::{Acquired, TimedOut, Until};
use crossing_sys::crash;

/// Reader words in use: a model keeps few, so that it can be searched.
const SLOTS: usize = if cfg!(loom) { 2 } else { MAX_PARTICIPANTS };

/// The words of a readers-writer lock. All zero: unlocked.
#[repr(C)]
#[derive(Debug)]
pub struct RawRwLock {
    writer: RawMutex,
    drained: AtomicU32,
    torn: AtomicU32,
    readers: [AtomicU32; SLOTS],
}

const COUNT: u32 = 0xffff;

fn tag(id: ParticipantId) -> u32 {
    id.generation() << 16
}

impl Default for RawRwLock {
    fn default() -> Self {
        Self::new()
    }
}

impl RawRwLock {
    /// An unlocked lock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            writer: RawMutex::new(),
            drained: AtomicU32::new(0),
            torn: AtomicU32::new(0),
            readers: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    fn own<'a>(&'a self, me: &Participant) -> Option<&'a AtomicU32> {
        self.readers.get(me.id().slot()?)
    }

    /// Locks for reading, waiting as long as `until` says.
    ///
    /// `Recovered`: a writer died and no writer has put things right since.
    ///
    /// # Errors
    /// [`TimedOut`]; also when 65,535 threads of this process read already.
    pub fn read(&self, me: &Participant, until: Until) -> Result<Acquired<()>, TimedOut> {
        let own = self.own(me).ok_or(TimedOut)?;
        loop {
            self.enter(own, me)?;
            crash::point("rwlock.read.entered");
            dekker();
            // ORD: rwlock-reader-looks (seqcst) <-> rwlock-writer-in: SeqCst after SeqCst, see Dekker above
            if self.writer.owner_seqcst().is_none() {
                // ORD: mutex-lock (acquire) <-> mutex-unlock: the writer's unlock is what made the word free
                let torn = self.torn.load(Ordering::Acquire) == 1;
                return Ok(if torn { Acquired::Recovered(()) } else { Acquired::Normal(()) });
            }
            self.leave(own, me);
            crash::point("rwlock.read.left");
            match self.writer.wait_while_locked(me, until)? {
                OwnerSeen::Gone => {}
                OwnerSeen::Dead => self.pass_on_the_dead(me),
            }
        }
    }

    fn enter(&self, own: &AtomicU32, me: &Participant) -> Result<(), TimedOut> {
        // Relaxed: this participant's word; the exchange orders.
        let mut word = own.load(Ordering::Relaxed);
        loop {
            let next = if word & !COUNT == tag(me.id()) { word.wrapping_add(1) } else { tag(me.id()) | 1 };
            if next & COUNT == 0 {
                return Err(TimedOut);
            }
            // ORD: rwlock-reader-in (seqcst) <-> rwlock-writer-looks
            match own.compare_exchange(word, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    fn leave(&self, own: &AtomicU32, me: &Participant) {
        let mut word = own.load(Ordering::Relaxed);
        while word & !COUNT == tag(me.id()) && word & COUNT != 0 {
            // ORD: rwlock-reader-out (release) <-> rwlock-writer-looks
            match own.compare_exchange(word, word - 1, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        crash::point("rwlock.read.before-wake");
        dekker();
        if (word & COUNT) == 1 && self.writer.owner_seqcst().is_some() {
            self.drained.fetch_add(1, Ordering::SeqCst);
            me.wake(&self.drained, u32::MAX);
        }
    }

    /// A reader found a dead writer: the lock is freed, and marked so that nobody takes the data for whole.
    fn pass_on_the_dead(&self, me: &Participant) {
        if let Ok(acquired) = self.writer.lock(me, Until::Now) {
            if acquired.is_recovered() {
                // Release comes with the unlock.
                self.torn.store(1, Ordering::Relaxed);
            }
            crash::point("rwlock.read.passing-on");
            self.writer.unlock(me, u32::MAX);
        }
    }

    /// Unlocks what [`read`](Self::read) locked.
    pub fn unlock_read(&self, me: &Participant) {
        if let Some(own) = self.own(me) {
            self.leave(own, me);
        }
    }

    /// Locks for writing, waiting as long as `until` says.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn write(&self, me: &Participant, until: Until) -> Result<Acquired<()>, TimedOut> {
        let acquired = self.writer.lock(me, until)?;
        crash::point("rwlock.write.locked");
        if acquired.is_recovered() {
            self.torn.store(1, Ordering::Relaxed);
        }
        if let Err(timed_out) = self.wait_for_readers(me, until) {
            self.writer.unlock(me, u32::MAX);
            return Err(timed_out);
        }
        // Relaxed: the mutex orders it.
        let torn = self.torn.load(Ordering::Relaxed) == 1;
        Ok(if torn { Acquired::Recovered(()) } else { Acquired::Normal(()) })
    }

    fn wait_for_readers(&self, me: &Participant, until: Until) -> Result<(), TimedOut> {
        dekker();
        for (slot, word) in self.readers.iter().enumerate() {
            loop {
                let drained = self.drained.load(Ordering::SeqCst);
                dekker();
                // ORD: rwlock-writer-looks (seqcst) <-> rwlock-reader-in, rwlock-reader-out
                let seen = word.load(Ordering::SeqCst);
                if seen & COUNT == 0 {
                    break;
                }
                if self.is_stale(slot, seen, me) {
                    crash::point("rwlock.write.clearing-dead");
                    // A new participant in the slot may have begun to read: then the exchange fails, and it is waited for.
                    let _ = word.compare_exchange(seen, 0, Ordering::SeqCst, Ordering::Relaxed);
                    continue;
                }
                if until.passed() {
                    return Err(TimedOut);
                }
                me.wait(&self.drained, drained, until.slice(WATCHFUL));
            }
        }
        Ok(())
    }

    fn is_stale(&self, slot: usize, word: u32, me: &Participant) -> bool {
        let current = me.current(slot);
        tag(current) != word & !COUNT || !me.is_alive(current)
    }

    /// Unlocks what [`write`](Self::write) locked.
    pub fn unlock_write(&self, me: &Participant) {
        // Who had the lock for writing was told of a death: from here on the data is whole again.
        self.torn.store(0, Ordering::Relaxed);
        crash::point("rwlock.write.unlocking");
        self.writer.unlock(me, u32::MAX);
    }
}
