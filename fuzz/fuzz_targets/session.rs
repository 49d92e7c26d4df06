//! One side of a session on anything that a peer may send: no panic, bounded memory, the same outcome however the bytes
//! are cut.
//!
//! Run: `cargo +nightly fuzz run session`. The first byte chooses the side and whether a valid beginning comes first, the
//! second the piece length.
#![no_main]

use crossing_wire::session::{Config, Event, Introduction, Phase, Received, Session, SessionId};
use crossing_wire::{Encoder, Kind, Preamble};
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

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

fuzz_target!(|data: &[u8]| {
    let [flags, piece, rest @ ..] = data else { return };
    let now = Instant::now();
    let whole = run(*flags, 4_096, rest, now);
    let cut = run(*flags, usize::from(*piece) + 1, rest, now);
    if flags & 2 != 0 && rest.len() < 2_000 {
        assert_eq!(whole, cut);
    }
});
