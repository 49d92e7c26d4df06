//! What a child process of the demo does: follow the orders on standard input, report events on standard output.

use super::event::{Event, Kind, Message, Process, Through, What};
use super::names::Names;
use super::payload;
use super::roads::{Given, Roads, Shared};
use crossing::net::Peer;
use crossing::process::monotonic_nanos;
use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a single step may take before the process gives up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A way to carry messages to the other process and back.
pub trait Road {
    /// Which mechanism it is.
    fn through(&self) -> Through;
    /// Waits for the connection, if it is one, and tells who is at its other end; nothing when asked again.
    fn introduce(&mut self) -> Result<Option<Peer>, String> {
        Ok(None)
    }
    /// Hands one message over.
    fn send(&mut self, bytes: &[u8]) -> Result<(), String>;
    /// Takes one message.
    fn recv(&mut self) -> Result<Vec<u8>, String>;
    /// Longest message in bytes.
    fn max_len(&self) -> usize;
}

/// Reports one event; a parent that no longer reads means the demo is over.
fn emit(process: Process, at_ns: u64, what: What) {
    let event = Event { at_ns, process, pid: std::process::id(), what };
    let Ok(mut line) = serde_json::to_string(&event) else { return };
    line.push('\n');
    let mut out = std::io::stdout().lock();
    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// Orders from the parent. When the parent dies the pipe closes and this process ends at once, whatever it waits for.
fn orders() -> Receiver<String> {
    let (send, orders) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
        std::process::exit(1);
    });
    orders
}

/// Plays `process` in the run that `names` names, to its end.
pub fn play(process: Process, names: &Names, given: &Given) -> Result<(), ()> {
    let orders = orders();
    let result = match process {
        Process::Process3 => hold(names),
        _ => exchange_as(process, names, given, &orders),
    };
    result.map_err(|text| emit(process, monotonic_nanos(), What::Failed { text }))
}

/// Process3: takes the mutex and a loan, then waits for its death.
fn hold(names: &Names) -> Result<(), String> {
    let shared = Shared::open(names)?;
    shared.hold_mutex_and_loan(|free| {
        emit(Process::Process3, monotonic_nanos(), What::Holding { free });
        std::thread::sleep(Duration::from_secs(60));
    })?;
    Err("nobody killed it".to_owned())
}

fn exchange_as(
    process: Process,
    names: &Names,
    given: &Given,
    orders: &Receiver<String>,
) -> Result<(), String> {
    let mut roads = Roads::open(process, names, given)?;
    for (through, endpoint) in roads.listening() {
        emit(process, monotonic_nanos(), What::Listening { through: *through, endpoint: endpoint.clone() });
    }
    emit(process, monotonic_nanos(), What::Ready);
    loop {
        let order = match orders.recv_timeout(PATIENCE * 3) {
            Ok(order) => order,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err("no orders came".to_owned());
            }
        };
        let words: Vec<&str> = order.split_whitespace().collect();
        match words[..] {
            ["exchange", through, first, last] => {
                let road = roads.road(through).ok_or_else(|| format!("has no road through {through}"))?;
                let (first, last) = (number(first)?, number(last)?);
                if let Some(peer) = road.introduce()? {
                    emit(process, monotonic_nanos(), connected(road.through(), &peer));
                }
                for seq in first..=last {
                    if process == Process::Process1 { ask(road, seq)? } else { answer(road, seq)? }
                }
                emit(process, monotonic_nanos(), What::ExchangeDone);
            }
            ["contend"] => {
                contend(process, roads.shared())?;
                emit(process, monotonic_nanos(), What::ExchangeDone);
            }
            ["finish"] => {
                drop(roads);
                emit(process, monotonic_nanos(), What::Closed);
                return Ok(());
            }
            _ => return Err(format!("does not know the order \"{order}\"")),
        }
    }
}

fn connected(through: Through, peer: &Peer) -> What {
    let peer_pid = match peer {
        Peer::Local(credentials) => credentials.process_id(),
        _ => None,
    };
    What::Connected { through, peer: peer.to_string(), peer_pid }
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("\"{word}\" is not a number"))
}

/// Lengths differ from message to message, up to what the road carries.
fn length(seq: u32, road: &dyn Road) -> usize {
    [48, 700, 16_000][seq as usize % 3].min(road.max_len())
}

/// Process1: a ping out, its pong back.
fn ask(road: &mut dyn Road, seq: u32) -> Result<(), String> {
    let sent = send(Process::Process1, road, seq, Kind::Ping, 0)?;
    receive(Process::Process1, road, seq, Kind::Pong, Some(sent)).map(drop)
}

/// Process2: a ping in, its pong out.
fn answer(road: &mut dyn Road, seq: u32) -> Result<(), String> {
    let answers = receive(Process::Process2, road, seq, Kind::Ping, None)?;
    send(Process::Process2, road, seq, Kind::Pong, answers).map(drop)
}

fn send(process: Process, road: &mut dyn Road, seq: u32, kind: Kind, answers: u64) -> Result<u64, String> {
    let at_ns = monotonic_nanos();
    let (bytes, checksum) = payload::encode(length(seq, road), at_ns, seq, kind, answers);
    road.send(&bytes)?;
    let message = Message { through: road.through(), kind, seq, bytes: bytes.len(), checksum };
    emit(process, at_ns, What::Sent(message));
    Ok(checksum)
}

fn receive(
    process: Process,
    road: &mut dyn Road,
    seq: u32,
    kind: Kind,
    answers: Option<u64>,
) -> Result<u64, String> {
    let bytes = road.recv()?;
    let at_ns = monotonic_nanos();
    let payload = payload::decode(&bytes)?;
    let through = road.through();
    if payload.seq != seq || payload.kind != kind {
        return Err(format!(
            "expected {kind:?} {seq} through {through}, got {:?} {}",
            payload.kind, payload.seq
        ));
    }
    if answers.is_some_and(|sent| sent != payload.answers) {
        return Err(format!("pong {seq} through {through} answers another ping"));
    }
    let message = Message { through, kind, seq, bytes: bytes.len(), checksum: payload.checksum };
    let latency_ns = at_ns.saturating_sub(payload.sent_at);
    emit(process, at_ns, What::Received { message, latency_ns });
    Ok(payload.checksum)
}

/// Process2: waits for the mutex of a process that is about to die, then puts its loan back.
fn contend(process: Process, shared: &Shared) -> Result<(), String> {
    emit(process, monotonic_nanos(), What::Waiting);
    let recovered = shared.lock_after_death(PATIENCE)?;
    let at_ns = monotonic_nanos();
    if !recovered {
        return Err("got the mutex without the news that its owner died".to_owned());
    }
    emit(process, at_ns, What::Recovered);
    let (before, after) = shared.reclaim_loans()?;
    emit(process, monotonic_nanos(), What::Reclaimed { before, after });
    Ok(())
}
