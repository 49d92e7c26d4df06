//! Who waits and hears nothing costs no processor time to speak of.

use crossing_bus::{Event, Topic};
use crossing_queue::Queue;
use crossing_testkit::unique_name;
use std::time::{Duration, Instant};

/// How long each waits for nothing.
const IDLE: Duration = Duration::from_secs(2);

/// Processor time of this thread so far, where the system tells it.
fn used() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn check(what: &str, wait: impl FnOnce()) {
    let Some(before) = used() else {
        println!("this system does not tell a thread's time: nothing was shown for {what}");
        return;
    };
    let begun = Instant::now();
    wait();
    let (waited, cost) = (begun.elapsed(), used().unwrap() - before);
    println!("{what}: {cost:?} of {waited:?}");
    // Some twenty looks whether those live who would ring: 0.1 %. Spinning would cost all of it that the others leave.
    assert!(waited >= IDLE && cost < IDLE / 100, "{what}: {cost:?} of {waited:?}");
}

#[test]
fn waiting_costs_nothing() {
    let begun = used();
    let end = Instant::now() + Duration::from_millis(50);
    while Instant::now() < end && begun.is_some_and(|begun| used().unwrap() - begun < IDLE / 100) {}
    assert!(begun.is_none_or(|begun| used().unwrap() > begun), "what is used is seen");

    let name = unique_name("idle");
    let topic = Topic::<[u8]>::options().open(&name).unwrap();
    let (publisher, mut subscriber) = (topic.publisher().unwrap(), topic.subscriber().unwrap());
    publisher.send(b"the last").unwrap();
    assert_eq!(*subscriber.recv().unwrap(), *b"the last");
    check("a subscriber", || assert!(subscriber.recv_timeout(IDLE).is_err()));

    let event = Event::options().open(&name).unwrap();
    let (_notifier, mut waiter) = (event.notifier().unwrap(), event.waiter().unwrap());
    check("a waiter of an event", || assert!(waiter.wait_timeout(IDLE).unwrap().is_none()));

    let mut options = Queue::<[u8]>::options();
    options.capacity(2).unlink_on_drop(true);
    let queue = options.create(&format!("shm:{name}")).unwrap();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    check("a receiver", || assert!(receiver.recv_timeout(IDLE).is_err()));
    (0..2).for_each(|_| sender.send(b"full").unwrap());
    check("a sender", || assert!(sender.send_timeout(b"no room", IDLE).is_err()));
}
