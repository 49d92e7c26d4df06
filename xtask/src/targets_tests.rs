use super::{Selection, TARGETS, arguments, line, told};
use std::time::Duration;

fn names(only: &[&str]) -> Result<Vec<&'static str>, String> {
    let only = only.iter().map(|&name| name.to_owned()).collect();
    let selection = Selection { only, list: false };
    Ok(selection.choose()?.into_iter().map(|target| target.triple).collect())
}

#[test]
fn all_targets_by_default() {
    assert_eq!(names(&[]).unwrap().len(), TARGETS.len());
}

#[test]
fn only_chooses_in_the_order_of_the_table() {
    let chosen = names(&["x86_64-unknown-freebsd", "x86_64-pc-windows-msvc"]).unwrap();
    assert_eq!(chosen, ["x86_64-pc-windows-msvc", "x86_64-unknown-freebsd"]);
}

#[test]
fn a_wrong_name_is_told() {
    let message = names(&["x86_64-unknown-freebsd", "vax"]).unwrap_err();
    assert!(message.starts_with("no target \"vax\"; there are: x86_64-pc-windows-gnu, "), "{message}");
}

#[test]
fn checks_libraries_programs_and_tests_of_every_floor() {
    let arguments = arguments("t");
    assert!(
        arguments.starts_with("check --target t --no-default-features --lib --bins --tests -p crossing-sys "),
        "{arguments}"
    );
    assert!(arguments.contains(" -p crossing-cli "), "{arguments}");
    assert!(arguments.ends_with(" --target-dir"), "the directory is added as it is: {arguments}");
}

#[test]
fn a_failure_is_seen_in_its_line_and_can_be_repeated() {
    assert!(line("t", Duration::from_millis(1240), true).ends_with(" 1.2 s  ok"));
    assert!(line("t", Duration::ZERO, false).ends_with("FAILED"));
    assert_eq!(
        told(&["a", "b"]),
        "2 of the targets failed; again alone: cargo xtask check-targets --only a --only b"
    );
}
