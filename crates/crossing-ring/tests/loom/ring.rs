//! Models of the broadcast ring: a ring of one slot, so that every message overwrites the one before; the protocol's own steps
//! over loom's atomics.
//!
//! Loom does not know the fence of one for two (`asymmetric`): in a model both sides fence, where on Linux the subscriber does it
//! for both. The fence of `settle`, and after `set_id`, is made again by `RawBell::ring`, whose own models are in crossing-sync; `settle` has one of its own. Loom takes SeqCst accesses for acquire and release only; the fences of a Dekker pair stand in the words themselves.

use crossing_ring::broadcast::words::{self, Seen};
use crossing_sync::Participant;
use crossing_sync::atomic::{AtomicU32, AtomicU64, Ordering, dekker, fence};
use crossing_sync::raw::bell::RawBell;
use crossing_sync::raw::doorbell::Row;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

/// The one slot with a message of two words, and the tail.
struct Ring {
    sequence: AtomicU64,
    body: [AtomicU64; 2],
    tail: AtomicU64,
}

impl Ring {
    fn new() -> Arc<Self> {
        let word = || AtomicU64::new(0);
        Arc::new(Self { sequence: word(), body: [word(), word()], tail: word() })
    }

    fn publish(&self, position: u64, body: u64, asymmetric: bool) {
        words::begin(&self.sequence, position);
        self.body.iter().for_each(|word| word.store(body, Ordering::Relaxed));
        words::end(&self.sequence, Some(&self.tail), position, asymmetric);
    }

    /// Both words of message `position`, if they are whole.
    fn read(&self, position: u64) -> Option<[u64; 2]> {
        if words::see(&self.sequence, position) != Seen::Done {
            return None;
        }
        let body = [0, 1].map(|index| self.body[index].load(Ordering::Relaxed));
        words::is_still(&self.sequence, position).then_some(body)
    }
}

fn body(position: u64) -> u64 {
    position + 10
}

#[test]
fn a_message_is_whole_or_not_received() {
    for asymmetric in [false, true] {
        super::model(3, move || {
            let ring = Ring::new();
            let theirs = ring.clone();
            let reader = thread::spawn(move || {
                for position in 0..3 {
                    if let Some(found) = theirs.read(position) {
                        assert_eq!(found, [body(position); 2], "message {position} is torn");
                    }
                }
            });
            (0..3).for_each(|position| ring.publish(position, body(position), asymmetric));
            reader.join().unwrap();
            assert_eq!(ring.read(2), Some([body(2); 2]));
            assert_eq!((ring.read(1), ring.read(3)), (None, None));
        });
    }
}

#[test]
fn what_the_tail_promises_is_there() {
    super::model(3, || {
        let ring = Ring::new();
        let theirs = ring.clone();
        let reader = thread::spawn(move || {
            let tail = words::tail(&theirs.tail);
            (0..tail).for_each(|position| assert_ne!(words::see(&theirs.sequence, position), Seen::NotYet));
        });
        (0..2).for_each(|position| ring.publish(position, body(position), true));
        reader.join().unwrap();
    });
}

/// In rings that make slots ready ahead: two slots, of which one is ready.
#[test]
fn a_message_is_whole_or_not_received_where_slots_are_made_ready() {
    super::model(3, || {
        let slots = Arc::new([Ring::new(), Ring::new()]);
        let theirs = slots.clone();
        let slot = |position: u64| (position & 1) as usize;
        let tail = Arc::new(AtomicU64::new(0));
        words::begin(&slots[0].sequence, 0);
        let reader = thread::spawn(move || {
            for position in 0..3 {
                if let Some(found) = theirs[slot(position)].read(position) {
                    assert_eq!(found, [body(position); 2], "message {position} is torn");
                }
            }
        });
        for position in 0..3 {
            let Ring { sequence, body: room, .. } = &*slots[slot(position)];
            room.iter().for_each(|word| word.store(body(position), Ordering::Relaxed));
            words::end(sequence, Some(&*tail), position, true);
            words::begin(&slots[slot(position + 1)].sequence, position + 1);
        }
        reader.join().unwrap();
        assert_eq!(slots[0].read(2), Some([body(2); 2]));
        assert_eq!(slots[1].read(1), None);
    });
}

/// A subscriber that joins while messages are published starts where the publisher counts it from, and the publisher never takes
/// the place of an entry's last publisher for its own.
#[test]
fn both_sides_begin_at_the_same_message() {
    super::model(3, || {
        const OLD: u64 = 1;
        const KEY: u64 = 2;
        let [admitted, from, entered, cursor] = [0, 9, OLD, 9].map(|word| Arc::new(AtomicU64::new(word)));
        let theirs = [&admitted, &from, &entered, &cursor].map(Arc::clone);
        let subscriber = thread::spawn(move || {
            let [admitted, from, entered, cursor] = theirs;
            if words::is_admitted(&admitted, KEY) {
                let position = words::admitted_from(&from);
                assert_eq!(position, 4, "it begins elsewhere");
                // The entry had another publisher before.
                entered.store(0, Ordering::Relaxed);
                words::enter(&entered, &cursor, KEY, position);
                words::note(&cursor, position + 1);
            }
        });
        words::admit(&admitted, &from, KEY, 4);
        if words::is_entered(&entered, KEY) {
            let position = words::position(&cursor);
            assert!((4..=5).contains(&position), "it counts as having read what it has not");
        }
        subscriber.join().unwrap();
    });
}

/// A chunk: loom finds it out if it is written while it is read.
struct Chunk {
    race: UnsafeCell<()>,
    word: AtomicU64,
}

impl Chunk {
    fn new() -> Self {
        Self { race: UnsafeCell::new(()), word: AtomicU64::new(0) }
    }

    fn write(&self, body: u64) {
        self.race.with_mut(|_| self.word.store(body, Ordering::Relaxed));
    }

    fn read(&self) -> u64 {
        self.race.with(|_| self.word.load(Ordering::Relaxed))
    }
}

struct Chunks {
    ring: Arc<Ring>,
    chunks: [Chunk; 2],
    hazard: AtomicU64,
}

impl Chunks {
    fn new() -> Arc<Self> {
        let chunks = [Chunk::new(), Chunk::new()];
        Arc::new(Self { ring: Ring::new(), chunks, hazard: AtomicU64::new(0) })
    }

    /// Reads message `position`, which lies in chunk `index`, in place.
    fn read(&self, position: u64, index: usize) -> Option<u64> {
        if words::see(&self.ring.sequence, position) != Seen::Done {
            return None;
        }
        words::mark(&self.hazard, index as u64 + 1);
        let may = words::may_read(&self.ring.sequence, position);
        let found = may.then(|| self.chunks[index].read());
        words::unmark(&self.hazard);
        found
    }

    fn publish(&self, position: u64, index: usize) {
        self.chunks[index].write(body(position));
        self.ring.publish(position, index as u64, true);
    }

    /// Whether chunk `index`, which no slot names any more, may be lent again.
    fn is_free(&self, index: usize) -> bool {
        words::before_scan();
        words::marked(&self.hazard) != index as u64 + 1
    }
}

#[test]
fn what_is_read_in_place_is_not_lent_again() {
    super::model(3, || {
        let world = Chunks::new();
        world.publish(0, 0);
        let theirs = world.clone();
        let reader = thread::spawn(move || {
            if let Some(found) = theirs.read(0, 0) {
                assert_eq!(found, body(0));
            }
            if let Some(found) = theirs.read(2, 0) {
                assert_eq!(found, body(2));
            }
        });
        world.publish(1, 1);
        if world.is_free(0) {
            world.publish(2, 0);
        }
        reader.join().unwrap();
        assert!(world.is_free(0) && world.is_free(1), "a mark stayed");
    });
}

/// Who is not admitted copies the chunk while it may be written.
#[test]
fn who_copies_a_chunk_gets_it_whole_or_not() {
    super::model(3, || {
        let ring = Ring::new();
        // The body of the ring stands for the first chunk, which positions 0 and 2 have.
        ring.publish(0, body(0), false);
        let theirs = ring.clone();
        let reader = thread::spawn(move || {
            for position in [0, 2] {
                if let Some(found) = theirs.read(position) {
                    assert_eq!(found, [body(position); 2]);
                }
            }
        });
        words::begin(&ring.sequence, 1);
        words::end(&ring.sequence, Some(&ring.tail), 1, false);
        words::before_scan();
        // Written before the slot is touched, as chunks are.
        ring.body.iter().for_each(|word| word.store(body(2), Ordering::Relaxed));
        words::begin(&ring.sequence, 2);
        words::end(&ring.sequence, Some(&ring.tail), 2, false);
        reader.join().unwrap();
    });
}

/// The bells of a publisher and a subscriber.
struct Bells {
    ring: Arc<Ring>,
    wanted: AtomicU32,
    cursor: AtomicU64,
    publisher: RawBell,
    subscriber: RawBell,
    row: [AtomicU64; 1],
    members: Vec<Participant>,
}

impl Bells {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            ring: Ring::new(),
            wanted: AtomicU32::new(0),
            cursor: AtomicU64::new(0),
            publisher: RawBell::new(),
            subscriber: RawBell::new(),
            row: [AtomicU64::new(0)],
            members: Participant::model(2),
        })
    }

    fn row(&self) -> Row<'_> {
        Row::new(&self.row, 0)
    }

    /// The subscriber sleeps until message `position` is there.
    fn await_message(&self, position: u64) {
        let there = || words::see(&self.ring.sequence, position) != Seen::NotYet;
        while !there() {
            let ticket = self.subscriber.prepare();
            words::want(&self.wanted);
            if there() {
                break;
            }
            self.subscriber.wait(&self.members[1], ticket, None);
        }
    }

    /// Publishes, and wakes the subscriber if it said that it sleeps.
    fn publish(&self, position: u64, asymmetric: bool) {
        self.ring.publish(position, body(position), asymmetric);
        if asymmetric {
            // The one that the subscriber's `heavy` makes here.
            dekker();
        }
        self.wake();
    }

    fn wake(&self) {
        if words::is_wanted(&self.wanted) {
            words::answer(&self.wanted);
            self.subscriber.ring(&self.members[0], || self.row());
        }
    }

    /// The publisher sleeps until everything before `position` was read.
    fn await_reading(&self, position: u64) {
        let read = || words::position(&self.cursor) >= position;
        while !read() {
            let ticket = self.publisher.prepare();
            if read() {
                break;
            }
            self.publisher.wait(&self.members[0], ticket, None);
        }
    }

    /// The subscriber has read everything before `position`, and wakes the publisher if it waits for that.
    fn settle(&self, position: u64) {
        words::note(&self.cursor, position);
        words::settle();
        self.publisher.ring(&self.members[1], || self.row());
    }
}

/// Loom fails a model in which all sleep.
#[test]
fn a_sleeping_subscriber_hears_of_each_message() {
    for asymmetric in [false, true] {
        super::model(3, move || {
            let bells = Bells::new();
            let theirs = bells.clone();
            let subscriber = thread::spawn(move || {
                (0..2).for_each(|position| theirs.await_message(position));
            });
            (0..2).for_each(|position| bells.publish(position, asymmetric));
            subscriber.join().unwrap();
        });
    }
}

/// A publisher that is careful for its first message and not for the second, without the fence that sleepers make for both;
/// a subscriber sleeps only where it saw that it need not make it. Loom fails a model in which it sleeps for ever.
#[test]
fn who_sleeps_on_a_publishers_care_hears_of_each_message() {
    super::model(3, || {
        let bells = Bells::new();
        let careful = Arc::new(AtomicU64::new(0));
        let (theirs, care) = (bells.clone(), careful.clone());
        let subscriber = thread::spawn(move || {
            let there = |position| words::see(&theirs.ring.sequence, position) != Seen::NotYet;
            for position in 0..3 {
                while !there(position) {
                    let ticket = theirs.subscriber.prepare();
                    words::want(&theirs.wanted);
                    if !words::is_careful(&care) {
                        // Here it would fence for both.
                        return;
                    }
                    if !there(position) {
                        theirs.subscriber.wait(&theirs.members[1], ticket, None);
                    }
                }
            }
        });
        // Not fenced, and seen by who sees the care.
        bells.ring.publish(0, body(0), true);
        bells.wake();
        words::care(&careful);
        bells.publish(1, false);
        words::relax(&careful);
        bells.ring.publish(2, body(2), true);
        bells.wake();
        subscriber.join().unwrap();
    });
}

#[test]
fn a_blocked_publisher_hears_that_there_is_room() {
    super::model(3, || {
        let bells = Bells::new();
        let theirs = bells.clone();
        let subscriber = thread::spawn(move || {
            for position in 0..2 {
                theirs.await_message(position);
                assert_eq!(theirs.ring.read(position), Some([body(position); 2]), "lost under Block");
                theirs.settle(position + 1);
            }
        });
        for position in 0..2 {
            bells.await_reading(position);
            bells.publish(position, false);
        }
        subscriber.join().unwrap();
    });
}

/// Under `Block` the publisher overwrites what all have read, and nothing else.
#[test]
fn what_was_read_before_the_cursor_moved_may_be_overwritten() {
    super::model(3, || {
        let shared = Arc::new((Chunk::new(), AtomicU64::new(0)));
        shared.0.write(body(0));
        let theirs = shared.clone();
        let subscriber = thread::spawn(move || {
            assert_eq!(theirs.0.read(), body(0));
            words::note(&theirs.1, 1);
        });
        if words::position(&shared.1) >= 1 {
            shared.0.write(body(1));
        }
        subscriber.join().unwrap();
    });
}

/// What `settle` is for, without the fence that loom's bell makes: of two who write and then look one sees the other.
#[test]
fn a_reader_that_settles_sees_who_waits_for_it() {
    super::model(3, || {
        let words = || Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let shared = words();
        let theirs = shared.clone();
        let publisher = thread::spawn(move || {
            let (sleeps, cursor) = &*theirs;
            sleeps.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            words::position(cursor) == 1
        });
        let (sleeps, cursor) = &*shared;
        words::note(cursor, 1);
        words::settle();
        let rings = sleeps.load(Ordering::Relaxed) == 1;
        assert!(publisher.join().unwrap() || rings, "it sleeps on");
    });
}

/// An event orders what its notifier did before, as a message does.
#[test]
fn what_was_done_before_a_notification_is_seen_after_it() {
    super::model(3, || {
        let shared = Arc::new((Chunk::new(), AtomicU64::new(0)));
        let theirs = shared.clone();
        let notifier = thread::spawn(move || {
            theirs.0.write(body(0));
            words::set_id(&theirs.1, 3);
        });
        if words::take_ids(&shared.1) == 1 << 3 {
            assert_eq!(shared.0.read(), body(0));
        }
        notifier.join().unwrap();
    });
}

#[test]
fn no_notified_id_is_slept_through() {
    super::model(3, || {
        let bells = Bells::new();
        let ids = Arc::new(AtomicU64::new(0));
        let (theirs, set) = (bells.clone(), ids.clone());
        let waiter = thread::spawn(move || {
            let mut taken = 0;
            while taken != 0b11 {
                taken |= words::take_ids(&set);
                let ticket = theirs.subscriber.prepare();
                if taken != 0b11 && !words::has_ids(&set) {
                    theirs.subscriber.wait(&theirs.members[1], ticket, None);
                }
            }
        });
        for bit in 0..2 {
            words::set_id(&ids, bit);
            bells.subscriber.ring(&bells.members[0], || bells.row());
        }
        waiter.join().unwrap();
        assert!(!words::has_ids(&ids));
    });
}
