//! What must be true at the end of the demo.

use super::event::{Event, Message, Process, Through, What};
use serde::Serialize;
use std::collections::HashMap;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What should hold.
    pub name: String,
    /// Whether it does.
    pub ok: bool,
    /// What was seen.
    pub seen: String,
}

impl Check {
    /// A check with what was seen.
    pub fn new(name: impl Into<String>, ok: bool, seen: impl Into<String>) -> Self {
        Self { name: name.into(), ok, seen: seen.into() }
    }
}

/// A message with what its two ends saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Sender.
    pub from: Process,
    /// Receiver.
    pub to: Process,
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// From just before the send to just after the receive; nothing if it never arrived.
    pub latency_ns: Option<u64>,
}

/// Every message that was sent, in order of sending.
pub fn carried(events: &[Event]) -> Vec<Carried> {
    let mut latency: HashMap<(Process, Message), u64> = HashMap::new();
    for event in events {
        if let What::Received { message, latency_ns } = event.what {
            latency.insert((event.process, message), latency_ns);
        }
    }
    let mut sent: Vec<(&Event, Message)> = events
        .iter()
        .filter_map(|event| match event.what {
            What::Sent(message) => Some((event, message)),
            _ => None,
        })
        .collect();
    sent.sort_by_key(|(event, _)| event.at_ns);
    sent.into_iter()
        .map(|(event, message)| {
            let (_, to) = message.ends();
            Carried { from: event.process, to, message, latency_ns: latency.get(&(to, message)).copied() }
        })
        .collect()
}

/// Each mechanism carried `expected` messages, all of which arrived with the length and checksum they were sent with.
pub fn messages(events: &[Event], expected: &[(Through, usize)]) -> Vec<Check> {
    let all = carried(events);
    expected
        .iter()
        .map(|&(through, count)| {
            let here: Vec<&Carried> = all.iter().filter(|c| c.message.through == through).collect();
            let arrived = here.iter().filter(|c| c.latency_ns.is_some()).count();
            let name = format!("every message through {through} arrived intact");
            Check::new(name, arrived == count && here.len() == count, format!("{arrived} of {count}"))
        })
        .collect()
}

/// At a local socket, the kernel tells each of the two who the other is.
pub fn peers(events: &[Event]) -> Vec<Check> {
    let pid_of = |process| events.iter().find(|e| e.process == process).map(|e| e.pid);
    [(Process::Process1, Process::Process2), (Process::Process2, Process::Process1)]
        .into_iter()
        .map(|(one, other)| {
            let found = events.iter().find_map(|event| match &event.what {
                What::Connected { through: Through::Socket, peer, peer_pid } if event.process == one => {
                    Some((peer.clone(), *peer_pid))
                }
                _ => None,
            });
            let ok = found.as_ref().is_some_and(|(_, pid)| pid.is_none_or(|pid| Some(pid) == pid_of(other)));
            let seen = found.map_or("nobody".to_owned(), |(peer, _)| peer);
            Check::new(format!("the kernel names {other} to {one} at the local socket"), ok, seen)
        })
        .collect()
}

/// The kill: exactly one survivor was told, soon, and nothing of the dead process is held.
pub fn recovery(events: &[Event], pool_chunks: usize) -> Vec<Check> {
    let killed = events.iter().find(|e| matches!(e.what, What::Killed { .. })).map(|e| e.at_ns);
    let told: Vec<&Event> = events.iter().filter(|e| e.what == What::Recovered).collect();
    let after = killed.zip(told.first()).map(|(killed, e)| e.at_ns.saturating_sub(killed));
    let seen = after.map_or("never".to_owned(), crate::units::show_nanos);
    let soon = told.len() == 1 && after.is_some_and(|ns| ns < 1_000_000_000);
    let reclaimed = events.iter().find_map(|e| match e.what {
        What::Reclaimed { before, after } => Some((before, after)),
        _ => None,
    });
    let whole = reclaimed.is_some_and(|(before, after)| before < after && after == pool_chunks);
    let counts = reclaimed
        .map_or("nothing".to_owned(), |(b, a)| format!("{b} free chunks, then {a} of {pool_chunks}"));
    vec![
        Check::new(
            "the survivor got the dead process's mutex, as Recovered",
            soon,
            format!("{seen} after the kill"),
        ),
        Check::new("the survivor got the dead process's loan back", whole, counts),
    ]
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
