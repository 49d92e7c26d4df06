//! What a topic costs does not depend on how many others there are.

use crate::{Event, Overflow, Publisher, Subscriber, Topic};
use crossing_sys::directory::entries_seen;
use crossing_testkit::unique_name;
use std::time::Duration;

fn topic(name: &str) -> Topic<[u8]> {
    let options = Topic::<[u8]>::options().depth(8).max_len(16).max_subscribers(1).max_loans(1);
    options.overflow(Overflow::DropOldest).open(name).unwrap()
}

/// How many entries of directories are looked at meanwhile.
fn looks<T>(act: impl FnOnce() -> T) -> (T, u64) {
    let before = entries_seen();
    let result = act();
    (result, entries_seen() - before)
}

fn pair(name: &str) -> (Publisher<[u8]>, Subscriber<[u8]>) {
    let topic = topic(name);
    (topic.publisher().unwrap(), topic.subscriber().unwrap())
}

/// What each step of a topic's life looks at: joining, looking around, an event's joining, leaving.
fn life(name: &str) -> [u64; 4] {
    let ((publisher, mut subscriber), joining) = looks(|| pair(name));
    let ((), looking) = looks(|| {
        publisher.check().unwrap();
        subscriber.check().unwrap();
    });
    publisher.send(b"still").unwrap();
    assert_eq!(&*subscriber.recv_timeout(Duration::from_secs(60)).unwrap(), b"still");
    let event = Event::options().open(name).unwrap();
    let (members, notifying) = looks(|| (event.waiter().unwrap(), event.notifier().unwrap()));
    let ((), leaving) = looks(|| drop((members, publisher, subscriber)));
    [joining, looking, notifying, leaving]
}

#[test]
fn a_topic_looks_at_nothing_of_other_topics() {
    let name = unique_name("many");
    let alone = life(&name);
    assert!(alone.iter().all(|count| *count > 0), "counted: {alone:?}");
    // As neighbours of the same beginning: on both sides of it in any order, and within it.
    let mut others = Vec::new();
    for count in [1, 7, 24] {
        others.extend((0..count).map(|number| pair(&format!("{name}/{count}-{number}"))));
        others.extend((0..count).map(|number| pair(&format!("{name}{count}-{number}"))));
        assert_eq!(life(&name), alone, "among {} others", others.len());
    }
}
