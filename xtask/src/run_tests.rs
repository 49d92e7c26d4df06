use super::{Counts, Run, Runner, summary};
use std::path::Path;

fn counts(passed: u64, failed: u64) -> Counts {
    Counts { passed, failed }
}

#[test]
fn libtest_summaries() {
    let line =
        "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
    assert_eq!(summary(line, Runner::Libtest), counts(3, 0));
    assert_eq!(
        summary("test result: \u{1b}[31mFAILED\u{1b}[m. 3 passed; 2 failed; 0 ignored", Runner::Libtest),
        counts(3, 2)
    );
    assert_eq!(summary(line, Runner::Nextest), counts(0, 0));
    assert_eq!(summary(line, Runner::None), counts(0, 0));
}

#[test]
fn nextest_summaries() {
    let line = "     Summary [   0.005s] 1 test run: 1 passed, 0 skipped";
    assert_eq!(summary(line, Runner::Nextest), counts(1, 0));
    let line = "\u{1b}[31;1m     Summary\u{1b}[0m [  10.005s] \u{1b}[1m9\u{1b}[0m tests run: \u{1b}[1m5\u{1b}[0m passed (2 slow), 1 failed, 2 timed out, 1 exec failed, 3 skipped";
    assert_eq!(summary(line, Runner::Nextest), counts(5, 4));
    assert_eq!(summary(line, Runner::Libtest), counts(0, 0));
}

#[test]
fn a_command_is_counted_and_its_failure_told() {
    let mut total = Counts::default();
    let script = "echo 'Summary [ 1s] 2 tests run: 2 passed'; echo 'Summary [ 1s] 2 tests run: 1 passed, 1 failed' >&2";
    let shell = |script: &str| Run::new(Path::new("/"), "sh", "-c").arg(script).counting(Runner::Nextest);
    assert_eq!(shell(script).run(&mut total), Ok(()));
    assert_eq!(total, counts(3, 1));
    let failed = shell("exit 4").env("A", "b").run(&mut total).unwrap_err();
    assert!(failed.contains("exit status: 4") && failed.contains("A=\"b\" sh -c exit 4"), "{failed}");
    let missing = Run::new(Path::new("/"), "no-such-program", "").run(&mut total).unwrap_err();
    assert!(missing.contains("cannot run no-such-program"), "{missing}");
    assert_eq!(total, counts(3, 1));
}

#[test]
fn what_a_command_leaves_running_with_its_pipes_is_not_waited_for() {
    let mut total = Counts::default();
    // Runs as long as this process, and would hold it up for as long.
    let script = "tail --pid=$PPID -f /dev/null & echo 'test result: ok. 3 passed; 0 failed'";
    let left = Run::new(Path::new("/"), "sh", "-c").arg(script).counting(Runner::Libtest);
    assert_eq!(left.run(&mut total), Ok(()));
    assert_eq!(total, counts(3, 0));
}
