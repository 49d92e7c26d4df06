//! Models of every primitive, searched by loom: `cargo xtask loom`
//! (`RUSTFLAGS="--cfg loom" cargo test --release -p crossing-sync --test loom`).
#![cfg(loom)]
#![allow(unsafe_code)] // loom cells are entered by raw pointer
#![allow(clippy::disallowed_types)] // loom's own

use crossing_sync::atomic::{AtomicU64 as Word, dekker};
use crossing_sync::participant::Participant;
use crossing_sync::raw::barrier::{BarrierWait, RawBarrier};
use crossing_sync::raw::bell::RawBell;
use crossing_sync::raw::condvar::RawCondvar;
use crossing_sync::raw::doorbell::Row;
use crossing_sync::raw::event::RawEvent;
use crossing_sync::raw::mutex::RawMutex;
use crossing_sync::raw::once::RawOnce;
use crossing_sync::raw::rwlock::RawRwLock;
use crossing_sync::raw::semaphore::RawSemaphore;
use crossing_sync::{TimedOut, Until};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Data that loom checks for races: reading or writing it without exclusion fails the model.
struct Data(UnsafeCell<u32>);

impl Data {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn add(&self) {
        self.0.with_mut(|data| {
            // SAFETY: the model's protocol gives exclusion; loom fails the test if it does not.
            unsafe { *data += 1 }
        });
    }

    fn get(&self) -> u32 {
        self.0.with(|data| {
            // SAFETY: as above, against writers.
            unsafe { *data }
        })
    }
}

// SAFETY: loom's cell checks every access.
unsafe impl Sync for Data {}
// SAFETY: as above.
unsafe impl Send for Data {}

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(body);
}

struct World<P> {
    primitive: P,
    data: Data,
    members: Vec<Participant>,
}

fn world<P>(primitive: P, members: usize) -> Arc<World<P>> {
    Arc::new(World { primitive, data: Data::new(), members: Participant::model(members) })
}

#[test]
fn mutex_excludes_and_loses_no_wake() {
    model(3, || {
        let world = world(RawMutex::new(), 2);
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let world = world.clone();
                thread::spawn(move || {
                    let me = &world.members[index];
                    let acquired = world.primitive.lock(me, Until::Never).unwrap();
                    assert!(!acquired.is_recovered());
                    world.data.add();
                    world.primitive.unlock(me, 1);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.data.get(), 2);
    });
}

#[test]
fn mutex_of_three_loses_no_wake() {
    model(2, || {
        let world = world(RawMutex::new(), 3);
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let world = world.clone();
                thread::spawn(move || {
                    world.primitive.lock(&world.members[index], Until::Never).unwrap().into_guard();
                    world.data.add();
                    world.primitive.unlock(&world.members[index], 1);
                })
            })
            .collect();
        world.primitive.lock(&world.members[2], Until::Never).unwrap().into_guard();
        world.data.add();
        world.primitive.unlock(&world.members[2], 1);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.data.get(), 3);
    });
}

#[test]
fn mutex_of_the_dead_passes_to_exactly_one() {
    model(3, || {
        let world = world(RawMutex::new(), 3);
        let told = Arc::new(AtomicUsize::new(0));
        world.primitive.lock(&world.members[2], Until::Never).unwrap().into_guard();
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let (world, told) = (world.clone(), told.clone());
                thread::spawn(move || {
                    let me = &world.members[index];
                    if world.primitive.lock(me, Until::Never).unwrap().is_recovered() {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                    world.data.add();
                    world.primitive.unlock(me, 1);
                })
            })
            .collect();
        // The owner dies now: its kernel lock goes, and the kernel rings for the word it had armed.
        world.members[2].die();
        world.members[2].ring(&world.primitive);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((world.data.get(), told.load(Ordering::Relaxed)), (2, 1));
    });
}

#[test]
fn mutex_try_never_waits() {
    model(3, || {
        let world = world(RawMutex::new(), 2);
        let other = world.clone();
        let thread = thread::spawn(move || match other.primitive.lock(&other.members[0], Until::Now) {
            Ok(_) => {
                other.data.add();
                other.primitive.unlock(&other.members[0], 1);
                1
            }
            Err(TimedOut) => 0,
        });
        world.primitive.lock(&world.members[1], Until::Never).unwrap().into_guard();
        world.data.add();
        world.primitive.unlock(&world.members[1], 1);
        let added = thread.join().unwrap();
        assert_eq!(world.data.get(), 1 + added);
    });
}

#[test]
fn rwlock_excludes_writers_from_readers() {
    model(3, || {
        let world = world(RawRwLock::new(), 2);
        let other = world.clone();
        let writer = thread::spawn(move || {
            other.primitive.write(&other.members[0], Until::Never).unwrap().into_guard();
            other.data.add();
            other.primitive.unlock_write(&other.members[0]);
        });
        world.primitive.read(&world.members[1], Until::Never).unwrap().into_guard();
        assert!(world.data.get() <= 1);
        world.primitive.unlock_read(&world.members[1]);
        writer.join().unwrap();
        assert_eq!(world.data.get(), 1);
    });
}

#[test]
fn rwlock_is_not_blocked_by_a_dead_reader_nor_a_dead_writer() {
    model(3, || {
        let world = world(RawRwLock::new(), 2);
        world.primitive.read(&world.members[1], Until::Never).unwrap().into_guard();
        let other = world.clone();
        let writer = thread::spawn(move || {
            other.primitive.write(&other.members[0], Until::Never).unwrap().into_guard();
            other.data.add();
            other.primitive.unlock_write(&other.members[0]);
        });
        world.members[1].die();
        // A model's sleep has no end, so the look that a real writer takes every few milliseconds is this wake.
        world.primitive.unlock_read(&world.members[1]);
        writer.join().unwrap();
        assert_eq!(world.data.get(), 1);
    });
}

#[test]
fn semaphore_counts_and_loses_no_wake() {
    model(3, || {
        let world = world(RawSemaphore::new(), 2);
        let other = world.clone();
        let waiter = thread::spawn(move || other.primitive.wait(&other.members[0], Until::Never).unwrap());
        world.primitive.post(&world.members[1], 1).unwrap();
        waiter.join().unwrap();
        assert_eq!(world.primitive.count(), 0);
    });
}

#[test]
fn semaphore_wakes_two_for_two_posts() {
    model(2, || {
        let world = world(RawSemaphore::new(), 3);
        let waiters: Vec<_> = (0..2)
            .map(|index| {
                let world = world.clone();
                thread::spawn(move || world.primitive.wait(&world.members[index], Until::Never).unwrap())
            })
            .collect();
        world.primitive.post(&world.members[2], 1).unwrap();
        world.primitive.post(&world.members[2], 1).unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(world.primitive.count(), 0);
    });
}

#[test]
fn semaphore_permits_and_holdings_agree() {
    model(3, || {
        let world = world(RawSemaphore::new(), 2);
        world.primitive.post(&world.members[0], 2).unwrap();
        let other = world.clone();
        let thread = thread::spawn(move || {
            other.primitive.acquire(&other.members[0], Until::Now).unwrap();
            other.primitive.release(&other.members[0]);
            other.primitive.acquire(&other.members[0], Until::Now).unwrap();
        });
        world.primitive.acquire(&world.members[1], Until::Now).unwrap();
        assert!(world.primitive.count() <= 1);
        thread.join().unwrap();
        assert_eq!((world.primitive.count(), world.primitive.held()), (0, 2));
        // One dies with its permit; the other gets it back.
        world.members[0].die();
        assert_eq!(world.primitive.recover(&world.members[1]), 1);
        assert_eq!((world.primitive.count(), world.primitive.held()), (1, 1));
    });
}

#[test]
fn semaphore_permits_of_the_dead_return_once() {
    model(3, || {
        let world = world(RawSemaphore::new(), 2);
        world.primitive.post(&world.members[0], 1).unwrap();
        world.primitive.acquire(&world.members[0], Until::Now).unwrap();
        world.members[0].die();
        let other = world.clone();
        let thread = thread::spawn(move || other.primitive.recover(&other.members[1]));
        let here = world.primitive.recover(&world.members[1]);
        assert_eq!(here + thread.join().unwrap(), 1);
        assert_eq!((world.primitive.count(), world.primitive.held()), (1, 0));
    });
}

#[test]
fn condvar_waiter_sees_the_condition() {
    model(2, || {
        let world = world((RawMutex::new(), RawCondvar::new()), 2);
        let other = world.clone();
        let waiter = thread::spawn(move || {
            let ((mutex, condvar), me) = (&other.primitive, &other.members[0]);
            mutex.lock(me, Until::Never).unwrap().into_guard();
            while other.data.get() == 0 {
                condvar.wait(mutex, me, Until::Never).into_guard().unwrap();
            }
            mutex.unlock(me, 1);
        });
        let ((mutex, condvar), me) = (&world.primitive, &world.members[1]);
        mutex.lock(me, Until::Never).unwrap().into_guard();
        world.data.add();
        mutex.unlock(me, 1);
        condvar.notify_one(me);
        waiter.join().unwrap();
    });
}

#[test]
fn manual_event_lets_everybody_pass() {
    model(2, || {
        let world = world(RawEvent::new(), 3);
        let waiters: Vec<_> = (0..2)
            .map(|index| {
                let world = world.clone();
                thread::spawn(move || {
                    world.primitive.wait(&world.members[index], Until::Never).unwrap();
                    world.data.get()
                })
            })
            .collect();
        world.data.add();
        world.primitive.set(&world.members[2]);
        waiters.into_iter().for_each(|waiter| assert_eq!(waiter.join().unwrap(), 1));
        assert!(world.primitive.is_set());
    });
}

#[test]
fn auto_event_lets_one_pass_per_setting() {
    model(2, || {
        let world = world(RawEvent::new(), 2);
        world.primitive.set_auto(true);
        let other = world.clone();
        let waiter = thread::spawn(move || other.primitive.wait(&other.members[0], Until::Never).unwrap());
        world.primitive.set(&world.members[1]);
        waiter.join().unwrap();
        assert!(!world.primitive.is_set());
    });
}

#[test]
fn barrier_has_one_leader_and_publishes_what_came_before() {
    model(3, || {
        let world = world(RawBarrier::new(), 2);
        let places: Vec<_> =
            (0..2).map(|index| world.primitive.join(&world.members[index], 2).unwrap()).collect();
        assert_eq!(world.primitive.join(&world.members[0], 2), None);
        let (other, place) = (world.clone(), places[0]);
        let thread = thread::spawn(move || {
            other.data.add();
            other.primitive.wait(&other.members[0], place, Until::Never).unwrap()
        });
        let here = world.primitive.wait(&world.members[1], places[1], Until::Never).unwrap();
        assert_eq!(world.data.get(), 1);
        let there = thread.join().unwrap();
        assert_eq!([here, there].iter().filter(|end| **end == BarrierWait::Leader).count(), 1);
    });
}

#[test]
fn once_is_done_once_and_seen_by_all() {
    model(3, || {
        let world = world(RawOnce::new(), 2);
        let other = world.clone();
        let thread = thread::spawn(move || {
            let done = other.primitive.call(&other.members[0], Until::Never, |_| other.data.add()).unwrap();
            assert_eq!(other.data.get(), 1);
            done
        });
        let here = world.primitive.call(&world.members[1], Until::Never, |_| world.data.add()).unwrap();
        assert_eq!(world.data.get(), 1);
        assert!(here ^ thread.join().unwrap());
    });
}

/// A bell with one thing to take per ring, and a row of two doorbells.
struct Porch {
    bell: RawBell,
    row: [Word; 2],
    things: AtomicUsize,
}

impl Porch {
    fn new() -> Self {
        Self { bell: RawBell::new(), row: [Word::new(0), Word::new(0)], things: AtomicUsize::new(0) }
    }

    fn row(&self) -> Row<'_> {
        Row::new(&self.row, 0)
    }

    fn make(&self, me: &Participant) {
        self.things.fetch_add(1, Ordering::SeqCst);
        self.bell.ring(me, || self.row());
    }

    fn take(&self) -> bool {
        dekker();
        let taken =
            self.things.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |things| things.checked_sub(1));
        taken.is_ok()
    }

    /// What an event loop does for one thing.
    fn poll(&self, me: &Participant) {
        let index = self.row().claim(me).unwrap();
        let number = self.row().number(index);
        loop {
            me.silence_doorbell(number);
            self.bell.arm(me, self.row(), index);
            if self.take() {
                self.row().release(me, index);
                return;
            }
            me.wait_doorbell(number);
        }
    }

    /// What a sleeper does for one thing.
    fn sleep(&self, me: &Participant) {
        loop {
            let ticket = self.bell.prepare();
            if self.take() {
                // It took the mark from the others.
                self.bell.ring(me, || self.row());
                return;
            }
            self.bell.wait(me, ticket, None);
        }
    }
}

#[test]
fn doorbell_is_rung_for_each_of_two_ringers() {
    model(3, || {
        let world = world(Porch::new(), 3);
        let ringers: Vec<_> = (0..2)
            .map(|ringer| {
                let world = world.clone();
                thread::spawn(move || world.primitive.make(&world.members[ringer]))
            })
            .collect();
        let me = &world.members[2];
        world.primitive.poll(me);
        world.primitive.poll(me);
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

#[test]
fn doorbells_of_two_are_both_rung() {
    model(2, || {
        let world = world(Porch::new(), 3);
        let pollers: Vec<_> = (0..2)
            .map(|poller| {
                let world = world.clone();
                thread::spawn(move || world.primitive.poll(&world.members[poller]))
            })
            .collect();
        world.primitive.make(&world.members[2]);
        world.primitive.make(&world.members[2]);
        for poller in pollers {
            poller.join().unwrap();
        }
    });
}

#[test]
fn doorbell_and_sleeper_are_both_woken() {
    model(2, || {
        let world = world(Porch::new(), 3);
        let (one, other) = (world.clone(), world.clone());
        let poller = thread::spawn(move || one.primitive.poll(&one.members[0]));
        let sleeper = thread::spawn(move || other.primitive.sleep(&other.members[1]));
        world.primitive.make(&world.members[2]);
        world.primitive.make(&world.members[2]);
        poller.join().unwrap();
        sleeper.join().unwrap();
    });
}

#[test]
fn doorbell_entry_of_the_dead_is_claimed_by_the_living() {
    model(2, || {
        let world = world(Porch::new(), 4);
        let row = world.primitive.row();
        for member in 0..2 {
            let me = &world.members[member];
            let index = row.claim(me).unwrap();
            world.primitive.bell.arm(me, row, index);
            me.die();
        }
        let (one, other) = (world.clone(), world.clone());
        let ringer = thread::spawn(move || one.primitive.make(&one.members[3]));
        let sweeper = thread::spawn(move || other.primitive.row().sweep(&other.members[3]));
        world.primitive.poll(&world.members[2]);
        ringer.join().unwrap();
        sweeper.join().unwrap();
        world.primitive.row().sweep(&world.members[2]);
        assert_eq!([row.claim(&world.members[2]), row.claim(&world.members[2])], [Some(0), Some(1)]);
    });
}
