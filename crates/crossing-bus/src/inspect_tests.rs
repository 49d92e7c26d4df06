use super::*;
use crate::{Event, Overflow, Topic};

fn name(test: &str) -> String {
    format!("inspect-{test}-{}", std::process::id())
}

fn options(overflow: Overflow) -> crate::TopicOptions<[u8]> {
    Topic::<[u8]>::options().depth(4).max_len(1000).schema(7).overflow(overflow)
}

#[test]
fn members_places_losses_and_costs() {
    let name = name("topic");
    let topic = options(Overflow::DropOldest).open(&name).unwrap();
    let mut slow = topic.subscriber().unwrap();
    let _idle = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    for number in 0..10_u8 {
        publisher.send(&[number; 500]).unwrap();
    }
    let sample = slow.recv().unwrap();
    assert_eq!((sample[0], sample.missed()), (6, 6));
    let report = topic_report(&name);
    let [publisher] = &report.publishers[..] else { panic!("{report:?}") };
    assert!(publisher.alive && !publisher.left);
    assert_eq!((publisher.published, publisher.dropped, publisher.depth), (10, 0, 4));
    assert_eq!((publisher.pid, publisher.max_len), (std::process::id(), 1000));
    let carries = Carries { schema: 7, size: None, align: 1, overflow: "drop-oldest" };
    assert_eq!(publisher.carries, carries);
    assert!(publisher.memory > 4 * 1000 && report.memory > publisher.memory);
    assert_eq!(report.subscribers.len(), 2);
    let mut reads: Vec<_> = report.subscribers.iter().flat_map(|one| &one.reads).copied().collect();
    reads.sort_by_key(|reading| reading.behind);
    // The idle one has not looked yet: it does not know what it has lost.
    let at = |behind, missed| ReadingReport { publisher: publisher.key, behind, missed };
    assert!(reads.contains(&at(Some(3), 6)), "{reads:?}");
    assert!(reads.iter().all(|reading| [at(Some(3), 6), at(Some(10), 0)].contains(reading)), "{reads:?}");
    let held: usize = report.subscribers.iter().map(|one| one.held).sum();
    assert_eq!(held, report.publishers[0].admitted.min(1), "one sample is in hand, in place if it was let");
    assert!(report.damaged.is_empty());
}

fn topic_report(name: &str) -> TopicReport {
    topic(name).unwrap()
}

#[test]
fn what_a_publisher_drops_is_seen() {
    let name = name("drops");
    let topic = options(Overflow::DropNewest).open(&name).unwrap();
    let _reads_nothing = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    for number in 0..10_u8 {
        publisher.send(&[number]).unwrap();
    }
    let seen = &topic_report(&name).publishers[0];
    assert_eq!((seen.published, seen.dropped), (4, 6));
    assert_eq!(publisher.dropped(), 6);
}

#[test]
fn nobody_there_is_not_found() {
    let name = name("none");
    assert_eq!(topic(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(event(&name).unwrap_err().kind(), ErrorKind::NotFound);
    let publisher = options(Overflow::Block).open(&name).unwrap().publisher().unwrap();
    assert_eq!(topic_report(&name).subscribers, []);
    drop(publisher);
    assert_eq!(topic(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn names_within_names_are_others() {
    let name = name("within");
    let inner = format!("{name}/inner");
    let _publisher = options(Overflow::Block).open(&inner).unwrap().publisher().unwrap();
    let _notifier = Event::options().open(&inner).unwrap().notifier().unwrap();
    assert_eq!(topic(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(event(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(topic_report(&inner).publishers.len(), 1);
    let entries = registry::list_under(&format!("topic/{inner}/")).unwrap();
    assert!(!entries.is_empty());
    assert!(entries.iter().all(|entry| member_of(&entry.name) == Some((Kind::Topic, &*inner))));
    for no in [
        "pub-00000000",
        "topic/pub-00000000",
        "topic/a/pub-0000000",
        "topic/a/x-00000000",
        "a/b/pub-00000000",
    ] {
        assert_eq!(member_of(no), None, "{no}");
    }
}

#[test]
fn ids_that_wait_are_seen_and_stay() {
    let name = name("event");
    let event = Event::options().open(&name).unwrap();
    let mut waiter = event.waiter().unwrap();
    let mut notifier = event.notifier().unwrap();
    notifier.notify(3).unwrap();
    notifier.notify(900).unwrap();
    let report = super::event(&name).unwrap();
    let [waits] = &report.waiters[..] else { panic!("{report:?}") };
    assert_eq!(waits.pending.unwrap().iter().collect::<Vec<_>>(), [3, 900]);
    assert!(waits.alive && report.notifiers[0].alive && report.notifiers[0].pending.is_none());
    assert_eq!(waiter.try_wait().unwrap().unwrap().len(), 2, "looking takes nothing");
    assert!(super::event(&name).unwrap().waiters[0].pending.unwrap().is_empty());
}
