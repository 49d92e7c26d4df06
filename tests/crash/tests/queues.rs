//! `kill -9` of senders and receivers of a `shm:` queue, at every named point and at random, among others who go on.
//!
//! Every process keeps a journal in a file, which outlives it: a sender notes a message when `send` has returned, a receiver
//! before it acknowledges. In the end the journals must fit: every message that was noted as sent was received, none twice
//! but marked as redelivered, none that nobody sent, each sender's in order; and the queue is as empty as a new one.

#[path = "queues/journal.rs"]
mod journal;
#[path = "queues/work.rs"]
mod work;

use crossing_crash_tests::{next, points};
use crossing_queue::Queue;
use crossing_testkit::{Child, RuntimeDirGuard, killed, role, watchdog};
use journal::Journals;
use std::time::{Duration, Instant};
use work::{CAPACITY, MAX_LEN};

const LATE: Duration = Duration::from_secs(60);

/// Sends or receives as the parent says; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn queue_role() {
    let Some(role) = role("queue_role") else { return };
    work::run(&role);
}

/// A queue, its users' journals, and how many users there were.
struct Ground {
    guard: RuntimeDirGuard,
    queue: Queue,
    journals: Journals,
    seed: u64,
}

impl Ground {
    fn new(seed: u64) -> Self {
        let guard = RuntimeDirGuard::new();
        let queue =
            work::options().create(&format!("shm:crash-{}-{seed}", std::process::id())).expect("a queue");
        let journals = Journals::new(&guard.path().join("journals"));
        Self { guard, queue, journals, seed }
    }

    fn start(&mut self, kind: &str, count: u64, crash: Option<(&str, u32)>) -> Child {
        let child = Child::role("queue_role")
            .argument("directory", self.guard.path())
            .argument("queue", self.queue.endpoint())
            .argument("kind", kind)
            .argument("count", count.to_string())
            .argument("number", self.journals.enter().to_string())
            .argument("seed", next(&mut self.seed).to_string());
        let mut child = match crash {
            Some((point, passage)) => child.env("CROSSING_CRASH", format!("{point}:{passage}")),
            None => child,
        }
        .spawn();
        if crash.is_none() {
            child.expect("working");
        }
        child
    }

    /// Ends the survivors, receives what is left, and checks everything.
    fn settle(&mut self, survivors: Vec<Child>) {
        self.journals.stop();
        for survivor in survivors {
            survivor.wait(LATE).success();
        }
        let last = self.start("drain", u64::MAX, None);
        last.wait(LATE).success();
        let stats = self.queue.stats().expect("stats");
        self.journals.check(&format!("{stats:?}"));
        assert_eq!((stats.len, stats.held, stats.dead_letters), (0, 0, 0), "{stats:?}");
        self.is_as_new();
        self.journals.clear();
    }

    /// Every place and every byte can be had again.
    fn is_as_new(&self) {
        let (sender, receiver) =
            (self.queue.sender().expect("a sender"), self.queue.receiver().expect("a receiver"));
        let long = vec![7; MAX_LEN];
        for number in 0..CAPACITY {
            sender.try_send(&long).unwrap_or_else(|error| panic!("message {number} of {CAPACITY}: {error}"));
        }
        for _ in 0..CAPACITY {
            let delivery = receiver.try_recv().expect("what was just sent");
            assert_eq!(delivery.len(), MAX_LEN);
            delivery.ack().expect("ours");
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.guard.path().join("journals"));
    }
}

#[test]
fn every_point_of_a_queue() {
    let _watchdog = watchdog(Duration::from_secs(400));
    let mut ground = Ground::new(1);
    let mut all = points("crossing-ring", &[]);
    // Those of event loops are in `doorbells.rs`.
    all.retain(|name| name.starts_with("queue.") && !name.starts_with("queue.poll."));
    all.extend(points("crossing-sync", &[]).into_iter().filter(|name| name.starts_with("bell.")));
    let mut kills = 0;
    for point in &all {
        let mut reached = false;
        for (kind, others) in [
            ("send", &["receive"][..]),
            ("receive", &["send"]),
            ("receive", &["send", "send", "hold"]),
            ("send", &["receive", "hold"]),
            ("send", &["hold", "hold"]),
        ] {
            let mut survivors: Vec<Child> = others
                .iter()
                .filter(|kind| **kind != "hold")
                .map(|kind| ground.start(kind, u64::MAX, None))
                .collect();
            for passage in [1, 3] {
                // Corpses whose remains the victim has to deal with.
                for kind in others.iter().filter(|kind| **kind == "hold") {
                    let mut corpse = ground.start(kind, 20, None);
                    corpse.expect("holding");
                    corpse.kill();
                    kills += 1;
                }
                let ended = ground.start(kind, 4_000, Some((point, passage))).wait(LATE);
                assert!(
                    killed(ended.status) || ended.status.success(),
                    "{point}: {}\n{}",
                    ended.text(),
                    ended.stderr
                );
                reached |= killed(ended.status);
                kills += u32::from(killed(ended.status));
            }
            survivors.drain(..).for_each(drop);
            ground.settle(Vec::new());
            if reached {
                break;
            }
        }
        assert!(reached, "no victim reached {point}");
    }
    println!("killed {kills} at {} named points", all.len());
}

#[test]
fn random_kills_of_senders_and_receivers() {
    // Starting a process takes Wine forty times as long.
    const KILLS: u32 = if cfg!(windows) { 400 } else { 2_000 };
    let _watchdog = watchdog(Duration::from_secs(400));
    let mut ground = Ground::new(2);
    let mut kills = 0;
    while kills < KILLS {
        let survivors = vec![
            ground.start("send", u64::MAX, None),
            ground.start("send", u64::MAX, None),
            ground.start("receive", u64::MAX, None),
            ground.start("receive", u64::MAX, None),
        ];
        for _ in 0..50 {
            let mut victims: Vec<Child> = ["send", "receive", "receive", "send"]
                .iter()
                .map(|kind| ground.start(kind, u64::MAX, None))
                .collect();
            for victim in &mut victims {
                std::thread::sleep(Duration::from_micros(next(&mut ground.seed) % 1_500));
                victim.kill();
                kills += 1;
            }
        }
        ground.settle(survivors);
    }
    println!("killed {kills} at random");
}

#[test]
fn what_a_dead_receiver_held_goes_to_another_at_once() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let mut ground = Ground::new(3);
    let (sender, receiver) = (ground.queue.sender().unwrap(), ground.queue.receiver().unwrap());
    let mut times = Vec::new();
    for round in 0..30_u64 {
        sender.send(&work::first_message(round)).unwrap();
        let mut holder = ground.start("hold", 1, None);
        holder.expect("holding");
        let began = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let delivery = receiver.recv_timeout(LATE).expect("what the dead one held");
                assert!(delivery.redelivered(), "the survivor must be told");
                delivery.ack().unwrap();
                Instant::now()
            });
            std::thread::sleep(Duration::from_millis(20));
            let began = Instant::now();
            holder.kill();
            waiter.join().unwrap().saturating_duration_since(began)
        });
        times.push(began);
    }
    times.sort();
    println!(
        "a dead one's message is received by another after: median {:?}, slowest {:?}",
        times[15], times[29]
    );
    assert!(times[15] < Duration::from_secs(2));
}

/// A peer that writes anything anywhere in the queue: the others may lose, mix up or repeat messages, but they neither crash
/// nor hang nor read outside, and an opener is refused or works.
#[test]
fn a_hostile_peer() {
    let _watchdog = watchdog(Duration::from_secs(240));
    for seed in 0..4 {
        let mut ground = Ground::new(100 + seed);
        let mut bold: Vec<Child> = ["bold-send", "bold-receive", "bold-send", "bold-receive"]
            .iter()
            .map(|kind| ground.start(kind, u64::MAX, None))
            .collect();
        let mut scribbler = ground.start("scribble", u64::MAX, None);
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(150));
            // Newcomers, too.
            bold.push(ground.start("bold-receive", 500, None));
        }
        scribbler.kill();
        ground.journals.stop();
        for child in bold {
            child.wait(LATE).success();
        }
    }
}
