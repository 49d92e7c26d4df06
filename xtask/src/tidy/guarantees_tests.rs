use super::check;
use crate::tidy::made_up::found;

const TEST: (&str, &str) =
    ("crates/a/src/b_tests.rs", "#[test]\n#[ignore]\nfn it_holds() {}\n\nfn helper() {}\n");

#[test]
fn tests_that_stand_are_fine() {
    let page = ("PLATFORM.md", "| x | `a/src/b_tests.rs::it_holds`, `crates/a/src/b_tests.rs::it_holds` |\n");
    assert_eq!(found(check, &[TEST, page]), [""; 0]);
}

#[test]
fn missing_files_missing_tests_and_helpers_are_found() {
    let page = "`a/src/c.rs::it_holds`\n`a/src/b_tests.rs::it_hold`\n`a/src/b_tests.rs::helper`\n";
    assert_eq!(
        found(check, &[TEST, ("PLATFORM.md", page)]),
        [
            "PLATFORM.md:1: a/src/c.rs does not exist",
            "PLATFORM.md:2: a/src/b_tests.rs has no test it_hold",
            "PLATFORM.md:3: a/src/b_tests.rs has no test helper",
        ]
    );
}
