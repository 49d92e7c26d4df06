//! The names of one run of the demo, and what a run that was killed left under them.
//!
//! The segment is the record of a run: it is made first and removed last, and its owner is the demo itself. A segment
//! of that name whose owner is dead therefore names everything else that its run may have left.

use super::check::Check;
use super::event::Through;
use crossing::net::{Endpoint, LocalName, RawStream};
use crossing::process::monotonic_nanos;
use crossing::queue::Queue;
use crossing::shm::registry;
use crossing::{Error, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

const PREFIX: &str = "demo-";

/// The mechanisms that are pairs of queues: the kernel's and ours.
pub const QUEUES: [Through; 2] = [Through::MessageQueue, Through::SharedQueue];

/// Every name that a run uses.
#[derive(Debug, Clone)]
pub struct Names {
    run: String,
}

impl Names {
    /// Of a new run.
    pub fn new() -> Self {
        Self { run: format!("{}-{:x}", std::process::id(), monotonic_nanos()) }
    }

    /// Of the run that the parent named.
    pub fn of(run: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if run.is_empty() || run.len() > 64 || !run.chars().all(allowed) {
            return Err(format!("\"{run}\" names no run"));
        }
        Ok(Self { run: run.to_owned() })
    }

    /// What all names have in common.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The segment.
    pub fn segment(&self) -> String {
        format!("{PREFIX}{}", self.run)
    }

    /// The endpoints of the queues from Process1 to Process2 and back.
    pub fn queues(&self, through: Through) -> [String; 2] {
        ["there", "back"].map(|way| match through {
            Through::MessageQueue => format!("mq:/crossing-demo-{}-{way}", self.run),
            // No name that begins as those of the segments do.
            _ => format!("shm:demo.{}.{way}", self.run),
        })
    }

    /// The local socket.
    pub fn socket(&self) -> Result<Endpoint, Error> {
        Endpoint::local(&format!("{PREFIX}{}", self.run))
    }

    /// Removes what may be left of the socket when its listener was killed. What is not there was never made, or
    /// removed.
    pub fn remove_socket(&self) {
        if let Ok(Endpoint::Unix(LocalName::Path(path))) = self.socket() {
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_file(path.with_extension("sock.lock"));
        }
    }
}

/// Removes what dead runs left; one line for each.
pub fn reclaim_leftovers() -> Vec<String> {
    let Ok(entries) = registry::list() else { return Vec::new() };
    let mut lines = Vec::new();
    for entry in entries {
        let Some(run) = entry.name.strip_prefix(PREFIX) else { continue };
        let Ok(names) = Names::of(run) else { continue };
        if !entry.stale {
            continue;
        }
        // The segment goes last: what cannot be removed now is found by it again.
        match reclaim(&names) {
            Ok(()) => lines.push(format!("reclaimed what run {run} left when it was killed")),
            Err(error) => lines.push(format!("left for later what run {run} left: {error}")),
        }
    }
    lines
}

fn reclaim(names: &Names) -> Result<(), Error> {
    for queue in QUEUES.iter().flat_map(|&through| names.queues(through)) {
        match Queue::unlink(&queue) {
            // It was never made by that run, or removed by it.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => {}
            other => other?,
        }
    }
    names.remove_socket();
    registry::remove(&names.segment())
}

/// Nothing may be left of this run.
pub fn leftovers(names: &Names) -> Vec<Check> {
    let gone = |result: Result<(), Error>| match result {
        Ok(()) => (false, "it is still there".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => (true, "gone".to_owned()),
        Err(error) if error.kind() == ErrorKind::Unsupported => (true, "never made".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    let check = |name: &str, (ok, seen): (bool, String)| Check::new(name, ok, seen);
    let mut checks = vec![check("no segment is left", gone(registry::inspect(&names.segment()).map(drop)))];
    for through in QUEUES {
        for (queue, to) in names.queues(through).iter().zip(["Process2", "Process1"]) {
            let name = format!("no {through} to {to} is left");
            checks.push(check(&name, gone(Queue::<[u8]>::options().open(queue).map(drop))));
        }
    }
    checks.push(check("no local socket is left", socket_gone(names)));
    checks
}

fn socket_gone(names: &Names) -> (bool, String) {
    let still = (false, "it is still there".to_owned());
    match names.socket() {
        Ok(Endpoint::Unix(LocalName::Path(path))) => {
            let there = |path: &Path| path.symlink_metadata().is_ok();
            if there(&path) || there(&path.with_extension("sock.lock")) {
                still
            } else {
                (true, "gone".into())
            }
        }
        // It has no file: it is there as long as it can be connected to.
        Ok(endpoint) => {
            let limit = Instant::now() + Duration::from_secs(1);
            match RawStream::connect_deadline(&endpoint, Some(limit)) {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    (true, "gone".to_owned())
                }
                Err(error) => (false, error.to_string()),
                Ok(_) => still,
            }
        }
        Err(error) => (false, error.to_string()),
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
