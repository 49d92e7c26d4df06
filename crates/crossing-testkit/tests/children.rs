//! The kit's own promises: children speak, hear, stop, die and leave nothing; what should fail fails.

use crossing_testkit::{Child, PATIENCE, RuntimeDirGuard, build, role, unique_name, watchdog};
use std::time::Duration;

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
#[ignore = "a child process of a_hung_test_is_aborted"]
fn role_hangs() {
    let Some(role) = role("role_hangs") else { return };
    let mut grandchild = Child::program("sleep").arg("1000").spawn();
    role.say(grandchild.pid());
    let _guard = watchdog(Duration::from_millis(100));
    let _ = grandchild.line(Duration::from_secs(60));
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
    let child = Child::program("sleep").arg("1000").spawn();
    let pid = child.pid();
    drop(child);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn output_is_kept_to_the_byte() {
    let output = Child::program("printf").arg("a\\nb\\0c").run().success();
    assert_eq!(output.stdout, b"a\nb\0c");
}

#[test]
#[should_panic(expected = "still runs after")]
fn a_child_that_does_not_end_fails_the_test() {
    let _ = Child::program("sleep").arg("1000").spawn().wait(Duration::from_millis(50));
}

#[test]
#[should_panic(expected = "no line from")]
fn a_silent_child_fails_the_test() {
    let _ = Child::program("sleep").arg("1000").spawn().expect_line(Duration::from_millis(50));
}

#[test]
fn a_hung_test_is_aborted_with_its_children() {
    let mut hung = Child::role("role_hangs").spawn();
    let grandchild = hung.expect_line(PATIENCE);
    let output = hung.wait(PATIENCE);
    assert!(!output.status.success());
    assert!(output.stderr.contains("role_hangs hangs"), "{}", output.stderr);
    assert!(output.stderr.contains("watchdog"), "{}", output.stderr);
    let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(" Z "), "the grandchild lives: {state}");
}

#[test]
fn an_empty_runtime_directory_is_removed() {
    let mut guard = RuntimeDirGuard::new();
    let path = guard.path().to_owned();
    assert!(path.is_dir());
    std::fs::create_dir(path.join("kept")).unwrap();
    guard.allow("kept");
    let seen =
        guard.give(Child::program("sh").args(["-c", "printf %s \"$CROSSING_RUNTIME_DIR\""])).run().success();
    assert_eq!(seen.text(), path.to_string_lossy());
    drop(guard);
    assert!(!path.exists());
}

#[test]
#[should_panic(expected = "left behind in the runtime directory: [\"segment\", \"segment/data\"]")]
fn leftovers_fail_the_test() {
    let guard = RuntimeDirGuard::new();
    std::fs::create_dir(guard.path().join("segment")).unwrap();
    std::fs::write(guard.path().join("segment/data"), b"x").unwrap();
}

#[test]
fn cpp_programs_are_built_once() {
    let source = std::env::temp_dir().join(unique_name("hello") + ".cpp");
    std::fs::write(&source, "#include <cstdio>\nint main() { std::puts(\"hello from C++\"); }\n").unwrap();
    let program = build::cpp(&source);
    assert_eq!(build::cpp(&source), program);
    assert_eq!(Child::program(&program).run().success().text(), "hello from C++\n");
    std::fs::remove_file(source).unwrap();
    std::fs::remove_file(program).unwrap();
}
