//! The handles in one process: several participants over one piece of memory, each with its own opening of a lock file.
#![cfg(not(loom))]
#![allow(unsafe_code)] // memory is laid out by hand here; segments do it in crossing-shm

use crossing_sync::participant::{self, Participant, ParticipantTable};
use crossing_sync::*;
use crossing_sys::ErrorKind;
use crossing_sys::directory::open_lock_file;
use crossing_sys::file::Access;
use crossing_sys::lock::LockFile;
use crossing_sys::wait::WaitSpace;
use std::fs::File;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_secs(30);

/// Zeroed memory for a table and a cell, and the file whose slots prove who lives.
struct Ground {
    memory: Arc<Vec<u64>>,
    path: PathBuf,
}

impl Ground {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("crossing-sync-{}-{number}", std::process::id()));
        File::create_new(&path).unwrap();
        Self { memory: Arc::new(vec![0; 2048]), path }
    }

    fn table(&self) -> NonNull<ParticipantTable> {
        let start = self.memory.as_ptr().addr().next_multiple_of(64) - self.memory.as_ptr().addr();
        // SAFETY: within the vector, which is 16 KiB long.
        let table = unsafe { self.memory.as_ptr().byte_add(start) };
        NonNull::new(table.cast_mut().cast()).unwrap()
    }

    fn locks(&self) -> LockFile {
        LockFile::new(open_lock_file(&self.path, Access::Private).unwrap())
    }

    /// Every participant has a space of its own, as if it were a process of its own.
    fn space(&self) -> WaitSpace {
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&(self.table().addr().get() as u64).to_le_bytes());
        identity[8..12].copy_from_slice(&std::process::id().to_le_bytes());
        let base = self.table().addr().get();
        // SAFETY: after the participants' table, within the memory, which is 16 KiB long; aligned to 64.
        let table = unsafe { self.table().byte_add(4096) };
        // SAFETY: zeroed memory that every user of the space keeps.
        unsafe { WaitSpace::shared(identity, base, 12 * 1024, table.cast(), Access::Private) }
    }

    fn join(&self) -> Arc<Participant> {
        // SAFETY: the table lies in memory that `keep` keeps; it was zero at first.
        unsafe { Participant::join(self.table(), self.locks(), self.space(), self.memory.clone()) }.unwrap()
    }

    fn attach<C: SharedCell>(&self, me: &Arc<Participant>) -> C::Handle {
        // SAFETY: within the memory, which is 16 KiB long.
        let cell = unsafe { self.table().byte_add(8192) };
        // SAFETY: after the table there is room for any cell, aligned to 64; only this type is put there.
        unsafe { C::attach(me.clone(), cell.cast()) }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

#[test]
fn a_participant_lives_until_it_leaves_and_its_id_never_returns() {
    let ground = Ground::new();
    let (watcher, first) = (ground.join(), ground.join());
    let id = first.id();
    assert!(watcher.is_alive(id) && watcher.is_alive(watcher.id()));
    drop(first);
    assert!(!watcher.is_alive(id));
    let second = ground.join();
    assert_eq!(second.id().slot(), id.slot());
    assert!(watcher.is_alive(second.id()) && !watcher.is_alive(id));
    // SAFETY: the table is in place.
    let listed = unsafe { participant::list(ground.table(), &ground.locks()) };
    assert_eq!(listed.iter().filter(|info| info.alive).count(), 2);
}

#[test]
fn numbers_that_no_participant_had_are_dead() {
    let ground = Ground::new();
    let me = ground.join();
    for raw in [1, 77, 0x3ff, u32::MAX, me.id().raw() ^ (1 << 10), me.id().raw() + 1] {
        assert!(!me.is_alive(ParticipantId::from_raw(raw).unwrap()), "{raw:#x}");
    }
    assert_eq!(ParticipantId::from_raw(0), None);
}

#[test]
fn the_table_is_full_at_256_and_says_so() {
    let ground = Ground::new();
    let members: Vec<_> = (0..256).map(|_| ground.join()).collect();
    // SAFETY: as in `join`.
    let refused =
        unsafe { Participant::join(ground.table(), ground.locks(), ground.space(), ground.memory.clone()) };
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::LimitReached);
    drop(members);
    ground.join();
}

#[test]
fn mutex_times_out_and_passes_on() {
    let ground = Ground::new();
    let mutexes: Vec<Mutex<u64>> = (0..2).map(|_| ground.attach::<MutexCell<u64>>(&ground.join())).collect();
    let mut guard = mutexes[0].lock().into_guard();
    *guard += 1;
    assert_eq!(mutexes[1].try_lock().map(|_| ()), Err(TimedOut));
    assert_eq!(mutexes[1].lock_timeout(SOON).map(|_| ()), Err(TimedOut));
    assert_eq!(mutexes[1].owner(), Some(mutexes[0].participant().id()));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| *mutexes[1].lock_timeout(LATE).unwrap().into_guard());
        std::thread::sleep(SOON);
        drop(guard);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

#[test]
fn a_mutex_left_locked_is_recovered_by_exactly_one() {
    let ground = Ground::new();
    let leaver = ground.attach::<MutexCell<u64>>(&ground.join());
    std::mem::forget(leaver.lock());
    drop(leaver);
    let mutexes: Vec<Mutex<u64>> = (0..4).map(|_| ground.attach::<MutexCell<u64>>(&ground.join())).collect();
    let told: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = mutexes
            .iter()
            .map(|mutex| scope.spawn(|| mutex.lock_timeout(LATE).unwrap().is_recovered()))
            .collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    assert_eq!(told, 1);
}

#[test]
fn mutex_counts_right_under_many_threads_and_participants() {
    let ground = Ground::new();
    let mutexes: Vec<Mutex<u64>> = (0..4).map(|_| ground.attach::<MutexCell<u64>>(&ground.join())).collect();
    std::thread::scope(|scope| {
        for index in 0..8 {
            let mutex = mutexes[index % 4].clone();
            scope.spawn(move || (0..5_000).for_each(|_| *mutex.lock().into_guard() += 1));
        }
    });
    assert_eq!(mutexes[0].lock().into_guard().get(), 40_000);
}

#[test]
fn nested_mutexes_work_although_one_thread_has_one_bell() {
    let (outer_ground, inner_ground) = (Ground::new(), Ground::new());
    let outer = outer_ground.attach::<MutexCell<u64>>(&outer_ground.join());
    let inner = inner_ground.attach::<MutexCell<u64>>(&inner_ground.join());
    let leaver = inner_ground.attach::<MutexCell<u64>>(&inner_ground.join());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _outer = outer.lock();
            std::mem::forget(leaver.lock());
        });
    });
    drop(leaver);
    let _outer = outer.lock_timeout(LATE).unwrap();
    assert!(inner.lock_timeout(LATE).unwrap().is_recovered());
}

#[test]
fn rwlock_lets_readers_in_together_and_writers_alone() {
    let ground = Ground::new();
    let locks: Vec<RwLock<u64>> = (0..2).map(|_| ground.attach::<RwLockCell<u64>>(&ground.join())).collect();
    {
        let _first = locks[0].read().into_guard();
        let _second = locks[1].read().into_guard();
        assert!(locks[1].try_write().is_err());
        assert!(locks[1].write_timeout(SOON).is_err());
    }
    let mut writer = locks[0].write().into_guard();
    *writer = 9;
    assert!(locks[1].try_read().is_err());
    assert!(locks[1].read_timeout(SOON).is_err());
    drop(writer);
    assert_eq!(locks[1].read().into_guard().get(), 9);
}

#[test]
fn rwlock_outlives_a_dead_reader_and_marks_a_dead_writers_data() {
    let ground = Ground::new();
    let lock = ground.attach::<RwLockCell<u64>>(&ground.join());
    let reader = ground.attach::<RwLockCell<u64>>(&ground.join());
    std::mem::forget(reader.read());
    drop(reader);
    assert!(!lock.write_timeout(LATE).unwrap().is_recovered());
    let writer = ground.attach::<RwLockCell<u64>>(&ground.join());
    std::mem::forget(writer.write());
    drop(writer);
    assert!(lock.read_timeout(LATE).unwrap().is_recovered());
    assert!(lock.read_timeout(LATE).unwrap().is_recovered());
    assert!(lock.write_timeout(LATE).unwrap().is_recovered());
    assert!(!lock.read_timeout(LATE).unwrap().is_recovered());
}

#[test]
fn semaphore_counts_waits_and_refuses_overflow() {
    let ground = Ground::new();
    let semaphore = ground.attach::<SemaphoreCell>(&ground.join());
    assert_eq!(semaphore.try_wait(), Err(TimedOut));
    assert_eq!(semaphore.wait_timeout(SOON), Err(TimedOut));
    semaphore.post(2).unwrap();
    semaphore.try_wait().unwrap();
    assert_eq!(semaphore.count(), 1);
    assert!(semaphore.post(u32::MAX).is_err());
    semaphore.wait();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| semaphore.wait_timeout(LATE))).collect();
        std::thread::sleep(SOON);
        semaphore.post(4).unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
    });
    assert_eq!(semaphore.count(), 0);
}

#[test]
fn permits_on_loan_come_back_from_the_dead() {
    let ground = Ground::new();
    let semaphore = ground.attach::<SemaphoreCell>(&ground.join());
    semaphore.post(3).unwrap();
    let leaver = ground.attach::<SemaphoreCell>(&ground.join());
    std::mem::forget(leaver.acquire());
    std::mem::forget(leaver.acquire());
    let kept = semaphore.acquire();
    drop(leaver);
    assert_eq!((semaphore.count(), semaphore.on_loan()), (0, 3));
    // A waiter gets one without anybody calling `recover`.
    let permit = semaphore.acquire_timeout(LATE).unwrap();
    assert_eq!((semaphore.count(), semaphore.on_loan()), (1, 2));
    drop((permit, kept));
    assert_eq!((semaphore.count(), semaphore.on_loan(), semaphore.recover()), (3, 0, 0));
    // The same with a successor in the dead one's slot.
    let leaver = ground.attach::<SemaphoreCell>(&ground.join());
    std::mem::forget(leaver.acquire());
    drop(leaver);
    let successor = ground.attach::<SemaphoreCell>(&ground.join());
    drop(successor.acquire());
    assert_eq!((semaphore.count(), semaphore.on_loan()), (3, 0));
}

#[test]
fn permits_add_up_under_contention() {
    let ground = Ground::new();
    let handles: Vec<Semaphore> = (0..4).map(|_| ground.attach::<SemaphoreCell>(&ground.join())).collect();
    handles[0].post(2).unwrap();
    let inside = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for semaphore in &handles {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let _permit = semaphore.acquire();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!((handles[0].count(), handles[0].on_loan()), (2, 0));
}

#[test]
fn condvar_carries_a_condition_both_ways() {
    let ground = Ground::new();
    let second = Ground::new();
    let me = ground.join();
    let mutex = ground.attach::<MutexCell<u64>>(&me);
    let condvar = second.attach::<CondvarCell>(&second.join());
    let (guard, outcome) = condvar.wait_timeout(mutex.lock().into_guard(), SOON).into_guard();
    let _ = outcome; // a wait may end early for no reason
    drop(guard);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..200 {
                let mut guard = mutex.lock().into_guard();
                while *guard != 2 * turn {
                    guard = condvar.wait(guard).into_guard();
                }
                *guard += 1;
                drop(guard);
                condvar.notify_all();
            }
        });
        for turn in 0..200 {
            let mut guard = mutex.lock().into_guard();
            while *guard != 2 * turn + 1 {
                guard = condvar.wait(guard).into_guard();
            }
            *guard += 1;
            drop(guard);
            condvar.notify_one();
        }
    });
    assert_eq!(mutex.lock().into_guard().get(), 400);
}

#[test]
fn events_in_both_modes() {
    let ground = Ground::new();
    let event = ground.attach::<EventCell>(&ground.join());
    assert_eq!((event.mode(), event.wait_timeout(SOON)), (EventMode::Manual, Err(TimedOut)));
    event.set();
    event.wait();
    assert!(event.is_set());
    event.reset();
    assert_eq!(event.try_wait(), Err(TimedOut));
    event.set_mode(EventMode::Auto);
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| event.wait_timeout(LATE))).collect();
        for _ in 0..3 {
            while event.is_set() {
                std::thread::yield_now();
            }
            event.set();
        }
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
    });
    assert!(!event.is_set());
}

#[test]
fn barrier_meets_and_times_out() {
    let ground = Ground::new();
    let barrier = ground.attach::<BarrierCell>(&ground.join());
    let mut member = barrier.join(2).unwrap();
    assert_eq!(member.wait_timeout(SOON), Err(BarrierBroken::TimedOut));
    assert_eq!(barrier.join(3).map(|_| ()).unwrap_err().kind(), ErrorKind::ApiMisuse);
    let mut other = ground.attach::<BarrierCell>(&ground.join()).join(2).unwrap();
    assert_eq!(barrier.join(2).map(|_| ()).unwrap_err().kind(), ErrorKind::LimitReached);
    for _ in 0..50 {
        std::thread::scope(|scope| {
            let there = scope.spawn(|| other.wait_timeout(LATE));
            let ends = [member.wait_timeout(LATE).unwrap(), there.join().unwrap().unwrap()];
            assert_eq!(ends.iter().filter(|end| **end == BarrierWait::Leader).count(), 1);
        });
    }
}

#[test]
fn once_runs_once_and_after_an_unwind_again() {
    let ground = Ground::new();
    let once = ground.attach::<OnceCell>(&ground.join());
    let unwound =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| once.call(|_| panic!("on purpose"))));
    assert!(unwound.is_err() && !once.is_done());
    assert!(once.call(|recovered| assert!(!recovered)));
    assert!(!once.call(|_| unreachable!("it is done")));
    assert!(once.is_done());
}
