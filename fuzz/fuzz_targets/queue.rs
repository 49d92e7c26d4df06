//! A slot queue whose header and memory hold anything, and go on changing: refused or used, but no panic, no hang, no
//! access outside of the segment.
//!
//! Run: `cargo +nightly fuzz run queue`. A byte says whether the header is touched; then come steps of one byte each, with
//! what they need: scribble a word anywhere, or use the queue.
#![no_main]

use crossing_ring::queue::{Held, Message, QueueHeader, SlotQueue, Wishes};
use crossing_shm::Segment;
use crossing_sync::Until;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use zerocopy::IntoBytes;

const WISHES: Wishes =
    Wishes { capacity: 70, max_len: 20_000, max_bytes: Some(100_000), priorities: 3, max_deliveries: 2 };

fn name() -> String {
    format!("fuzz-queue-{}", std::process::id())
}

thread_local! {
    /// One for all inputs, made new for each: a segment costs more than all that happens in it.
    static SEGMENT: (Segment, Vec<u8>) = {
        let header = QueueHeader::new(&WISHES).expect("a header");
        let len = usize::try_from(header.total_len()).expect("small");
        let segment = Segment::options().size(len).create(&name());
        let mut new = header.as_bytes().to_vec();
        new.resize(len, 0);
        (segment.expect("a segment"), new)
    };
}

/// Takes bytes from the input; zeros at its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }
}

/// Writes a word somewhere: any, or one near what an honest party writes.
fn scribble(segment: &Segment, input: &mut Input<'_>, len: usize) {
    let place = input.number(3) as usize % (len / 8) * 8;
    // The header is not read again.
    let place = place.max(128);
    let value = match input.byte() % 4 {
        0 => input.number(8),
        // A state, a use and an owner.
        1 => input.number(1) << 60 | input.number(1) << 32 | input.number(4),
        2 => input.number(2) << 43 | input.number(1) << 21 | input.number(1),
        _ => {
            let mut old = [0; 8];
            segment.read_bytes(place, &mut old).expect("inside");
            u64::from_ne_bytes(old) ^ 1 << (input.byte() % 64)
        }
    };
    segment.write_bytes(place, &value.to_ne_bytes()).expect("inside");
}

fn read_all(held: &Held) -> u64 {
    let bytes = held.iter().chain(held.properties());
    bytes.fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

fn run(segment: &Segment, new: &[u8], data: &[u8]) {
    let mut input = Input(data);
    segment.write_bytes(0, new).expect("inside");
    let flags = input.byte();
    if flags & 1 != 0 {
        for _ in 0..=input.byte() % 4 {
            let at = usize::from(input.byte() % 128);
            segment.write_bytes(at, &[input.byte()]).expect("inside");
        }
    }
    if flags & 2 != 0 {
        // Scribbled before anybody opens it.
        for _ in 0..=input.byte() % 16 {
            scribble(segment, &mut input, new.len());
        }
    }
    // A mapping of its own: the queue claims all of it.
    let mapping = Segment::options().open(&name()).expect("the segment");
    let Ok(queue) = SlotQueue::open(&mapping) else { return };
    let mut held = Vec::new();
    let bytes = [5; 21_000];
    while !input.0.is_empty() {
        match input.byte() % 12 {
            0..=3 => scribble(segment, &mut input, new.len()),
            4 | 5 => {
                let ttl = input.byte();
                let message = Message {
                    body: &bytes[..input.number(2) as usize % bytes.len()],
                    properties: &bytes[..usize::from(input.byte())],
                    priority: u32::from(input.byte() % 4),
                    ttl: (ttl > 200).then_some(Duration::from_nanos(u64::from(ttl))),
                    delay: Duration::from_nanos(u64::from(input.byte() / 128)),
                };
                let _ = queue.put(&message, Until::Now);
            }
            6 => held.extend(queue.take(Until::Now)),
            7 => held.extend(queue.take_dead(Until::Now)),
            8 => {
                if let Some(held) = held.pop() {
                    std::hint::black_box(read_all(&held));
                    match input.byte() % 3 {
                        0 => drop(held),
                        1 => drop(held.acknowledge()),
                        _ => drop(held.give_back(Duration::from_nanos(u64::from(input.byte())))),
                    }
                }
            }
            9 => drop(queue.drop_oldest()),
            10 => drop(queue.purge(input.byte() % 2 == 0)),
            _ => {
                std::hint::black_box((queue.stats(), queue.browse(10, 300)));
            }
        }
    }
}

fuzz_target!(|data: &[u8]| SEGMENT.with(|(segment, new)| run(segment, new, data)));
