//! A ring and cursors whose memory holds anything, and goes on changing: refused or used, but no panic, no hang, no access
//! outside of the segments.
//!
//! Run: `cargo +nightly fuzz run topic`. A byte says which headers are touched; then come steps of one byte each, with what they
//! need: scribble a word anywhere in either segment, publish, receive, hold, lend again.
#![no_main]

use crossing_ring::broadcast::{
    Bell, BELL_LEN, Body, Cursors, CursorsHeader, Figures, Hold, Loan, Manner, Memory, PeerCursors,
    RingHeader, RingReader, RingWriter, Shape, cursors_len,
};
use crossing_shm::Segment;
use libfuzzer_sys::fuzz_target;
use zerocopy::IntoBytes;

const KEY: u64 = 5;
const SUBSCRIBER: u64 = 6;
const FIGURES: Figures =
    Figures { depth: 8, max_len: 300, max_subscribers: 2, max_borrowed: 3, max_loans: 2 };
/// Dropping the newest, so that gaps have words, too.
const SHAPE: Shape = Shape { schema: 7, size: u32::MAX, align: 1, overflow: 2, zero: 0 };

fn name(what: &str) -> String {
    format!("fuzz-topic-{what}-{}", std::process::id())
}

/// A segment for all inputs, made new for each: making one costs more than all that happens in it.
struct Place {
    segment: Segment,
    new: Vec<u8>,
    name: String,
}

impl Place {
    fn create(what: &str, header: &[u8], len: usize) -> Self {
        let mut new = header.to_vec();
        new.resize(len, 0);
        let name = name(what);
        Self { segment: Segment::options().size(len).create(&name).expect("a segment"), new, name }
    }

    fn renew(&self) {
        self.segment.write_bytes(0, &self.new).expect("inside");
    }

    /// A mapping of its own: whoever uses it claims all of it.
    fn map(&self, read_only: bool) -> Segment {
        Segment::options().read_only(read_only).open(&self.name).expect("the segment")
    }

    /// Writes a word somewhere: any, or one near what an honest party writes.
    fn scribble(&self, input: &mut Input<'_>) {
        let place = input.number(2) as usize % (self.new.len() / 8) * 8;
        // The header is not read again.
        let place = place.max(128);
        let value = match input.byte() % 4 {
            0 => input.number(8),
            // A sequence or a position.
            1 => input.number(1),
            // A length and a chunk, or a hazard.
            2 => input.number(2) << 32 | input.number(2),
            _ => {
                let mut old = [0; 8];
                self.segment.read_bytes(place, &mut old).expect("inside");
                u64::from_ne_bytes(old) ^ 1 << (input.byte() % 64)
            }
        };
        self.segment.write_bytes(place, &value.to_ne_bytes()).expect("inside");
    }

    fn scratch_header(&self, input: &mut Input<'_>) {
        for _ in 0..=input.byte() % 4 {
            let at = usize::from(input.byte() % 128);
            self.segment.write_bytes(at, &[input.byte()]).expect("inside");
        }
    }
}

struct World {
    ring: Place,
    cursors: Place,
    bell: Bell,
    _bell: Segment,
}

thread_local! {
    static WORLD: World = {
        let segment = Segment::options().size(BELL_LEN).create(&name("bell")).expect("a segment");
        let bell = Bell::open(&segment).expect("a bell");
        let ring = RingHeader::new(FIGURES, SHAPE, KEY, bell.me(), false).expect("a header");
        let len = usize::try_from(ring.total_len()).expect("small");
        let cursors = CursorsHeader::new(SHAPE, SUBSCRIBER, bell.me(), FIGURES.max_borrowed);
        World {
            ring: Place::create("ring", ring.as_bytes(), len),
            cursors: Place::create("cursors", cursors.as_bytes(), cursors_len()),
            bell,
            _bell: segment,
        }
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

fn read_all(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

/// A publisher and a subscriber of whom each opened what the other one, or both, may have ruined.
struct Members {
    writer: RingWriter,
    reader: RingReader,
    cursors: Cursors,
    peer: PeerCursors,
    memory: Memory,
    next: u64,
    hint: usize,
    bodies: Vec<Body>,
    loans: Vec<Loan>,
}

impl Members {
    fn open(world: &World) -> Option<Self> {
        Some(Self {
            writer: RingWriter::open(&world.ring.map(false)).ok()?,
            reader: RingReader::open(&world.ring.map(true)).ok()?,
            cursors: Cursors::open(&world.cursors.map(false), world.bell.alive()).ok()?,
            peer: PeerCursors::open(&world.cursors.map(true)).ok()?,
            memory: Memory::default(),
            next: 0,
            hint: 0,
            bodies: Vec::new(),
            loans: Vec::new(),
        })
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let len = input.number(2) as usize % 320;
        let dropped = u64::from(input.byte() / 200);
        match input.byte() % 4 {
            0 | 1 => drop(self.writer.publish(&[5; 320][..len], dropped)),
            2 => {
                if let Ok(mut loan) = self.writer.loan(len) {
                    loan.fill(7);
                    loan.truncate(usize::from(input.byte()));
                    self.loans.push(loan);
                }
            }
            _ => match self.loans.pop() {
                Some(loan) if input.byte() % 2 == 0 => self.writer.publish_loan(loan, dropped),
                Some(loan) => self.writer.give_back(loan),
                None => {}
            },
        }
    }

    fn receive(&mut self, input: &mut Input<'_>) {
        let position = if input.byte() % 4 == 0 { input.number(8) } else { self.next };
        let hold = (input.byte() % 2 == 0).then_some(Hold {
            cursors: &mut self.cursors,
            entry: usize::from(input.byte()),
            key: SUBSCRIBER,
        });
        let len = (input.byte() > 230).then_some(64);
        let mut manner = Manner { hold, memory: &mut self.memory, len };
        if let Ok(taken) = self.reader.take(position, &mut manner) {
            std::hint::black_box(read_all(&taken.body));
            self.bodies.push(taken.body);
            self.next = position.wrapping_add(1);
            self.cursors.note(usize::from(input.byte()), self.next);
        } else {
            self.next = self.reader.oldest();
        }
    }

    fn look(&mut self, input: &mut Input<'_>) {
        let position = self.peer.position(KEY, &mut self.hint);
        let seen = (self.reader.tail(), self.reader.oldest(), self.reader.has(input.number(8)));
        let more = (self.reader.has_left(), self.reader.dropped(), self.reader.admitted());
        let reader = (self.reader.admitted_at(SUBSCRIBER), self.peer.readings(), self.peer.held());
        std::hint::black_box((position, seen, more, reader, self.peer.has_left()));
    }
}

fn run(world: &World, data: &[u8]) {
    let mut input = Input(data);
    world.ring.renew();
    world.cursors.renew();
    let flags = input.byte();
    if flags & 1 != 0 {
        world.ring.scratch_header(&mut input);
    }
    if flags & 2 != 0 {
        world.cursors.scratch_header(&mut input);
    }
    let Some(mut members) = Members::open(world) else { return };
    while !input.0.is_empty() {
        match input.byte() % 12 {
            0 | 1 => world.ring.scribble(&mut input),
            2 => world.cursors.scribble(&mut input),
            3 | 4 => members.publish(&mut input),
            5 | 6 => members.receive(&mut input),
            7 => {
                if let Some(body) = members.bodies.pop() {
                    std::hint::black_box(read_all(&body));
                }
            }
            8 => {
                let Members { writer, peer, hint, .. } = &mut members;
                writer.reclaim(|each| peer.holds(KEY, hint, each));
            }
            9 if input.byte() % 2 == 0 => drop(members.writer.admit(SUBSCRIBER)),
            9 => members.writer.expel(SUBSCRIBER),
            10 => drop(members.cursors.begin(KEY, input.number(1))),
            _ => members.look(&mut input),
        }
    }
}

fuzz_target!(|data: &[u8]| WORLD.with(|world| run(world, data)));
