//! A slot queue whose header and memory hold anything, and go on changing: refused or used, but no panic, no hang, no
//! access outside of the segment; and where nobody breaks the rules, each message is whole and comes to one receiver.
//!
//! Run: `cargo +nightly fuzz run queue`. A byte says whether the header is touched; then come steps of one byte each, with
//! what they need: scribble a word anywhere, or use the queue as one of two members.
#![no_main]

mod input;

use crossing_ring::queue::{Draft, Held, Message, QueueDoorbell, QueueHeader, SlotQueue, Which, Wishes};
use crossing_shm::Segment;
use crossing_sync::Until;
use input::Input;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::time::Duration;
use zerocopy::IntoBytes;

const WISHES: Wishes =
    Wishes { capacity: 70, max_len: 20_000, max_bytes: Some(100_000), priorities: 3, max_deliveries: 2, inline: 64 };

/// What the bytes of messages are while words are looked for.
const BODY: u8 = 5;

fn name() -> String {
    format!("fuzz-queue-{}", std::process::id())
}

/// A segment for all inputs, made new for each: one costs more than all that happens in it.
struct World {
    segment: Segment,
    new: Vec<u8>,
    /// The words that honest parties write, but for those of messages.
    words: Vec<usize>,
}

thread_local! {
    static WORLD: World = {
        let header = QueueHeader::new(&WISHES).expect("a header");
        let len = usize::try_from(header.total_len()).expect("small");
        let segment = Segment::options().size(len).create(&name());
        let mut new = header.as_bytes().to_vec();
        new.resize(len, 0);
        let mut world = World { segment: segment.expect("a segment"), new, words: Vec::new() };
        world.find_words();
        world
    };
}

impl World {
    /// A mapping of its own: the queue claims all of it.
    fn open(&self) -> Option<SlotQueue> {
        let mapping = Segment::options().open(&name()).expect("the segment");
        SlotQueue::open(&mapping).ok()
    }

    /// Uses the queue in every way, and looks what it wrote.
    fn find_words(&mut self) {
        let bytes = [BODY; 20_000];
        let mut found = BTreeSet::new();
        self.segment.write_bytes(0, &self.new).expect("inside");
        for turn in 0..6_usize {
            let members = [self.open().expect("a queue"), self.open().expect("a queue")];
            for (index, queue) in (0..70).map(|index| (index, &members[index % 2])) {
                let len = [9, 60, 300, 3_000, 20_000][index % 5];
                let message = Message {
                    body: &bytes[..len],
                    priority: index as u32 % 3,
                    delay: Duration::from_millis(u64::from(index % 7 == 0) * 3_600_000),
                    ..Message::default()
                };
                let _ = queue.put(&message, Until::Now);
            }
            let mut taken: Vec<_> = std::iter::from_fn(|| members[turn % 2].take(Until::Now)).collect();
            self.note(&mut found);
            while let Some(held) = taken.pop() {
                match taken.len() % 3 {
                    0 => drop(held.acknowledge()),
                    1 => drop(held.give_back(Duration::from_secs(3_600))),
                    _ => drop(held),
                }
            }
            drop(members[0].doorbell(Which::Arrivals).map(|doorbell| doorbell.arm()));
            self.note(&mut found);
        }
        self.words = found.into_iter().collect();
        assert!(self.words.len() > 500, "the queue was not used");
    }

    fn note(&self, found: &mut BTreeSet<usize>) {
        let mut now = vec![0; self.new.len()];
        self.segment.read_bytes(0, &mut now).expect("inside");
        let payload = [BODY; 8];
        let (words, _) = now.as_chunks::<8>();
        let written =
            words.iter().enumerate().skip(128 / 8).filter(|(_, word)| **word != [0; 8] && **word != payload);
        found.extend(written.map(|(index, _)| index * 8));
    }

    /// Writes a word somewhere: any, or one near what an honest party writes.
    fn scribble(&self, input: &mut Input<'_>) {
        let how = input.byte();
        let place = match how & 0xc0 {
            // The header is not read again.
            0 => (input.number(3) as usize % (self.new.len() / 8) * 8).max(128),
            _ => self.words[input.number(2) as usize % self.words.len()],
        };
        let mut old = [0; 8];
        self.segment.read_bytes(place, &mut old).expect("inside");
        let old = u64::from_ne_bytes(old);
        let value = match how % 7 {
            0 => input.number(8),
            // A state, a use and an owner.
            1 => input.number(1) << 60 | input.number(1) << 32 | input.number(4),
            // A name in a lane.
            2 => input.number(2) << 43 | input.number(1) << 21 | input.number(1),
            3 => old.wrapping_add_signed(i64::from(input.byte() as i8)),
            // What stands elsewhere.
            4 => {
                let mut other = [0; 8];
                let from = self.words[input.number(2) as usize % self.words.len()];
                self.segment.read_bytes(from, &mut other).expect("inside");
                u64::from_ne_bytes(other)
            }
            5 => old ^ 0xf << 60 & u64::from(input.byte()) << 60,
            _ => old ^ 1 << (input.byte() % 64),
        };
        self.segment.write_bytes(place, &value.to_ne_bytes()).expect("inside");
    }
}

fn read_all(held: &Held) -> u64 {
    let bytes = held.iter().chain(held.properties());
    bytes.fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

/// One of the members, with what it has in hand.
struct Member {
    queue: SlotQueue,
    held: Vec<Held>,
    drafts: Vec<Draft>,
    doorbell: Option<QueueDoorbell>,
}

impl Member {
    fn join(world: &World) -> Option<Self> {
        Some(Self { queue: world.open()?, held: Vec::new(), drafts: Vec::new(), doorbell: None })
    }
}

struct Members<'a> {
    world: &'a World,
    members: [Member; 2],
    /// Numbers of the messages that were sent and are to be received.
    sent: u64,
    /// Those that may still be there.
    left: BTreeSet<u64>,
    touched: bool,
}

impl Members<'_> {
    /// A message that is known again: its number, then bytes that go with it.
    fn write(number: u64, body: &mut [u8]) {
        let (head, rest) = body.split_at_mut(body.len().min(8));
        head.copy_from_slice(&number.to_le_bytes()[..head.len()]);
        rest.fill(number as u8);
    }

    fn terms(input: &mut Input<'_>) -> Message<'static> {
        let ttl = input.byte();
        Message {
            priority: u32::from(input.byte() % 4),
            ttl: (ttl > 200).then_some(Duration::from_nanos(u64::from(ttl))),
            delay: Duration::from_nanos(u64::from(input.byte() / 128)),
            ..Message::default()
        }
    }

    fn sent(&mut self, len: usize) {
        if len >= 8 {
            self.left.insert(self.sent);
        }
        self.sent += 1;
    }

    fn put(&mut self, index: usize, input: &mut Input<'_>) {
        let mut bytes = vec![0; input.number(2) as usize % 21_000];
        Self::write(self.sent, &mut bytes);
        let properties = vec![7; usize::from(input.byte() / 2)];
        let message = Message { body: &bytes, properties: &properties, ..Self::terms(input) };
        if self.members[index].queue.put(&message, Until::Now).is_ok() {
            self.sent(bytes.len());
        }
    }

    fn draft(&mut self, index: usize, input: &mut Input<'_>) {
        let member = &mut self.members[index];
        if input.byte() % 2 == 0 {
            let len = input.number(2) as usize % 21_000;
            member.drafts.extend(member.queue.draft(len, &[7; 3], Until::Now));
        } else if let Some(mut draft) = member.drafts.pop() {
            draft.truncate(input.number(2) as usize);
            Self::write(self.sent, &mut draft);
            let len = draft.len();
            match input.byte() % 4 {
                0 => drop(draft),
                _ => {
                    if draft.commit(&Self::terms(input)).is_ok() {
                        self.sent(len);
                    }
                }
            }
        }
    }

    fn check(&self, held: &Held) {
        std::hint::black_box(read_all(held));
        if self.touched {
            return;
        }
        assert!(!held.is_damaged());
        assert!(held.properties().iter().all(|byte| *byte == 7));
        if let Some((number, rest)) = held.split_first_chunk::<8>() {
            let number = u64::from_le_bytes(*number);
            assert!(self.left.contains(&number), "message {number} came twice, or never was");
            assert!(rest.iter().all(|byte| *byte == number as u8), "message {number} is torn");
        }
    }

    fn end(&mut self, index: usize, input: &mut Input<'_>) {
        let Some(held) = self.members[index].held.pop() else { return };
        self.check(&held);
        let number = held.first_chunk::<8>().map(|number| u64::from_le_bytes(*number));
        match input.byte() % 3 {
            0 => {
                let done = held.acknowledge();
                assert!(done || self.touched, "a message was taken away from its receiver");
                if let (true, Some(number)) = (done, number) {
                    self.left.remove(&number);
                }
            }
            1 => assert!(held.give_back(Duration::from_nanos(u64::from(input.byte()))) || self.touched),
            _ => drop(held),
        }
    }

    fn rejoin(&mut self, index: usize) {
        let member = &mut self.members[index];
        (member.held, member.drafts, member.doorbell) = Default::default();
        if let Some(joined) = Member::join(self.world) {
            *member = joined;
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let index = usize::from(what >> 7);
        let member = &mut self.members[index];
        match what % 16 {
            0..=2 => {
                self.world.scribble(input);
                self.touched = true;
            }
            3 | 4 => self.put(index, input),
            5 => self.draft(index, input),
            6 | 7 => member.held.extend(member.queue.take(Until::Now)),
            8 => member.held.extend(member.queue.take_dead(Until::Now)),
            9 | 10 => self.end(index, input),
            11 => drop(member.queue.drop_oldest()),
            12 => drop(member.queue.purge(input.byte() % 2 == 0)),
            13 if what & 64 == 0 => self.rejoin(index),
            13 => {
                let which = if input.byte() % 2 == 0 { Which::Arrivals } else { Which::Room };
                match &member.doorbell {
                    Some(doorbell) => drop(doorbell.arm()),
                    None => member.doorbell = member.queue.doorbell(which).ok(),
                }
            }
            _ => {
                let stats = member.queue.stats();
                assert!(
                    self.touched
                        || stats.ready + stats.aside + stats.taken + stats.dead + stats.writing <= 70
                );
                std::hint::black_box(member.queue.browse(10, 300));
            }
        }
    }

    /// What is in the queue comes, once each; there is nothing else in it, and all of it can be used again.
    fn close(mut self) {
        if self.touched {
            return;
        }
        for member in &mut self.members {
            (member.held, member.drafts) = Default::default();
        }
        let queue = self.members[0].queue.clone();
        std::thread::sleep(Duration::from_nanos(300)); // the longest delay
        for _ in 0..2 {
            while let Some(held) = queue.take(Until::Now).or_else(|| queue.take_dead(Until::Now)) {
                self.check(&held);
                if let Some(number) = held.first_chunk::<8>() {
                    self.left.remove(&u64::from_le_bytes(*number));
                }
                assert!(held.acknowledge());
            }
        }
        let stats = queue.stats();
        assert_eq!(stats.ready + stats.aside + stats.taken + stats.dead + stats.writing, 0);
        for number in 0..70 {
            let message = Message { body: &[number; 1_000], ..Message::default() };
            assert_eq!(queue.put(&message, Until::Now), Ok(()), "slots or blocks are lost");
        }
    }
}

fn run(world: &World, data: &[u8]) {
    let mut input = Input(data);
    world.segment.write_bytes(0, &world.new).expect("inside");
    let flags = input.byte();
    if flags & 1 != 0 {
        for _ in 0..=input.byte() % 4 {
            let at = usize::from(input.byte() % 128);
            world.segment.write_bytes(at, &[input.byte()]).expect("inside");
        }
    }
    if flags & 2 != 0 {
        // Scribbled before anybody opens it.
        for _ in 0..=input.byte() % 16 {
            world.scribble(&mut input);
        }
    }
    let (Some(one), Some(other)) = (Member::join(world), Member::join(world)) else { return };
    let touched = flags & 3 != 0;
    let mut members = Members { world, members: [one, other], sent: 0, left: BTreeSet::new(), touched };
    while !input.0.is_empty() {
        members.step(&mut input);
    }
    members.close();
}

fuzz_target!(|data: &[u8]| WORLD.with(|world| run(world, data)));
