//! What a worker does: every primitive in turn, each promise checked.

use super::ground::{Ground, ONCES, Pair};
use crossing_shm::LoanError;
use crossing_sync::{Acquired, BarrierBroken, MutexGuard};
use crossing_testkit::Role;
use std::time::Duration;

const LATE: Duration = Duration::from_secs(25);
const SOON: Duration = Duration::from_micros(300);

pub fn run(ground: &Ground, role: &Role, mode: &str, rounds: u32) {
    match mode {
        "hold-mutex" => {
            let _guard = ground.mutex.lock();
            role.say("holding");
            role.pause();
        }
        "hold-write" | "hold-read" => hold_everything(ground, role, mode == "hold-write"),
        "sit" => {
            role.say("working");
            role.pause();
        }
        "hostile" => {
            role.say("working");
            (0..rounds).for_each(|round| hostile_round(ground, round));
        }
        _ => {
            role.say("working");
            for round in 0..rounds {
                if mode == "survive" && ground.stop.is_set() {
                    return;
                }
                honest_round(ground, round);
            }
        }
    }
}

fn hold_everything(ground: &Ground, role: &Role, write: bool) {
    let _permits = (ground.semaphore.acquire(), ground.semaphore.acquire());
    let _loans: Vec<_> = (0..8).map(|_| ground.pool.loan(8).unwrap()).collect();
    let _mutex = ground.mutex.lock();
    if write {
        let _writer = ground.rwlock.write();
        role.say("holding");
        role.pause();
    }
    let _reader = ground.rwlock.read();
    role.say("holding");
    role.pause();
}

/// Both counts go up, one after the other; who finds them apart without being told of a death found two in here.
fn enter(pair: &mut Pair, recovered: bool, what: &str) {
    if recovered {
        pair[1] = pair[0];
    }
    assert_eq!(pair[0], pair[1], "{what}: somebody was in here, or died and nobody was told");
    pair[0] += 1;
    std::hint::black_box(&mut *pair);
    pair[1] += 1;
}

fn lock(ground: &Ground) -> MutexGuard<'_, Pair> {
    let acquired = ground.mutex.lock_timeout(LATE).expect("the mutex");
    settle(acquired)
}

fn settle(acquired: Acquired<MutexGuard<'_, Pair>>) -> MutexGuard<'_, Pair> {
    let recovered = acquired.is_recovered();
    let mut guard = acquired.into_guard();
    enter(&mut guard, recovered, "mutex");
    guard
}

fn honest_round(ground: &Ground, round: u32) {
    reads_and_writes(ground, round);
    drop(lock(ground));
    permits(ground);
    let (guard, _) = {
        let waited = ground.condvar.wait_timeout(lock(ground), SOON);
        let recovered = waited.is_recovered();
        let (mut guard, outcome) = waited.into_guard();
        enter(&mut guard, recovered, "condvar");
        (guard, outcome)
    };
    drop(guard);
    if round.is_multiple_of(2) {
        ground.condvar.notify_one()
    } else {
        ground.condvar.notify_all()
    }
    if ground.auto.wait_timeout(SOON).is_err() {
        ground.auto.set();
        let _ = ground.auto.wait_timeout(SOON); // somebody else may have been faster
    }
    ground.manual.set();
    if round.is_multiple_of(3) {
        ground.manual.reset();
    }
    meet(ground);
    let once = &ground.onces[round as usize % ONCES];
    once.call_timeout(LATE, |_| std::hint::black_box(())).expect("the once");
    assert!(once.is_done());
    chunks(ground, round);
    // Sleeping for the mutex: another thread of this process holds it for a moment.
    std::thread::scope(|scope| {
        let guard = lock(ground);
        let waiter = scope.spawn(|| drop(lock(ground)));
        std::thread::sleep(SOON);
        drop(guard);
        waiter.join().unwrap();
    });
    // The same for the readers-writer lock: a reader and a writer in each other's way.
    std::thread::scope(|scope| {
        scope.spawn(|| reads_and_writes(ground, round));
        reads_and_writes(ground, round + 1);
    });
}

fn reads_and_writes(ground: &Ground, round: u32) {
    if round.is_multiple_of(2) {
        let acquired = ground.rwlock.read_timeout(LATE).expect("the rwlock to read");
        let recovered = acquired.is_recovered();
        let guard = acquired.into_guard();
        let pair = guard.get();
        assert!(recovered || pair[0] == pair[1], "a reader saw a writer at work: {pair:?}");
        std::thread::yield_now();
    }
    let acquired = ground.rwlock.write_timeout(LATE).expect("the rwlock to write");
    let recovered = acquired.is_recovered();
    enter(&mut acquired.into_guard(), recovered, "rwlock");
    std::thread::yield_now();
}

fn permits(ground: &Ground) {
    let held = ground.semaphore.acquire_timeout(LATE).expect("a permit");
    // One more if there is one; then all are given back. Never two by force: two workers with two each would lock up.
    let more = ground.semaphore.acquire_timeout(SOON);
    let third = ground.semaphore.acquire_timeout(SOON);
    let fourth = ground.semaphore.acquire_timeout(SOON);
    assert!(fourth.is_err() || third.is_err() || more.is_err(), "there are only three permits");
    drop((held, more, third, fourth));
    ground.semaphore.recover();
    // A permit posted and taken plainly is nobody's; where this process dies in between, it is one permit more or less,
    // so plain permits are tried on a count of their own: nothing here.
    let _ = ground.semaphore.post(0);
}

fn meet(ground: &Ground) {
    let Ok(mut member) = ground.barrier.join(2) else { return };
    match member.wait_timeout(Duration::from_millis(1)) {
        Ok(_) | Err(BarrierBroken::TimedOut | BarrierBroken::MemberDied(_)) => {}
    }
    // Two of this process meet for certain where the other place is free.
    let Ok(mut other) = ground.barrier.join(2) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| other.wait_timeout(Duration::from_millis(20)));
        let _ = member.wait_timeout(Duration::from_millis(20));
    });
}

fn chunks(ground: &Ground, round: u32) {
    let mut loan = match ground.pool.loan(64) {
        Ok(loan) => loan,
        Err(LoanError::Empty) => return,
        Err(error) => panic!("{error}"),
    };
    loan.fill(round as u8);
    assert!(loan.iter().all(|byte| *byte == round as u8), "somebody else wrote into a loan");
    let offset = loan.leave();
    let taken = ground.pool.take(offset, 64).expect("what was left here");
    assert!(taken.iter().all(|byte| *byte == round as u8));
    drop(taken);
    ground.pool.reclaim();
}

/// Everything once, with short limits, whatever it returns: the memory is being scribbled over.
fn hostile_round(ground: &Ground, round: u32) {
    if let Ok(acquired) = ground.mutex.lock_timeout(SOON) {
        let mut guard = acquired.into_guard();
        guard.set(&[1, 2]);
        std::hint::black_box(guard.get());
    }
    drop(ground.mutex.try_lock());
    drop(ground.rwlock.read_timeout(SOON));
    drop(ground.rwlock.write_timeout(SOON));
    drop(ground.semaphore.acquire_timeout(SOON));
    let _ = ground.semaphore.wait_timeout(SOON);
    let _ = ground.semaphore.post(1);
    ground.semaphore.recover();
    ground.auto.set();
    let _ = ground.auto.wait_timeout(SOON);
    let _ = ground.manual.wait_timeout(SOON);
    if let Ok(mut member) = ground.barrier.join(2) {
        let _ = member.wait_timeout(SOON);
    }
    let _ = ground.onces[round as usize % ONCES].call_timeout(SOON, |_| ());
    ground.condvar.notify_all();
    if let Ok(mut loan) = ground.pool.loan(64) {
        loan.fill(7);
        let _ = ground.pool.take(loan.leave(), 64);
    }
    ground.pool.reclaim();
    let len = ground.segment.len();
    let mut edge = [0; 16];
    ground.segment.read_bytes(len - 16, &mut edge).unwrap();
    assert!(ground.segment.read_bytes(len - 15, &mut edge).is_err());
}
