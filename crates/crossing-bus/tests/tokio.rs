//! Topics and events for tokio, with futures that are dropped at random.
#![cfg(unix)] // tokio waits on descriptors there alone

use crossing_bus::tokio::{Publisher, Subscriber, Waiter};
use crossing_bus::{Event, Overflow, SendError, Topic};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{Child, role, unique_name, watchdog};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Far longer than any machine needs.
const LATE: Duration = Duration::from_secs(120);

fn topic(name: &str) -> Topic<[u8]> {
    Topic::<[u8]>::options().depth(16).max_len(64).overflow(Overflow::Block).open(name).unwrap()
}

/// Polls `future` some times, or for some time, and drops it unless it is ready by then.
async fn for_a_while<T>(future: impl Future<Output = T>, random: &mut Random) -> Option<T> {
    if random.below(2) == 0 {
        return tokio::time::timeout(Duration::from_micros(random.below(200)), future).await.ok();
    }
    let mut future = pin!(future);
    let mut left = random.below(3) + 1;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_publisher() {
    let Some(role) = role("role_publisher") else { return };
    let publisher = topic(&role.argument("topic")).publisher().unwrap();
    let mut notifier = Event::options().open(&role.argument("event")).unwrap().notifier().unwrap();
    while publisher.subscribers() == 0 || notifier.waiters() == 0 {
        publisher.check().unwrap();
        notifier.check().unwrap();
    }
    let mut random = Random::new(7);
    for number in 0..role.argument("count").parse::<u32>().unwrap() {
        publisher.send(&number.to_le_bytes()).unwrap();
        notifier.notify(number % 1024).unwrap();
        if random.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(300)));
        }
    }
    role.say("done");
    let _ = role.hear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiving_and_waiting_survive_dropped_futures() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 1000;
    let (name, event) = (unique_name("bus-tokio"), unique_name("bus-tokio"));
    let mut subscriber = Subscriber::new(topic(&name).subscriber().unwrap()).unwrap();
    let waiter = Event::options().open(&event).unwrap().waiter().unwrap();
    let mut waiter = Waiter::new(waiter).unwrap();
    let child = Child::role("role_publisher").argument("topic", &name).argument("event", &event);
    let mut child = child.argument("count", COUNT.to_string()).spawn();
    let ids = tokio::spawn(async move {
        let (mut random, mut ids) = (Random::new(8), BTreeSet::new());
        while ids.len() < COUNT as usize {
            if let Some(more) = for_a_while(waiter.wait(), &mut random).await {
                ids.extend(more.unwrap().iter());
            }
        }
        ids
    });
    let (mut random, mut wanted, mut dropped) = (Random::new(9), 0, 0);
    while wanted < COUNT {
        match for_a_while(subscriber.recv(), &mut random).await {
            Some(sample) => {
                let sample = sample.unwrap();
                let number = u32::from_le_bytes((*sample).try_into().unwrap());
                assert_eq!((number, sample.missed()), (wanted, 0), "lost or doubled");
                wanted += 1;
            }
            None => dropped += 1,
        }
    }
    assert!(ids.await.unwrap().into_iter().eq(0..COUNT));
    child.expect("done");
    child.tell("end");
    child.wait(LATE).success();
    assert!(subscriber.blocking().try_recv().is_err());
    assert!(dropped > 0, "no future was dropped");
}

#[tokio::test]
async fn tasks_of_one_thread_take_turns() {
    let _guard = watchdog(LATE);
    let name = unique_name("bus-tokio");
    let topic = topic(&name);
    let publisher = topic.publisher().unwrap();
    let mut subscriber = Subscriber::new(topic.subscriber().unwrap()).unwrap();
    let task = tokio::spawn(async move {
        for wanted in 0..100_u32 {
            assert_eq!(*subscriber.recv().await.unwrap(), wanted.to_le_bytes());
        }
    });
    for number in 0..100_u32 {
        publisher.send(&number.to_le_bytes()).unwrap();
        tokio::task::yield_now().await;
    }
    task.await.unwrap();
}

/// A ring of 16 and subscribers that read now and then: publishing waits, and is dropped there; nothing is lost or doubled.
#[tokio::test]
async fn publishing_survives_dropped_futures() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 5000;
    let name = unique_name("bus-tokio");
    let topic = topic(&name);
    let readers: Vec<_> = (0..3_u64)
        .map(|reader| {
            let mut subscriber = Subscriber::new(topic.subscriber().unwrap()).unwrap();
            tokio::spawn(async move {
                let (mut random, mut wanted) = (Random::new(20 + reader), 0_u32);
                while wanted < COUNT {
                    let Some(sample) = a_few(&mut random, subscriber.recv()).await else { continue };
                    let sample = sample.unwrap();
                    assert_eq!(*sample, wanted.to_le_bytes(), "lost or doubled");
                    assert_eq!(sample.missed(), 0);
                    wanted += 1;
                    if random.below(8) == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                assert!(subscriber.try_recv().is_err());
            })
        })
        .collect();
    let mut publisher = Publisher::new(topic.publisher().unwrap()).unwrap();
    let (mut random, mut number, mut dropped) = (Random::new(19), 0_u32, 0);
    while number < COUNT {
        let outcome = if random.below(3) == 0 {
            // Room is the publisher's own: what it sends at once then does not wait.
            let room = a_few(&mut random, publisher.room()).await;
            room.map(|room| {
                room.unwrap();
                let mut loan = publisher.blocking().loan_slice(4).unwrap();
                loan.copy_from_slice(&number.to_le_bytes());
                assert!(loan.try_send().is_ok(), "there was room");
            })
        } else {
            a_few(&mut random, publisher.send(&number.to_le_bytes())).await.map(|sent| sent.unwrap())
        };
        match outcome {
            Some(()) => number += 1,
            None => {
                dropped += 1;
                // The only thread's other tasks.
                tokio::task::yield_now().await;
            }
        }
    }
    while a_few(&mut random, publisher.flush()).await.transpose().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(publisher.blocking().position(), u64::from(COUNT));
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(dropped > 0, "no future was dropped");
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_idle_subscriber() {
    let Some(role) = role("role_idle_subscriber") else { return };
    let _subscriber = topic(&role.argument("topic")).subscriber().unwrap();
    role.say("subscribed");
    role.pause();
}

#[tokio::test]
async fn a_killed_subscriber_does_not_hold_up_a_publisher() {
    let _guard = watchdog(LATE);
    let name = unique_name("bus-tokio");
    let mut idle = Child::role("role_idle_subscriber").argument("topic", &name).spawn();
    idle.expect("subscribed");
    let mut publisher = Publisher::new(topic(&name).publisher().unwrap()).unwrap();
    for number in 0..16_u32 {
        publisher.send(&number.to_le_bytes()).await.unwrap();
    }
    assert!(at_most(1, publisher.send(b"full")).await.is_none());
    assert!(at_most(1, publisher.room()).await.is_none());
    assert!(at_most(1, publisher.flush()).await.is_none());
    idle.kill();
    publisher.send(b"room").await.unwrap();
    publisher.flush().await.unwrap();
}

#[tokio::test]
async fn a_topic_that_fails_does_not_wait() {
    let name = unique_name("bus-tokio");
    let topic = Topic::<[u8]>::options().depth(2).max_len(8).overflow(Overflow::Fail).open(&name).unwrap();
    let _slow = topic.subscriber().unwrap();
    let mut publisher = Publisher::new(topic.publisher().unwrap()).unwrap();
    publisher.send(b"1").await.unwrap();
    publisher.send(b"2").await.unwrap();
    publisher.room().await.unwrap();
    assert!(matches!(publisher.send(b"3").await, Err(SendError::Full { .. })));
    assert!(matches!(publisher.send(&[0; 9]).await, Err(SendError::TooLarge { len: 9, max: 8 })));
}
