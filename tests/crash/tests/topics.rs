//! `kill -9` of publishers and subscribers of a topic, at every named point and at random, among others who go on.
//!
//! Every member keeps a journal in a file, which outlives it: a publisher notes a message when `send` has returned, a
//! subscriber when it has it. In the end the journals must fit: what a subscriber received of a publisher is in order,
//! each message whole, none twice, and what it did not receive is exactly what it was told that it missed: nothing under
//! `Block`. The survivors have everything to the last message of every publisher, the dead ones included.

#[path = "topics/hostile.rs"]
mod hostile;
#[path = "topics/journal.rs"]
mod journal;
#[path = "topics/work.rs"]
mod work;

use crossing_crash_tests::{next, points};
use crossing_testkit::{Child, RuntimeDirGuard, killed, role, watchdog};
use journal::Journals;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use work::Work;

const LATE: Duration = Duration::from_secs(60);
const POLICIES: [&str; 2] = ["block", "oldest"];

/// Publishes or receives as the parent says; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn topic_role() {
    let Some(role) = role("topic_role") else { return };
    let mut work = Work::of(&role);
    match role.argument("kind").as_str() {
        "publish" => work.publish(),
        "subscribe" => work.subscribe(),
        "hold" => work.hold(),
        "visit" => work.visit(),
        "afresh" => work.afresh(),
        "obey" => work.obey(),
        "follow" => work.follow(),
        "bold-publish" => work.bold_publish(),
        "bold-subscribe" => work.bold_subscribe(),
        "scribble" => work.scribble(),
        "sweep" => drop(crossing_shm::registry::remove_stale().expect("swept")),
        kind => panic!("{kind}?"),
    }
}

/// A runtime directory with one topic, and its members' journals.
struct Ground {
    guard: RuntimeDirGuard,
    journals: Journals,
    overflow: &'static str,
    seed: u64,
}

/// Those who go on.
struct Survivors {
    subscribers: Vec<Child>,
    numbers: Vec<u64>,
    publishers: Vec<Child>,
}

impl Ground {
    fn new(overflow: &'static str, seed: u64) -> Self {
        let mut guard = RuntimeDirGuard::new();
        guard.allow("journals");
        let journals = Journals::new(&guard.path().join("journals"));
        Self { guard, journals, overflow, seed }
    }

    fn spawn(&mut self, kind: &str, count: u64, crash: Option<(&str, u32)>) -> (u64, Child) {
        let number = self.journals.enter();
        let child = self.guard.give(Child::role("topic_role"));
        let child = child
            .argument("journals", self.guard.path().join("journals"))
            .argument("topic", "ground")
            .argument("overflow", self.overflow)
            .argument("kind", kind)
            .argument("count", count.to_string())
            .argument("number", number.to_string())
            .argument("seed", next(&mut self.seed).to_string());
        let child = match crash {
            Some((point, passage)) => child.env("CROSSING_CRASH", format!("{point}:{passage}")),
            None => child,
        };
        (number, child.spawn())
    }

    fn start(&mut self, kind: &str, count: u64) -> (u64, Child) {
        let (number, mut child) = self.spawn(kind, count, None);
        child.expect("working");
        (number, child)
    }

    /// Runs a member to its end.
    fn run(&mut self, kind: &str) {
        self.spawn(kind, 0, None).1.wait(LATE).success();
    }

    fn survivors(&mut self) -> Survivors {
        // The subscribers first: they miss nothing.
        let (numbers, subscribers) = (0..2).map(|_| self.start("subscribe", u64::MAX)).unzip();
        let publishers = (0..2).map(|_| self.start("publish", u64::MAX).1).collect();
        Survivors { subscribers, numbers, publishers }
    }

    /// One that has everything a member can have, and is dead.
    fn corpse(&mut self) {
        let (_, mut corpse) = self.spawn("hold", 0, None);
        corpse.expect("holding");
        corpse.kill();
    }

    /// The names of the members that lie in the directory.
    fn names(&self) -> Vec<PathBuf> {
        let leftovers = self.guard.leftovers();
        // The topic's directory, theirs in it, and what these hold. Windows may have something in `.trash` for a while.
        let is_theirs = |path: &PathBuf| path.iter().count() == 2 && !path.starts_with(".trash");
        leftovers.into_iter().filter(is_theirs).collect()
    }

    /// What lies in the directory is what `living` members hold: each a bell and its data.
    fn has_exactly(&mut self, living: usize) -> bool {
        let deadline = Instant::now() + LATE;
        loop {
            // Who comes is noticed by all, who then look what the dead left.
            self.run("visit");
            let names = self.names();
            let above = self.guard.leftovers().iter().filter(|path| path.iter().count() == 1).count();
            // Nothing beside the topic's own directory.
            if names.len() == 2 * living && above == 1 {
                return true;
            }
            if Instant::now() > deadline {
                println!("{living} should live, and there is {:?}", self.guard.leftovers());
                return false;
            }
        }
    }

    /// Ends the survivors, and checks everything.
    fn settle(&mut self, mut survivors: Survivors, about: &str) -> u64 {
        if !self.has_exactly(survivors.subscribers.len() + survivors.publishers.len()) {
            // Who ended says why.
            let all = survivors.subscribers.drain(..).chain(survivors.publishers.drain(..));
            for mut survivor in all {
                if !survivor.is_running() {
                    survivor.wait(LATE).success();
                }
            }
            panic!("{about}: something is left of the dead");
        }
        self.journals.announce("stop");
        for publisher in survivors.publishers {
            publisher.wait(LATE).success();
        }
        self.journals.announce("drain");
        for subscriber in survivors.subscribers {
            subscriber.wait(LATE).success();
        }
        let total = self.journals.check(&survivors.numbers, self.overflow == "block", about);
        self.journals.clear();
        self.run("afresh");
        assert_eq!(self.guard.leftovers(), Vec::<PathBuf>::new(), "{about}");
        total
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.guard.path().join("journals"));
    }
}

fn all_points() -> Vec<String> {
    let mut all = points("crossing-ring", &[]);
    all.extend(points("crossing-bus", &[]));
    all.retain(|name| name.starts_with("topic."));
    all.extend(points("crossing-sync", &[]).into_iter().filter(|name| name.starts_with("bell.")));
    all
}

#[test]
fn every_point_of_a_topic() {
    // Starting a process takes Wine forty times as long.
    const SETTLE: usize = if cfg!(windows) { 4 } else { 1 };
    const PASSAGES: &[u32] = if cfg!(windows) { &[1] } else { &[1, 3] };
    // What they do if they do not reach the point.
    const VICTIMS: [(&str, u64); 2] = if cfg!(windows) {
        [("publish", 200), ("subscribe", 100)]
    } else {
        [("publish", 500), ("subscribe", 300)]
    };
    let _watchdog = watchdog(Duration::from_secs(400));
    let all = all_points();
    let mut reached = vec![[0; 2]; all.len()];
    let (mut kills, mut received) = (0, 0);
    for overflow in POLICIES {
        let mut ground = Ground::new(overflow, 1);
        let mut survivors = None;
        for (number, (point, reached)) in all.iter().zip(&mut reached).enumerate() {
            let among = survivors.take().unwrap_or_else(|| ground.survivors());
            for (role, (kind, count)) in VICTIMS.iter().enumerate() {
                for &passage in PASSAGES {
                    if point.starts_with("topic.tidy") {
                        // Something to tidy up, if nobody is faster.
                        ground.corpse();
                        kills += 1;
                    }
                    let (_, victim) = ground.spawn(kind, *count, Some((point, passage)));
                    let ended = victim.wait(LATE);
                    let done = killed(ended.status) || ended.status.success();
                    assert!(done, "{kind} at {point}: {}\n{}", ended.text(), ended.stderr);
                    reached[role] += u32::from(killed(ended.status));
                    kills += u32::from(killed(ended.status));
                }
            }
            if (number + 1).is_multiple_of(SETTLE) || number == all.len() - 1 {
                received += ground.settle(among, &format!("{overflow}, to {point}"));
            } else {
                survivors = Some(among);
            }
        }
    }
    for (point, reached) in all.iter().zip(&reached) {
        println!("{point}: {} publishers, {} subscribers", reached[0], reached[1]);
    }
    for (point, reached) in all.iter().zip(&reached) {
        assert!(reached.iter().sum::<u32>() > 0, "no victim reached {point}");
    }
    println!("killed {kills} at {} named points; survivors received {received}", all.len());
}

#[test]
fn random_kills_of_publishers_and_subscribers() {
    // Starting a process takes Wine forty times as long.
    const KILLS: u32 = if cfg!(windows) { 200 } else { 2_000 };
    // Wine's server keeps every file that was closed open until the last lock on it is gone: who lives long costs much.
    const ROUNDS: usize = if cfg!(windows) { 10 } else { 50 };
    let _watchdog = watchdog(Duration::from_secs(400));
    let (mut kills, mut received) = (0, 0);
    for (overflow, seed) in POLICIES.into_iter().zip(7..) {
        let mut ground = Ground::new(overflow, seed);
        let goal = kills + KILLS / 2;
        while kills < goal {
            let survivors = ground.survivors();
            for round in 0..ROUNDS {
                let kinds = ["publish", "subscribe", "publish", "subscribe"];
                let mut victims: Vec<Child> = kinds
                    .iter()
                    .enumerate()
                    // Some are killed as members, some while they become ones.
                    .map(|(index, kind)| match (round + index) % 3 {
                        0 => ground.spawn(kind, u64::MAX, None).1,
                        _ => ground.start(kind, u64::MAX).1,
                    })
                    .collect();
                for victim in &mut victims {
                    std::thread::sleep(Duration::from_micros(next(&mut ground.seed) % 1_500));
                    assert!(!victim.kill().success(), "a victim ended by itself");
                    kills += 1;
                }
            }
            received += ground.settle(survivors, overflow);
        }
        // Nobody is left but the dead: the names can be used at once, or swept away.
        for end in ["afresh", "sweep"] {
            (0..3).for_each(|_| ground.corpse());
            assert!(!ground.names().is_empty());
            ground.run(end);
            assert_eq!(ground.guard.leftovers(), Vec::<PathBuf>::new(), "after {end}");
            kills += 3;
        }
    }
    println!("killed {kills} at random; survivors received {received}");
}

/// Publishers under `Block` wait for a subscriber that does nothing, and say which; others go on. Then all go on.
#[test]
fn a_subscriber_that_is_stopped() {
    let _watchdog = watchdog(Duration::from_secs(240));
    for overflow in ["block", "oldest", "newest"] {
        let mut ground = Ground::new(overflow, 3);
        let (_, mut idle) = ground.start("follow", 0);
        let (_, mut busy) = ground.start("follow", 0);
        let (_, mut publisher) = ground.start("obey", 0);
        for _ in 0..2 {
            idle.stop();
            publisher.tell(&format!("until {}", idle.pid()));
            let outcome = publisher.expect_line(LATE);
            let wanted =
                if overflow == "block" { format!("waits for {}", idle.pid()) } else { "all".to_owned() };
            assert_eq!(outcome, wanted, "{overflow}");
            idle.resume();
            publisher.tell("more");
            publisher.expect("all");
            assert!(idle.is_running() && busy.is_running(), "they go on, in order");
        }
        for mut child in [publisher, idle, busy] {
            child.kill();
        }
        ground.run("afresh");
        assert_eq!(ground.guard.leftovers(), Vec::<PathBuf>::new(), "{overflow}");
    }
}

/// A member that scribbles over what it may write: the others neither crash nor hang nor read outside.
#[test]
fn a_hostile_member() {
    let _watchdog = watchdog(Duration::from_secs(240));
    for (overflow, seed) in [("block", 1), ("oldest", 2), ("newest", 3), ("block", 4)] {
        let mut ground = Ground::new(overflow, seed);
        let mut bold: Vec<Child> =
            ["bold-publish", "bold-subscribe"].map(|kind| ground.start(kind, u64::MAX).1).into();
        let (_, mut scribbler) = ground.start("scribble", 0);
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(200));
            // Newcomers, too.
            bold.push(ground.start("bold-subscribe", 2).1);
            bold.push(ground.start("bold-publish", 2).1);
        }
        scribbler.kill();
        ground.journals.announce("stop");
        for child in bold {
            child.wait(LATE).success();
        }
        ground.run("afresh");
        assert_eq!(ground.guard.leftovers(), Vec::<PathBuf>::new(), "{overflow}");
    }
}
