//! A ring, cursors and bells whose memory holds anything, and goes on changing: refused or used, but no panic, no hang, no access
//! outside of the segments; and what nobody touched is whole and in order.
//!
//! Run: `cargo +nightly fuzz run topic`. A byte says which headers are touched and of which kind the ring is; then come steps of one
//! byte each, with what they need: scribble a word anywhere in any segment, publish, receive, hold, lend again, ring, open again.
#![no_main]

mod input;

use crossing_ring::broadcast::{
    Body, Cursors, CursorsHeader, EVENT_LEN, EventBell, Figures, Hold, Loan, Manner, Memory, Outcome,
    PeerCursors, RingHeader, RingReader, RingWriter, Shape, cursors_len,
};
use crossing_shm::Segment;
use crossing_sync::ParticipantId;
use input::Input;
use libfuzzer_sys::fuzz_target;
use std::time::Instant;
use zerocopy::IntoBytes;

const KEY: u64 = 5;
const SUBSCRIBER: u64 = 6;
const MAX_BORROWED: u32 = 3;

const fn figures(depth: u32, max_len: u32) -> Figures {
    Figures { depth, max_len, max_subscribers: 2, max_borrowed: MAX_BORROWED, max_loans: 2 }
}

const fn shape(align: u32, overflow: u32) -> Shape {
    Shape { schema: 7, size: u32::MAX, align, overflow, zero: 0 }
}

/// Short and long messages, with gaps; all in the slots, with slots made ready ahead; in lines of their own; none in the slots.
const KINDS: [(Figures, Shape); 4] = [
    (figures(8, 300), shape(1, 2)),
    (figures(64, 48), shape(8, 0)),
    (figures(128, 64), shape(8, 0)),
    (figures(4, 500), shape(64, 1)),
];

fn name(what: &str) -> String {
    format!("fuzz-topic-{what}-{}", std::process::id())
}

/// A segment for all inputs, made new for each: making one costs more than all that happens in it.
struct Place {
    segment: Segment,
    new: Vec<u8>,
    name: String,
    /// From where to where the words lie that mean something.
    from: usize,
    to: usize,
}

impl Place {
    fn create(what: &str, header: &[u8], len: usize, to: usize) -> Self {
        let mut new = header.to_vec();
        new.resize(len, 0);
        let name = name(what);
        let segment = Segment::options().size(len).create(&name).expect("a segment");
        // The header is not read again.
        Self { segment, new, name, from: header.len(), to: to.min(len) }
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
        let how = input.byte();
        let place = match how & 0x80 {
            0 => self.from + input.number(2) as usize % ((self.to - self.from) / 8) * 8,
            _ => (input.number(2) as usize % (self.new.len() / 8) * 8).max(self.from),
        };
        let mut old = [0; 8];
        self.segment.read_bytes(place, &mut old).expect("inside");
        let old = u64::from_ne_bytes(old);
        let value = match how % 5 {
            0 => input.number(8),
            // A sequence or a position.
            1 => input.number(1),
            // A length and a chunk, or a hazard.
            2 => input.number(2) << 32 | input.number(2),
            3 => old.wrapping_add_signed(i64::from(input.byte() as i8)),
            _ => old ^ 1 << (input.byte() % 64),
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
    rings: Vec<Place>,
    cursors: Place,
    bell: Place,
    event: EventBell,
    reading: Segment,
}

thread_local! {
    static WORLD: World = {
        // The words of a bell alone: the table of its participants is the kernel's to prove.
        let bell = Place::create("bell", &[], EVENT_LEN, EVENT_LEN);
        let event = EventBell::open(&bell.map(false)).expect("a bell");
        let me = event.bell().me();
        let ring = |kind: usize| {
            let (figures, shape) = KINDS[kind];
            let header = RingHeader::new(figures, shape, KEY, me, false).expect("a header");
            let len = usize::try_from(header.total_len()).expect("small");
            let slots = 256 + figures.depth as usize * 144;
            Place::create(&format!("ring-{kind}"), header.as_bytes(), len, slots)
        };
        let cursors = CursorsHeader::new(KINDS[0].1, SUBSCRIBER, me, MAX_BORROWED);
        World {
            rings: (0..KINDS.len()).map(ring).collect(),
            cursors: Place::create("cursors", cursors.as_bytes(), cursors_len(), 1024),
            reading: bell.map(true),
            bell,
            event,
        }
    };
}

fn read_all(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

/// What message `position` of `len` bytes is.
fn message(position: u64, len: usize) -> Vec<u8> {
    vec![position as u8 | 1; len]
}

/// A publisher and a subscriber of whom each opened what the other one, or both, may have ruined.
struct Members<'a> {
    world: &'a World,
    ring: &'a Place,
    writer: RingWriter,
    reader: RingReader,
    cursors: Cursors,
    peer: PeerCursors,
    memory: Memory,
    next: u64,
    hint: usize,
    /// The publisher's entry in the cursors.
    entry: Option<usize>,
    bodies: Vec<(u64, Body)>,
    loans: Vec<Loan>,
    /// Whether anybody broke the rules.
    touched: bool,
}

impl<'a> Members<'a> {
    fn open(world: &'a World, ring: &'a Place, touched: bool) -> Option<Self> {
        Some(Self {
            world,
            ring,
            writer: RingWriter::open(&ring.map(false)).ok()?,
            reader: RingReader::open(&ring.map(true)).ok()?,
            cursors: Cursors::open(&world.cursors.map(false), world.event.bell().alive()).ok()?,
            peer: PeerCursors::open(&world.cursors.map(true)).ok()?,
            memory: Memory::default(),
            next: 0,
            hint: 0,
            entry: None,
            bodies: Vec::new(),
            loans: Vec::new(),
            touched,
        })
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let len = input.number(2) as usize % (self.writer.max_len() + 20);
        let dropped = u64::from(input.byte() / 200);
        let position = self.writer.position();
        match input.byte() % 4 {
            0 | 1 => drop(self.writer.publish(&message(position, len), dropped)),
            2 => {
                if let Ok(mut loan) = self.writer.loan(len) {
                    loan.truncate(usize::from(input.byte()));
                    self.loans.push(loan);
                }
            }
            _ => match self.loans.pop() {
                Some(mut loan) if input.byte() % 2 == 0 => {
                    loan.fill(position as u8 | 1);
                    self.writer.publish_loan(loan, dropped);
                }
                Some(loan) if input.byte() % 8 != 0 => self.writer.give_back(loan),
                // Forgotten: its chunk is gone for good, no more.
                lost => drop(lost),
            },
        }
    }

    fn begin(&mut self, position: u64) {
        if self.touched || self.entry.is_none() {
            self.entry = self.cursors.begin(KEY, position);
        }
    }

    fn check(&self, position: u64, body: &Body) {
        let seen = read_all(body);
        if !self.touched {
            assert!(body.len() <= self.writer.max_len());
            assert_eq!(seen, read_all(&message(position, body.len())), "torn, or not message {position}");
        }
    }

    fn receive(&mut self, input: &mut Input<'_>) {
        let position = if input.byte() % 4 == 0 { input.number(8) } else { self.next };
        let any = usize::from(input.byte());
        // By an entry that is not the publisher's own it would be held by nobody.
        let entry = if self.touched { Some(any) } else { self.entry };
        let entry = entry.filter(|_| input.byte() % 4 != 0);
        let hold = entry.map(|entry| Hold { cursors: &mut self.cursors, entry, key: SUBSCRIBER });
        let len = (input.byte() > 230).then_some(64);
        let mut manner = Manner { hold, memory: &mut self.memory, len, away: false };
        match self.reader.take(position, &mut manner) {
            Ok(taken) => {
                self.check(position, &taken.body);
                self.bodies.push((position, taken.body));
                self.next = position.wrapping_add(1);
                self.cursors.note(usize::from(input.byte()), self.next);
            }
            Err(outcome) => {
                assert!(self.touched || outcome != Outcome::Damaged || len.is_some());
                self.next = self.reader.oldest();
            }
        }
    }

    fn let_go(&mut self, index: usize) {
        if !self.bodies.is_empty() {
            let (position, body) = self.bodies.swap_remove(index % self.bodies.len());
            self.check(position, &body);
            std::hint::black_box((
                body.value::<u64>(),
                body.value::<[u32; 3]>(),
                body.is_in_place(),
                body.note(),
            ));
        }
    }

    fn look(&mut self, input: &mut Input<'_>) {
        let position = self.peer.position(KEY, &mut self.hint);
        let seen = (self.reader.tail(), self.reader.oldest(), self.reader.has(input.number(8)));
        let more = (self.reader.has_left(), self.reader.dropped(), self.reader.admitted());
        let reader = (self.reader.admitted_at(SUBSCRIBER), self.peer.readings(), self.peer.held());
        self.reader.prefetch(input.number(1));
        std::hint::black_box((position, seen, more, reader, self.peer.has_left()));
    }

    /// The bell of one who may be rung, and the ids behind it.
    fn ring(&mut self, input: &mut Input<'_>) {
        let event = &self.world.event;
        let bell = event.bell();
        match input.byte() % 8 {
            0 => bell.ring(),
            1 => bell.tell(),
            2 => bell.want(),
            3 => {
                if bell.is_wanted() {
                    bell.answer();
                }
            }
            4 => {
                let ticket = bell.prepare();
                bell.wait(ticket, Some(Instant::now()));
            }
            5 => event.notify(input.number(2) as u32),
            6 => {
                let (has, ids) = (event.has(), event.take());
                assert_eq!(ids.iter().count(), ids.len());
                assert_eq!(has, !ids.is_empty());
                std::hint::black_box(EventBell::peek(&self.world.reading).expect("long enough"));
            }
            _ => {
                let owner = ParticipantId::from_raw(input.number(4) as u32);
                std::hint::black_box((owner.map(|owner| bell.is_owner_alive(owner)), bell.news()));
            }
        }
    }

    fn reopen(&mut self, input: &mut Input<'_>) {
        match input.byte() % 4 {
            // What is held stays mapped and held.
            0 => {
                if let Ok(reader) = RingReader::open(&self.ring.map(true)) {
                    self.reader = reader;
                }
            }
            1 => self.memory.forget(),
            2 => self.memory = Memory::default(),
            _ => {
                if let Ok(peer) = PeerCursors::open(&self.world.cursors.map(true)) {
                    self.peer = peer;
                }
            }
        }
    }

    fn scribble(&mut self, place: &Place, input: &mut Input<'_>) {
        place.scribble(input);
        self.touched = true;
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 => self.scribble(self.ring, input),
            1 => self.scribble(&self.world.cursors, input),
            2 => self.world.bell.scribble(input),
            3..=5 => self.publish(input),
            6..=8 => self.receive(input),
            9 => self.let_go(usize::from(input.byte())),
            10 => {
                let Self { writer, peer, hint, .. } = self;
                writer.reclaim(|each| peer.holds(KEY, hint, each));
            }
            11 if input.byte() % 2 == 0 => drop(self.writer.admit(SUBSCRIBER)),
            11 => {
                // Who is expelled is dead: it reads nothing in place any more.
                self.bodies.clear();
                self.writer.expel(SUBSCRIBER);
                if let Ok(reader) = RingReader::open(&self.ring.map(true)) {
                    self.reader = reader;
                }
            }
            12 => self.begin(input.number(1)),
            13 => self.ring(input),
            14 => self.reopen(input),
            _ => self.look(input),
        }
    }
}

fn run(world: &World, data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let ring = &world.rings[usize::from(flags >> 2) % KINDS.len()];
    ring.renew();
    world.cursors.renew();
    world.bell.renew();
    if flags & 1 != 0 {
        ring.scratch_header(&mut input);
    }
    if flags & 2 != 0 {
        world.cursors.scratch_header(&mut input);
    }
    let Some(mut members) = Members::open(world, ring, flags & 3 != 0) else { return };
    if flags & 16 != 0 {
        // As members do at once.
        members.writer.admit(SUBSCRIBER);
        members.begin(0);
    }
    while !input.0.is_empty() {
        members.step(&mut input);
    }
    while !members.bodies.is_empty() {
        members.let_go(0);
    }
}

fuzz_target!(|data: &[u8]| WORLD.with(|world| run(world, data)));
