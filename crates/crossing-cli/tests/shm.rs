//! `crossing shm`, `ls`, `inspect`, `rm`: every kind of segment, round trips, liveness, errors.

mod common;

use common::{POSIX, crossing, fails, ok, run};
use crossing_testkit::{RuntimeDirGuard, unique_name};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Create, write, read in every shape, list, inspect, remove, for one kind of name.
fn round_trip(dir: &RuntimeDirGuard, name: &str) {
    ok(dir, &["shm", "create", name, "--size", "64K"]);
    fails(dir, &["shm", "create", name, "--size", "64K"], 1, &["exists"]);
    ok(dir, &["shm", "create", name, "--size", "64K", "--or-open"]);
    ok(dir, &["shm", "write", name, "hello"]);
    ok(dir, &["shm", "write", name, "--offset", "1K", "world", "--cstr"]);
    assert_eq!(ok(dir, &["shm", "read", name, "--len", "5"]).stdout, b"hello");
    assert_eq!(ok(dir, &["shm", "read", name, "--cstr"]).stdout, b"hello\n");
    assert_eq!(ok(dir, &["shm", "read", name, "--offset", "1024", "--cstr"]).stdout, b"world\n");
    assert_eq!(ok(dir, &["shm", "read", name, "--offset", "4", "--len", "3"]).stdout, b"o\0\0");
    let all = ok(dir, &["shm", "read", name]).stdout;
    assert_eq!(all.len(), 65536, "all of it");
    let json = ok(dir, &["shm", "read", name, "--len", "6", "--json"]).text();
    assert!(json.contains("\"hex\":\"68656c6c6f00\"") && json.contains("\"len\":6"), "{json}");
    assert!(
        ok(dir, &["shm", "read", name, "--len", "16", "--hex"])
            .text()
            .starts_with("00000000  68 65 6c 6c 6f 00")
    );
    fails(dir, &["shm", "read", name, "--offset", "65536", "--len", "1"], 1, &[]);
    fails(dir, &["shm", "write", name, "--offset", "65535", "ab"], 1, &[]);
    assert_eq!(
        ok(dir, &["shm", "read", name, "--offset", "65535"]).stdout,
        b"\0",
        "a refused write changed nothing"
    );
    let shown = ok(dir, &["inspect", name]).text();
    assert!(shown.contains("64 KiB") || shown.contains("65536"), "{shown}");
    let json = ok(dir, &["shm", "inspect", name, "--json"]).text();
    assert!(json.contains("\"size\":65536"), "{json}");
    ok(dir, &["shm", "rm", name]);
    fails(dir, &["shm", "read", name], 3, &[]);
    fails(dir, &["shm", "rm", name], 3, &[]);
}

#[test]
fn native_segments_round_trip() {
    let dir = RuntimeDirGuard::new();
    round_trip(&dir, "prices");
}

#[test]
fn posix_segments_round_trip() {
    let dir = RuntimeDirGuard::new();
    let name = format!("posix:/{}", unique_name("crossing-cli"));
    if !POSIX {
        return fails(&dir, &["shm", "create", &name, "--size", "64K"], 1, &["not supported here"]);
    }
    round_trip(&dir, &name);
}

#[test]
fn system_v_segments_round_trip_by_key_and_by_path() {
    let dir = RuntimeDirGuard::new();
    let key = format!("sysv:0x{:x}", 0x4300_0000u32 | std::process::id());
    if !POSIX {
        return fails(&dir, &["shm", "create", &key, "--size", "64K"], 1, &["not supported here"]);
    }
    round_trip(&dir, &key);
    let file = std::env::temp_dir().join(unique_name("crossing-ftok"));
    std::fs::write(&file, b"").expect("write the file for ftok");
    round_trip(&dir, &format!("sysv:{},65", file.display()));
    std::fs::remove_file(&file).expect("remove the file for ftok");
}

#[test]
fn a_missing_ftok_file_is_explained() {
    let dir = RuntimeDirGuard::new();
    let (code, said) = if POSIX { (3, "-1") } else { (1, "not supported here") };
    fails(&dir, &["shm", "read", "sysv:/no/such/file,65"], code, &["ftok", said]);
}

#[test]
fn standard_input_is_written_byte_for_byte() {
    let dir = RuntimeDirGuard::new();
    ok(&dir, &["shm", "create", "piped", "--size", "4096"]);
    let mut writer = crossing(&dir, &["shm", "write", "piped", "-"]).spawn();
    writer.tell("line");
    let _ = writer.wait(Duration::from_secs(10)).success();
    assert_eq!(ok(&dir, &["shm", "read", "piped", "--len", "6"]).stdout, b"line\n\0");
    ok(&dir, &["rm", "piped"]);
}

#[test]
fn lists_show_names_sizes_and_life() {
    let dir = RuntimeDirGuard::new();
    assert_eq!(ok(&dir, &["ls", "--json"]).text().trim(), "[]");
    ok(&dir, &["shm", "create", "one", "--size", "4K"]);
    ok(&dir, &["shm", "create", "two", "--size", "8K"]);
    let text = ok(&dir, &["ls"]).text();
    assert!(text.contains("one") && text.contains("two"), "{text}");
    let json = ok(&dir, &["shm", "ls", "--json", "tw"]).text();
    assert!(json.contains("\"name\":\"two\"") && !json.contains("\"one\""), "{json}");
    ok(&dir, &["rm", "one"]);
    ok(&dir, &["rm", "two"]);
}

#[test]
fn what_a_killed_owner_left_is_stale_and_only_that_is_removed() {
    let dir = RuntimeDirGuard::new();
    let mut dead = crossing(&dir, &["shm", "create", "dead", "--size", "4K", "--hold"]).spawn();
    let mut live = crossing(&dir, &["shm", "create", "live", "--size", "4K", "--hold"]).spawn();
    let _ = dead.expect_line(Duration::from_secs(10));
    let _ = live.expect_line(Duration::from_secs(10));
    ok(&dir, &["shm", "create", "kept", "--size", "4K"]);
    dead.kill();
    let json = ok(&dir, &["ls", "--json"]).text();
    let of = |name: &str| {
        let at = json.find(&format!("\"name\":\"{name}\"")).unwrap_or_else(|| panic!("{name} in {json}"));
        json[at..].split('}').next().unwrap_or_default().to_owned()
    };
    assert!(of("dead").contains("\"state\":\"stale\""), "{json}");
    assert!(of("live").contains("\"state\":\"live\""), "{json}");
    assert!(of("kept").contains("\"state\":\"kept\""), "{json}");
    let removed = ok(&dir, &["rm", "--stale"]).text();
    assert!(removed.contains("dead") && !removed.contains("live") && !removed.contains("kept"), "{removed}");
    assert_eq!(run(&dir, &["inspect", "dead"]).status.code(), Some(3));
    ok(&dir, &["inspect", "live"]);
    live.kill();
    ok(&dir, &["rm", "--stale"]);
    ok(&dir, &["rm", "kept"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = RuntimeDirGuard::new();
    ok(&dir, &["shm", "create", "large", "--size", "1M"]);
    let mut reader = Command::new(env!("CARGO_BIN_EXE_crossing"))
        .args(["shm", "read", "large"])
        .env("CROSSING_RUNTIME_DIR", dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the command");
    let mut first = [1];
    // The pipe is closed after one byte of a MiB.
    reader.stdout.take().expect("stdout").read_exact(&mut first).expect("one byte");
    let output = reader.wait_with_output().expect("its end");
    assert_eq!((first, output.status.code(), &output.stderr[..]), ([0], Some(0), &b""[..]));
    ok(&dir, &["rm", "large"]);
}
