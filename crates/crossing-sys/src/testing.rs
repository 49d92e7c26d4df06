//! Other processes for tests: this very test program, told to run one ignored test (a *role*).
#![allow(dead_code)] // no system uses all of it

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running role; killed on drop.
pub(crate) struct Role {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Role {
    /// Starts the ignored test `path` (from the crate's root) with one argument, which it finds with [`argument`].
    pub(crate) fn start(path: &str, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut child = myself()
            .args(["--exact", path, "--ignored", "--nocapture", "--test-threads=1"])
            .env("CROSSING_ROLE", argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says after `word`, on the next line that has it.
    pub(crate) fn expect(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the role ended before it said {word}");
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
        }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This test program again; by `$CROSSING_TEST_RUNNER` if that is set, for a program that this machine cannot run by
/// itself (another architecture's, under qemu).
pub(crate) fn myself() -> Command {
    let program = std::env::current_exe().expect("own path");
    let Some(runner) = std::env::var_os("CROSSING_TEST_RUNNER") else { return Command::new(program) };
    let mut command = Command::new(runner);
    command.arg(program);
    command
}

/// In a role: its argument; `None` if the test was started as a test.
pub(crate) fn argument() -> Option<PathBuf> {
    std::env::var_os("CROSSING_ROLE").map(PathBuf::from)
}

/// In a role: waits for a line; `None` at the end of input.
pub(crate) fn told() -> Option<String> {
    let mut line = String::new();
    (std::io::stdin().read_line(&mut line).unwrap() > 0).then(|| line.trim().to_owned())
}

/// A directory of its own, gone on drop.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("crossing-sys-{}-{number}", std::process::id()));
        crate::directory::make(&path, crate::file::Access::Private).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
