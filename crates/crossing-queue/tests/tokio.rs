//! Queues for tokio: many tasks, and futures that are dropped at random.
#![cfg(unix)] // tokio waits on descriptors there alone

use crossing_queue::tokio::{Receiver, Sender};
use crossing_queue::{Overflow, Priority, Properties, Queue, SendError, TrySendError};
use crossing_sys::ErrorKind;
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{Child, role, unique_name, watchdog};
use std::time::Duration;

/// Far longer than any machine needs.
const LATE: Duration = Duration::from_secs(120);

fn place(scheme: &str, capacity: u64) -> Option<(String, Queue)> {
    let name = format!("{scheme}{}", unique_name("tokio"));
    match Queue::<[u8]>::options().capacity(capacity).max_len(64).unlink_on_drop(true).create(&name) {
        Ok(queue) => Some((name, queue)),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => panic!("{error}"),
    }
}

fn places(capacity: u64) -> Vec<(String, Queue)> {
    ["shm:", "mq:/"].into_iter().filter_map(|scheme| place(scheme, capacity)).collect()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_sender() {
    let Some(role) = role("role_sender") else { return };
    let sender = Queue::<[u8]>::options().open(&role.argument("name")).unwrap().sender().unwrap();
    let mut random = Random::new(9);
    for number in 0..role.argument("count").parse::<u32>().unwrap() {
        sender.send(&number.to_le_bytes()).unwrap();
        if random.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(200)));
        }
    }
    role.say("done");
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_receiver() {
    let Some(role) = role("role_receiver") else { return };
    let receiver = Queue::<[u8]>::options().open(&role.argument("name")).unwrap().receiver().unwrap();
    let mut random = Random::new(9);
    for wanted in 0..role.argument("count").parse::<u32>().unwrap() {
        assert_eq!(number(&receiver.recv_timeout(LATE).unwrap()), wanted);
        if random.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(200)));
        }
    }
    // Nothing was sent that nobody was told of.
    assert!(receiver.try_recv().is_err());
    role.say("done");
}

fn child(role: &str, name: &str, count: u32) -> Child {
    Child::role(role).argument("name", name).argument("count", count.to_string()).spawn()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiving_survives_dropped_futures() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 2000;
    for (name, queue) in places(8) {
        let mut child = child("role_sender", &name, COUNT);
        let mut receiver = Receiver::new(&queue.receiver().unwrap()).unwrap();
        let (mut random, mut wanted, mut dropped) = (Random::new(1), 0, 0);
        while wanted < COUNT {
            let outcome = if random.below(2) == 0 {
                a_few(&mut random, receiver.recv()).await
            } else {
                let time = Duration::from_micros(random.below(200));
                tokio::time::timeout(time, receiver.recv()).await.ok()
            };
            match outcome {
                Some(delivery) => {
                    assert_eq!(number(&delivery.unwrap()), wanted, "lost or doubled");
                    wanted += 1;
                }
                None => dropped += 1,
            }
        }
        child.expect("done");
        assert!(receiver.blocking().try_recv().is_err());
        assert!(dropped > 0, "no future was dropped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiving_many_survives_dropped_futures() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 2000;
    for (name, queue) in places(8) {
        let mut child = child("role_sender", &name, COUNT);
        let mut receiver = Receiver::new(&queue.receiver().unwrap()).unwrap();
        let (mut random, mut wanted) = (Random::new(2), 0);
        assert_eq!(receiver.recv_many(0).await.unwrap().len(), 0);
        while wanted < COUNT {
            let max = random.below(5) as usize + 1;
            let Some(all) = a_few(&mut random, receiver.recv_many(max)).await else { continue };
            let all = all.unwrap();
            assert!((1..=max).contains(&all.len()));
            for delivery in all {
                assert_eq!(number(&delivery), wanted, "lost or doubled");
                wanted += 1;
            }
        }
        child.expect("done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_survives_dropped_futures() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 2000;
    for (name, queue) in places(4) {
        let mut child = child("role_receiver", &name, COUNT);
        let mut sender = Sender::new(&queue.sender().unwrap()).unwrap();
        let (mut random, mut number, mut dropped) = (Random::new(3), 0_u32, 0);
        while number < COUNT {
            let message = number.to_le_bytes();
            let outcome = if random.below(2) == 0 {
                a_few(&mut random, sender.send(&message)).await
            } else {
                let time = Duration::from_micros(random.below(200));
                tokio::time::timeout(time, sender.send(&message)).await.ok()
            };
            match outcome {
                Some(sent) => {
                    sent.unwrap();
                    number += 1;
                }
                // Not sent: the receiver sees it if it is sent again, and only then.
                None => dropped += 1,
            }
        }
        child.expect("done");
        assert!(dropped > 0, "no future was dropped");
    }
}

/// Several tasks in each direction over one small queue; each message comes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_a_queue() {
    let _guard = watchdog(LATE);
    const TASKS: u32 = 4;
    const EACH: u32 = 1000;
    for (_, queue) in places(4) {
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let mut sender = Sender::new(&queue.sender().unwrap()).unwrap();
            tasks.push(tokio::spawn(async move {
                for number in 0..EACH {
                    sender.send(&(task * EACH + number).to_le_bytes()).await.unwrap();
                }
                Vec::new()
            }));
        }
        for _ in 0..TASKS {
            let mut receiver = Receiver::new(&queue.receiver().unwrap()).unwrap();
            tasks.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..EACH {
                    seen.push(number(&receiver.recv().await.unwrap()));
                }
                seen
            }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.unwrap());
        }
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..TASKS * EACH));
    }
}

/// A task that always finds something leaves others their turn, on one thread.
#[tokio::test]
async fn a_busy_receiver_lets_others_run() {
    let _guard = watchdog(LATE);
    let (_, queue) = place("shm:", 8).unwrap();
    let blocking = queue.sender().unwrap();
    let mut receiver = Receiver::new(&queue.receiver().unwrap()).unwrap();
    let other = tokio::spawn(async {});
    while !other.is_finished() {
        blocking.send(b"1234").unwrap();
        receiver.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_queue_that_fails_does_not_wait() {
    let name = format!("shm:{}", unique_name("tokio"));
    let mut options = Queue::<[u8]>::options();
    options.capacity(1).max_len(8).overflow(Overflow::Fail).unlink_on_drop(true);
    let queue = options.create(&name).unwrap();
    let mut sender = Sender::new(&queue.sender().unwrap()).unwrap();
    sender.send(b"1").await.unwrap();
    assert!(matches!(sender.send(b"2").await, Err(SendError::Full)));
    assert!(matches!(sender.send(&[0; 100]).await, Err(SendError::TooLarge { len: 100, max: 8 })));
}

/// Loans and batches, on one thread: whatever was dropped half-way left nothing in the queue, and took nothing from it.
#[tokio::test]
async fn loans_and_batches_survive_dropped_futures() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 4000;
    for (_, queue) in places(4) {
        let mut sender = Sender::new(&queue.sender().unwrap()).unwrap();
        let mut receiver = Receiver::new(&queue.receiver().unwrap()).unwrap();
        let sending = tokio::spawn(async move {
            let (mut random, mut number, mut dropped) = (Random::new(5), 0_u32, 0);
            while number < COUNT {
                let bytes = number.to_le_bytes();
                if random.below(2) == 0 {
                    match a_few(&mut random, sender.loan_slice(bytes.len())).await {
                        Some(loan) => {
                            let mut loan = loan.unwrap();
                            loan.copy_from_slice(&bytes);
                            // One of the kernel's queues is a copy, which waits for room; dropped, it was not sent.
                            match at_most(random.below(2) + 1, sender.send_loan(loan)).await {
                                Some(sent) => {
                                    sent.unwrap();
                                    number += 1;
                                }
                                None => dropped += 1,
                            }
                        }
                        None => dropped += 1,
                    }
                } else {
                    let batch: Vec<_> = (number..COUNT.min(number + 6)).map(u32::to_le_bytes).collect();
                    let batch: Vec<&[u8]> = batch.iter().map(|bytes| &bytes[..]).collect();
                    match a_few(&mut random, sender.send_some(&batch)).await {
                        Some(sent) => number += sent.unwrap() as u32,
                        None => dropped += 1,
                    }
                }
                // The only thread's other task, which empties the queue; at times it is full before that.
                if random.below(8) == 0 {
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(sender.send_some(&[]).await.unwrap(), 0);
            assert_eq!(sender.send_many(&[b"last", b"one!"]).await.unwrap(), 2);
            dropped
        });
        for wanted in 0..COUNT {
            assert_eq!(number(&receiver.recv().await.unwrap()), wanted, "lost or doubled");
        }
        for wanted in [b"last", b"one!"] {
            assert_eq!(*receiver.recv().await.unwrap(), *wanted);
        }
        assert!(receiver.try_recv().is_err());
        assert!(sending.await.unwrap() > 0, "no future was dropped");
    }
}

#[tokio::test]
async fn values_and_priorities_are_lent_and_sent() {
    let _guard = watchdog(LATE);
    let name = format!("shm:{}", unique_name("tokio"));
    let mut options = Queue::<u64>::options();
    let queue = options.capacity(2).unlink_on_drop(true).create(&name).unwrap();
    let mut sender = Sender::new(&queue.sender().unwrap()).unwrap();
    let mut receiver = Receiver::new(&queue.receiver().unwrap()).unwrap();
    let mut loan = sender.loan().await.unwrap();
    *loan = 7;
    // It has its place from the beginning: with another message the queue is full.
    sender.send_with(&9, Priority(3)).await.unwrap();
    assert!(at_most(1, sender.send(&1)).await.is_none());
    assert!(at_most(1, sender.loan()).await.is_none());
    assert!(matches!(sender.try_send(&1), Err(TrySendError::Full)));
    sender.send_loan(loan).await.unwrap();
    for wanted in [9, 7] {
        assert_eq!(*receiver.recv().await.unwrap(), wanted);
    }
    let mut properties = Properties::new();
    properties.set("kind", b"x");
    let loan = sender.loan_with(&properties).await.unwrap();
    sender.send_loan(loan).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap().properties().get("kind"), Some(&b"x"[..]));
}
