//! Models of the slot queue, searched by loom: `cargo xtask test --only loom`
//! (`RUSTFLAGS="--cfg loom" cargo test --release -p crossing-ring --test loom`).
//!
//! Two slots, two priorities and the dead letters, lanes of four cells; the protocol's own code over loom's atomics. Each
//! member of a model is one thread with its own memory of the lanes, as a process is.
#![cfg(loom)]
#![allow(clippy::disallowed_types)] // loom's own

use crossing_ring::queue::{
    Core, DEAD_LANE, LANES, Lane, Ledger, Limits, Memo, Shared, Slot, State, Taken, Terms, Which, Word, Words,
};
use crossing_sync::atomic::{AtomicU64, Ordering};
use crossing_sync::{Participant, Until};
use loom::thread;
use std::sync::Arc;

#[path = "loom/ring.rs"]
mod ring;

const SLOTS: u32 = 2;
const LANE_BITS: u32 = 2;
const PRIORITIES: u32 = 2;
const ROWS: usize = PRIORITIES as usize + 1;

struct World {
    shared: Shared,
    slots: Vec<Slot>,
    lanes: Vec<Lane>,
    cells: Vec<AtomicU64>,
    busy: AtomicU64,
    aside: AtomicU64,
    ledgers: Vec<Ledger>,
    doorbells: [AtomicU64; 2],
    members: Vec<Participant>,
}

/// The words as one member sees them.
struct View {
    world: Arc<World>,
    member: usize,
    memos: [Memo; ROWS],
}

fn row(lane: u32) -> usize {
    lane.min(PRIORITIES) as usize
}

impl Words for View {
    fn capacity(&self) -> u32 {
        SLOTS
    }
    fn lane_bits(&self) -> u32 {
        LANE_BITS
    }
    fn users(&self) -> usize {
        self.world.members.len()
    }
    fn me(&self) -> &Participant {
        &self.world.members[self.member]
    }
    fn shared(&self) -> &Shared {
        &self.world.shared
    }
    fn slot(&self, index: u32) -> &Slot {
        &self.world.slots[index as usize]
    }
    fn lane(&self, lane: u32) -> &Lane {
        assert!((lane as usize) < LANES);
        &self.world.lanes[row(lane)]
    }
    fn cell(&self, lane: u32, position: u64) -> &AtomicU64 {
        let within = (position & ((1 << LANE_BITS) - 1)) as usize;
        &self.world.cells[(row(lane) << LANE_BITS) + within]
    }
    fn busy(&self, index: usize) -> &AtomicU64 {
        assert_eq!(index, 0);
        &self.world.busy
    }
    fn aside(&self, index: usize) -> &AtomicU64 {
        assert_eq!(index, 0);
        &self.world.aside
    }
    fn ledger(&self, user: usize) -> &Ledger {
        &self.world.ledgers[user]
    }
    fn memo(&self, lane: u32) -> &Memo {
        &self.memos[row(lane)]
    }
    fn receivers(&self) -> &[AtomicU64] {
        &self.world.doorbells[..1]
    }
    fn senders(&self) -> &[AtomicU64] {
        &self.world.doorbells[1..]
    }
    fn prefetch(&self, _: u32) {}
    fn prefetch_cell(&self, _: u32, _: u64) {}
}

/// A member of the model.
struct Member(Core<View>);

impl Member {
    /// Puts `body` into a claimed slot and commits it.
    fn fill(&self, (index, word): (u32, Word), body: u64, priority: u32) {
        self.0.words().slot(index).inline[0].store(body, Ordering::Relaxed);
        self.0.commit(index, word, Terms { priority, ..Terms::default() });
    }

    fn send(&self, body: u64, priority: u32) {
        self.fill(self.0.claim_until(Until::Never).unwrap(), body, priority);
    }

    fn body(&self, taken: &Taken) -> u64 {
        self.0.words().slot(taken.index).inline[0].load(Ordering::Relaxed)
    }

    /// Takes and acknowledges; the body.
    fn receive(&self, until: Until) -> Option<u64> {
        let taken = self.0.take_until(self.0.limits().lanes(), until)?;
        let body = self.body(&taken);
        assert!(self.0.acknowledge(&taken), "a message was taken away from its receiver");
        Some(body)
    }

    /// Takes what is there.
    fn drain(&self) -> Vec<u64> {
        std::iter::from_fn(|| self.receive(Until::Now)).collect()
    }

    fn die(&self) {
        self.0.words().me().die();
    }
}

fn join<const N: usize>(max_deliveries: u32) -> [Member; N] {
    let world = Arc::new(World {
        shared: Shared::default(),
        slots: (0..SLOTS).map(|_| Slot::default()).collect(),
        lanes: (0..ROWS).map(|_| Lane::default()).collect(),
        cells: (0..ROWS << LANE_BITS).map(|_| AtomicU64::new(0)).collect(),
        busy: AtomicU64::new(0),
        aside: AtomicU64::new(0),
        ledgers: (0..N).map(|_| Ledger::default()).collect(),
        doorbells: [AtomicU64::new(0), AtomicU64::new(0)],
        members: Participant::model(N),
    });
    let limits = Limits { priorities: PRIORITIES, max_deliveries };
    std::array::from_fn(|member| {
        let view = View { world: world.clone(), member, memos: Default::default() };
        Member(Core::join(view, limits, || 1 << 20))
    })
}

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(body);
}

fn sorted(mut bodies: Vec<u64>) -> Vec<u64> {
    bodies.sort_unstable();
    bodies
}

/// Sweeps, takes what is there; who did and what.
fn sweep(member: Member) -> (Member, Vec<u64>) {
    member.0.patrol();
    let bodies = member.drain();
    (member, bodies)
}

#[test]
fn two_receivers_take_each_message_once() {
    model(2, || {
        let [sender, left, right] = join(0);
        sender.send(1, 0);
        sender.send(2, 0);
        let thread = thread::spawn(move || left.drain());
        let mut bodies = right.drain();
        bodies.extend(thread.join().unwrap());
        bodies.extend(sender.drain());
        assert_eq!(sorted(bodies), [1, 2]);
    });
}

#[test]
fn one_sender_is_heard_in_order_and_neither_side_sleeps_on() {
    model(2, || {
        let [sender, receiver] = join(0);
        let thread = thread::spawn(move || {
            // The third waits for room.
            (1..=3).for_each(|body| sender.send(body, 0));
        });
        let bodies: Vec<_> = (0..3).map(|_| receiver.receive(Until::Never).unwrap()).collect();
        thread.join().unwrap();
        assert_eq!(bodies, [1, 2, 3]);
    });
}

#[test]
fn two_senders_into_one_lane_lose_nothing() {
    model(2, || {
        let [left, right, receiver] = join(0);
        let threads =
            [(left, 1), (right, 2)].map(|(member, body)| thread::spawn(move || member.send(body, 0)));
        let bodies = (0..2).map(|_| receiver.receive(Until::Never).unwrap()).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(sorted(bodies), [1, 2]);
    });
}

#[test]
fn two_sleeping_receivers_are_both_woken() {
    model(2, || {
        let [sender, left, right] = join(0);
        let threads =
            [left, right].map(|member| thread::spawn(move || member.receive(Until::Never).unwrap()));
        sender.send(1, 0);
        sender.send(2, 0);
        let bodies = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(sorted(bodies), [1, 2]);
    });
}

#[test]
fn what_is_given_back_wakes_a_sleeper() {
    model(2, || {
        let [giver, receiver] = join(0);
        giver.send(1, 0);
        let taken = giver.0.take(giver.0.limits().lanes()).unwrap();
        let thread = thread::spawn(move || {
            let taken = receiver.0.take_until(receiver.0.limits().lanes(), Until::Never).unwrap();
            assert_eq!((receiver.body(&taken), taken.deliveries), (1, 2));
        });
        assert!(giver.0.give_back(&taken, 0));
        thread.join().unwrap();
    });
}

#[test]
fn given_back_by_two_at_once_both_come_again() {
    model(2, || {
        let [left, right, receiver] = join(0);
        left.send(1, 0);
        left.send(2, 0);
        let lanes = left.0.limits().lanes();
        let first = left.0.take(lanes).unwrap();
        let second = right.0.take(lanes).unwrap();
        let thread = thread::spawn(move || assert!(left.0.give_back(&first, 0)));
        assert!(right.0.give_back(&second, 0));
        let mut bodies = receiver.drain();
        thread.join().unwrap();
        bodies.extend(receiver.drain());
        assert_eq!(sorted(bodies), [1, 2]);
    });
}

#[test]
fn a_sender_that_died_before_naming_is_heard_once() {
    model(2, || {
        let [sender, left, right] = join(0);
        let (index, word) = sender.0.claim(true).unwrap();
        let slot = sender.0.words().slot(index);
        slot.inline[0].store(7, Ordering::Relaxed);
        let ready = word.to(State::Ready, sender.0.words().me().id().raw());
        slot.word.store(ready.0, Ordering::Release);
        sender.die();
        let thread = thread::spawn(move || sweep(left).1);
        let (right, mut bodies) = sweep(right);
        bodies.extend(thread.join().unwrap());
        bodies.extend(right.drain());
        assert_eq!(bodies, [7]);
    });
}

#[test]
fn a_sender_that_died_while_writing_leaves_no_slot_behind() {
    model(2, || {
        let [sender, left, right] = join(0);
        sender.0.claim(true).unwrap();
        sender.die();
        let thread = thread::spawn(move || left.0.patrol());
        right.0.patrol();
        thread.join().unwrap();
        assert!(right.0.claim(true).is_some());
        assert!(right.0.claim(true).is_some());
    });
}

#[test]
fn what_a_dead_receiver_held_comes_again_once() {
    model(2, || {
        let [dead, left, right] = join(0);
        dead.send(7, 1);
        dead.0.take(dead.0.limits().lanes()).unwrap();
        dead.die();
        let thread = thread::spawn(move || sweep(left).1);
        let (right, mut bodies) = sweep(right);
        bodies.extend(thread.join().unwrap());
        bodies.extend(right.drain());
        assert_eq!(bodies, [7]);
    });
}

#[test]
fn what_kills_its_receivers_is_buried_once() {
    model(2, || {
        let [dead, left, right] = join(1);
        dead.send(7, 0);
        dead.0.take(dead.0.limits().lanes()).unwrap();
        dead.die();
        let thread = thread::spawn(move || left.0.patrol());
        right.0.patrol();
        thread.join().unwrap();
        assert!(right.drain().is_empty());
        let buried = right.0.take(DEAD_LANE).unwrap();
        assert_eq!(right.body(&buried), 7);
        assert!(right.0.acknowledge(&buried));
        assert!(right.0.take(DEAD_LANE).is_none());
    });
}

#[test]
fn marks_hide_no_free_slot() {
    model(3, || {
        let [sender, other, receiver] = join(0);
        sender.send(1, 0);
        sender.send(2, 0);
        let thread = thread::spawn(move || {
            // Finds slots in use and marks them, while they are freed.
            if let Some((index, word)) = other.0.claim(true) {
                other.0.abandon(index, word);
            }
        });
        assert_eq!(receiver.drain(), [1, 2]);
        thread.join().unwrap();
        // Claims look at the next slot whether it is marked or not, so that they alone would not tell.
        let marks = receiver.0.words().busy(0).load(Ordering::Relaxed);
        assert_eq!(marks, 0, "a mark hides a free slot");
        assert!(receiver.0.claim(true).is_some());
        assert!(receiver.0.claim(true).is_some());
    });
}

#[test]
fn lowering_a_lane_hides_no_message() {
    model(3, || {
        let [sender, receiver] = join(0);
        // The upper lane's bit is set, and nothing is in it; the receiver finds that while a message arrives.
        sender.send(1, 1);
        assert_eq!(receiver.drain(), [1]);
        sender.send(2, 0);
        let thread = thread::spawn(move || sender.send(3, 1));
        let mut bodies: Vec<_> = receiver.receive(Until::Now).into_iter().collect();
        thread.join().unwrap();
        bodies.extend(receiver.drain());
        assert_eq!(sorted(bodies), [2, 3]);
    });
}

impl Member {
    /// Receives one message as an event loop does.
    fn poll(&self) -> u64 {
        let index = self.0.claim_doorbell(Which::Arrivals).unwrap();
        let (me, number) = (self.0.words().me(), self.0.doorbell_number(Which::Arrivals, index));
        loop {
            me.silence_doorbell(number);
            // To patrol or not is a matter of time; here, as when the alarm rang.
            self.0.arm_doorbell(Which::Arrivals, index, true);
            if let Some(body) = self.receive(Until::Now) {
                self.0.release_doorbell(Which::Arrivals, index);
                return body;
            }
            me.wait_doorbell(number);
        }
    }
}

#[test]
fn an_event_loop_hears_of_each_message() {
    model(2, || {
        let [sender, receiver] = join(0);
        let sender = thread::spawn(move || {
            sender.send(1, 0);
            sender.send(2, 0);
            sender
        });
        assert_eq!([receiver.poll(), receiver.poll()], [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn an_event_loop_hears_of_what_a_sender_left_that_died_before_it_rang() {
    model(2, || {
        let [sender, receiver] = join(0);
        let sender = thread::spawn(move || {
            let (index, word) = sender.0.claim(true).unwrap();
            let slot = sender.0.words().slot(index);
            slot.inline[0].store(7, Ordering::Relaxed);
            slot.word.store(word.to(State::Ready, word.owner()).0, Ordering::Release);
            sender.die();
            sender
        });
        assert_eq!(receiver.poll(), 7);
        sender.join().unwrap();
    });
}
