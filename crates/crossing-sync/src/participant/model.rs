//! The participant of a loom model: its death is declared, its futex is a condition variable per word.

use super::ParticipantId;
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crossing_sys::wait::WaitEnd;
use loom::sync::{Arc, Condvar, Mutex};
use std::collections::HashMap;
use std::time::Instant;

/// What all participants of one model share.
#[derive(Default)]
struct World {
    /// Sleepers by word.
    beds: Mutex<HashMap<usize, Arc<Condvar>>>,
    dead: Mutex<Vec<ParticipantId>>,
    /// Doorbells that are rung, by owner and number.
    rung: Mutex<Vec<(u32, u32)>>,
    ringing: Condvar,
}

/// A participant of a loom model.
pub struct Participant {
    id: ParticipantId,
    world: Arc<World>,
}

impl Participant {
    /// `count` participants of one model.
    #[must_use]
    pub fn model(count: usize) -> Vec<Self> {
        let world = Arc::new(World::default());
        (0..count).map(|slot| Self { id: ParticipantId::new(slot, 1), world: world.clone() }).collect()
    }

    /// Never: threads are the model's processes.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        false
    }

    /// Declares this participant dead; what it left in shared words stays as it is.
    pub fn die(&self) {
        self.world.dead.lock().unwrap().push(self.id);
        // The alarms of doorbells: between somebody's look at the dead and his wait nobody gets the lock.
        drop(self.world.rung.lock().unwrap());
        self.world.ringing.notify_all();
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> ParticipantId {
        self.id
    }

    /// Whether `id` was not declared dead.
    #[must_use]
    pub fn is_alive(&self, id: ParticipantId) -> bool {
        id.generation() == 1 && !self.world.dead.lock().unwrap().contains(&id)
    }

    pub(crate) fn current(&self, slot: usize) -> ParticipantId {
        ParticipantId::new(slot, 1)
    }

    fn sleep(&self, address: usize, unchanged: impl Fn() -> bool) -> WaitEnd {
        // Once somebody is dead, a sleep ends by itself: the look that sleepers take every few milliseconds. Those who
        // fell asleep before need the kernel's ring.
        let mut beds = self.world.beds.lock().unwrap();
        if !self.world.dead.lock().unwrap().is_empty() {
            drop(beds);
            loom::thread::yield_now();
            return WaitEnd::TimedOut;
        }
        if !unchanged() {
            return WaitEnd::Changed;
        }
        let bed = beds.entry(address).or_insert_with(|| Arc::new(Condvar::new())).clone();
        beds = bed.wait(beds).unwrap();
        drop(beds);
        WaitEnd::Woken
    }

    fn rouse(&self, address: usize, count: u32) {
        let beds = self.world.beds.lock().unwrap();
        if let Some(bed) = beds.get(&address) {
            if count == 1 { bed.notify_one() } else { bed.notify_all() }
        }
    }

    /// As the real one's.
    pub fn wait(&self, word: &AtomicU32, expected: u32, _: Option<Instant>) -> WaitEnd {
        self.sleep(std::ptr::from_ref(word).addr(), || word.fetch_add(0, Ordering::SeqCst) == expected)
    }

    /// As the real one's.
    pub fn wake(&self, word: &AtomicU32, count: u32) {
        self.rouse(std::ptr::from_ref(word).addr(), count);
    }

    pub(crate) fn wait_low(
        &self,
        word: &AtomicU64,
        expected: u32,
        _: Option<Instant>,
        _: Option<ParticipantId>,
    ) -> WaitEnd {
        self.sleep(std::ptr::from_ref(word).addr(), || word.fetch_add(0, Ordering::SeqCst) as u32 == expected)
    }

    pub(crate) fn wake_low(&self, word: &AtomicU64, count: u32) {
        self.rouse(std::ptr::from_ref(word).addr(), count);
    }

    /// What the kernel does for a thread that died with a word armed.
    pub fn ring(&self, word: &crate::raw::mutex::RawMutex) {
        self.wake_low(word.word(), 1);
    }

    pub(crate) fn ring_on_death(&self, _: &AtomicU64) -> bool {
        true
    }

    pub(crate) fn unring(&self, _: &AtomicU64) {}

    pub(crate) fn ring_doorbell(&self, owner: u32, number: u32) {
        self.world.rung.lock().unwrap().push((owner, number));
        self.world.ringing.notify_all();
    }

    pub(crate) fn remove_doorbell(&self, _: u32, _: u32) {}

    /// Silences doorbell `number` of this participant.
    pub fn silence_doorbell(&self, number: u32) {
        let mine = (self.id.raw(), number);
        self.world.rung.lock().unwrap().retain(|rung| *rung != mine);
    }

    /// What an event loop does: waits until doorbell `number` of this participant is rung. Once somebody is dead, its alarm
    /// rings.
    pub fn wait_doorbell(&self, number: u32) {
        let mine = (self.id.raw(), number);
        let mut rung = self.world.rung.lock().unwrap();
        while !rung.contains(&mine) {
            if !self.world.dead.lock().unwrap().is_empty() {
                drop(rung);
                loom::thread::yield_now();
                return;
            }
            rung = self.world.ringing.wait(rung).unwrap();
        }
    }
}
