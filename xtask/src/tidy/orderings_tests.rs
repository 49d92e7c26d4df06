use super::check;
use crate::tidy::made_up::found;

fn file(text: &str) -> Vec<String> {
    found(check, &[("crates/crossing-sync/src/a.rs", text)])
}

#[test]
fn a_pair_is_fine_wherever_its_ends_are() {
    let files = [
        ("crates/crossing-sync/src/a.rs", "// ORD: put-slot (release) <-> take-slot\n"),
        ("crates/crossing-ring/src/b.rs", "x.load(Acquire); // ORD: take-slot (acquire) <-> put-slot\n"),
    ];
    assert_eq!(found(check, &files), [""; 0]);
}

#[test]
fn a_missing_partner_fails() {
    assert_eq!(
        file("fn f() {}\n// ORD: put-slot (release) <-> take-slot\n"),
        ["crates/crossing-sync/src/a.rs:2: ORD put-slot: its partner take-slot stands at no code"]
    );
}

#[test]
fn prose_is_not_a_partner_and_is_checked() {
    assert_eq!(
        file("//! (`ORD: take-slot (acquire) <-> put-slot`)\n// ORD: put-slot (release) <-> take-slot\n"),
        ["crates/crossing-sync/src/a.rs:2: ORD put-slot: its partner take-slot stands at no code"]
    );
}

#[test]
fn two_releases_are_no_pair() {
    assert_eq!(
        file("// ORD: a-x (release) <-> b-x\n// ORD: b-x (release) <-> a-x\n"),
        [
            "crates/crossing-sync/src/a.rs:1: ORD a-x (release): its partner b-x is release too",
            "crates/crossing-sync/src/a.rs:2: ORD b-x (release): its partner a-x is release too",
        ]
    );
    assert_eq!(
        file(
            "// ORD: a-x (acqrel) <-> b-x, c-x\n// ORD: b-x (release) <-> a-x\n// ORD: c-x (acquire) <-> a-x\n"
        ),
        [""; 0]
    );
}

#[test]
fn what_cannot_be_read_fails() {
    let message = "cannot read this: `// ORD: some-label (release|acquire|acqrel|seqcst) <-> other-label`";
    assert_eq!(
        file("// ORD: put-slot (releases) <-> take-slot\n"),
        [format!("crates/crossing-sync/src/a.rs:1: {message}")]
    );
    assert_eq!(
        file("// ORD: put-slot <-> take-slot\n"),
        [format!("crates/crossing-sync/src/a.rs:1: {message}")]
    );
}
