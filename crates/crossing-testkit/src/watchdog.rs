//! Ends a test that hangs, with a note of what its threads were doing.

use std::fmt::Write as _;
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Children that run: ended together with a hung test, whose destructors will not run.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Keeps the watchdog quiet; drop it at the end of the test.
#[derive(Debug)]
#[must_use = "the watchdog sleeps when this is dropped"]
pub struct Watchdog {
    _alive: Sender<()>,
}

/// Aborts the test's process if the guard is not dropped within `limit`: kills the children of the test, and prints
/// for each thread where the kernel has it waiting. The whole test binary ends, so that a hang is a failure with a
/// reason and never a job that the CI gives up on.
///
/// ```
/// let _guard = crossing_testkit::watchdog(std::time::Duration::from_secs(60));
/// ```
pub fn watchdog(limit: Duration) -> Watchdog {
    let (alive, dropped) = channel::<()>();
    let test = std::thread::current().name().unwrap_or("unnamed").to_owned();
    std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || {
            if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("watchdog: test {test} hangs: not done after {limit:?}\n{}", threads());
                kill_children();
                std::process::abort();
            }
        })
        .map(drop)
        .unwrap_or_else(|error| eprintln!("watchdog: no thread for {limit:?}: {error}"));
    Watchdog { _alive: alive }
}

pub(crate) fn started(pid: u32) {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
}

pub(crate) fn ended(pid: u32) {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).retain(|&other| other != pid);
}

fn kill_children() {
    for &pid in CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = crossing_sys::children::kill(pid);
    }
}

/// One line per thread: name, state, kernel function it waits in, system call. Empty where there is no `/proc`.
fn threads() -> String {
    let mut text = String::new();
    let Ok(entries) = fs::read_dir("/proc/self/task") else { return text };
    for entry in entries.flatten() {
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let status = read("status");
        let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("?").trim();
        let _ = writeln!(
            text,
            "  thread {} {:?}: {state}, waits in {}, system call {}",
            entry.file_name().to_string_lossy(),
            read("comm").trim(),
            read("wchan").trim(),
            read("syscall").trim()
        );
    }
    text
}
