//! Topics and events for tokio, with futures that are dropped at random.
#![cfg(unix)] // tokio waits on descriptors there alone

use crossing_bus::tokio::{Subscriber, Waiter};
use crossing_bus::{Event, Overflow, Topic};
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
