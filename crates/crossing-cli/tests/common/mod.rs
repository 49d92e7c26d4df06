//! What the tests of the command share.
#![allow(dead_code)] // each test file uses a part

use crossing_testkit::{Builder, Child, Output, RuntimeDirGuard, unique_name};
use std::path::PathBuf;

/// The command with these arguments, in the runtime directory of the test.
pub fn crossing(dir: &RuntimeDirGuard, args: &[&str]) -> Builder {
    dir.give(Child::program(env!("CARGO_BIN_EXE_crossing"))).args(args)
}

/// What ends a process the hard way, as the command calls it here.
pub const KILL: &str = if cfg!(unix) { "SIGKILL" } else { "TerminateProcess" };

/// Whether this system has what POSIX and System V share: named objects and queues of the kernel. Elsewhere the tests
/// check that the command says so.
pub const POSIX: bool = cfg!(unix);

/// A local socket that no other test uses, and its file, where it has one.
pub fn local_socket() -> (String, Option<PathBuf>) {
    let name = unique_name("crossing-cli.sock");
    if !cfg!(unix) {
        return (format!("pipe:{name}"), None);
    }
    let path = std::env::temp_dir().join(name);
    (format!("unix:{}", path.display()), Some(path))
}

/// The words of a command line for this system's shell.
pub fn shell<'a>(unix: &'a str, windows: &'a str) -> [&'a str; 3] {
    if cfg!(unix) { ["sh", "-c", unix] } else { ["cmd", "/c", windows] }
}

/// Runs it to its end.
pub fn run(dir: &RuntimeDirGuard, args: &[&str]) -> Output {
    crossing(dir, args).run()
}

/// Runs it to its end, feeding standard input; it must succeed.
pub fn ok(dir: &RuntimeDirGuard, args: &[&str]) -> Output {
    run(dir, args).success()
}

/// Runs it to its end; it must fail with this code and say all of this.
#[track_caller]
pub fn fails(dir: &RuntimeDirGuard, args: &[&str], code: i32, said: &[&str]) {
    let output = run(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}{}", output.text(), output.stderr);
    assert!(output.stderr.starts_with("crossing: ") || code == 2, "{}", output.stderr);
    for part in said {
        assert!(output.stderr.contains(part), "{args:?} should say {part:?}: {}", output.stderr);
    }
}
