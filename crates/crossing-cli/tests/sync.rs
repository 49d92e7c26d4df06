//! `crossing sync`: named primitives between commands.

mod common;

use common::{POSIX, crossing, fails, ok, run, shell};
use crossing_testkit::{RuntimeDirGuard, unique_name};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(15);

/// The command, for a shell of this system: built beside this test.
fn command() -> String {
    let test = std::env::current_exe().expect("this program's path");
    let target = test.ancestors().nth(2).expect("its directory");
    target.join(format!("crossing{}", std::env::consts::EXE_SUFFIX)).display().to_string()
}

#[test]
fn a_mutex_is_held_while_its_command_runs_and_passes_on_its_code() {
    let dir = RuntimeDirGuard::new();
    // Until an event is set, and not until a line comes: `set /p` of Wine's shell hears no line when the machine is busy.
    let hold = format!(
        "echo held{0} {1} sync event wait go{0} exit 7",
        if cfg!(unix) { ";" } else { "&" },
        command()
    );
    let mut holder = crossing(&dir, &["sync", "mutex", "m", "--"]).args(shell(&hold, &hold)).spawn();
    assert_eq!(holder.expect_line(LIMIT).trim_end(), "held");
    let nothing = shell("true", "exit 0");
    let within = |limit| [&["sync", "mutex", "m", "--timeout", limit, "--"][..], &nothing].concat();
    fails(&dir, &within("50ms"), 4, &[]);
    ok(&dir, &["sync", "event", "set", "go"]);
    assert_eq!(holder.wait(LIMIT).status.code(), Some(7));
    ok(&dir, &within("5s"));
    ok(&dir, &["rm", "mutex.m"]);
    ok(&dir, &["rm", "event.go"]);
}

#[test]
fn the_mutex_of_a_killed_holder_is_passed_on() {
    let dir = RuntimeDirGuard::new();
    let hold = shell("echo held; read line", "echo held&set /p line=");
    let mut holder = crossing(&dir, &["sync", "mutex", "m", "--"]).args(hold).spawn();
    assert_eq!(holder.expect_line(LIMIT).trim_end(), "held");
    holder.kill();
    let next =
        run(&dir, &[&["sync", "mutex", "m", "--timeout", "5s", "--"][..], &shell("true", "exit 0")].concat());
    let next = next.success();
    assert!(next.stderr.contains("died holding"), "{}", next.stderr);
    ok(&dir, &["rm", "mutex.m"]);
}

/// Counts to two and back.
fn semaphore(dir: &RuntimeDirGuard, name: &str) {
    fails(dir, &["sync", "semaphore", "wait", name], 3, &[]);
    ok(dir, &["sync", "semaphore", "create", name, "--value", "1"]);
    ok(dir, &["sync", "semaphore", "post", name]);
    assert_eq!(ok(dir, &["sync", "semaphore", "value", name]).text(), "2\n");
    ok(dir, &["sync", "semaphore", "wait", name]);
    ok(dir, &["sync", "semaphore", "wait", name, "--timeout", "1s"]);
    fails(dir, &["sync", "semaphore", "wait", name, "--timeout", "50ms"], 4, &[]);
    let waiter = crossing(dir, &["sync", "semaphore", "wait", name, "--timeout", "10s"]).spawn();
    std::thread::sleep(Duration::from_millis(50));
    ok(dir, &["sync", "semaphore", "post", name]);
    let _ = waiter.wait(LIMIT).success();
    ok(dir, &["sync", "semaphore", "rm", name]);
    fails(dir, &["sync", "semaphore", "value", name], 3, &[]);
}

#[test]
fn semaphores_of_every_kind() {
    let dir = RuntimeDirGuard::new();
    semaphore(&dir, "slots");
    let posix = format!("posix:/{}", unique_name("crossing-cli"));
    let system_v = format!("sysv:0x{:x}", 0x4400_0000u32 | std::process::id());
    for name in [posix, system_v] {
        if POSIX {
            semaphore(&dir, &name);
        } else {
            fails(&dir, &["sync", "semaphore", "create", &name], 1, &["not supported here"]);
        }
    }
}

#[test]
fn an_event_wakes_its_waiters_and_stays_set() {
    let dir = RuntimeDirGuard::new();
    fails(&dir, &["sync", "event", "wait", "ready", "--timeout", "50ms"], 4, &[]);
    let waiter = crossing(&dir, &["sync", "event", "wait", "ready", "--timeout", "10s"]).spawn();
    ok(&dir, &["sync", "event", "set", "ready"]);
    let _ = waiter.wait(LIMIT).success();
    ok(&dir, &["sync", "event", "wait", "ready", "--timeout", "1s"]);
    ok(&dir, &["sync", "event", "reset", "ready"]);
    fails(&dir, &["sync", "event", "wait", "ready", "--timeout", "50ms"], 4, &[]);
    ok(&dir, &["rm", "event.ready"]);
}

#[test]
fn a_barrier_lets_nobody_through_until_all_are_there() {
    let dir = RuntimeDirGuard::new();
    let args = ["sync", "barrier", "start", "--parties", "3", "--timeout", "10s"];
    let mut first = crossing(&dir, &args).spawn();
    let second = crossing(&dir, &args).spawn();
    std::thread::sleep(Duration::from_millis(200));
    assert!(first.is_running(), "two of three are there");
    let third = crossing(&dir, &args).spawn();
    for child in [first, second, third] {
        let _ = child.wait(LIMIT).success();
    }
    ok(&dir, &["rm", "barrier.start"]);
}
