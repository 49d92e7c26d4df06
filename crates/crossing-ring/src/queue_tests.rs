use super::{DEAD, Held, Message, PutError, QueueHeader, SlotQueue, Wishes};
use crossing_shm::{Region, Segment};
use crossing_sync::Until;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use zerocopy::IntoBytes;

pub(super) const WISHES: Wishes =
    Wishes { capacity: 8, max_len: 100_000, max_bytes: None, priorities: 32, max_deliveries: 3, inline: 64 };

/// A segment with a new queue, which is removed at the end.
pub(super) struct Fresh {
    segment: Segment,
    name: String,
    pub(super) queue: SlotQueue,
}

pub(super) fn fresh(wishes: Wishes) -> Fresh {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("ring-test-{}-{number}", std::process::id());
    let header = QueueHeader::new(&wishes).unwrap();
    let mut options = Segment::options();
    options.size(usize::try_from(header.total_len()).unwrap()).content(header.as_bytes());
    let segment = options.create(&name).unwrap();
    let queue = SlotQueue::open(&segment).unwrap();
    Fresh { segment, name, queue }
}

pub(super) fn put(queue: &SlotQueue, body: &[u8], priority: u32) -> Result<(), PutError> {
    queue.put(&Message { body, priority, ..Message::default() }, Until::Now)
}

fn take(queue: &SlotQueue) -> Option<Held> {
    queue.take(Until::Now)
}

pub(super) fn body(queue: &SlotQueue) -> Option<Vec<u8>> {
    let held = take(queue)?;
    let body = held.to_vec();
    assert!(held.acknowledge());
    Some(body)
}

#[test]
fn first_in_first_out_and_the_highest_priority_first() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    for (text, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 31), ("e", 5)] {
        put(queue, text.as_bytes(), priority).unwrap();
    }
    let order: Vec<_> = std::iter::from_fn(|| body(queue)).collect();
    assert_eq!(order, [b"d", b"b", b"e", b"a", b"c"]);
    assert_eq!(put(queue, b"x", 32), Err(PutError::NoSuchPriority { priorities: 32 }));
}

#[test]
fn a_body_alone_is_a_message() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    // Empty, short, exactly as long as a slot holds, longer, the longest.
    for (number, len) in [0, 5, 63, 64, 65, 100_000].into_iter().enumerate() {
        let text: Vec<u8> = (0..len).map(|at| (at + number) as u8).collect();
        queue.put_body(&text, 3, Until::Now).unwrap();
        let held = take(queue).unwrap();
        assert_eq!(
            (&*held, held.properties(), held.priority(), held.deliveries()),
            (&text[..], &[][..], 3, 1)
        );
        // Given back, it is still the same.
        held.give_back(Duration::ZERO);
        let again = take(queue).unwrap();
        assert_eq!((&*again, again.deliveries()), (&text[..], 2));
        assert!(again.acknowledge());
    }
    assert_eq!(queue.put_body(b"x", 32, Until::Now), Err(PutError::NoSuchPriority { priorities: 32 }));
    let long = PutError::TooLong { len: 100_001, max: 100_000 };
    assert_eq!(queue.put_body(&vec![0; 100_001], 0, Until::Now), Err(long));
    for _ in 0..8 {
        queue.put_body(b"x", 0, Until::Now).unwrap();
    }
    assert_eq!(queue.put_body(b"x", 0, Until::Now), Err(PutError::Full));
}

#[test]
fn receivers_with_memories_of_their_own_keep_the_order() {
    // Lanes of 16 cells: each is gone around many times, now by one receiver and now by another, whose memory of it is then
    // behind by some places, or by rounds.
    let fresh = fresh(Wishes { priorities: 5, ..WISHES });
    let others: Vec<Segment> = (0..2).map(|_| Segment::options().open(&fresh.name).unwrap()).collect();
    let mut queues: Vec<SlotQueue> = others.iter().map(|segment| SlotQueue::open(segment).unwrap()).collect();
    queues.push(fresh.queue.clone());
    let mut waiting: Vec<Vec<u64>> = vec![Vec::new(); 5];
    let (mut random, mut receiver) = (1_u64, 0);
    for number in 0..60_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = (random >> 33) as usize;
        if dice.is_multiple_of(97) {
            receiver = dice / 97 % 3;
        }
        let full = waiting.iter().map(Vec::len).sum::<usize>() == 8;
        if (dice / 7).is_multiple_of(2) && !full {
            // Mostly one lane, so that the others' bits stay while they are empty.
            let lane = if (dice / 14).is_multiple_of(3) { dice / 42 % 5 } else { 1 };
            put(&queues[dice / 210 % 3], &number.to_ne_bytes(), lane as u32).unwrap();
            waiting[lane].push(number);
            continue;
        }
        let first = waiting.iter_mut().rev().find(|lane| !lane.is_empty()).map(|lane| lane.remove(0));
        let got = body(&queues[receiver]).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
        assert_eq!(got, first, "at {number}");
    }
}

#[test]
fn every_length_arrives_whole() {
    let fresh = fresh(WISHES);
    for len in [0, 1, 63, 64, 65, 255, 256, 257, 16_384, 16_385, 50_000, 99_999, 100_000] {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
        for _ in 0..20 {
            put(&fresh.queue, &bytes, 0).unwrap();
            assert!(body(&fresh.queue).unwrap() == bytes, "{len}");
        }
    }
    let long = vec![0; 100_001];
    assert_eq!(put(&fresh.queue, &long, 0), Err(PutError::TooLong { len: 100_001, max: 100_000 }));
}

#[test]
fn longer_slots_hold_longer_messages() {
    // 1000 is rounded up to 1024; longer ones go to blocks.
    let fresh = fresh(Wishes { capacity: 4, max_len: 3000, inline: 1000, ..WISHES });
    let long = Wishes { capacity: 4, max_len: 1024, inline: 1000, ..WISHES };
    let (short, blocks) = (QueueHeader::new(&Wishes { inline: 64, ..long }), QueueHeader::new(&long));
    // 960 bytes more for each slot, and no blocks.
    assert!(blocks.unwrap().total_len() < short.unwrap().total_len());
    for round in 0..20_usize {
        // In each slot at once, so that they would be seen to overlap.
        let texts: Vec<Vec<u8>> = [[64, 1023, 1024, 1025], [1024, 1, 3000, 1024]][round % 2]
            .iter()
            .map(|len| (0..*len).map(|at| (at * 3 + len + round) as u8).collect())
            .collect();
        for (number, text) in texts.iter().enumerate() {
            if number % 2 == round / 2 % 2 {
                put(&fresh.queue, text, 0).unwrap();
            } else {
                let mut draft = fresh.queue.draft(text.len(), &[], Until::Now).unwrap();
                draft.copy_from_slice(text);
                draft.commit(&Message::default()).unwrap();
            }
        }
        let held: Vec<Held> = std::iter::from_fn(|| take(&fresh.queue)).collect();
        assert_eq!(held.iter().map(|held| held.to_vec()).collect::<Vec<_>>(), texts);
        held.into_iter().for_each(|held| assert!(held.acknowledge()));
    }
    // With properties, which lie before the body.
    let message = Message { body: &[1; 1000], properties: &[2; 24], ..Message::default() };
    fresh.queue.put(&message, Until::Now).unwrap();
    let held = take(&fresh.queue).unwrap();
    assert_eq!((held.properties(), &*held), (&[2; 24][..], &[1; 1000][..]));
}

#[test]
fn slots_of_no_such_length_are_refused() {
    let header = QueueHeader::new(&Wishes { inline: 256, ..WISHES }).unwrap();
    let opened = |at: usize, value: u8| {
        let mut bytes = header.as_bytes().to_vec();
        bytes[at] = value;
        let name = format!("ring-test-slots-{}-{value}", std::process::id());
        let mut options = Segment::options();
        options.size(usize::try_from(header.total_len()).unwrap()).content(&bytes);
        SlotQueue::open(&options.create(&name).unwrap())
    };
    // As it is: 192 bytes more. Then odd, more than are there, and more than there may be.
    opened(44, 192).unwrap();
    for value in [191, 128] {
        assert_eq!(opened(44, value).unwrap_err().kind(), crossing_sys::ErrorKind::Corrupt);
    }
    assert_eq!(opened(46, 255).unwrap_err().kind(), crossing_sys::ErrorKind::Corrupt);
}

#[test]
fn blocks_that_are_no_lines_are_refused() {
    let header = QueueHeader::new(&WISHES).unwrap();
    let number = |at: usize| u32::from_ne_bytes(header.as_bytes()[at..at + 4].try_into().unwrap());
    let (blocks, len) = (u64::from(number(36)), number(40));
    for less in [64, 8] {
        // Shorter blocks, and as much less in all: the figures fit.
        let mut bytes = header.as_bytes().to_vec();
        bytes[40..44].copy_from_slice(&(len - less).to_ne_bytes());
        let total = (header.total_len() - blocks * u64::from(less)).next_multiple_of(64);
        bytes[56..64].copy_from_slice(&total.to_ne_bytes());
        let name = format!("ring-test-blocks-{}-{less}", std::process::id());
        let mut options = Segment::options();
        options.size(usize::try_from(header.total_len()).unwrap()).content(&bytes);
        let opened = SlotQueue::open(&options.create(&name).unwrap());
        match less {
            64 => assert_eq!(opened.unwrap().capacity(), 8),
            _ => assert_eq!(opened.unwrap_err().kind(), crossing_sys::ErrorKind::Corrupt),
        }
    }
}

#[test]
fn the_capacity_is_exact_and_room_comes_back() {
    for len in [8, 64, 300, 100_000] {
        let fresh = fresh(WISHES);
        let message = vec![1; len];
        for turn in 0..50 {
            for _ in 0..8 {
                put(&fresh.queue, &message, turn % 32).unwrap();
            }
            assert_eq!(put(&fresh.queue, &message, 0), Err(PutError::Full), "{len}");
            assert_eq!(fresh.queue.stats().ready, 8);
            for _ in 0..8 {
                assert_eq!(body(&fresh.queue).unwrap().len(), len);
            }
            assert!(take(&fresh.queue).is_none());
        }
    }
}

#[test]
fn a_held_message_keeps_its_room_while_others_flow() {
    let fresh = fresh(WISHES);
    put(&fresh.queue, &[9; 70_000], 0).unwrap();
    let held = take(&fresh.queue).unwrap();
    for turn in 0..1000_u32 {
        put(&fresh.queue, &turn.to_ne_bytes().repeat(1 + turn as usize % 9000), 1).unwrap();
        assert_eq!(body(&fresh.queue).unwrap()[..4], turn.to_ne_bytes());
    }
    assert!(held.iter().all(|byte| *byte == 9));
    assert!(held.acknowledge());
}

#[test]
fn what_is_dropped_comes_back_first_and_is_buried_in_the_end() {
    let fresh = fresh(WISHES);
    put(&fresh.queue, b"one", 0).unwrap();
    put(&fresh.queue, b"two", 0).unwrap();
    for count in 1..=3 {
        let held = take(&fresh.queue).unwrap();
        assert_eq!((&*held, held.deliveries()), (&b"one"[..], count));
        drop(held);
    }
    assert_eq!(body(&fresh.queue).unwrap(), b"two");
    assert!(take(&fresh.queue).is_none());
    let stats = fresh.queue.stats();
    assert_eq!((stats.dead, stats.redelivered, stats.buried), (1, 2, 1));
    let dead = fresh.queue.take_dead(Until::Now).unwrap();
    assert_eq!((&*dead, dead.priority()), (&b"one"[..], DEAD));
    drop(dead);
    assert!(fresh.queue.take_dead(Until::Now).unwrap().acknowledge());
    assert!(fresh.queue.take_dead(Until::Now).is_none());
}

#[test]
fn delays_and_times_to_live() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    let delay = Duration::from_millis(30);
    queue.put(&Message { body: b"late", delay, ..Message::default() }, Until::Now).unwrap();
    let ttl = Some(Duration::from_nanos(1));
    queue.put(&Message { body: b"gone", ttl, ..Message::default() }, Until::Now).unwrap();
    let ttl = Some(Duration::from_secs(3600));
    queue.put(&Message { body: b"here", ttl, ..Message::default() }, Until::Now).unwrap();
    let begun = std::time::Instant::now();
    let first = body(queue).unwrap();
    let second = queue.take(Until::after(Duration::from_secs(10))).unwrap();
    // On a machine that stood still for 30 ms both may have been due.
    assert!((first == b"here" && &*second == b"late") || begun.elapsed() > delay);
    assert!(second.acknowledge());
    assert_eq!(queue.stats().expired, 1);

    put(queue, b"again", 0).unwrap();
    assert!(take(queue).unwrap().give_back(delay));
    assert_eq!(queue.stats().aside, 1);
    let again = queue.take(Until::after(Duration::from_secs(10))).unwrap();
    assert_eq!((&*again, again.deliveries()), (&b"again"[..], 2));
}

#[test]
fn properties_browsing_purging() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    for body in [&b"short"[..], &[7; 300]] {
        queue.put(&Message { body, properties: b"k=v", ..Message::default() }, Until::Now).unwrap();
    }
    let seen = queue.browse(10, 5);
    assert_eq!(seen.iter().map(|glimpse| glimpse.len).sum::<usize>(), 305);
    assert!(seen.iter().all(|glimpse| glimpse.state == "ready" && glimpse.bytes.len() == 5));
    let held = take(queue).unwrap();
    assert_eq!((held.properties(), &*held), (&b"k=v"[..], &b"short"[..]));
    assert_eq!(queue.purge(false), 1);
    assert_eq!(queue.stats().bytes, 5);
    drop(held);
    assert_eq!(queue.purge(false), 1);
    assert_eq!(queue.stats().bytes, 0);
}

#[test]
fn the_oldest_makes_room() {
    let fresh = fresh(WISHES);
    for number in 0..8_u8 {
        put(&fresh.queue, &[number], u32::from(number) / 4).unwrap();
    }
    assert!(fresh.queue.drop_oldest());
    put(&fresh.queue, &[8], 1).unwrap();
    let left: Vec<_> = std::iter::from_fn(|| body(&fresh.queue)).map(|body| body[0]).collect();
    assert_eq!(left, [4, 5, 6, 7, 8, 1, 2, 3]);
    assert_eq!(fresh.queue.stats().dropped, 1);
    assert!(!fresh.queue.drop_oldest());
}

#[test]
fn threads_deliver_each_message_once() {
    const EACH: u64 = 20_000;
    let wishes = Wishes { capacity: 64, max_len: 1000, ..WISHES };
    let fresh = fresh(wishes);
    let (sum, count) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for sender in 0..3_u64 {
            let queue = fresh.queue.clone();
            scope.spawn(move || {
                for number in 0..EACH {
                    let mut body = vec![0; 8 + (number % 100) as usize];
                    body[..8].copy_from_slice(&(sender * EACH + number).to_ne_bytes());
                    let priority = (number % 32) as u32;
                    queue
                        .put(&Message { body: &body, priority, ..Message::default() }, Until::Never)
                        .unwrap();
                }
            });
        }
        for _ in 0..3 {
            let (queue, sum, count) = (fresh.queue.clone(), &sum, &count);
            scope.spawn(move || {
                while count.load(Ordering::Relaxed) < 3 * EACH {
                    let Some(held) = queue.take(Until::after(Duration::from_millis(20))) else { continue };
                    let number = u64::from_ne_bytes(held[..8].try_into().unwrap());
                    assert_eq!(held.deliveries(), 1);
                    assert!(held.acknowledge());
                    sum.fetch_add(number, Ordering::Relaxed);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let all = 3 * EACH;
    assert_eq!((count.load(Ordering::Relaxed), sum.load(Ordering::Relaxed)), (all, all * (all - 1) / 2));
    let stats = fresh.queue.stats();
    assert_eq!((stats.ready, stats.taken, stats.writing, stats.aside, stats.sent), (0, 0, 0, 0, all));
}

#[test]
fn a_segment_without_a_queue_is_refused() {
    let name = format!("ring-test-{}-none", std::process::id());
    let segment = Segment::options().size(1 << 20).create(&name).unwrap();
    assert!(SlotQueue::open(&segment).unwrap_err().to_string().contains("holds no queue"));
    let fresh = fresh(WISHES);
    let mut bytes = vec![0; 128];
    let region: &Region = &fresh.segment;
    // The queue claimed its range: no safe call reaches it.
    assert!(region.read_bytes(0, &mut bytes).is_err());
}
