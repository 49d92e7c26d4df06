//! One side of a session on anything that a peer may send, and two sides over a network that changes what it carries: no panic,
//! bounded memory, the same outcome however the bytes are cut, and what nobody touched arrives once and in order.
//!
//! Run: `cargo +nightly fuzz run session`. The first byte chooses: two sides (bit 2), or the side (bit 0) and whether a valid
//! beginning comes first (bit 1); the second is the length of pieces, or the limits of both sides. For two sides then come steps
//! of one byte each, with what they need.
#![no_main]

mod input;

use crossing_wire::session::{
    Cause, Config, Event, Introduction, NUMBERS_LEN, Phase, Received, Refusal, SendError, Session, SessionId,
};
use crossing_wire::{Encoder, Kind, Preamble};
use input::Input;
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

type Seen = (Vec<Vec<u8>>, Vec<Event>, Phase);

fn config() -> Config {
    Config { max_message_len: 500, resend_bytes: 2_000, window_bytes: 2_000, ..Config::default() }
}

fn feed(mut session: Session, pieces: std::slice::Chunks<'_, u8>, now: Instant) -> Seen {
    for byte in 0..4 {
        let _ = session.send(&[byte; 3]);
    }
    let mut sent = session.output().len();
    session.consume(sent, now);
    let mut messages = Vec::new();
    for piece in pieces {
        session.feed(piece, now);
    }
    while let Received::Message(bytes) = session.recv() {
        assert!(bytes.len() <= 500);
        messages.push(bytes.to_vec());
    }
    loop {
        sent = session.output().len();
        if sent == 0 {
            break;
        }
        session.consume(sent, now);
    }
    let events = std::iter::from_fn(|| session.poll_event()).collect();
    (messages, events, session.phase())
}

fn frame(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    Encoder::new(0).encode(kind, payload, out).unwrap();
}

fn run(flags: u8, piece: usize, rest: &[u8], now: Instant) -> Option<Seen> {
    let mut bytes = Vec::new();
    let preamble = Preamble::new(516).for_sessions().encode();
    let terms = [0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 100, 0, 0, 0];
    if flags & 1 == 0 {
        let mut client = Session::client(SessionId([3; 16]), config(), now);
        client.connected(now);
        let len = client.output().len();
        client.consume(len, now);
        if flags & 2 != 0 {
            bytes.extend(preamble);
            frame(Kind::Accept, &[&terms[..], &[0; 8]].concat(), &mut bytes);
            client.feed(&bytes, now);
            bytes.clear();
        }
        bytes.extend(rest);
        return Some(feed(client, bytes.chunks(piece), now));
    }
    if flags & 2 != 0 {
        bytes.extend(preamble);
        let open = [&[5; 16][..], &[1, 0, 0, 0, 0, 0, 0, 0], &terms, &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
        frame(Kind::Open, &open, &mut bytes);
    }
    bytes.extend(rest);
    let mut introduction = Introduction::new(&config());
    let mut used = 0;
    for part in bytes.chunks(piece) {
        let space = introduction.space();
        if space.len() < part.len() {
            return None;
        }
        space[..part.len()].copy_from_slice(part);
        used += part.len();
        if introduction.advance(part.len()).ok()?.is_some() {
            break;
        }
    }
    let mut server = Session::server(&introduction, config(), now).ok()?;
    server.resume(introduction, now).ok()?;
    Some(feed(server, bytes[used..].chunks(piece), now))
}

impl Input<'_> {
    /// Small, or near an end.
    fn count(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=199 => u64::from(byte % 20),
            200..=219 => u64::MAX - u64::from(self.byte()),
            _ => self.number(8),
        }
    }
}

/// What a side sends as its `number`th message: to be known again when it comes.
fn message(side: usize, number: u64, len: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.push(side as u8);
    bytes.resize(len.max(9), number as u8);
    bytes
}

/// A client (0) and a server (1), and what is on the way from each.
struct Pair {
    config: Config,
    now: Instant,
    sides: [Option<Session>; 2],
    wires: [VecDeque<u8>; 2],
    introduction: Option<Introduction>,
    sent: [u64; 2],
    got: [u64; 2],
    /// Whether somebody broke the rules: then only what each side does to itself matters.
    touched: bool,
    /// Whether an application gave up: what it sent may not arrive.
    given_up: bool,
}

impl Pair {
    fn new(limits: u8, now: Instant) -> Self {
        let bytes = 300 << (limits % 4);
        let config = Config {
            max_message_len: 100 << (limits / 4 % 4),
            resend_bytes: bytes,
            window_bytes: 300 << (limits / 16 % 4),
            dead_after: Duration::from_millis(50),
            handshake_timeout: Duration::from_millis(70),
            lost_after: Duration::from_millis(if limits > 127 { 200 } else { 1 << 40 }),
        };
        Self {
            config,
            now,
            sides: [Some(Session::client(SessionId([7; 16]), config, now)), None],
            wires: Default::default(),
            introduction: None,
            sent: [0; 2],
            got: [0; 2],
            touched: false,
            given_up: limits > 127,
        }
    }

    fn cut(&mut self, cause: Cause) {
        self.wires = Default::default();
        self.introduction = None;
        for side in self.sides.iter_mut().flatten() {
            side.disconnected(cause, self.now);
        }
    }

    /// The client has a new connection; the server may not have noticed that the old one is gone.
    fn connect(&mut self) {
        self.wires = Default::default();
        let introduction = Introduction::new(&self.config);
        self.wires[1].extend(introduction.preamble());
        self.introduction = Some(introduction);
        let Some(client) = &mut self.sides[0] else { return };
        client.connected(self.now);
    }

    fn send(&mut self, side: usize, len: usize) {
        let number = self.sent[side];
        let Some(session) = &mut self.sides[side] else { return };
        match session.send(&message(side, number, len)) {
            Ok(()) => self.sent[side] += 1,
            Err(SendError::TooLarge { max }) => assert!(len.max(9) > max),
            Err(_) => {}
        }
    }

    fn receive(&mut self, side: usize) {
        let Some(session) = &mut self.sides[side] else { return };
        match session.recv() {
            Received::Message(bytes) => {
                assert!(bytes.len() <= self.config.max_message_len.max(256 - NUMBERS_LEN));
                if !self.touched {
                    assert_eq!(
                        bytes,
                        message(1 - side, self.got[side], bytes.len()),
                        "lost, doubled or out of order"
                    );
                }
                self.got[side] += 1;
            }
            Received::Ended => assert!(self.touched || self.got[side] == self.sent[1 - side]),
            Received::Nothing => {}
        }
    }

    /// `len` bytes of what a side has to say go on their way.
    fn put(&mut self, side: usize, len: usize) {
        let Some(session) = &mut self.sides[side] else { return };
        if side == 1 && self.introduction.is_some() {
            return; // It has no connection, or still believes in an old one.
        }
        let out = session.output();
        let len = len.min(out.len());
        self.wires[side].extend(&out[..len]);
        session.consume(len, self.now);
    }

    /// `len` bytes arrive.
    fn get(&mut self, side: usize, len: usize) {
        let wire = &mut self.wires[1 - side];
        let bytes: Vec<u8> = wire.drain(..len.min(wire.len())).collect();
        if side == 1 && self.introduction.is_some() {
            return self.introduce(&bytes);
        }
        if let Some(session) = &mut self.sides[side] {
            session.feed(&bytes, self.now);
        }
    }

    fn introduce(&mut self, bytes: &[u8]) {
        let Some(mut introduction) = self.introduction.take() else { return };
        let space = introduction.space();
        let len = space.len().min(bytes.len());
        space[..len].copy_from_slice(&bytes[..len]);
        match introduction.advance(len) {
            Ok(None) => self.introduction = Some(introduction),
            Ok(Some(_)) => {
                if self.sides[1].is_none() {
                    self.sides[1] = Session::server(&introduction, self.config, self.now).ok();
                }
                let refusal = introduction.refuse(Refusal::Stale);
                let resumed = self.sides[1].as_mut().map(|server| server.resume(introduction, self.now));
                match resumed {
                    Some(Ok(())) => {}
                    _ => self.wires[1].extend(refusal),
                }
            }
            Err(_) => self.cut(Cause::Cut),
        }
    }

    /// Changes a byte on its way.
    fn spoil(&mut self, input: &mut Input<'_>) {
        let wire = &mut self.wires[usize::from(input.byte() % 2)];
        let (at, with) = (input.number(2) as usize, input.byte());
        if let Some(len) = wire.len().checked_sub(1) {
            wire[at % (len + 1)] ^= with;
            self.touched = true;
        }
    }

    /// Says something in a side's name that has the form of a frame.
    fn forge(&mut self, input: &mut Input<'_>) {
        let side = usize::from(input.byte() % 2);
        let what = input.byte() % 8;
        let (one, two) = (input.count().to_le_bytes(), input.count().to_le_bytes());
        let mut bytes = Vec::new();
        let numbers = [one, two].concat();
        match what {
            0 => frame(Kind::Ack, &one, &mut bytes),
            1 => frame(Kind::Fin, &numbers, &mut bytes),
            2 => frame(Kind::Close, &[input.byte() % 3], &mut bytes),
            3 => frame(Kind::Refuse, &[input.byte() % 6], &mut bytes),
            4 => frame(Kind::Accept, &[&numbers[..], &[0; 8]].concat(), &mut bytes),
            5 => {
                let open =
                    [&[7; 16][..], &one, &two, &[0, 9, 0, 0, 9, 0, 0, 0], &[input.byte() % 2], &[0; 7]];
                frame(Kind::Open, &open.concat(), &mut bytes);
            }
            _ => {
                let len = usize::from(input.byte());
                frame(Kind::Message, &[&numbers[..], &[1; 255][..len]].concat(), &mut bytes);
            }
        }
        self.wires[side].extend(bytes);
        self.touched = true;
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        for session in self.sides.iter_mut().flatten() {
            let _ = session.next_timeout();
            session.handle_timeout(self.now);
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let side = usize::from(what >> 7);
        match what % 16 {
            0 | 1 => self.send(side, input.number(1) as usize * 4),
            2 | 3 => self.receive(side),
            4 | 5 => self.put(side, input.number(1) as usize * 8 + 1),
            6 | 7 => self.get(side, input.number(1) as usize * 8 + 1),
            8 => self.spoil(input),
            9 => self.forge(input),
            10 => self.connect(),
            11 if what & 64 == 0 => self.cut(Cause::Cut),
            11 => {
                if let Some(session) = &mut self.sides[side] {
                    session.disconnected(Cause::Cut, self.now);
                }
            }
            12 => self.pass(u64::from(input.byte())),
            13 => {
                if let Some(session) = &mut self.sides[side] {
                    session.end_sending();
                }
            }
            14 if what & 64 == 0 => {
                self.given_up = true;
                if let Some(session) = &mut self.sides[side] {
                    if input.byte() % 2 == 0 { session.abandon() } else { session.expire() }
                }
            }
            _ => self.flow(),
        }
        if let Some(session) = &mut self.sides[side] {
            while session.poll_event().is_some() {}
            let _ =
                (session.is_drained(), session.is_complete(), session.is_readable(), session.first_failure());
        }
    }

    /// Both sides say and hear all that they can.
    fn flow(&mut self) {
        for _ in 0..20 {
            let mut moved = false;
            for side in 0..2 {
                self.put(side, 4_000);
                moved |= !self.wires[side].is_empty();
                self.get(1 - side, 4_000);
            }
            if !moved {
                break;
            }
        }
    }

    /// On a good connection everything arrives.
    fn end(&mut self) {
        if self.touched || self.given_up {
            return;
        }
        self.cut(Cause::Cut);
        self.connect();
        // Each turn takes at least one message, if one is left.
        let left = self.sent[0] + self.sent[1] - self.got[0] - self.got[1];
        for _ in 0..left + 2 {
            self.flow();
            for side in [0, 0, 1, 1] {
                self.receive(side);
            }
        }
        assert_eq!(self.got, [self.sent[1], self.sent[0]], "not everything arrived: {:?}", self.sides);
    }
}

fn two(limits: u8, rest: &[u8], now: Instant) {
    let mut pair = Pair::new(limits, now);
    let mut input = Input(rest);
    while !input.0.is_empty() {
        pair.step(&mut input);
    }
    pair.end();
}

fuzz_target!(|data: &[u8]| {
    let [flags, piece, rest @ ..] = data else { return };
    let now = Instant::now();
    if flags & 4 != 0 {
        return two(*piece, rest, now);
    }
    let whole = run(*flags, 4_096, rest, now);
    let cut = run(*flags, usize::from(*piece) + 1, rest, now);
    if flags & 2 != 0 && rest.len() < 2_000 {
        assert_eq!(whole, cut);
    }
});
