//! Runs a command with its output streamed through, and counts the tests that it reports.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// How long the pipes of a command that has ended may be silent before they are left alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tests that passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Whose summary lines count. A failed test's output may hold the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// No tests.
    None,
    /// `test result: ok. 3 passed; 0 failed; ...`
    Libtest,
    /// `Summary [ 0.1s] 3 tests run: 2 passed, 1 failed, 0 skipped`
    Nextest,
}

/// A command to run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    text: String,
    runner: Runner,
}

impl Run {
    /// `program` with `args`, separated by blanks, in `directory`.
    pub fn new(directory: &Path, program: &str, args: &str) -> Self {
        let mut command = Command::new(program);
        command.args(args.split_whitespace()).current_dir(directory).stdin(Stdio::null());
        // The cargo that runs this would be passed on with the package's own variables.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
                command.env_remove(name);
            }
        }
        if std::io::stdout().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        Self { command, text: format!("{program} {args}"), runner: Runner::None }
    }

    /// Adds an argument as it is, blanks included.
    pub fn arg(mut self, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.text.push(' ');
        self.text.push_str(&value.as_ref().to_string_lossy());
        self.command.arg(value);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.text = format!("{name}={:?} {}", value.as_ref(), self.text);
        self.command.env(name, value);
        self
    }

    /// Keeps `name` of this environment from the command.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Counts the tests by the summaries of `runner`.
    pub fn counting(mut self, runner: Runner) -> Self {
        self.runner = runner;
        self
    }

    /// Runs it, adding the tests it reports to `counts`.
    pub fn run(mut self, counts: &mut Counts) -> Result<(), String> {
        println!("$ {}", self.text);
        let program = self.command.get_program().to_string_lossy().into_owned();
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
        let (done, outcomes) = channel();
        let (runner, out, err) = (self.runner, child.stdout.take(), child.stderr.take());
        let told = done.clone();
        std::thread::spawn(move || out.map(|pipe| stream(pipe, std::io::stdout(), runner, &told)));
        std::thread::spawn(move || err.map(|pipe| stream(pipe, std::io::stderr(), runner, &done)));
        let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
        // Both ends come with the command's, unless what it started lives on with its pipes (under Wine a desktop does).
        let mut open = 2;
        while open > 0 {
            match outcomes.recv_timeout(PATIENCE) {
                Ok(Some(counted)) => counts.add(counted),
                Ok(None) => open -= 1,
                Err(_) => break,
            }
        }
        if status.success() { Ok(()) } else { Err(format!("{status} from: {}", self.text)) }
    }
}

/// Copies `from` to `to` as it comes, and tells the counts of each line that has some; at the end `None`.
fn stream(mut from: impl Read, mut to: impl Write, runner: Runner, told: &Sender<Option<Counts>>) {
    let tell = |line: &[u8]| {
        let counts = summary(&String::from_utf8_lossy(line), runner);
        if counts != Counts::default() {
            // Nobody listens any more once the command has ended long ago.
            let _ = told.send(Some(counts));
        }
    };
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length) = from.read(&mut chunk) {
        if length == 0 {
            break;
        }
        // A closed standard output does not stop the tests.
        let _ = to.write_all(&chunk[..length]).and_then(|()| to.flush());
        for &byte in &chunk[..length] {
            if byte == b'\n' {
                tell(&line);
                line.clear();
            } else {
                line.push(byte);
            }
        }
    }
    tell(&line);
    let _ = told.send(None);
}

/// What one line of output reports.
fn summary(line: &str, runner: Runner) -> Counts {
    let line = plain(line);
    let line = line.trim();
    let parts = match runner {
        Runner::None => None,
        Runner::Libtest => {
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")).map(|(_, parts)| parts)
        }
        Runner::Nextest => {
            line.strip_prefix("Summary [").and_then(|rest| rest.split_once(": ")).map(|(_, parts)| parts)
        }
    };
    let mut counts = Counts::default();
    for part in parts.unwrap_or_default().split([',', ';']) {
        let Some((number, what)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what.split(" (").next().unwrap_or(what) {
            "passed" => counts.passed += number,
            "failed" | "exec failed" | "timed out" => counts.failed += number,
            _ => {}
        }
    }
    counts
}

/// `text` without colours.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // ESC [ parameters letter
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
