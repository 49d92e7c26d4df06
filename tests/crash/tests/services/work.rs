//! What servers and clients do, here and in the children.

use crossing_queue::service::{CallError, Client, Request, Server, Service, ServiceOptions};
use crossing_sys::{Error, ErrorKind, Result};
use crossing_testkit::Role;
use std::time::{Duration, Instant};

/// Parts of an answer.
pub const PARTS: u64 = 12;
/// Requests that a server lets wait, and that a client may have in flight.
pub const IN_FLIGHT: usize = 4;
const LONGEST: u64 = 3_000;

pub fn options() -> ServiceOptions {
    let mut options = Service::<[u8], [u8]>::options();
    // So few places that nearly everybody waits for one nearly always.
    options.max_in_flight(IN_FLIGHT).capacity(IN_FLIGHT).max_parts(3);
    options.max_request_len(16).max_reply_len(LONGEST as usize);
    options
}

/// A part of the answer to `id`, which no other answer has.
fn part(id: u64, at: u64) -> Vec<u8> {
    let len = 16 + (id.wrapping_mul(31) ^ at.wrapping_mul(997)) % (LONGEST - 16);
    let mut part: Vec<u8> = (0..len).map(|byte| (byte ^ id ^ at).to_le_bytes()[0]).collect();
    part[..8].copy_from_slice(&id.to_le_bytes());
    part[8..16].copy_from_slice(&at.to_le_bytes());
    part
}

/// Answers in parts, or with one reply.
pub fn answer(request: Request) -> Result<()> {
    let id = u64::from_le_bytes(request.payload().try_into().expect("an id"));
    if !request.takes_parts() {
        return request.reply(&part(id, 0));
    }
    let mut answer = request.stream()?;
    for at in 0..PARTS {
        let part = part(id, at);
        // Every third is written in place.
        if at % 3 == 0 {
            let mut loan = answer.loan_slice(part.len(), None)?;
            loan.copy_from_slice(&part);
            loan.send()?;
        } else {
            answer.send(&part)?;
        }
    }
    answer.finish()
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    All,
    /// The server died with it.
    Died,
    /// There was no server to ask.
    Nobody,
}

fn why(error: &Error) -> Came {
    match error.call() {
        Some(CallError::ServerDied) => Came::Died,
        Some(CallError::NoServer) => Came::Nobody,
        _ => panic!("{error}"),
    }
}

/// Asks for an answer in parts; what comes of it is its beginning, in order, each part whole and once.
pub fn ask(client: &Client, id: u64) -> Came {
    let mut replies = match client.call_stream(&id.to_le_bytes(), None) {
        Ok(replies) => replies,
        Err(error) => return why(&error),
    };
    for at in 0.. {
        match replies.recv() {
            Ok(Some(came)) => assert!(*came == *part(id, at), "part {at} of {id:#x} is another one"),
            Ok(None) => {
                assert_eq!(at, PARTS, "parts of {id:#x}");
                return Came::All;
            }
            Err(error) => return why(&error),
        }
    }
    unreachable!()
}

/// Asks for one reply.
pub fn ask_once(client: &Client, id: u64) -> Came {
    match client.call(&id.to_le_bytes()) {
        Ok(reply) => {
            assert!(*reply == *part(id, 0), "the reply to {id:#x} is another one");
            Came::All
        }
        Err(error) => why(&error),
    }
}

/// Answers until somebody says that it is enough.
pub fn serve(server: &Server, enough: impl Fn() -> bool, mut answered: impl FnMut(Result<()>)) {
    while !enough() {
        match server.recv_timeout(Duration::from_millis(20)) {
            Ok(request) => answered(answer(request)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
        }
    }
}

/// A child: serves or asks until it is killed, or has asked so often.
pub fn run(role: &Role) {
    let name = role.argument("service");
    let (number, count): (u64, u64) =
        (role.argument("number").parse().unwrap(), role.argument("count").parse().unwrap());
    if role.argument("kind") == "serve" {
        let server = options().serve(&name).expect("a server");
        role.say("working");
        let second = server.clone();
        std::thread::spawn(move || serve(&second, || false, drop));
        return serve(&server, || false, drop);
    }
    let client = options().connect(&name).expect("a client");
    role.say("working");
    let began = Instant::now();
    for sequence in 0..count {
        let id = (number << 32) | sequence;
        let came = if sequence % 4 == 3 { ask_once(&client, id) } else { ask(&client, id) };
        // Among those that are killed, one lives on; only as long as this child looks for it is there none.
        if came == Came::Nobody {
            assert!(began.elapsed() < super::LATE, "nobody serves");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    role.say("enough");
}
