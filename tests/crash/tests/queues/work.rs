//! What the children do.

use crate::journal::Journal;
use crossing_crash_tests::next;
use crossing_queue::{Delivery, Message, Priority, Queue, QueueOptions, Receiver, RecvError, SendError};
use crossing_testkit::Role;
use std::path::PathBuf;
use std::time::Duration;

pub const CAPACITY: u64 = 48;
pub const MAX_LEN: usize = 20_000;
const PRIORITIES: u64 = 4;

pub fn options() -> QueueOptions {
    let mut options = Queue::<[u8]>::options();
    options.capacity(CAPACITY).max_len(MAX_LEN as u64).priorities(PRIORITIES as u32);
    // Room for all of them at their longest.
    options.max_bytes(CAPACITY * 24_576).acknowledge(true).unlink_on_drop(true).max_deliveries(4);
    options
}

/// A message of sender 0.
pub fn first_message(sequence: u64) -> Vec<u8> {
    body(sequence, 16)
}

/// An id, then bytes that only it has.
fn body(id: u64, len: usize) -> Vec<u8> {
    let mut body: Vec<u8> = (0..len).map(|at| (at as u64 ^ id).to_le_bytes()[0]).collect();
    body[..8].copy_from_slice(&id.to_le_bytes());
    body
}

fn id_of(delivery: &Delivery) -> u64 {
    let id = u64::from_le_bytes(*delivery.first_chunk().expect("an id"));
    assert!(**delivery == *body(id, delivery.len()), "message {id:#x} is torn");
    id
}

pub fn run(role: &Role) {
    let number: u64 = role.argument("number").parse().unwrap();
    let count: u64 = role.argument("count").parse().unwrap();
    let mut seed: u64 = role.argument("seed").parse().unwrap();
    let directory = PathBuf::from(role.argument("directory")).join("journals");
    let mut journal = Journal::open(&directory, number);
    let kind = role.argument("kind");
    if kind == "scribble" {
        return scribble(role, &mut seed);
    }
    let mut options = Queue::<[u8]>::options();
    if kind.starts_with("bold") {
        return bold(role, &kind, &mut journal, &mut seed, count);
    }
    let queue = options.acknowledge(true).open(&role.argument("queue")).expect("the queue");
    match kind.as_str() {
        "send" => {
            role.say("working");
            send(&queue, &mut journal, &mut seed, number, count);
        }
        "hold" => {
            let sender = queue.sender().expect("a sender");
            let receiver = queue.receiver().expect("a receiver");
            let mut held = Vec::new();
            role.say("working");
            for sequence in 0..count {
                if count > 1 {
                    let id = (number << 32) | sequence;
                    // No room is no harm: others hold everything.
                    if sender.send_timeout(&body(id, 300), Duration::from_millis(20)).is_ok() {
                        journal.sent(id);
                    }
                }
                if let Ok(delivery) =
                    receiver.recv_timeout(Duration::from_secs(if count == 1 { 30 } else { 0 }))
                {
                    held.push(delivery);
                }
            }
            role.say("holding");
            role.pause();
        }
        kind => {
            role.say("working");
            receive(&queue.receiver().expect("a receiver"), &mut journal, &mut seed, kind == "drain", count);
            if kind == "drain" {
                receive(&queue.dead_letters().expect("dead letters"), &mut journal, &mut seed, true, count);
            }
        }
    }
}

fn send(queue: &Queue, journal: &mut Journal, seed: &mut u64, number: u64, count: u64) {
    let sender = queue.sender().expect("a sender");
    let (mut sequence, mut refused) = (0, 0);
    // Who has a task gives it up when nobody makes room.
    while sequence < count && !journal.stopped() && (count == u64::MAX || refused < 8) {
        let id = (number << 32) | sequence;
        let random = next(seed);
        let len = match random % 16 {
            0 => 8 + (random >> 8) as usize % (MAX_LEN - 8),
            1..4 => 100 + (random >> 8) as usize % 900,
            _ => 8 + (random >> 8) as usize % 56,
        };
        let bytes = body(id, len);
        let mut message = Message::new(&bytes).priority(Priority((random >> 40) as u32 % PRIORITIES as u32));
        if random.is_multiple_of(61) {
            message = message.delay(Duration::from_micros(500));
            // Out of order by design.
            journal.disorder(id);
        }
        // Every third is written in place.
        let sent = if random.is_multiple_of(3) && !random.is_multiple_of(61) {
            sender.loan_slice_timeout(len, Duration::from_millis(50)).and_then(|mut loan| {
                loan.copy_from_slice(&bytes);
                loan.priority(Priority((random >> 40) as u32 % PRIORITIES as u32)).send()
            })
        } else {
            sender.send_message_timeout(&message, Duration::from_millis(50))
        };
        match sent {
            Ok(()) => {
                journal.sent(id);
                (sequence, refused) = (sequence + 1, 0);
            }
            Err(SendError::TimedOut) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

fn receive(receiver: &Receiver, journal: &mut Journal, seed: &mut u64, drain: bool, count: u64) {
    let mut received = 0;
    let mut held: Vec<Delivery> = Vec::new();
    while received < count && (drain || !journal.stopped()) {
        let patience = Duration::from_millis(if drain { 500 } else { 50 });
        let delivery = match receiver.recv_timeout(patience) {
            Ok(delivery) => delivery,
            Err(RecvError::TimedOut) if drain => break,
            Err(RecvError::TimedOut) => continue,
            Err(error) => panic!("{error}"),
        };
        received += 1;
        journal.seen(id_of(&delivery), delivery.priority().0, delivery.redelivered());
        let random = next(seed);
        match random % 16 {
            // Given back unseen: it comes again, marked.
            0 if !drain => delivery.nack().expect("ours"),
            1 if !drain => drop(delivery),
            2 if !drain => delivery.nack_after(Duration::from_micros(300)).expect("ours"),
            3 if !drain && held.len() < 3 => held.push(delivery),
            _ => acknowledge(journal, delivery),
        }
        if random.is_multiple_of(5)
            && let Some(delivery) = held.pop()
        {
            acknowledge(journal, delivery);
        }
    }
    for delivery in held {
        acknowledge(journal, delivery);
    }
}

fn acknowledge(journal: &mut Journal, delivery: Delivery) {
    journal.received(id_of(&delivery), delivery.priority().0, delivery.redelivered());
    delivery.ack().expect("ours");
}

/// Uses a queue that somebody scribbles over: anything may come, but every call ends.
fn bold(role: &Role, kind: &str, journal: &mut Journal, seed: &mut u64, count: u64) {
    role.say("working");
    let mut turns = 0;
    while turns < count && !journal.stopped() {
        // Opened now and then, too: refused, or not.
        let Ok(queue) = Queue::<[u8]>::options().acknowledge(true).open(&role.argument("queue")) else {
            turns += 1;
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        for _ in 0..200 {
            turns += 1;
            let patience = Duration::from_micros(next(seed) % 2_000);
            if kind == "bold-send" {
                let len = next(seed) as usize % 3_000;
                let _ = queue.sender().expect("a sender").send_timeout(&vec![1; len], patience);
            } else if let Ok(delivery) = queue.receiver().expect("a receiver").recv_timeout(patience) {
                // Read to the last byte.
                let sum = delivery.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                let _ = (std::hint::black_box(sum), delivery.properties().iter().count());
                let _ = if next(seed).is_multiple_of(3) { delivery.nack() } else { delivery.ack() };
            }
        }
        let _ = (queue.stats(), queue.browse(10, 100));
        if next(seed).is_multiple_of(50) {
            let _ = queue.purge();
        }
    }
}

/// Writes random bytes into the queue: everything behind the segment's own two pages and the table of participants.
fn scribble(role: &Role, seed: &mut u64) {
    let endpoint = role.argument("queue");
    let name = endpoint.strip_prefix("shm:").expect("a shared queue");
    let segment = crossing_shm::Segment::options().open(name).expect("the segment");
    role.say("working");
    let words = segment.len() as u64 / 8;
    loop {
        // Headers, lanes and slots more often than bytes of messages.
        let at =
            if next(seed).is_multiple_of(4) { next(seed) % words } else { next(seed) % words.min(4_000) };
        let value = match next(seed) % 4 {
            0 => 0,
            1 => u64::MAX,
            2 => next(seed) % 64,
            _ => next(seed),
        };
        segment.write_bytes(at as usize * 8, &value.to_le_bytes()).expect("inside");
        if next(seed).is_multiple_of(64) {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}
