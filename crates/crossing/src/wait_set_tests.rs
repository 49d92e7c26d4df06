use super::*;
use crate::bus::{Event, Topic};
use crate::queue::Queue;
use crossing_testkit::unique_name;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn topics_events_and_queues_together() {
    let name = unique_name("wait-set");
    let topics = [0, 1].map(|number| Topic::<u64>::options().open(&format!("{name}-{number}")).unwrap());
    let event = Event::options().open(&name).unwrap();
    let queue = Queue::<[u8]>::options().unlink_on_drop(true).create(&format!("shm:{name}")).unwrap();
    let mut subscribers = topics.each_ref().map(|topic| topic.subscriber().unwrap());
    let mut waiter = event.waiter().unwrap();
    let receiver = queue.receiver().unwrap();
    let pollers = subscribers.each_mut().map(|subscriber| subscriber.poller().unwrap());
    let (waiting, receiving) = (waiter.poller().unwrap(), receiver.poller().unwrap());
    let mut set = WaitSet::new();
    for poller in &pollers {
        set.add(poller.handle());
    }
    set.add(waiting.handle());
    set.add(receiving.handle());
    let sender = std::thread::spawn(move || {
        let publishers = topics.each_ref().map(|topic| topic.publisher().unwrap());
        let mut notifier = event.notifier().unwrap();
        let sender = queue.sender().unwrap();
        for number in 0..100_u64 {
            publishers[number as usize % 2].send(&number).unwrap();
            notifier.notify(number as u32).unwrap();
            sender.send(&number.to_le_bytes()).unwrap();
            if number % 10 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let (mut samples, mut ids, mut messages) = (0, 0, 0);
    while samples + ids + messages < 300 {
        for (subscriber, poller) in subscribers.iter_mut().zip(&pollers) {
            subscriber.arm(poller).unwrap();
            samples += subscriber.try_iter().count();
        }
        waiter.arm(&waiting).unwrap();
        ids += waiter.try_wait().unwrap().map_or(0, |ids| ids.len());
        receiving.arm().unwrap();
        messages += std::iter::from_fn(|| receiver.try_recv().ok()).count();
        if samples + ids + messages < 300 {
            assert!(set.wait_timeout(LONG).unwrap().is_some(), "{samples} {ids} {messages}");
        }
    }
    sender.join().unwrap();
    assert_eq!((samples, ids, messages), (100, 100, 100));
}

#[test]
fn timers_and_turns() {
    let event = Event::options().open(&unique_name("wait-set")).unwrap();
    let mut waiters = [event.waiter().unwrap(), event.waiter().unwrap()];
    let pollers = waiters.each_mut().map(|waiter| waiter.poller().unwrap());
    let mut set = WaitSet::new();
    assert_eq!(set.try_wait().unwrap(), None);
    let keys = pollers.each_ref().map(|poller| set.add(poller.handle()));
    waiters.iter_mut().zip(&pollers).for_each(|(waiter, poller)| waiter.arm(poller).unwrap());
    event.notifier().unwrap().notify(1).unwrap();
    // Both are ready, and stay so: each has its turn (where a wait does not reset what it gives).
    let seen: std::collections::BTreeSet<_> =
        (0..2).map(|_| set.wait_timeout(LONG).unwrap().expect("ready")).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), keys);
    keys.into_iter().for_each(|key| set.remove(key));
    let begun = Instant::now();
    let (fast, slow) = (set.add_timer(Duration::from_millis(5)), set.add_timer(Duration::from_millis(40)));
    let mut counts = (0, 0);
    while counts.1 < 2 {
        let ready = set.wait().unwrap();
        if ready == fast {
            counts.0 += 1;
        } else {
            assert_eq!(ready, slow);
            counts.1 += 1;
        }
    }
    assert!(counts.0 >= 2 && begun.elapsed() >= Duration::from_millis(80), "{counts:?}");
    set.remove(fast);
    set.remove(slow);
    assert_eq!(set.wait_timeout(Duration::from_millis(5)).unwrap(), None);
}
