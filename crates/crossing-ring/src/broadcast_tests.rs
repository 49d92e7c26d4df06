#![allow(unsafe_code)] // a child that writes where it may not, and a publisher that breaks the rules

use super::*;
use crossing_shm::Segment;
use crossing_sys::copy::can_send_away;
use crossing_testkit::{Child, role, unique_name};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use zerocopy::IntoBytes;

const SHAPE: Shape = Shape { schema: 7, size: u32::MAX, align: 1, overflow: 0, zero: 0 };

fn someone() -> crossing_sync::ParticipantId {
    crossing_sync::ParticipantId::from_raw(1025).unwrap()
}

fn figures(depth: u32, max_len: u32) -> Figures {
    Figures { depth, max_len, max_subscribers: 2, max_borrowed: 2, max_loans: 2 }
}

fn header(depth: u32, max_len: u32, shape: Shape) -> RingHeader {
    RingHeader::new(figures(depth, max_len), shape, 5, someone(), false).unwrap()
}

fn ring(name: &str, depth: u32, max_len: u32) -> (Segment, RingWriter) {
    let header = header(depth, max_len, SHAPE);
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

fn read(reader: &mut RingReader, position: u64) -> Result<Vec<u8>, Outcome> {
    let mut memory = Memory::default();
    reader
        .take(position, &mut Manner { hold: None, memory: &mut memory, len: None, away: can_send_away() })
        .map(|taken| taken.body.to_vec())
}

/// Publishes, and takes back what nobody holds where there are no subscribers.
fn publish(writer: &mut RingWriter, message: &[u8]) -> bool {
    match writer.publish(message, 0) {
        Ok(()) => true,
        Err(Refusal::AllHeld) => writer.reclaim(|_| {}) && writer.publish(message, 0).is_ok(),
        Err(_) => false,
    }
}

#[test]
fn keeps_the_last_messages_of_every_length() {
    let name = unique_name("ring");
    let (_segment, mut writer) = ring(&name, 4, 200);
    let (_other, mut reader) = reader(&name);
    assert_eq!(read(&mut reader, 0), Err(Outcome::NotYet));
    let message = |number: u64| vec![number as u8; (number * 7 % 201) as usize];
    for number in 0..1000 {
        assert!(!reader.has(number));
        assert!(publish(&mut writer, &message(number)));
        assert!(reader.has(number) && !reader.has(number + 1));
        for back in 0..4_u64.min(number + 1) {
            assert_eq!(read(&mut reader, number - back), Ok(message(number - back)));
        }
        if number >= 4 {
            assert_eq!((read(&mut reader, number - 4), reader.oldest()), (Err(Outcome::Gone), number - 3));
        }
        assert_eq!((read(&mut reader, number + 1), reader.tail()), (Err(Outcome::NotYet), number + 1));
    }
    assert!(!publish(&mut writer, &[0; 201]));
    assert_eq!(writer.position(), 1000);
}

#[test]
fn who_woke_somebody_is_careful_for_a_while() {
    let name = unique_name("ring");
    let asymmetric = crossing_sys::asymmetric::register();
    let header = RingHeader::new(figures(64, 16), SHAPE, 5, someone(), asymmetric).unwrap();
    let size = usize::try_from(header.total_len()).unwrap();
    let segment = Segment::options().size(size).content(header.as_bytes()).create(&name).unwrap();
    let mut writer = RingWriter::open(&segment).unwrap();
    let (_other, reader) = reader(&name);
    let publish = |writer: &mut RingWriter, count: u32| {
        for _ in 0..count {
            assert!(publish(writer, b"message"));
        }
    };
    publish(&mut writer, 100);
    assert!(!reader.is_careful(), "nobody sleeps");
    writer.expect_sleepers();
    // One that always fences need not say so.
    assert_eq!(reader.is_careful(), asymmetric);
    publish(&mut writer, 63);
    assert_eq!(reader.is_careful(), asymmetric);
    // From the last one on that was woken for.
    writer.expect_sleepers();
    publish(&mut writer, 63);
    assert_eq!(reader.is_careful(), asymmetric);
    publish(&mut writer, 1);
    assert!(!reader.is_careful());
    publish(&mut writer, 100);
    assert!(!reader.is_careful());
}

#[test]
fn a_copy_is_one_message_whole_or_none() {
    let name = unique_name("ring");
    let (_segment, mut writer) = ring(&name, 2, 4096);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let (_other, mut reader) = reader(&name);
                let (mut whole, mut gone) = (0_u64, 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    // The one that is overwritten next: the worst place to read.
                    let oldest = reader.oldest();
                    match read(&mut reader, oldest) {
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
            publish(&mut writer, &vec![number as u8; len]);
            number += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn lying_lengths_and_headers_are_refused() {
    let name = unique_name("ring");
    let (segment, mut writer) = ring(&name, 4, 200);
    let (_other, mut reader) = reader(&name);
    publish(&mut writer, b"honest");
    // The length and chunk of slot 0.
    let total = usize::try_from(header(4, 200, SHAPE).total_len()).unwrap();
    let place = segment.claim(0, total, 64).unwrap();
    // SAFETY: 256 + 8 is within the range that was claimed.
    let info = unsafe { place.add(264) }.cast::<std::sync::atomic::AtomicU64>();
    // 4 messages, 2 on loan, 2 held by each of 2, and one more: chunks 0 to 10.
    for lie in [201, u64::from(u32::MAX), u64::MAX, 200 | 12 << 32, 113 | 0x7fff_ffff << 32, 113] {
        // SAFETY: an atomic within mapped memory.
        unsafe { info.as_ref() }.store(lie, Ordering::Relaxed);
        assert_eq!(read(&mut reader, 0), Err(Outcome::Damaged), "{lie:#x}");
    }
    // SAFETY: an atomic within mapped memory.
    unsafe { info.as_ref() }.store(200 | 11 << 32, Ordering::Relaxed);
    assert_eq!(read(&mut reader, 0).map(|bytes| bytes.len()), Ok(200), "a lie that stays inside");
    for offset in [0, 8, 12, 16, 24, 60, 64, 72, 76, 80] {
        let name = unique_name("ring");
        let header = header(4, 100, SHAPE);
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
    let header = CursorsHeader::new(SHAPE, 9, someone(), 2);
    let own = Segment::options().size(cursors_len()).content(header.as_bytes()).create(&name).unwrap();
    let mut cursors = Cursors::open(&own, own.participant().unwrap().clone()).unwrap();
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
    let (_segment, mut reader) = reader(&role.argument("name"));
    let segment = Segment::options().read_only(true).open(&role.argument("name")).unwrap();
    assert_eq!(read(&mut reader, 0), Ok(b"mine".to_vec()));
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
    publish(&mut writer, b"mine");
    let mut child = Child::role("broadcast::tests::role_scribbler").argument("name", &name).spawn();
    child.expect("reading works");
    let output = child.wait(Duration::from_secs(20));
    assert!(!output.status.success() && !output.text().contains("wrote"), "{}", output.text());
    let (_other, mut reader) = reader(&name);
    assert_eq!(read(&mut reader, 0), Ok(b"mine".to_vec()));
    assert!(publish(&mut writer, b"on"));
    assert_eq!(read(&mut reader, 1), Ok(b"on".to_vec()));
}

#[test]
fn what_is_held_is_not_lent_again() {
    let name = unique_name("ring");
    let (_segment, mut writer) = ring(&name, 2, 4096);
    let (_other, mut reader) = reader(&name);
    let own = unique_name("ring");
    let header = CursorsHeader::new(SHAPE, 9, someone(), 2);
    let own_segment = Segment::options().size(cursors_len()).content(header.as_bytes()).create(&own).unwrap();
    let mut cursors = Cursors::open(&own_segment, own_segment.participant().unwrap().clone()).unwrap();
    let entry = cursors.begin(5, 0).unwrap();
    let peer = Segment::options().read_only(true).open(&own).unwrap();
    let peer = PeerCursors::open(&peer).unwrap();
    let mut memory = Memory::default();
    macro_rules! take {
        ($position:expr) => {{
            let hold = Some(Hold { cursors: &mut cursors, entry, key: 9 });
            reader
                .take($position, &mut Manner { hold, memory: &mut memory, len: None, away: can_send_away() })
        }};
    }
    let message = |number: u64| vec![number as u8; 1000];
    assert!(publish(&mut writer, &message(0)));
    // Nobody has admitted the subscriber: it copies.
    assert!(!take!(0).unwrap().body.is_in_place());
    assert!(writer.admit(9));
    let mut hint = 0;
    let mut publish_and_look = |writer: &mut RingWriter, number: u64| {
        if writer.publish(&message(number), 0).is_err() {
            assert!(writer.reclaim(|held| peer.holds(5, &mut hint, held)), "a chunk is always left");
            writer.publish(&message(number), 0).unwrap();
        }
    };
    let first = take!(0).unwrap().body;
    let mut second = None;
    for number in 1..500 {
        publish_and_look(&mut writer, number);
        let body = take!(number).unwrap().body;
        assert!(body.is_in_place() && *body == message(number), "{number}");
        if number == 100 {
            second = Some(body);
            assert_eq!(take!(number).unwrap_err(), Outcome::AllHeld);
            break;
        }
    }
    for number in 101..500 {
        publish_and_look(&mut writer, number);
        assert_eq!((&*first, &**second.as_ref().unwrap()), (&*message(0), &*message(100)), "{number}");
    }
    drop(first);
    assert_eq!(*take!(499).unwrap().body, message(499));
    assert!(take!(3).is_err());
    // Loans are their own until they are published, however many messages go by.
    writer.reclaim(|held| peer.holds(5, &mut 0, held));
    let (mut one, two) = (writer.loan(500).unwrap(), writer.loan(4096).unwrap());
    assert!(
        matches!(writer.loan(1), Err(Refusal::TooMany))
            && matches!(writer.loan(5000), Err(Refusal::TooLarge))
    );
    one.fill(7);
    for number in 500..600 {
        publish_and_look(&mut writer, number);
    }
    assert_eq!(*one, [7; 500]);
    writer.give_back(two);
    writer.publish_loan(one, 0);
    assert_eq!(read(&mut reader, 600), Ok(vec![7; 500]));
    writer.expel(9);
    assert_eq!(read(&mut reader, 600), Ok(vec![7; 500]));
}

/// Without the alarm a single lost ring would be waited for without end.
#[test]
fn no_ring_of_a_bells_doorbell_is_lost() {
    let late = Duration::from_secs(60);
    let _guard = crossing_testkit::watchdog(late);
    const COUNT: u32 = 20_000;
    let mut options = Segment::options();
    options.size(BELL_LEN);
    let segment = options.create(&unique_name("bell")).unwrap();
    let bell = Bell::open(&segment).unwrap();
    let doorbell = bell.doorbell().unwrap();
    let seen = AtomicU32::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for number in 0..COUNT {
                bell.tell();
                // Each ring is for one that waits, or is about to.
                while seen.load(Ordering::SeqCst) <= number {
                    std::thread::yield_now();
                }
            }
        });
        while seen.load(Ordering::SeqCst) < COUNT {
            bell.arm_doorbell(&doorbell).unwrap();
            let news = bell.news();
            if news == seen.load(Ordering::SeqCst) {
                let deadline = Some(std::time::Instant::now() + late);
                let ready = crossing_sys::doorbell::wait_any(&[doorbell.handle()], deadline).unwrap();
                assert!(ready.is_some(), "a ring was lost");
            }
            seen.store(news, Ordering::SeqCst);
        }
    });
}
