//! What a sender and a receiver do, over any [`Words`].

use super::bells::Which;
use super::waiting::Habits;
use super::words::{DEAD, LANES, Ledger, State, Word, Words};
use super::{aside, bells, lanes, slots, sweep};
use crossing_sync::Until;
use crossing_sync::atomic::{Ordering, dekker, model_atomics};
use crossing_sys::crash;

/// After how many messages a receiver that is never idle looks for the dead.
const PATROL: u64 = 4096;
/// After so many messages each lane is looked at with care.
const THOROUGH: u64 = if model_atomics() { 2 } else { 256 };

/// What the queue's creator decided and every user checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Priorities 0 to this less one.
    pub priorities: u32,
    /// After how many deliveries a message that is given back is buried; 0: never.
    pub max_deliveries: u32,
}

impl Limits {
    /// The lanes of living messages.
    #[must_use]
    pub fn lanes(&self) -> u64 {
        (1 << self.priorities.min(DEAD)) - 1
    }
}

/// The lane of dead letters, as a mask.
pub const DEAD_LANE: u64 = 1 << DEAD;

/// What is said about a message when it is committed. Lengths and extent stand in the slot already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    /// Below the queue's count of priorities.
    pub priority: u32,
    /// On the machine's clock, in nanoseconds; 0: never.
    pub expires: u64,
    /// On the machine's clock, in nanoseconds; 0: at once.
    pub due: u64,
}

/// A message that this process took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The slot.
    pub index: u32,
    /// Its word, by which alone it can be done with.
    pub word: Word,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// Its lane: the priority, or [`DEAD`].
    pub lane: u32,
}

/// A queue as one process uses it.
#[derive(Debug)]
pub struct Core<W> {
    pub(super) words: W,
    limits: Limits,
    clock: fn() -> u64,
    /// This participant's slot.
    user: usize,
    /// Where the next free slot may be. A hint.
    cursor: std::sync::atomic::AtomicU32,
    /// What it learnt about waiting.
    pub(super) habits: Habits,
    /// Slots freed while somebody waited for room. A hint.
    freed: std::sync::atomic::AtomicU32,
}

/// For words that are hints of this process's own.
pub(super) const HINT: Ordering = Ordering::Relaxed;

impl<W: Words> Core<W> {
    /// Joins the queue. What a dead predecessor in this participant's slot left is put right first.
    pub fn join(words: W, limits: Limits, clock: fn() -> u64) -> Self {
        let id = words.me().id();
        let user = id.slot().unwrap_or(0) % words.users();
        let ledger = words.ledger(user);
        words.shared().users.0.fetch_max(user as u64 + 1, Ordering::SeqCst);
        let left = ledger.user.swap(id.raw(), Ordering::SeqCst);
        ledger.done.store(ledger.taken.load(Ordering::Relaxed), Ordering::Relaxed);
        crash::point("queue.join.entered");
        if left != 0 && left != id.raw() {
            sweep::sweep(&words, &limits, user, id.raw());
        }
        crash::point("queue.join.done");
        // Apart from the other senders.
        let cursor = (user as u32).wrapping_mul(words.capacity() / words.users() as u32);
        let core = Self {
            words,
            limits,
            clock,
            user,
            cursor: cursor.into(),
            habits: Habits::default(),
            freed: 0.into(),
        };
        sweep::patrol(&core.words, &core.limits);
        core
    }

    /// The words.
    pub fn words(&self) -> &W {
        &self.words
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The machine's clock, in nanoseconds.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// This process's ledger.
    #[inline]
    pub fn ledger(&self) -> &Ledger {
        self.words.ledger(self.user)
    }

    /// Claims a free slot to write into. Unless `thorough`, only where one is likely.
    #[inline(always)]
    pub fn claim(&self, thorough: bool) -> Option<(u32, Word)> {
        let capacity = self.words.capacity();
        let from = self.cursor.load(HINT);
        let claimed = slots::claim(&self.words, if from < capacity { from } else { 0 }, thorough)?;
        self.cursor.store(claimed.0 + 1, HINT);
        self.words.prefetch(claimed.0 + 4);
        Some(claimed)
    }

    /// Brings near what a commit into `lane` will write.
    #[inline]
    pub(super) fn foresee_commit(&self, lane: u32) {
        lanes::foresee_push(&self.words, lane);
    }

    /// Gives up a claimed slot.
    pub fn abandon(&self, index: u32, word: Word) {
        slots::free(&self.words, index, word);
        self.tell_room();
    }

    /// Wakes somebody who waits for room.
    pub fn tell_room(&self) {
        bells::ring_room(&self.words);
    }

    /// The same after one slot of several became free: who wakes for a single one soon sleeps again, so that in the steady
    /// state of a full queue each message would cost two switches. What is kept back is told when the queue is found empty
    /// (`pick`); if neither happens, the sleeper looks by itself.
    #[inline]
    fn tell_room_now_and_then(&self) {
        dekker();
        if self.words.shared().room.0.has_sleepers() {
            let freed = self.freed.load(HINT).wrapping_add(1);
            self.freed.store(freed, HINT);
            if freed.is_multiple_of((self.words.capacity() / 16).clamp(1, 16)) {
                self.tell_room();
            }
        }
    }

    /// Commits a claimed slot. From its first step on, the message is there whatever happens to this process.
    #[inline(always)]
    pub fn commit(&self, index: u32, word: Word, terms: Terms) {
        let slot = self.words.slot(index);
        // Relaxed: published by the word.
        slot.meta.store(u64::from(terms.priority), Ordering::Relaxed);
        slot.expires.store(terms.expires, Ordering::Relaxed);
        slot.due.store(terms.due, Ordering::Relaxed);
        // Delayed ones have no position in a lane: they go in the order of their times, after the redelivered.
        slot.position.store(terms.due, Ordering::Relaxed);
        let me = self.words.me().id().raw();
        crash::point("queue.commit.before");
        if terms.due == 0 {
            let ready = word.to(State::Ready, me);
            // ORD: slot-ready (release) <-> slot-seen
            slot.word.store(ready.0, Ordering::Release);
            crash::point("queue.commit.ready");
            name(&self.words, terms.priority, index, ready);
        } else {
            // ORD: slot-aside (release) <-> slot-due
            slot.word.store(word.to(State::Aside, me).0, Ordering::SeqCst);
            crash::point("queue.commit.aside");
            aside::mark(&self.words, index, terms.due);
            self.ledger().delayed.fetch_add(1, Ordering::Relaxed);
        }
        crash::point("queue.commit.before-ring");
        bells::ring_arrivals(&self.words);
    }

    /// Takes the next message of the lanes of `mask`; what expired is dropped on the way.
    pub fn take(&self, mask: u64) -> Option<Taken> {
        self.take_soon(mask).or_else(|| self.take_picked(|| self.pick(mask)))
    }

    /// The same, where a short look is enough to tell; `None` otherwise, and if there is nothing.
    // In place, as all that leads to a delivery: what is written in small pieces and read in large ones makes the processor wait.
    #[inline(always)]
    pub(super) fn take_soon(&self, mask: u64) -> Option<Taken> {
        // Something aside may have to go first. And once in a while lanes that have been empty for long are to be found out.
        let apart = aside::next_due(&self.words).is_some() && mask & DEAD_LANE == 0;
        if apart || self.ledger().taken.load(Ordering::Relaxed) % THOROUGH == THOROUGH - 1 {
            return None;
        }
        self.take_picked(|| lanes::take_soon(&self.words, mask))
    }

    #[inline(always)]
    fn take_picked(&self, pick: impl Fn() -> Option<u32>) -> Option<Taken> {
        loop {
            let index = pick()?;
            let slot = self.words.slot(index);
            let word = Word(slot.word.load(Ordering::Relaxed));
            let meta = slot.meta.load(Ordering::Relaxed);
            // Relaxed: the owner's own.
            slot.due.store(0, Ordering::Relaxed);
            let ledger = self.ledger();
            let expires = slot.expires.load(Ordering::Relaxed);
            if expires != 0 && expires <= self.now() {
                ledger.expired.fetch_add(1, Ordering::Relaxed);
                slots::free(&self.words, index, word);
                self.tell_room();
                continue;
            }
            let taken = Ledger::tick(&ledger.taken);
            if taken % PATROL == PATROL - 1 {
                sweep::patrol(&self.words, &self.limits);
            }
            let deliveries = ((meta >> 32) as u32).saturating_add(1);
            if deliveries > 1 {
                ledger.redelivered.fetch_add(1, Ordering::Relaxed);
            }
            slot.meta.store((meta & 0xff) | (u64::from(deliveries) << 32), Ordering::Relaxed);
            crash::point("queue.take.counted");
            return Some(Taken { index, word, deliveries, lane: meta as u32 & 0xff });
        }
    }

    fn pick(&self, mask: u64) -> Option<u32> {
        let picked = self.look(mask);
        if picked.is_none() {
            self.tell_room();
        }
        picked
    }

    fn look(&self, mask: u64) -> Option<u32> {
        let due = if mask & DEAD_LANE == 0 { aside::next_due(&self.words) } else { None };
        let due = due.and_then(|due| Some(self.now()).filter(|now| due <= *now));
        let Some(now) = due else { return lanes::take_highest(&self.words, mask) };
        // Lane by lane: what the highest names may be stale, and then what is due may go before the next one.
        let mut left = mask;
        while let Some(lane) = lanes::highest(&self.words, left) {
            if let Some(index) = aside::take_due(&self.words, now, lane) {
                return Some(index);
            }
            if let Some(index) = lanes::take(&self.words, lane) {
                return Some(index);
            }
            left &= !(1 << lane);
        }
        aside::take_due(&self.words, now, 0)
    }

    /// Done with a message; `false`: it was taken away, which only a peer that breaks the rules does.
    #[inline]
    pub fn acknowledge(&self, taken: &Taken) -> bool {
        let freed = slots::free(&self.words, taken.index, taken.word);
        self.tell_room_now_and_then();
        Ledger::tick(&self.ledger().done);
        freed
    }

    /// Gives a message back, to be delivered again at `due` (0: at once), or buried.
    pub fn give_back(&self, taken: &Taken, due: u64) -> bool {
        let given = give_back(&self.words, &self.limits, taken.index, taken.word, due);
        Ledger::tick(&self.ledger().done);
        given
    }

    /// Drops the oldest message of the lowest priority, to make room.
    pub fn drop_oldest(&self) -> bool {
        for lane in 0..self.limits.priorities {
            if let Some(index) = lanes::take(&self.words, lane) {
                let word = Word(self.words.slot(index).word.load(Ordering::Relaxed));
                slots::free(&self.words, index, word);
                self.tell_room();
                self.ledger().dropped.fetch_add(1, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// Whether there is something to take at this moment, or a name of it.
    pub fn has(&self, mask: u64) -> bool {
        lanes::any(&self.words, mask)
            || (mask & DEAD_LANE == 0 && aside::next_due(&self.words).is_some_and(|due| due <= self.now()))
    }

    /// Takes, waiting.
    #[inline(always)]
    pub fn take_until(&self, mask: u64, until: Until) -> Option<Taken> {
        if let Some(taken) = self.take_soon(mask) {
            return Some(taken);
        }
        self.take_later(mask, until)
    }

    #[cold]
    fn take_later(&self, mask: u64, until: Until) -> Option<Taken> {
        if until == Until::Now {
            return self.take(mask);
        }
        // It may not have been sure.
        if self.has(mask)
            && let Some(taken) = self.take(mask)
        {
            return Some(taken);
        }
        self.tell_room();
        self.attempt(self.lull(), || lanes::any(&self.words, mask), || self.take(mask))
            .or_else(|| self.sleep_until(Which::Arrivals, until, || self.take(mask), || self.has(mask)))
    }

    /// Puts right what the dead left; says whether there was anybody.
    pub fn patrol(&self) -> bool {
        sweep::patrol(&self.words, &self.limits)
    }

    /// Claims a slot, waiting for one.
    // In place where it is mostly done at once.
    #[inline(always)]
    pub fn claim_until(&self, until: Until) -> Option<(u32, Word)> {
        if let Some(claimed) = self.claim(false) {
            return Some(claimed);
        }
        self.claim_later(until)
    }

    #[cold]
    fn claim_later(&self, until: Until) -> Option<(u32, Word)> {
        if until != Until::Now
            && let Some(claimed) = self.attempt(1, || self.is_ahead_free(), || self.claim(false))
        {
            return Some(claimed);
        }
        if let Some(claimed) = self.claim(true) {
            return Some(claimed);
        }
        if until == Until::Now {
            // Perhaps a dead one holds the last.
            return self.patrol().then(|| self.claim(true)).flatten();
        }
        self.sleep_until(Which::Room, until, || self.claim(true), || self.may_claim())
    }

    /// Whether a slot some way ahead is free: so whoever waits for room lets receivers free several before it takes their
    /// lines away from them.
    fn is_ahead_free(&self) -> bool {
        let capacity = self.words.capacity();
        let ahead = self.cursor.load(HINT).wrapping_add((capacity / 4).min(64)) % capacity;
        Word(self.words.slot(ahead).word.load(Ordering::Relaxed)).state() == Some(State::Free)
    }

    /// Whether a slot may be free.
    fn may_claim(&self) -> bool {
        let capacity = self.words.capacity();
        (0..super::words::map_words(capacity)).any(|index| {
            let valid = capacity as usize - index * 64;
            let mask = if valid < 64 { (1 << valid) - 1 } else { u64::MAX };
            self.words.busy(index).load(Ordering::SeqCst) & mask != mask
        })
    }

    /// Leaves the queue, with nothing in hand.
    pub fn leave(&self) {
        let id = self.words.me().id().raw();
        let _ = self.ledger().user.compare_exchange(id, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Names a READY slot in its lane; aside, if peers that broke the rules filled the lane.
#[inline(always)]
fn name<W: Words>(words: &W, lane: u32, index: u32, ready: Word) {
    if lanes::push(words, lane, index, ready) {
        return;
    }
    let aside = ready.to(State::Aside, ready.owner());
    if words.slot(index).word.compare_exchange(ready.0, aside.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    {
        aside::mark(words, index, 0);
    }
}

/// Gives back what this participant holds as `word`.
pub(super) fn give_back<W: Words>(words: &W, limits: &Limits, index: u32, word: Word, due: u64) -> bool {
    let slot = words.slot(index);
    let meta = slot.meta.load(Ordering::Relaxed);
    let (lane, deliveries) = (meta as u32 & 0xff, (meta >> 32) as u32);
    let change = |state| {
        let next = word.to(state, words.me().id().raw());
        // ORD: slot-aside (release) <-> slot-due
        // ORD: slot-ready (release) <-> slot-seen
        let changed = slot.word.compare_exchange(word.0, next.0, Ordering::SeqCst, Ordering::Relaxed);
        changed.is_ok().then_some(next)
    };
    let buried = lane as usize >= LANES - 1;
    if buried || (limits.max_deliveries != 0 && deliveries >= limits.max_deliveries) {
        slot.meta.store((meta & !0xff) | u64::from(DEAD), Ordering::Relaxed);
        let Some(ready) = change(State::Ready) else { return false };
        crash::point("queue.bury.ready");
        name(words, DEAD, index, ready);
        if !buried {
            let user = words.me().id().slot().unwrap_or(0) % words.users();
            words.ledger(user).buried.fetch_add(1, Ordering::Relaxed);
        }
    } else {
        slot.due.store(due, Ordering::Relaxed);
        if change(State::Aside).is_none() {
            return false;
        }
        crash::point("queue.give-back.aside");
        aside::mark(words, index, due);
    }
    bells::ring_arrivals(words);
    true
}
