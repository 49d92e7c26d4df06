//! The kit's own promises: children speak, hear, stop, die and leave nothing; what should fail fails.

use crossing_sys::children::Watched;
use crossing_testkit::{Child, PATIENCE, RuntimeDirGuard, role, watchdog};
use std::time::{Duration, Instant};

#[test]
#[ignore = "a child process of the tests below"]
fn role_echo() {
    let Some(role) = role("role_echo") else { return };
    role.say(format_args!("hello {}", role.argument("who")));
    while let Some(line) = role.hear() {
        role.say(line);
    }
    role.pause();
}

#[test]
#[ignore = "a child process of the tests below"]
fn role_sleeps() {
    let Some(role) = role("role_sleeps") else { return };
    role.pause();
}

#[test]
#[ignore = "a child process of the tests below"]
fn role_tells_its_directory() {
    let Some(role) = role("role_tells_its_directory") else { return };
    role.say(std::env::var("CROSSING_RUNTIME_DIR").unwrap());
}

#[test]
#[ignore = "a grandchild of a_hung_test_is_aborted, which does not watch its parent"]
fn sleeps_whatever_happens() {
    while std::env::var_os("CROSSING_TEST_SLEEPS").is_some() {
        std::thread::park();
    }
}

#[test]
#[ignore = "a child process of children_end_with_a_killed_test"]
fn role_has_a_child() {
    let Some(role) = role("role_has_a_child") else { return };
    let child = Child::role("role_sleeps").spawn();
    role.say(child.pid());
    role.pause();
}

#[test]
#[ignore = "a child process of a_hung_test_is_aborted"]
fn role_hangs() {
    let Some(role) = role("role_hangs") else { return };
    let arguments = ["--exact", "sleeps_whatever_happens", "--ignored"];
    let program = std::env::current_exe().unwrap();
    let grandchild = Child::program(program).args(arguments).env("CROSSING_TEST_SLEEPS", "1").spawn();
    role.say(grandchild.pid());
    let _guard = watchdog(Duration::from_millis(100));
    // Hangs, whatever becomes of the grandchild meanwhile.
    std::thread::sleep(PATIENCE);
}

#[test]
fn a_role_speaks_hears_and_dies() {
    let _guard = watchdog(PATIENCE);
    let mut child = Child::role("role_echo").argument("who", "parent").spawn();
    child.expect("hello parent");
    child.tell("one");
    child.expect("one");
    assert!(child.is_running());
    let status = child.kill();
    assert!(!status.success());
    assert!(!child.is_running());
    assert_eq!(child.line(Duration::from_secs(5)), None);
}

#[test]
fn a_stopped_child_is_silent_until_it_continues() {
    let mut child = Child::role("role_echo").argument("who", "you").spawn();
    child.expect("hello you");
    child.stop();
    child.tell("late");
    assert_eq!(child.line(Duration::from_millis(100)), None);
    child.resume();
    child.expect("late");
}

#[test]
fn a_dropped_child_is_dead() {
    let child = Child::role("role_sleeps").spawn();
    let watched = Watched::open(child.pid()).unwrap();
    assert!(watched.is_running());
    drop(child);
    assert!(!watched.is_running());
}

#[test]
fn children_end_with_a_killed_test() {
    let mut test = Child::role("role_has_a_child").spawn();
    let child = Watched::open(test.expect_line(PATIENCE).parse().unwrap()).unwrap();
    assert!(child.is_running());
    test.kill();
    assert!(ends(&child), "the child outlives its test");
}

/// Whether it ends soon.
fn ends(process: &Watched) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while process.is_running() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    !process.is_running()
}

#[test]
#[cfg(windows)]
fn output_is_kept_to_the_byte() {
    let output = Child::program("cmd").args(["/c", "echo a&echo b"]).run().success();
    assert_eq!(output.stdout, b"a\r\nb\r\n");
}

#[test]
#[cfg(unix)]
fn output_is_kept_to_the_byte() {
    let output = Child::program("printf").arg("a\\nb\\0c").run().success();
    assert_eq!(output.stdout, b"a\nb\0c");
}

#[test]
#[should_panic(expected = "still runs after")]
fn a_child_that_does_not_end_fails_the_test() {
    let _ = Child::role("role_sleeps").spawn().wait(Duration::from_millis(50));
}

#[test]
#[should_panic(expected = "no line from")]
fn a_silent_child_fails_the_test() {
    let _ = Child::role("role_sleeps").spawn().expect_line(Duration::from_millis(50));
}

#[test]
fn a_hung_test_is_aborted_with_its_children() {
    let mut hung = Child::role("role_hangs").spawn();
    let grandchild = Watched::open(hung.expect_line(PATIENCE).parse().unwrap());
    let output = hung.wait(PATIENCE);
    assert!(!output.status.success());
    assert!(output.stderr.contains("role_hangs hangs"), "{}", output.stderr);
    assert!(output.stderr.contains("watchdog"), "{}", output.stderr);
    // It may have been dead before it could be watched.
    assert!(grandchild.is_err() || ends(&grandchild.unwrap()), "the grandchild lives");
}

#[test]
fn an_empty_runtime_directory_is_removed() {
    let mut guard = RuntimeDirGuard::new();
    let path = guard.path().to_owned();
    assert!(path.is_dir());
    std::fs::create_dir(path.join("kept")).unwrap();
    guard.allow("kept");
    guard.give(Child::role("role_tells_its_directory")).spawn().expect(&path.to_string_lossy());
    drop(guard);
    assert!(!path.exists());
}

#[test]
#[should_panic(expected = "left behind in the runtime directory: [\"segment\", \"segment")]
fn leftovers_fail_the_test() {
    let guard = RuntimeDirGuard::new();
    std::fs::create_dir(guard.path().join("segment")).unwrap();
    std::fs::write(guard.path().join("segment/data"), b"x").unwrap();
}

#[test]
#[cfg(unix)]
fn cpp_programs_are_built_once() {
    let source = std::env::temp_dir().join(crossing_testkit::unique_name("hello") + ".cpp");
    std::fs::write(&source, "#include <cstdio>\nint main() { std::puts(\"hello from C++\"); }\n").unwrap();
    let program = crossing_testkit::build::cpp(&source);
    assert_eq!(crossing_testkit::build::cpp(&source), program);
    assert_eq!(Child::program(&program).run().success().text(), "hello from C++\n");
    std::fs::remove_file(source).unwrap();
    std::fs::remove_file(program).unwrap();
}
