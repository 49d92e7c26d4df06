use super::{check, long};
use crate::tidy::made_up::{MadeUp, found};

fn file(path: &str, text: &str) -> Vec<String> {
    found(check, &[(path, text)])
}

#[test]
fn the_system_is_chosen_in_one_place() {
    let text = "#[cfg(target_os = \"linux\")]\nmod linux;\n";
    assert_eq!(file("crates/crossing-sys/src/os/mod.rs", text), [""; 0]);
    let message = "target_os is written in crates/crossing-sys/src/os/mod.rs only: put the difference behind the OS contract";
    assert_eq!(
        file("crates/crossing-sys/src/lock.rs", text),
        [format!("crates/crossing-sys/src/lock.rs:1: {message}")]
    );
    assert_eq!(file("xtask/src/a.rs", "// target_os\nlet a = \"target_os\";\n"), [""; 0]);
}

#[test]
fn system_calls_are_in_one_crate() {
    let text = "fn f() {\n    rustix::fs::sync();\n}\n";
    assert_eq!(
        file("crates/crossing-shm/src/a.rs", text),
        ["crates/crossing-shm/src/a.rs:2: rustix outside crossing-sys: add the call to its contract"]
    );
    assert_eq!(file("crates/crossing-sys/src/a.rs", text), [""; 0]);
    assert_eq!(file("crates/crossing-shm/src/a_tests.rs", text), [""; 0]);
    assert_eq!(file("crates/crossing-shm/tests/a.rs", text), [""; 0]);
}

const OPTED_IN: &str = "#![allow(unsafe_code)] // maps memory\n";

#[test]
fn unsafe_is_opted_into() {
    let text = "// SAFETY: proof\nfn f() { unsafe { g() } }\n";
    assert_eq!(file("crates/crossing-shm/src/a.rs", &format!("{OPTED_IN}{text}")), [""; 0]);
    assert_eq!(
        file("crates/crossing-shm/src/a.rs", text),
        [
            "crates/crossing-shm/src/a.rs:2: unsafe in a file that does not begin with `#![allow(unsafe_code)] // reason`"
        ]
    );
    assert_eq!(
        file("crates/crossing-shm/src/a.rs", &format!("#![allow(unsafe_code)]\n{text}")),
        ["crates/crossing-shm/src/a.rs:1: give the reason: `#![allow(unsafe_code)] // reason`"]
    );
}

#[test]
fn some_crates_hold_no_unsafe() {
    assert_eq!(
        file("crates/crossing-net/src/a.rs", &format!("{OPTED_IN}unsafe fn f() {{}}\n")),
        ["crates/crossing-net/src/a.rs:2: unsafe in crossing-net, which holds none"]
    );
    assert_eq!(
        file("crates/crossing-net/src/lib.rs", "//! Net.\n"),
        ["crates/crossing-net/src/lib.rs:1: crossing-net holds no unsafe: write #![forbid(unsafe_code)]"]
    );
    assert_eq!(file("crates/crossing-net/src/lib.rs", "#![forbid(unsafe_code)]\n"), [""; 0]);
    assert_eq!(
        file("tests/interop/tests/a.rs", "unsafe impl Send for A {}\n"),
        ["tests/interop/tests/a.rs:1: unsafe in interop, which holds none"]
    );
}

#[test]
fn every_unsafe_block_has_a_proof() {
    let text =
        format!("{OPTED_IN}// SAFETY: one\nunsafe impl Send for A {{}}\nfn f() {{ unsafe {{ g() }} }}\n");
    assert_eq!(
        file("crates/crossing-sys/src/a.rs", &text),
        ["crates/crossing-sys/src/a.rs: 2 unsafe blocks and impls, 1 `// SAFETY:` proofs: one for each"]
    );
}

#[test]
fn files_are_short() {
    let path = "crates/crossing-sys/src/a.rs";
    assert_eq!(
        file(path, &"//\n".repeat(801)),
        [format!("{path}: 801 lines, at most 800: split it by what its parts are about")]
    );
    let made_up = MadeUp::new(&[(path, &"//\n".repeat(501))]);
    assert_eq!(made_up.findings(check), [""; 0]);
    assert_eq!(long(&made_up.tree()), [(path.into(), 501)]);
    assert_eq!(long(&MadeUp::new(&[(path, &"//\n".repeat(500))]).tree()), []);
}

#[test]
fn tests_are_siblings() {
    let path = "crates/crossing-sys/src/a.rs";
    assert_eq!(
        file(path, "#[cfg(test)]\nmod tests {\n}\n"),
        [format!(
            "{path}:2: tests inside the file: put them in a sibling (`foo_tests.rs` or `foo/tests.rs`)"
        )]
    );
    assert_eq!(file(path, "#[cfg(all(test, not(loom)))]\n#[allow(x)]\nmod tests {\n}\n").len(), 1);
    assert_eq!(file(path, "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\nmod other {\n}\n"), [""; 0]);
}
