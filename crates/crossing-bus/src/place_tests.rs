//! Loans, samples in place, and the policies.

use super::*;
use crossing_testkit::{Child, role, unique_name};
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

fn topic(name: &str, overflow: Overflow) -> Topic<[u8]> {
    Topic::<[u8]>::options().depth(4).max_len(4096).max_borrowed(3).overflow(overflow).open(name).unwrap()
}

fn long(number: u64) -> Vec<u8> {
    vec![number as u8; 1000 + number as usize % 3000]
}

#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Image {
    number: u64,
    pixels: [u32; 500],
}

#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Tick {
    price: i64,
    size: u64,
}

#[test]
fn loans_are_written_in_place_and_published_by_sending() {
    let name = unique_name("place");
    let topic = Topic::<Image>::options().depth(4).open(&name).unwrap();
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    for number in 0..50 {
        let mut loan = publisher.loan().unwrap();
        loan.number = number;
        loan.pixels.fill(number as u32);
        drop(publisher.loan().unwrap());
        assert!(matches!(subscriber.try_recv(), Err(TryRecvError::Empty)));
        loan.send().unwrap();
        let sample = subscriber.recv_timeout(LONG).unwrap();
        assert_eq!(*sample, Image { number, pixels: [number as u32; 500] });
        assert!(sample.is_in_place() || number == 0, "admitted by its first message");
    }
    let _loans = [publisher.loan().unwrap(), publisher.loan().unwrap()];
    assert!(matches!(publisher.loan(), Err(LoanError::TooMany { max: 2 })));
    publisher.send(&Image { number: 99, pixels: [1; 500] }).unwrap();
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().number, 99);
}

#[test]
fn short_values_are_lent_and_copied() {
    let name = unique_name("place");
    let topic = Topic::<Tick>::options().depth(4).open(&name).unwrap();
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    for price in 0..20 {
        let mut loan = publisher.loan().unwrap();
        (loan.price, loan.size) = (-price, 7);
        loan.send().unwrap();
        let sample = subscriber.recv_timeout(LONG).unwrap();
        assert_eq!((*sample, sample.is_in_place()), (Tick { price: -price, size: 7 }, false));
    }
}

#[test]
fn slices_of_any_length_are_lent() {
    let name = unique_name("place");
    let topic = topic(&name, Overflow::DropOldest);
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    for len in [0, 1, 48, 49, 112, 113, 1000, 4096] {
        let mut loan = publisher.loan_slice(len).unwrap();
        for (index, byte) in loan.iter_mut().enumerate() {
            *byte = index as u8;
        }
        loan.truncate(len.saturating_sub(1));
        loan.send().unwrap();
        let sample = subscriber.recv_timeout(LONG).unwrap();
        assert_eq!(sample.len(), len.saturating_sub(1));
        assert!(sample.iter().enumerate().all(|(index, byte)| *byte == index as u8));
    }
    assert!(matches!(publisher.loan_slice(4097), Err(LoanError::TooLarge { len: 4097, max: 4096 })));
}

#[test]
fn samples_are_held_while_newer_ones_flow_and_outlive_everybody() {
    let name = unique_name("place");
    let topic = topic(&name, Overflow::DropOldest);
    let (mut subscriber, mut other) = (topic.subscriber().unwrap(), topic.subscriber().unwrap());
    let publisher = topic.publisher().unwrap();
    let mut held = Vec::new();
    for number in 0..300 {
        publisher.send(&long(number)).unwrap();
        let sample = subscriber.recv_timeout(LONG).unwrap();
        assert_eq!(*sample, *long(number));
        if number % 100 == 50 {
            assert!(sample.is_in_place());
            held.push((number, sample));
        }
        assert_eq!(*other.recv_timeout(LONG).unwrap(), *long(number));
        assert!(held.iter().all(|(number, sample)| **sample == *long(*number)), "at {number}");
        if held.len() == 3 {
            break;
        }
    }
    publisher.send(&long(7)).unwrap();
    assert!(matches!(subscriber.try_recv(), Err(TryRecvError::TooManyHeld { max: 3 })));
    held.pop();
    assert_eq!(*subscriber.recv_timeout(LONG).unwrap(), *long(7), "nothing was lost by it");
    drop(subscriber);
    // Its subscriber is gone, but what is held stays as it is, however much is published.
    for number in 0..100 {
        publisher.send(&long(number)).unwrap();
        other.recv_timeout(LONG).unwrap();
        publisher.check().unwrap();
        assert!(held.iter().all(|(number, sample)| **sample == *long(*number)), "at {number}");
    }
    assert_eq!(publisher.subscribers(), 1);
    drop(publisher);
    drop(other);
    assert!(held.iter().all(|(number, sample)| **sample == *long(*number)));
    drop(held);
    drop(topic.publisher().unwrap());
    assert_eq!(crossing_shm::registry::list_under(&format!("topic/{name}/")).unwrap(), []);
}

#[test]
fn those_who_do_not_trust_copy() {
    let name = unique_name("place");
    let trusting = topic(&name, Overflow::DropOldest);
    let distrustful = Topic::<[u8]>::options().depth(4).max_len(4096).in_place(false).open(&name).unwrap();
    let mut subscriber = distrustful.subscriber().unwrap();
    let publisher = trusting.publisher().unwrap();
    let mut held = Vec::new();
    for number in 0..20 {
        publisher.send(&long(number)).unwrap();
        held.push(subscriber.recv_timeout(LONG).unwrap());
    }
    for (number, sample) in held.iter().enumerate() {
        assert!(!sample.is_in_place() && **sample == *long(number as u64));
    }
}

#[test]
fn the_newest_is_dropped_and_counted() {
    let name = unique_name("place");
    let topic = topic(&name, Overflow::DropNewest);
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    let mut next = 0;
    for round in 1..5 {
        for _ in 0..4 + round {
            publisher.send(&long(next)).unwrap();
            next += 1;
        }
        // The first four of each round are kept, and the first tells how many were dropped at the end of the last.
        for number in next - 4 - round..next - round {
            let sample = subscriber.recv_timeout(LONG).unwrap();
            let missed = if number == next - 4 - round { round - 1 } else { 0 };
            assert_eq!((&*sample, sample.missed()), (&*long(number), missed), "round {round}");
        }
        assert!(subscriber.try_recv().is_err());
        assert_eq!(publisher.dropped(), (1..=round).sum());
    }
}

#[test]
fn full_is_an_error_where_it_was_asked_for() {
    let name = unique_name("place");
    let topic = topic(&name, Overflow::Fail);
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    (0..4).for_each(|number| publisher.send(&long(number)).unwrap());
    let me = std::process::id();
    assert!(matches!(publisher.send(b"no"), Err(SendError::Full { slowest }) if slowest == me));
    let loan = publisher.loan_slice(9).unwrap();
    let Err((loan, SendError::Full { .. })) = loan.try_send() else { panic!("sent") };
    assert_eq!(*subscriber.recv_timeout(LONG).unwrap(), *long(0));
    loan.send().unwrap();
    for number in 1..4 {
        assert_eq!(*subscriber.recv_timeout(LONG).unwrap(), *long(number));
    }
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().len(), 9);
    // Nobody is waited for who is gone.
    (0..4).for_each(|number| publisher.send(&long(number)).unwrap());
    drop(subscriber);
    publisher.send(b"yes").unwrap();
}

#[test]
fn the_latest_without_the_others() {
    let name = unique_name("place");
    let topic = topic(&name, Overflow::DropOldest);
    assert!(topic.latest().unwrap().is_none());
    let publisher = topic.publisher().unwrap();
    assert!(topic.latest().unwrap().is_none());
    let mut subscriber = topic.subscriber().unwrap();
    assert!(subscriber.latest().unwrap().is_none());
    for number in 0..10 {
        publisher.send(&long(number)).unwrap();
        assert_eq!(*topic.latest().unwrap().unwrap(), *long(number));
    }
    for _ in 0..2 {
        assert_eq!(topic.latest().unwrap().unwrap().position(), 9, "it stays");
    }
    let sample = subscriber.latest().unwrap().unwrap();
    assert_eq!((&*sample, sample.missed()), (&*long(9), 0));
    assert!(subscriber.latest().unwrap().is_none());
    drop(publisher);
}

#[test]
#[ignore = "a child process"]
fn role_member() {
    let Some(role) = role("place_tests::role_member") else { return };
    let mut subscriber = topic(&role.argument("name"), Overflow::DropOldest).subscriber().unwrap();
    let sample = subscriber.recv_timeout(LONG).unwrap();
    role.say("joined");
    let more: Vec<_> = (0..2).map(|_| subscriber.recv_timeout(LONG).unwrap()).collect();
    role.say("holds");
    if role.argument("end") == "leave" {
        drop(more);
        drop((subscriber, sample));
        role.say("left");
    }
    role.pause();
}

#[test]
fn members_come_leave_and_die_visibly() {
    let name = unique_name("place");
    let topic = topic(&name, Overflow::DropOldest);
    let publisher = topic.publisher().unwrap();
    let mut here = topic.subscriber().unwrap();
    let change = here.next_change().unwrap();
    assert_eq!(
        (change.kind, change.member, change.pid),
        (ChangeKind::Joined, publisher.key(), std::process::id())
    );
    publisher.send(b"first").unwrap();
    assert_eq!(publisher.next_change().unwrap().kind, ChangeKind::Joined);
    for (end, kind) in [("leave", ChangeKind::Left), ("die", ChangeKind::Died)] {
        let mut child =
            Child::role("place_tests::role_member").argument("name", &name).argument("end", end).spawn();
        while publisher.subscribers() < 2 {
            publisher.await_news(None).unwrap();
        }
        let change = publisher.next_change().unwrap();
        assert_eq!((change.kind, change.pid), (ChangeKind::Joined, child.pid()));
        publisher.send(&long(1)).unwrap();
        child.expect("joined");
        for number in 0..100 {
            publisher.send(&long(number)).unwrap();
            if number == 1 {
                // It holds all that it may; publishing goes on.
                child.expect("holds");
            }
        }
        if end == "leave" {
            child.expect("left");
        } else {
            child.kill();
        }
        while publisher.subscribers() > 1 {
            publisher.await_news(Some(std::time::Instant::now() + SECOND)).unwrap();
            publisher.check().unwrap();
        }
        let change = publisher.next_change().unwrap();
        assert_eq!((change.kind, change.pid, publisher.next_change()), (kind, child.pid(), None));
        publisher.send(b"on").unwrap();
    }
    assert_eq!(publisher.lost_changes(), 0);
    drop(publisher);
    here.check().unwrap();
    assert_eq!(here.next_change().unwrap().kind, ChangeKind::Left);
}

#[test]
fn limits_are_kept_and_named() {
    let name = unique_name("place");
    let open = |max| Topic::<[u8]>::options().max_subscribers(max).open(&name);
    let topic = open(2).unwrap();
    let _two = [topic.subscriber().unwrap(), topic.subscriber().unwrap()];
    let error = topic.subscriber().unwrap_err();
    assert_eq!(error.kind(), crossing_sys::ErrorKind::LimitReached);
    assert!(error.to_string().contains("max_subscribers"), "{error}");
    for wrong in [
        open(0),
        open(257),
        Topic::<[u8]>::options().max_borrowed(65).open(&name),
        Topic::<[u8]>::options().max_loans(0).open(&name),
        Topic::<[u8]>::options().depth(3).open(&name),
    ] {
        assert_eq!(wrong.unwrap_err().kind(), crossing_sys::ErrorKind::ApiMisuse);
    }
}

/// Wine keeps of a file's descriptor what a file's mode can say: on Windows those of crossing-sys show what is asked for.
#[cfg(unix)]
#[test]
fn members_are_as_accessible_as_their_topic() {
    use crossing_shm::registry;
    use crossing_sys::file::Access;
    for access in [Access::Private, Access::Group, Access::World] {
        let name = unique_name("place");
        let topic = Topic::<u64>::options().access(access).open(&name).unwrap();
        let event = Event::options().access(access).open(&name).unwrap();
        let (publisher, mut subscriber) = (topic.publisher().unwrap(), topic.subscriber().unwrap());
        let (mut notifier, mut waiter) = (event.notifier().unwrap(), event.waiter().unwrap());
        publisher.send(&1).unwrap();
        notifier.notify(2).unwrap();
        assert_eq!(*subscriber.recv_timeout(LONG).unwrap(), 1);
        assert!(waiter.wait_timeout(LONG).unwrap().unwrap().contains(2));
        let segments =
            [format!("topic/{name}/"), format!("event/{name}/")].map(|under| registry::list_under(&under));
        let segments: Vec<_> = segments.into_iter().flat_map(Result::unwrap).collect();
        assert!(segments.len() >= 5, "a ring, cursors, two bells and an event: {segments:?}");
        for segment in segments {
            let found = registry::inspect(&segment.name).unwrap();
            assert_eq!(found.access, access, "{}", segment.name);
            assert_eq!(mode(&found.path), [0o600, 0o660, 0o666][access as usize], "{}", segment.name);
        }
    }
}

/// Every slot pretends to hold something newer, for ever: neither a look nor a wait is endless, and others are heard.
#[test]
fn a_ring_that_pretends_holds_nobody_up() {
    use crossing_shm::{Segment, registry};
    for leaves in [false, true] {
        let name = unique_name("place");
        let topic = topic(&name, Overflow::DropOldest);
        let mut subscriber = topic.subscriber().unwrap();
        let liar = topic.publisher().unwrap();
        liar.send(b"a first one").unwrap();
        assert_eq!(&*subscriber.recv_timeout(LONG).unwrap(), b"a first one");
        let ring = registry::list_under(&format!("topic/{name}/pub-")).unwrap().remove(0);
        let ring = Segment::options().schema(ring.schema).open(&ring.name).unwrap();
        if leaves {
            drop(liar);
        }
        // All but the header and the line of the tail; a sequence of the far future.
        for word in 192 / 8..ring.len() / 8 {
            ring.write_bytes(word * 8, &(1_u64 << 61).to_le_bytes()).unwrap();
        }
        assert!(matches!(subscriber.try_recv(), Err(TryRecvError::Empty)));
        assert!(matches!(subscriber.latest(), Ok(None)));
        assert!(matches!(subscriber.recv_timeout(Duration::from_millis(20)), Err(RecvError::TimedOut)));
        let honest = topic.publisher().unwrap();
        honest.send(b"another").unwrap();
        assert_eq!(&*subscriber.recv_timeout(LONG).unwrap(), b"another");
    }
}

#[test]
fn deadlines_and_iterators_receive() {
    let name = unique_name("place");
    let topic = Topic::<u64>::options().overflow(Overflow::Block).open(&name).unwrap();
    let (publisher, mut subscriber) = (topic.publisher().unwrap(), topic.subscriber().unwrap());
    let past = std::time::Instant::now();
    assert!(matches!(subscriber.recv_deadline(past), Err(RecvError::TimedOut)));
    (0..6).for_each(|number| publisher.send(&number).unwrap());
    assert_eq!(*subscriber.recv_deadline(past + LONG).unwrap(), 0);
    let waited: Vec<u64> = subscriber.iter().take(2).map(|sample| *sample.unwrap()).collect();
    assert_eq!(waited, [1, 2]);
    assert_eq!(subscriber.try_iter().map(|sample| *sample).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(subscriber.try_iter().next().is_none());
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn every_way_of_waiting_receives() {
    for waiting in [Waiting::Sleep, Waiting::Spin, Waiting::Adaptive(Duration::from_micros(20))] {
        let name = unique_name("place");
        let topic = Topic::<u64>::options().waiting(waiting).overflow(Overflow::Block).open(&name).unwrap();
        let mut subscriber = topic.subscriber().unwrap();
        assert!(matches!(subscriber.recv_timeout(Duration::from_millis(3)), Err(RecvError::TimedOut)));
        let publisher = topic.publisher().unwrap();
        let sender = std::thread::spawn(move || (0..500).for_each(|number| publisher.send(&number).unwrap()));
        for number in 0..500 {
            assert_eq!(*subscriber.recv_timeout(LONG).unwrap(), number);
        }
        sender.join().unwrap();
    }
}
