//! The names of one run of the demo, and what a run that was killed left under them.
//!
//! The segment is the record of a run: it is made first and removed last, and its owner is the demo itself. A segment
//! of that name whose owner is dead therefore names everything else that its run may have left.

use super::check::Check;
use crossing::process::monotonic_nanos;
use crossing::queue::Queue;
use crossing::shm::registry;
use crossing::{Error, ErrorKind};
use std::path::PathBuf;

const PREFIX: &str = "demo-";

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

    /// The queue from Process1 to Process2.
    pub fn queue_there(&self) -> String {
        format!("mq:/crossing-demo-{}-there", self.run)
    }

    /// The queue back.
    pub fn queue_back(&self) -> String {
        format!("mq:/crossing-demo-{}-back", self.run)
    }

    /// The file of the socket.
    pub fn socket_path(&self) -> PathBuf {
        std::env::temp_dir().join(format!("crossing-demo-{}.sock", self.run))
    }

    /// The socket.
    pub fn socket(&self) -> String {
        format!("unix:{}", self.socket_path().display())
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
        // What is not there was never made by that run, or removed by it.
        let _ = Queue::unlink(&names.queue_there());
        let _ = Queue::unlink(&names.queue_back());
        let _ = std::fs::remove_file(names.socket_path());
        if registry::remove(&names.segment()).is_ok() {
            lines.push(format!("reclaimed what run {run} left when it was killed"));
        }
    }
    lines
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
    let socket = names.socket_path().symlink_metadata().is_err();
    vec![
        check("no segment is left", gone(registry::inspect(&names.segment()).map(drop))),
        check(
            "no message queue to Process2 is left",
            gone(Queue::options().open(&names.queue_there()).map(drop)),
        ),
        check(
            "no message queue to Process1 is left",
            gone(Queue::options().open(&names.queue_back()).map(drop)),
        ),
        check(
            "no socket file is left",
            (socket, if socket { "gone" } else { "it is still there" }.to_owned()),
        ),
    ]
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
