#![allow(unsafe_code)] // a child that writes where it may not, and a publisher that breaks the rules

use super::*;
use crossing_shm::Segment;
use crossing_testkit::{Child, role, unique_name};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zerocopy::IntoBytes;

const SHAPE: Shape = Shape { schema: 7, size: u32::MAX, align: 1, overflow: 0, zero: 0 };

fn someone() -> crossing_sync::ParticipantId {
    crossing_sync::ParticipantId::from_raw(1025).unwrap()
}

fn ring(name: &str, depth: u32, max_len: u32) -> (Segment, RingWriter) {
    let header = RingHeader::new(depth, max_len, SHAPE, 5, someone()).unwrap();
    let size = usize::try_from(header.total_len()).unwrap();
    let segment = Segment::options().size(size).content(header.as_bytes()).create(name).unwrap();
    let writer = RingWriter::open(&segment).unwrap();
    (segment, writer)
}

fn reader(name: &str) -> (Segment, RingReader) {
    let segment = Segment::options().read_only(true).open(name).unwrap();
    let reader = RingReader::open(&segment).unwrap();
    (segment, reader)
}

fn read(reader: &RingReader, position: u64) -> Result<Vec<u8>, Outcome> {
    let mut bytes = Vec::new();
    match reader.read(position, |len| {
        bytes.resize(len, 0);
        Some(&mut bytes[..])
    }) {
        Outcome::Read(_) => Ok(bytes),
        other => Err(other),
    }
}

#[test]
fn keeps_the_last_messages_of_every_length() {
    let name = unique_name("ring");
    let (_segment, mut writer) = ring(&name, 4, 200);
    let (_other, reader) = reader(&name);
    assert_eq!(read(&reader, 0), Err(Outcome::NotYet));
    let message = |number: u64| vec![number as u8; (number * 7 % 201) as usize];
    for number in 0..1000 {
        assert!(!reader.has(number));
        assert!(writer.publish(&message(number)));
        assert!(reader.has(number) && !reader.has(number + 1));
        for back in 0..4_u64.min(number + 1) {
            assert_eq!(read(&reader, number - back), Ok(message(number - back)));
        }
        if number >= 4 {
            assert_eq!((read(&reader, number - 4), reader.oldest()), (Err(Outcome::Gone), number - 3));
        }
        assert_eq!((read(&reader, number + 1), reader.tail()), (Err(Outcome::NotYet), number + 1));
    }
    assert!(!writer.publish(&[0; 201]));
    assert_eq!(writer.position(), 1000);
}

#[test]
fn a_copy_is_one_message_whole_or_none() {
    let name = unique_name("ring");
    let (_segment, mut writer) = ring(&name, 2, 4096);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let (_other, reader) = reader(&name);
                let (mut whole, mut gone) = (0_u64, 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    // The one that is overwritten next: the worst place to read.
                    match read(&reader, reader.oldest()) {
                        Ok(bytes) => {
                            assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]), "torn");
                            whole += 1;
                        }
                        Err(_) => gone += 1,
                    }
                }
                assert!(whole > 0, "{whole} whole, {gone} gone");
            });
        }
        let until = std::time::Instant::now() + Duration::from_millis(500);
        let mut number = 0_usize;
        while std::time::Instant::now() < until {
            // Inline and in chunks by turns.
            let len = if number.is_multiple_of(3) { 40 } else { 4096 };
            writer.publish(&vec![number as u8; len]);
            number += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn lying_lengths_and_headers_are_refused() {
    let name = unique_name("ring");
    let (segment, mut writer) = ring(&name, 4, 100);
    let (_other, reader) = reader(&name);
    writer.publish(b"honest");
    // The length of descriptor 0.
    let place = segment.claim(0, 192 + 4 * 64 + 4 * 128, 64).unwrap();
    // SAFETY: 192 + 8 is within the range that was claimed.
    let len = unsafe { place.add(200) }.cast::<std::sync::atomic::AtomicU64>();
    for lie in [101, u64::from(u32::MAX), u64::MAX] {
        // SAFETY: an atomic within mapped memory.
        unsafe { len.as_ref() }.store(lie, Ordering::Relaxed);
        assert_eq!(read(&reader, 0), Err(Outcome::Damaged));
    }
    for offset in [0, 8, 12, 16, 24, 64] {
        let name = unique_name("ring");
        let header = RingHeader::new(4, 100, SHAPE, 5, someone()).unwrap();
        let mut bytes = header.as_bytes().to_vec();
        bytes[offset..offset + 2].fill(0xee);
        if offset == 24 {
            bytes[24..32].fill(0); // a key of 0
        }
        let size = usize::try_from(header.total_len()).unwrap();
        let segment = Segment::options().size(size).content(&bytes).create(&name).unwrap();
        assert!(RingReader::open(&segment).is_err(), "offset {offset}");
    }
}

#[test]
fn cursors_are_found_by_key() {
    let name = unique_name("ring");
    let header = CursorsHeader::new(SHAPE, 9, someone());
    let own = Segment::options().size(cursors_len()).content(header.as_bytes()).create(&name).unwrap();
    let mut cursors = Cursors::open(&own).unwrap();
    let peer = Segment::options().read_only(true).open(&name).unwrap();
    let peer = PeerCursors::open(&peer).unwrap();
    let mut hint = 0;
    assert_eq!(peer.position(77, &mut hint), None);
    let entries: Vec<usize> =
        (1..=MAX_RINGS as u64).map(|key| cursors.begin(key, key * 2).unwrap()).collect();
    assert_eq!(cursors.begin(1000, 0), None);
    assert_eq!(peer.position(77, &mut hint), Some(154));
    cursors.advance(entries[76], 155);
    assert_eq!((peer.position(77, &mut hint), hint), (Some(155), entries[76]));
    cursors.end(entries[76]);
    assert_eq!(peer.position(77, &mut hint), None);
    assert_eq!(cursors.begin(1000, 0), Some(entries[76]));
}

#[test]
#[ignore = "a child process of a_reader_that_writes_dies_alone"]
fn role_scribbler() {
    let Some(role) = role("broadcast::tests::role_scribbler") else { return };
    let (_segment, reader) = reader(&role.argument("name"));
    let segment = Segment::options().read_only(true).open(&role.argument("name")).unwrap();
    assert_eq!(read(&reader, 0), Ok(b"mine".to_vec()));
    assert!(segment.claim(0, 64, 64).is_err() && segment.write_bytes(192, b"x").is_err());
    let place = segment.claim_read(192, 64, 64).unwrap();
    role.say("reading works");
    // SAFETY: none: this is the crime, and the machine stops it.
    unsafe { place.cast::<u64>().write_volatile(99) };
    role.say("wrote");
}

#[test]
fn a_reader_that_writes_dies_alone() {
    let name = unique_name("ring");
    let (_segment, mut writer) = ring(&name, 4, 100);
    writer.publish(b"mine");
    let mut child = Child::role("broadcast::tests::role_scribbler").argument("name", &name).spawn();
    child.expect("reading works");
    let output = child.wait(Duration::from_secs(20));
    assert!(!output.status.success() && !output.text().contains("wrote"), "{}", output.text());
    let (_other, reader) = reader(&name);
    assert_eq!(read(&reader, 0), Ok(b"mine".to_vec()));
    assert!(writer.publish(b"on"));
    assert_eq!(read(&reader, 1), Ok(b"on".to_vec()));
}
