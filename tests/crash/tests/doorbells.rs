//! Who waits in an event loop, and who rings there, killed at the points of doorbells: the others go on, and nothing stays.
#![cfg(unix)] // doorbells are files there; on Windows they go with their last handle

use crossing_queue::{Poller, Queue, Receiver, TryRecvError};
use crossing_sys::doorbell::wait_any;
use crossing_testkit::{Child, Role, role, unique_name, watchdog};
use std::time::{Duration, Instant};

/// Far longer than any machine needs.
const LATE: Duration = Duration::from_secs(60);
/// How many waiters of a queue there may be.
const WAITERS: usize = 64;

fn create() -> (String, Queue) {
    let name = format!("shm:{}", unique_name("doorbells"));
    let queue = Queue::<[u8]>::options().capacity(16).max_len(64).unlink_on_drop(true).create(&name).unwrap();
    (name, queue)
}

fn open(role: &Role) -> Queue {
    Queue::<[u8]>::options().open(&role.argument("name")).unwrap()
}

fn wait(poller: &Poller) {
    let ready = wait_any(&[poller.handle()], Some(Instant::now() + LATE)).unwrap();
    assert!(ready.is_some(), "neither a ring nor the alarm");
}

fn bells(name: &str) -> usize {
    let entry = crossing_shm::registry::inspect(name.strip_prefix("shm:").unwrap()).unwrap();
    let files = std::fs::read_dir(entry.path.parent().unwrap()).unwrap().map(|file| file.unwrap());
    files.filter(|file| file.file_name().to_str().unwrap().starts_with("bell-")).count()
}

/// Sends 0, 1, 2 and so on to one that sleeps each time, until it is killed; says what it sent.
#[test]
#[ignore = "a child process of the tests here"]
fn role_ringer() {
    let Some(role) = role("role_ringer") else { return };
    let sender = open(&role).sender().unwrap();
    for number in 0..role.argument("count").parse::<u32>().unwrap() {
        sender.send(&number.to_le_bytes()).unwrap();
        role.say(number);
    }
    role.pause();
}

/// Receives what is there; `next` is the next number.
fn drain(receiver: &Receiver, next: &mut u32) {
    loop {
        match receiver.try_recv() {
            Ok(delivery) => {
                assert_eq!(*delivery, next.to_le_bytes(), "lost or doubled");
                *next += 1;
            }
            Err(TryRecvError::Empty) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_ringer_that_dies_ringing_strands_nobody() {
    let _guard = watchdog(LATE * 3);
    for point in ["bell.ring.before-wake", "doorbell.ring.taken", "queue.commit.before-ring"] {
        for count in 1..=4 {
            let (name, queue) = create();
            let receiver = queue.receiver().unwrap();
            let poller = receiver.poller().unwrap();
            poller.arm().unwrap();
            let child = Child::role("role_ringer").argument("name", &name).argument("count", "1000000");
            let mut child = child.env("CROSSING_CRASH", format!("{point}:{count}")).spawn();
            let (mut next, mut said) = (0, 0);
            while child.is_running() {
                drain(&receiver, &mut next);
                poller.arm().unwrap();
                drain(&receiver, &mut next);
                wait(&poller);
            }
            while child.line(LATE).is_some() {
                said += 1;
            }
            // What it sent before it died, rung or not.
            drain(&receiver, &mut next);
            assert!(next == said || next == said + 1, "{point}:{count}: it said {said}, {next} came");
            assert!(next > 0);
            // Others ring as ever.
            poller.arm().unwrap();
            queue.sender().unwrap().send(&next.to_le_bytes()).unwrap();
            wait(&poller);
            drain(&receiver, &mut next);
            assert_eq!(next - said, if next == said + 1 { 1 } else { 2 });
        }
    }
}

/// Waits in an event loop, until it is killed.
#[test]
#[ignore = "a child process of the tests here"]
fn role_waiter() {
    let Some(role) = role("role_waiter") else { return };
    let receiver = open(&role).receiver().unwrap();
    let poller = receiver.poller().unwrap();
    loop {
        poller.arm().unwrap();
        role.say("armed");
        let _ = receiver.try_recv();
        wait(&poller);
    }
}

#[test]
fn what_dead_waiters_leave_is_removed_whole() {
    let _guard = watchdog(LATE * 3);
    let points =
        ["queue.poll.claimed", "doorbell.arm.entry", "doorbell.arm.marked", "doorbell.sweep.removed"];
    for point in points {
        for count in 1..=2 {
            let (name, queue) = create();
            let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
            let mine = receiver.poller().unwrap();
            let waiter = || Child::role("role_waiter").argument("name", &name);
            // Two that die with their doorbells armed: there is something to sweep for the next.
            let mut dead = [waiter().spawn(), waiter().spawn()];
            for child in &mut dead {
                child.expect("armed");
            }
            for child in &mut dead {
                child.kill();
            }
            let times = if point == "queue.poll.claimed" { 1 } else { count };
            let mut child = waiter().env("CROSSING_CRASH", format!("{point}:{times}")).spawn();
            // This one sweeps nothing meanwhile; the alarm leads that one to its point.
            while child.is_running() {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Whoever waits removes what they left, files and entries; and is rung as ever.
            while bells(&name) > 1 {
                mine.arm().unwrap();
                while receiver.try_recv().is_ok() {}
                wait(&mine);
            }
            let others: Vec<_> = (1..WAITERS).map(|_| receiver.poller().unwrap()).collect();
            assert_eq!(bells(&name), WAITERS);
            for poller in &others {
                poller.arm().unwrap();
            }
            mine.arm().unwrap();
            while receiver.try_recv().is_ok() {}
            sender.send(b"end").unwrap();
            wait(&mine);
            assert_eq!(*receiver.try_recv().unwrap(), *b"end");
            drop((others, mine));
            assert_eq!(bells(&name), 0);
        }
    }
}
