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
    let mut publisher = topic.publisher().unwrap();
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
    let mut publisher = topic.publisher().unwrap();
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
}
