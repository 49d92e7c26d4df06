//! `kill -9` at every named point, and at random, among survivors who go on; a hostile peer; leftovers.
//!
//! Roles are this test binary run again (see `crossing_testkit::role`). A *worker* uses every primitive in a loop and
//! checks what they promise; a *victim* is a worker with a crash point armed. The points are read from the sources, so
//! that none is forgotten: one that no victim reaches fails the suite.
#![allow(unsafe_code)] // a hostile peer's writes

#[cfg(unix)]
#[path = "deaths/forked.rs"]
mod forked;
#[path = "deaths/ground.rs"]
mod ground;
#[path = "deaths/lifecycle.rs"]
mod lifecycle;
#[path = "deaths/work.rs"]
mod work;

use crossing_sys::memory::{MapOptions, MemoryFile};
use crossing_testkit::{Child, RuntimeDirGuard, killed, role, watchdog};
use ground::{Ground, PERMITS, points};
use std::path::Path;
use std::time::{Duration, Instant};

const LATE: Duration = Duration::from_secs(30);

fn worker(guard: &RuntimeDirGuard, mode: &str, rounds: u32, crash: Option<(&str, u32)>) -> Child {
    let child = Child::role("worker_role")
        .argument("directory", guard.path())
        .argument("mode", mode)
        .argument("rounds", rounds.to_string());
    let child = match crash {
        Some((point, count)) => child.env("CROSSING_CRASH", format!("{point}:{count}")),
        None => child,
    };
    child.spawn()
}

/// Points that no work on this ground passes: joining is the matter of `lifecycle`. The bell is rung by the queues of
/// crossing-ring alone: `queues.rs` kills there.
const ELSEWHERE: [&str; 3] = ["participant.", "bell.", "doorbell."];

/// Works as the parent says; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn worker_role() {
    let Some(role) = role("worker_role") else { return };
    let ground = Ground::open(Path::new(&role.argument("directory")));
    work::run(&ground, &role, &role.argument("mode"), role.argument("rounds").parse().unwrap());
}

/// Ends as a survivor must: by itself, at once, content with what it saw.
fn retire(ground: &Ground, survivors: Vec<Child>) {
    ground.stop();
    for survivor in survivors {
        survivor.wait(LATE).success();
    }
}

/// After any number of deaths: everything can be had again, and the accounts balance.
fn all_is_well(ground: &Ground) {
    drop(ground.mutex.lock_timeout(LATE).expect("the mutex after a death"));
    drop(ground.rwlock.write_timeout(LATE).expect("the rwlock after a death"));
    drop(ground.rwlock.read_timeout(LATE).expect("the rwlock after a death"));
    drop(ground.semaphore.acquire_timeout(LATE).expect("a permit after a death"));
}

fn accounts_balance(ground: &Ground) {
    ground.semaphore.recover();
    assert_eq!(
        (ground.semaphore.count(), ground.semaphore.on_loan()),
        (PERMITS, 0),
        "permits lost or doubled"
    );
    ground.pool.reclaim();
    ground.pool.reclaim_left();
    assert_eq!(ground.pool.free(), ground.pool.stats().chunks, "{:?}", ground.pool.stats());
}

#[test]
fn every_point_among_survivors() {
    let _watchdog = watchdog(Duration::from_secs(400));
    let guard = RuntimeDirGuard::new();
    let ground = Ground::create(guard.path());
    let survivors: Vec<_> = (0..2).map(|_| worker(&guard, "survive", u32::MAX, None)).collect();
    let mut kills = 0;
    for point in
        points("crossing-sync", &ELSEWHERE).iter().chain(&points("crossing-shm", &["segment.", "registry."]))
    {
        for count in [1, 2, 9] {
            let ended = worker(&guard, "all", 60, Some((point, count))).wait(LATE);
            kills += u32::from(killed(ended.status));
            assert!(killed(ended.status) || ended.status.success(), "{point}: {}", ended.text());
        }
        all_is_well(&ground);
    }
    retire(&ground, survivors);
    accounts_balance(&ground);
    println!("killed {kills} at named points among survivors");
    assert!(kills >= 100, "only {kills} victims reached their points");
}

/// Each point without survivors to get in the way, so that it is surely reached, also those of recovering from others.
#[test]
fn every_point_alone_and_after_a_corpse() {
    let _watchdog = watchdog(Duration::from_secs(400));
    let guard = RuntimeDirGuard::new();
    let mut kills = 0;
    for point in
        points("crossing-sync", &ELSEWHERE).iter().chain(&points("crossing-shm", &["segment.", "registry."]))
    {
        let mut reached = false;
        for (holder, mode) in [
            ("none", "all"),
            ("hold-write", "all"),
            ("hold-read", "all"),
            ("hold-read", "sit"),
            ("hold-write", "pair"),
        ] {
            let ground = Ground::create(guard.path());
            if holder != "none" {
                let mut corpse = worker(&guard, holder, 1, None);
                corpse.expect("holding");
                corpse.kill();
            }
            // Somebody who takes the dead one's place and does nothing in it.
            let sitter = (mode == "sit").then(|| {
                let mut sitter = worker(&guard, "sit", 1, None);
                sitter.expect("working");
                sitter
            });
            // A second worker without a crash, where a point needs somebody to wait for.
            let partner = (mode == "pair").then(|| worker(&guard, "survive", u32::MAX, None));
            let ended = worker(&guard, "all", 80, Some((point, 1))).wait(LATE);
            reached |= killed(ended.status);
            kills += u32::from(killed(ended.status)) + u32::from(holder != "none");
            assert!(killed(ended.status) || ended.status.success(), "{point}: {}", ended.text());
            drop(sitter);
            all_is_well(&ground);
            retire(&ground, partner.into_iter().collect());
            accounts_balance(&ground);
            if reached {
                break;
            }
        }
        assert!(reached, "no victim reached {point}");
    }
    println!("killed {kills} at named points alone and after a corpse");
}

#[test]
fn random_kills_among_survivors() {
    let _watchdog = watchdog(Duration::from_secs(400));
    let guard = RuntimeDirGuard::new();
    let ground = Ground::create(guard.path());
    let survivors: Vec<_> = (0..2).map(|_| worker(&guard, "survive", u32::MAX, None)).collect();
    let mut seed = 0x5eed_u64;
    for round in 0..150 {
        let mut victim = worker(&guard, "survive", u32::MAX, None);
        victim.expect("working");
        std::thread::sleep(Duration::from_micros(ground::next(&mut seed) % 6_000));
        victim.kill();
        if round % 10 == 0 {
            all_is_well(&ground);
        }
    }
    all_is_well(&ground);
    retire(&ground, survivors);
    accounts_balance(&ground);
    println!("killed 150 at random");
}

#[test]
fn a_sleeping_waiter_hears_of_the_death() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let guard = RuntimeDirGuard::new();
    let ground = Ground::create(guard.path());
    let mut times = Vec::new();
    for _ in 0..30 {
        let mut holder = worker(&guard, "hold-mutex", 1, None);
        holder.expect("holding");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let acquired = ground.mutex.lock_timeout(LATE).expect("the dead one's mutex");
                (acquired.is_recovered(), Instant::now())
            });
            std::thread::sleep(Duration::from_millis(20));
            let start = Instant::now();
            holder.kill();
            let (recovered, at) = waiter.join().unwrap();
            assert!(recovered, "the survivor must be told");
            times.push(at.saturating_duration_since(start));
        });
    }
    times.sort();
    println!(
        "a sleeping waiter has the dead one's mutex after: median {:?}, slowest {:?}",
        times[15], times[29]
    );
    assert!(times[15] < Duration::from_secs(2));
}

#[test]
fn a_stopped_owner_is_alive() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let guard = RuntimeDirGuard::new();
    let ground = Ground::create(guard.path());
    let mut holder = worker(&guard, "hold-mutex", 1, None);
    holder.expect("holding");
    holder.stop();
    assert!(ground.mutex.lock_timeout(Duration::from_millis(300)).is_err(), "a stopped owner keeps its lock");
    holder.kill();
    assert!(ground.mutex.lock_timeout(LATE).unwrap().is_recovered());
}

/// A peer writes random bytes over everything that a peer may write: header, table, cells, pool.
#[test]
fn a_hostile_peer_cannot_crash_hang_or_mislead_into_overreading() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let guard = RuntimeDirGuard::new();
    for seed in 1..=6_u64 {
        let ground = Ground::create(guard.path());
        let mut victims: Vec<_> = (0..2).map(|_| worker(&guard, "hostile", 400, None)).collect();
        victims.iter_mut().for_each(|victim| victim.expect("working"));
        let len = ground::FILE_LEN as usize;
        let memory =
            MemoryFile::open(&ground.file(), false).unwrap().map(len, MapOptions::default()).unwrap();
        let mut state = seed;
        let mut victims: Vec<_> = victims.into_iter().map(Some).collect();
        let deadline = Instant::now() + LATE;
        while victims.iter_mut().flatten().any(Child::is_running) {
            assert!(Instant::now() < deadline, "a victim hangs");
            for _ in 0..200 {
                let at = ground::next(&mut state) % ground::FILE_LEN;
                let bytes = ground::next(&mut state).to_le_bytes();
                let len = (ground::next(&mut state) % 8 + 1).min(ground::FILE_LEN - at) as usize;
                let place = memory.as_ptr().wrapping_add(at as usize);
                // SAFETY: `at + len` is within the mapping; the copy tolerates other writers and readers.
                unsafe { crossing_sys::copy::to_shared(&bytes[..len], place) };
            }
        }
        for victim in victims.iter_mut().filter_map(Option::take) {
            victim.wait(LATE).success();
        }
        drop(ground);
        // The owner removed it, whatever its bytes said: the name is free.
        drop(Ground::create(guard.path()));
    }
}
