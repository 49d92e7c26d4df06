use super::check;
use crate::tidy::made_up::found;

fn manifest(package: &str, rest: &str) -> Vec<String> {
    found(check, &[(&format!("crates/{package}/Cargo.toml"), rest)])
}

#[test]
fn lower_floors_are_fine() {
    let text = "[dependencies]\ncrossing-sys.workspace = true\n[dev-dependencies]\ncrossing-testkit.workspace = true\n";
    assert_eq!(manifest("crossing-sync", text), [""; 0]);
}

#[test]
fn the_same_floor_fails() {
    assert_eq!(
        manifest("crossing-wire", "[package]\n[dependencies]\ncrossing-sync.workspace = true\n"),
        [
            "crates/crossing-wire/Cargo.toml:3: crossing-wire (floor 1) depends on crossing-sync (floor 1): only lower floors"
        ]
    );
}

#[test]
fn a_higher_floor_fails_for_tests_and_targets_too() {
    let text = "[target.'cfg(loom)'.dev-dependencies]\ncrossing = { workspace = true }\n";
    assert_eq!(
        manifest("crossing-sys", text),
        [
            "crates/crossing-sys/Cargo.toml:2: crossing-sys (floor 0) depends on crossing (floor 5): only lower floors"
        ]
    );
}

#[test]
fn a_rename_does_not_hide() {
    let text = "[dependencies]\nq = { package = \"crossing-queue\", workspace = true }\n";
    assert_eq!(
        manifest("crossing-net", text),
        [
            "crates/crossing-net/Cargo.toml:2: crossing-net (floor 4) depends on crossing-queue (floor 4): only lower floors"
        ]
    );
}

#[test]
fn low_floors_have_no_serde() {
    assert_eq!(
        manifest("crossing-shm", "[dependencies]\nserde = \"1\"\n"),
        ["crates/crossing-shm/Cargo.toml:2: crossing-shm (floor 2) depends on serde: not on floors 0 to 3"]
    );
    assert_eq!(manifest("crossing-net", "[dependencies]\nserde = \"1\"\n"), [""; 0]);
}

#[test]
fn only_the_lowest_floor_calls_the_system() {
    assert_eq!(
        manifest("crossing-queue", "[dependencies]\nlibc.workspace = true\n"),
        [
            "crates/crossing-queue/Cargo.toml:2: crossing-queue depends on libc: only crossing-sys calls the operating system"
        ]
    );
    assert_eq!(manifest("crossing-sys", "[dependencies]\nlibc.workspace = true\n"), [""; 0]);
}

#[test]
fn the_program_stands_on_the_facade_alone() {
    assert_eq!(
        manifest(
            "crossing-cli",
            "[dependencies]\ncrossing.workspace = true\ncrossing-shm.workspace = true\n"
        ),
        [
            "crates/crossing-cli/Cargo.toml:3: crossing-cli (floor 6) depends on crossing-shm: only on the facade `crossing`"
        ]
    );
}

#[test]
fn the_test_kit_is_for_tests() {
    assert_eq!(
        manifest("crossing-net", "[dependencies]\ncrossing-testkit.workspace = true\n"),
        ["crates/crossing-net/Cargo.toml:2: crossing-testkit is for tests: move it to [dev-dependencies]"]
    );
}

#[test]
fn an_unknown_crate_fails() {
    assert_eq!(
        manifest("crossing-new", ""),
        ["crates/crossing-new/Cargo.toml: crossing-new has no floor: add it to xtask/src/tidy/floors.rs"]
    );
}
