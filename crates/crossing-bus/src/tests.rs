use super::*;
use crossing_testkit::{Child, role, unique_name};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

fn bytes(name: &str, overflow: Overflow) -> Topic<[u8]> {
    Topic::<[u8]>::options().depth(8).max_len(1024).overflow(overflow).open(name).expect("topic")
}

fn message(number: u64) -> Vec<u8> {
    // Inline and chunk lengths in turn, each byte told by the number.
    let len = 8 + (number * 37 % 900) as usize;
    let mut bytes = vec![number as u8; len];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn number(sample: &[u8]) -> u64 {
    let (head, _) = sample.split_first_chunk::<8>().expect("8 bytes");
    let number = u64::from_le_bytes(*head);
    assert_eq!(sample, message(number), "torn");
    number
}

#[test]
fn every_subscriber_receives_every_message() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::DropOldest);
    let (mut one, mut two) = (topic.subscriber().unwrap(), topic.subscriber().unwrap());
    let publisher = topic.publisher().unwrap();
    for round in 0..100 {
        publisher.send(&message(round)).unwrap();
        for subscriber in [&mut one, &mut two] {
            let sample = subscriber.recv_timeout(SECOND).unwrap();
            assert_eq!((number(&sample), sample.missed(), sample.position()), (round, 0, round));
        }
    }
    assert!(matches!(one.try_recv(), Err(TryRecvError::Empty)));
}

#[test]
#[ignore = "a child process"]
fn role_publisher() {
    let Some(role) = role("tests::role_publisher") else { return };
    let topic = bytes(&role.argument("name"), Overflow::Block);
    let publisher = topic.publisher().unwrap();
    for round in 0.. {
        publisher.send(&message(round)).unwrap();
        if round == 1000 {
            role.say("thousand");
        }
    }
}

#[test]
fn two_processes() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let mut subscriber = topic.subscriber().unwrap();
    let mut child = Child::role("tests::role_publisher").argument("name", &name).spawn();
    for round in 0..2000 {
        let sample = subscriber.recv_timeout(LONG).unwrap();
        assert_eq!((number(&sample), sample.missed()), (round, 0));
    }
    child.expect("thousand");
    child.kill();
    // What it published before it died is all there; then there is nothing, and nobody hangs.
    let mut round = 2000;
    while let Ok(sample) = subscriber.recv_timeout(Duration::from_millis(200)) {
        assert_eq!((number(&sample), sample.missed()), (round, 0));
        round += 1;
    }
    drop(subscriber);
    assert_eq!(own_names(&name), Vec::<String>::new());
}

#[test]
#[ignore = "a child process"]
fn role_subscriber() {
    let Some(role) = role("tests::role_subscriber") else { return };
    let topic = bytes(&role.argument("name"), Overflow::Block);
    let mut subscriber = topic.subscriber().unwrap();
    role.say("ready");
    let mut expected = None;
    loop {
        let sample = subscriber.recv().unwrap();
        let this = number(&sample);
        assert!(sample.missed() == 0 && expected.is_none_or(|expected| expected == this));
        expected = Some(this + 1);
    }
}

fn own_names(topic: &str) -> Vec<String> {
    let entries = crossing_shm::registry::list_under(&format!("topic/{topic}/")).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn killed_subscribers_hold_up_nobody() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let publisher = topic.publisher().unwrap();
    let mut survivor = topic.subscriber().unwrap();
    let mut next = 0;
    for _ in 0..5 {
        let mut child = Child::role("tests::role_subscriber").argument("name", &name).spawn();
        child.expect("ready");
        for turn in 0..300 {
            if turn == 200 {
                child.kill();
            }
            publisher.send_timeout(&message(next), LONG).unwrap();
            let sample = survivor.recv_timeout(LONG).unwrap();
            assert_eq!((number(&sample), sample.missed()), (next, 0));
            next += 1;
        }
    }
    drop((survivor, publisher));
    // Whoever comes next clears up what the dead left, and nothing stays behind.
    drop(topic.publisher().unwrap());
    assert_eq!(own_names(&name), Vec::<String>::new());
}

#[test]
fn a_stopped_process_holds_up_its_publisher_until_it_goes_on_or_dies() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let publisher = topic.publisher().unwrap();
    let mut child = Child::role("tests::role_subscriber").argument("name", &name).spawn();
    child.expect("ready");
    child.stop();
    let mut sent = 0;
    let slowest = loop {
        match publisher.send_timeout(&message(sent), Duration::from_millis(200)) {
            Ok(()) => sent += 1,
            Err(SendError::TimedOut { slowest }) => break slowest,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 100, "nobody waited for");
    };
    assert_eq!(slowest, child.pid());
    child.resume();
    publisher.send_timeout(&message(sent), LONG).unwrap();
    assert!(publisher.flush(LONG).unwrap(), "the reader goes on");
    child.stop();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        child.kill();
    });
    for round in 1..50 {
        publisher.send_timeout(&message(sent + round), LONG).unwrap();
    }
    killer.join().unwrap();
    drop(publisher);
    assert_eq!(own_names(&name), Vec::<String>::new());
}

#[test]
fn a_stopped_reader_blocks_and_is_named() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    for round in 0..8 {
        publisher.try_send(&message(round)).unwrap();
    }
    let me = std::process::id();
    assert!(matches!(publisher.try_send(b"no"), Err(TrySendError::Full { slowest }) if slowest == me));
    let late = publisher.send_timeout(b"no", Duration::from_millis(50));
    assert!(matches!(late, Err(SendError::TimedOut { slowest }) if slowest == me));
    assert_eq!(number(&subscriber.recv_timeout(SECOND).unwrap()), 0);
    publisher.try_send(&message(8)).unwrap();
    // A publisher that waits goes on as soon as there is room, long before it would look by itself.
    let sender = std::thread::spawn(move || {
        publisher.send(&message(9)).unwrap();
        publisher
    });
    std::thread::sleep(Duration::from_millis(30));
    for round in 1..10 {
        assert_eq!(number(&subscriber.recv_timeout(SECOND).unwrap()), round);
    }
    drop(sender.join().unwrap());
}

#[test]
fn the_slow_are_told_exactly_what_they_missed() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::DropOldest);
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    for round in 0..100 {
        publisher.send(&message(round)).unwrap();
    }
    for round in 92..100 {
        let sample = subscriber.recv_timeout(SECOND).unwrap();
        let missed = if round == 92 { 92 } else { 0 };
        assert_eq!((number(&sample), sample.missed()), (round, missed));
    }
    assert!(matches!(subscriber.try_recv(), Err(TryRecvError::Empty)));
}

#[test]
fn two_publishers_in_their_own_order() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let mut subscriber = topic.subscriber().unwrap();
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let topic = bytes(&name, Overflow::Block);
            std::thread::spawn(move || {
                let publisher = topic.publisher().unwrap();
                for round in 0..500 {
                    publisher.send(&message(round)).unwrap();
                }
                publisher.key()
            })
        })
        .collect();
    let mut seen = std::collections::HashMap::new();
    for _ in 0..1500 {
        let sample = subscriber.recv_timeout(LONG).unwrap();
        let next = seen.entry(sample.publisher()).or_insert(0);
        assert_eq!((number(&sample), sample.missed()), (*next, 0));
        *next += 1;
    }
    for sender in senders {
        assert_eq!(seen[&sender.join().unwrap()], 500);
    }
}

#[test]
fn history_of_plain_values_for_those_who_come_late() {
    let name = unique_name("bus");
    let topic = |history| Topic::<[u64; 3]>::options().depth(16).history(history).open(&name).unwrap();
    let publisher = topic(0).publisher().unwrap();
    for round in 0..40 {
        publisher.send(&[round, round * 2, !round]).unwrap();
    }
    let (mut with, mut without) = (topic(5).subscriber().unwrap(), topic(0).subscriber().unwrap());
    for round in 35..40 {
        let sample = with.try_recv().unwrap();
        assert_eq!((*sample, sample.missed()), ([round, round * 2, !round], 0));
    }
    assert!(with.try_recv().is_err() && without.try_recv().is_err());
    publisher.send(&[1, 2, 3]).unwrap();
    assert_eq!((*with.try_recv().unwrap(), *without.try_recv().unwrap()), ([1, 2, 3], [1, 2, 3]));
}

#[test]
fn members_that_disagree_say_how() {
    let name = unique_name("bus");
    let _publisher = Topic::<u64>::options().schema(1).open(&name).unwrap().publisher().unwrap();
    let other = Topic::<[u64; 2]>::options().schema(2).open(&name).unwrap();
    let error = other.subscriber().unwrap_err();
    assert_eq!(error.kind(), crossing_sys::ErrorKind::Incompatible);
    let text = error.to_string();
    for part in ["schema 0x1, size 8", "schema 0x2, size 16"] {
        assert!(text.contains(part), "{text}");
    }
    // The same schema and size, but another alignment.
    let text =
        Topic::<[u8; 8]>::options().schema(1).open(&name).unwrap().subscriber().unwrap_err().to_string();
    let mine = "schema 0x1, size 8, alignment 1";
    let other = format!("schema 0x1, size 8, alignment {}", align_of::<u64>());
    assert!(text.contains(mine) && text.contains(&other), "{text}");
}

// The memory of a section of Windows goes with its last user, who was killed here.
#[cfg(unix)]
#[test]
fn the_last_words_of_one_who_was_killed_are_heard() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let mut slow = topic.subscriber().unwrap();
    let mut child = Child::role("tests::role_last_words").argument("name", &name).spawn();
    child.expect("said");
    child.kill();
    // The subscriber looks for the first time after the publisher's death, and clears up when it has read everything.
    for round in 0..8 {
        assert_eq!(number(&slow.recv_timeout(LONG).unwrap()), round);
    }
    assert!(slow.recv_timeout(Duration::from_millis(2500)).is_err());
    assert!(own_names(&name).iter().all(|name| !name.contains("pub-")), "{:?}", own_names(&name));
    assert_eq!(slow.publishers(), 0);
}

#[test]
#[ignore = "a child process"]
fn role_last_words() {
    let Some(role) = role("tests::role_last_words") else { return };
    let publisher = bytes(&role.argument("name"), Overflow::Block).publisher().unwrap();
    for round in 0..8 {
        publisher.try_send(&message(round)).unwrap();
    }
    role.say("said");
    role.pause();
}

#[test]
fn a_sleeper_is_woken_by_the_message() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let mut subscriber = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    let receiver = std::thread::spawn(move || {
        assert_eq!(*subscriber.recv_timeout(LONG).unwrap(), *b"first");
        (0..20)
            .map(|_| {
                let sample = subscriber.recv_timeout(LONG).unwrap();
                (number(&sample), std::time::Instant::now())
            })
            .collect::<Vec<_>>()
    });
    // Finding each other takes its time, under Wine especially.
    publisher.send(b"first").unwrap();
    assert!(publisher.flush(LONG).unwrap());
    let mut sent = Vec::new();
    for round in 0..20 {
        std::thread::sleep(Duration::from_millis(20));
        sent.push(std::time::Instant::now());
        publisher.send(&message(round)).unwrap();
    }
    let mut delays: Vec<_> =
        receiver.join().unwrap().iter().zip(sent).map(|((_, got), sent)| got.duration_since(sent)).collect();
    delays.sort();
    // A lost wake-up shows as a sleep to the end of its slice, for all that are sent meanwhile.
    assert!(delays[18] < Duration::from_millis(300), "{delays:?}");
}

#[test]
fn members_killed_at_random_leave_the_others_whole() {
    let name = unique_name("bus");
    let topic = bytes(&name, Overflow::Block);
    let mut survivor = topic.subscriber().unwrap();
    let publisher = topic.publisher().unwrap();
    let own = publisher.key();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let sender = std::thread::spawn(move || {
        let mut round = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            publisher.send_timeout(&message(round), LONG).unwrap();
            round += 1;
        }
        drop(publisher);
        round
    });
    let killer = std::thread::spawn({
        let name = name.clone();
        move || {
            for number in 0..KILLS {
                let path = ["tests::role_subscriber", "tests::role_publisher"][number % 2];
                let mut child = Child::role(path).argument("name", &name).spawn();
                // From before it joins until it is at work.
                std::thread::sleep(Duration::from_micros((number as u64 * 7919) % 30_000));
                child.kill();
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let mut seen = std::collections::HashMap::new();
    let quiet = loop {
        match survivor.recv_timeout(if killer.is_finished() { SECOND } else { LONG }) {
            Ok(sample) => {
                let next = seen.entry(sample.publisher()).or_insert(0);
                assert_eq!((number(&sample), sample.missed()), (*next, 0), "lost or repeated");
                *next += 1;
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(quiet, RecvError::TimedOut), "{quiet}");
    killer.join().unwrap();
    assert_eq!(seen[&own], sender.join().unwrap());
    drop(survivor);
    drop(topic.publisher().unwrap());
    assert_eq!(own_names(&name), Vec::<String>::new());
}

/// Each takes about 30 ms; under Wine ten times that.
const KILLS: usize = if cfg!(windows) { 10 } else { 100 };
