//! Two engines over a network that cuts, delays, splits, swallows and half-closes, in simulated time, by seed: whatever
//! happens, each side gets exactly what the other sent.
//!
//! `CROSSING_SEEDS=FROM..TO` runs other seeds.

use super::*;
use std::collections::VecDeque;
use std::time::Instant;

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

const MS: Duration = Duration::from_millis(1);

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    /// Pieces and the tick from which they may arrive.
    pieces: VecDeque<(u64, Vec<u8>)>,
    held: usize,
    paused_until: u64,
    swallows: bool,
    /// The receiver sees the end behind what is on the way.
    closed: bool,
}

impl Direction {
    fn room(&self) -> usize {
        if self.swallows { usize::MAX } else { 20_000_usize.saturating_sub(self.held) }
    }

    fn put(&mut self, bytes: &[u8], at: u64) {
        if !self.swallows && !self.closed {
            self.held += bytes.len();
            self.pieces.push_back((at, bytes.to_vec()));
        }
    }

    fn get(&mut self, now: u64) -> Option<Vec<u8>> {
        if self.paused_until > now || self.pieces.front()?.0 > now {
            return None;
        }
        let (_, bytes) = self.pieces.pop_front()?;
        self.held -= bytes.len();
        Some(bytes)
    }

    fn is_at_end(&self) -> bool {
        self.closed && self.pieces.is_empty()
    }
}

/// A connection: to the server, to the client.
struct Connection {
    directions: [Direction; 2],
    introduction: Option<Introduction>,
}

/// What one application sends and got.
struct Application {
    to_send: u64,
    sent: u64,
    got: u64,
    ended: bool,
    events: Vec<Event>,
}

fn message(seed: u64, side: usize, number: u64) -> Vec<u8> {
    let mut random = Random::new(seed ^ (number << 8) ^ side as u64);
    let len = match random.below(20) {
        0 => 3_000 + random.below(9_000),
        1 => 0,
        _ => random.below(100),
    };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..len).map(|_| random.next() as u8));
    bytes
}

struct World {
    seed: u64,
    random: Random,
    start: Instant,
    tick: u64,
    /// Client, server.
    sessions: [Option<Session>; 2],
    applications: [Application; 2],
    connections: Vec<Option<Connection>>,
    /// The connection that each side uses.
    uses: [Option<usize>; 2],
    connect_at: u64,
    backoff: Backoff,
    /// How many of each kind: cut, black hole, one way swallows, half-close, pause.
    faults: [u64; 5],
    config: Config,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let config = Config {
            max_message_len: 20_000,
            resend_bytes: 200 + random.below(40_000) as usize,
            window_bytes: 200 + random.below(40_000) as usize,
            dead_after: MS * (40 + random.below(100) as u32),
            handshake_timeout: MS * (20 + random.below(60) as u32),
            lost_after: Duration::from_secs(3600),
        };
        let start = Instant::now();
        let application = |to_send| Application { to_send, sent: 0, got: 0, ended: false, events: vec![] };
        Self {
            seed,
            start,
            tick: 0,
            sessions: [Some(Session::client(SessionId([7; 16]), config, start)), None],
            applications: [application(random.below(120)), application(random.below(120))],
            random,
            connections: vec![],
            uses: [None, None],
            connect_at: 0,
            backoff: Backoff::new(MS * 2, MS * 30, seed),
            faults: [0; 5],
            config,
        }
    }

    fn now(&self) -> Instant {
        self.start + MS * self.tick as u32
    }

    fn faults_on(&self) -> bool {
        self.tick < 2_000
    }

    fn drop_connection(&mut self, side: usize) {
        if let Some(index) = self.uses[side].take()
            && let Some(connection) = &mut self.connections[index]
        {
            connection.directions[side].closed = true;
            if self.uses[1 - side] != Some(index) && connection.introduction.is_none() {
                self.connections[index] = None;
            }
        }
    }

    fn fault(&mut self) {
        let Some(index) = self.uses[0] else { return };
        let Some(connection) = &mut self.connections[index] else { return };
        let one = self.random.below(2) as usize;
        let kind = self.random.below(5);
        self.faults[kind as usize] += 1;
        match kind {
            0 => {
                for direction in &mut connection.directions {
                    direction.pieces.clear();
                    direction.held = 0;
                    direction.closed = true;
                }
            }
            1 => connection.directions.iter_mut().for_each(|direction| direction.swallows = true),
            2 => connection.directions[one].swallows = true,
            3 => connection.directions[one].closed = true,
            _ => connection.directions[one].paused_until = self.tick + self.random.below(300),
        }
    }

    fn step(&mut self) {
        self.tick += 1;
        let now = self.now();
        if self.faults_on() && self.random.one_in(40) {
            self.fault();
        }
        let client = self.sessions[0].as_mut().unwrap();
        if client.phase() == Phase::Down && self.tick >= self.connect_at {
            self.drop_connection(0);
            self.connect_at = self.tick + self.backoff.next().unwrap().as_millis() as u64;
            if !(self.faults_on() && self.random.one_in(3)) {
                self.connections.push(Some(Connection {
                    directions: Default::default(),
                    introduction: Some(Introduction::new(&self.config)),
                }));
                let index = self.connections.len() - 1;
                let preamble = Introduction::new(&self.config).preamble();
                self.connections[index].as_mut().unwrap().directions[1].put(&preamble, self.tick + 1);
                self.uses[0] = Some(index);
                self.sessions[0].as_mut().unwrap().connected(now);
            }
        }
        self.introduce();
        for side in 0..2 {
            self.run_side(side);
        }
    }

    /// The listener: connections whose session is not known yet.
    fn introduce(&mut self) {
        let now = self.now();
        for index in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[index] else { continue };
            let Some(introduction) = &mut connection.introduction else { continue };
            let Some(bytes) = connection.directions[0].get(self.tick) else {
                if connection.directions[0].is_at_end() {
                    connection.introduction = None;
                    connection.directions[1].closed = true;
                }
                continue;
            };
            let mut known = None;
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let space = introduction.space();
                let len = space.len().min(rest.len());
                space[..len].copy_from_slice(&rest[..len]);
                rest = &rest[len..];
                known = introduction.advance(len).unwrap();
            }
            if known.is_none() {
                continue;
            }
            let introduction = connection.introduction.take().unwrap();
            let refusing = introduction.refuse(Refusal::Stale);
            if self.sessions[1].is_none() {
                self.sessions[1] = Some(Session::server(&introduction, self.config, now).unwrap());
            }
            match self.sessions[1].as_mut().unwrap().resume(introduction, now) {
                Ok(()) => {
                    self.drop_connection(1);
                    self.uses[1] = Some(index);
                }
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::Stale, "seed {}", self.seed);
                    let back = &mut connection.directions[1];
                    back.put(&refusing, self.tick + 1);
                    back.closed = true;
                }
            }
        }
    }

    fn run_side(&mut self, side: usize) {
        let now = self.now();
        let Some(session) = &mut self.sessions[side] else { return };
        if session.next_timeout().is_some_and(|at| at <= now) {
            session.handle_timeout(now);
        }
        if let Some(index) = self.uses[side] {
            let gone = {
                let connection = self.connections[index].as_mut().unwrap();
                while let Some(bytes) = connection.directions[1 - side].get(self.tick) {
                    session.feed(&bytes, now);
                }
                connection.directions[1 - side].is_at_end()
            };
            if gone {
                session.disconnected(Cause::Cut, now);
            }
        }
        // The application takes and sends by fits and starts.
        let application = &mut self.applications[side];
        if !self.random.one_in(3) {
            for _ in 0..self.random.below(8) {
                match session.recv() {
                    Received::Message(bytes) => {
                        assert_eq!(
                            bytes,
                            message(self.seed, 1 - side, application.got),
                            "seed {}",
                            self.seed
                        );
                        application.got += 1;
                    }
                    Received::Ended => application.ended = true,
                    Received::Nothing => break,
                }
            }
        }
        for _ in 0..self.random.below(6) {
            if application.sent == application.to_send {
                session.end_sending();
                break;
            }
            match session.send(&message(self.seed, side, application.sent)) {
                Ok(()) => application.sent += 1,
                Err(SendError::Full) => break,
                Err(error) => panic!("seed {}: {error:?}", self.seed),
            }
        }
        if let Some(index) = self.uses[side] {
            let connection = self.connections[index].as_mut().unwrap();
            let direction = &mut connection.directions[side];
            while !self.random.one_in(10) {
                let room = direction.room().min(1 + self.random.below(3_000) as usize);
                let bytes = session.output();
                let len = bytes.len().min(room);
                if len == 0 {
                    break;
                }
                direction.put(&bytes[..len], self.tick + 1 + self.random.below(5));
                session.consume(len, now);
            }
            let over = session.phase() == Phase::Over && session.output().is_empty();
            if over || session.phase() == Phase::Down {
                self.drop_connection(side);
            }
        }
        let session = self.sessions[side].as_mut().unwrap();
        while let Some(event) = session.poll_event() {
            assert!(!matches!(event, Event::Lost(_)), "seed {}: side {side} {event:?}", self.seed);
            if matches!(event, Event::Connected | Event::Resumed { .. }) {
                self.backoff.reset();
            }
            self.applications[side].events.push(event);
        }
    }

    fn is_over(&self) -> bool {
        self.applications.iter().all(|application| application.events.last() == Some(&Event::Ended))
    }
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    while !world.is_over() {
        world.step();
        let told = || {
            let sides = world.sessions.iter().map(|session| session.as_ref().map(Session::phase));
            format!("{:?} {:?}", sides.collect::<Vec<_>>(), world.sessions)
        };
        assert!(world.tick < 60_000, "seed {seed} does not end: {}", told());
    }
    for side in 0..2 {
        let (mine, theirs) = (&world.applications[side], &world.applications[1 - side]);
        assert_eq!(mine.got, theirs.to_send, "seed {seed}");
        assert_eq!(mine.sent, mine.to_send, "seed {seed}");
    }
    world
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("CROSSING_SEEDS") else {
        // Fewer where another program runs this one (qemu).
        return 0..if std::env::var_os("CROSSING_TEST_RUNNER").is_some() { 300 } else { 2_000 };
    };
    let (from, to) = text.split_once("..").expect("CROSSING_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn exactly_what_was_sent_arrives_whatever_the_network_does() {
    let (mut resumed, mut faults) = (0, [0; 5]);
    for seed in seeds() {
        let world = run(seed);
        faults.iter_mut().zip(world.faults).for_each(|(all, more)| *all += more);
        let events = &world.applications[0].events;
        resumed += events.iter().filter(|event| matches!(event, Event::Resumed { .. })).count();
        assert_eq!(events.first(), Some(&Event::Connected), "seed {seed}");
    }
    let count = seeds().count();
    let [cuts, holes, one_way, half_closes, pauses] = faults;
    eprintln!(
        "{count} seeds: {cuts} cuts, {holes} black holes, {one_way} in one direction, {half_closes} half-closes, {pauses} \
         pauses; {resumed} resumptions"
    );
    assert!(resumed > count, "the network was too kind to show anything");
    assert!(faults.iter().all(|times| *times * 4 > count as u64), "one kind of fault is missing: {faults:?}");
}
