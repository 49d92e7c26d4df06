//! What the tests of the command share.
#![allow(dead_code)] // each test file uses a part

use crossing_testkit::{Builder, Child, Output, RuntimeDirGuard};

/// The command with these arguments, in the runtime directory of the test.
pub fn crossing(dir: &RuntimeDirGuard, args: &[&str]) -> Builder {
    dir.give(Child::program(env!("CARGO_BIN_EXE_crossing"))).args(args)
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
