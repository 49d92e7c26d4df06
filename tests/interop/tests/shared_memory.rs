//! System V and POSIX segments between `crossing shm` and C++ programs, both ways.

use crossing_interop_tests::{AtEnd, Place, bytes};
use crossing_testkit::unique_name;

const SYSV: &str = "sysv:shmfile,65";

#[test]
fn cpp_writes_system_v_and_crossing_reads() {
    let place = Place::new();
    let _end = AtEnd::run(place.cpp("shm_reader", &["remove"]));
    let written = place.cpp("shm_writer", &["Hello from C++"]).run().success();
    assert_eq!(written.text(), "Data written in memory: Hello from C++\n");
    let read = place.crossing(&["shm", "read", SYSV, "--cstr"]).run().success();
    assert_eq!(bytes(&read), b"Hello from C++");
    let part = place.crossing(&["shm", "read", SYSV, "--offset", "6", "--len", "4"]).run().success();
    assert_eq!(bytes(&part), b"from");
}

#[test]
fn crossing_writes_system_v_and_cpp_reads() {
    let place = Place::new();
    let _end = AtEnd::run(place.cpp("shm_reader", &["remove"]));
    place.crossing(&["shm", "create", SYSV, "--size", "1024"]).run().success();
    place.crossing(&["shm", "write", SYSV, "Hello from Crossing"]).run().success();
    let read = place.cpp("shm_reader", &[]).run().success();
    assert_eq!(read.text(), "Data read from memory: Hello from Crossing\n");
}

#[test]
fn crossing_overwrites_a_longer_cpp_text() {
    let place = Place::new();
    let _end = AtEnd::run(place.cpp("shm_reader", &["remove"]));
    place.cpp("shm_writer", &["a long text that must not shine through"]).run().success();
    place.crossing(&["shm", "write", SYSV, "short", "--cstr"]).run().success();
    assert_eq!(place.cpp("shm_reader", &[]).run().success().text(), "Data read from memory: short\n");
    // And the absolute path names the same segment.
    let absolute = format!("sysv:{},65", place.directory().join("shmfile").display());
    let read = place.crossing(&["shm", "read", &absolute, "--cstr"]).run().success();
    assert_eq!(bytes(&read), b"short");
}

#[test]
fn crossing_removes_a_cpp_segment() {
    let place = Place::new();
    let end = AtEnd::run(place.cpp("shm_reader", &["remove"]));
    place.cpp("shm_writer", &["text"]).run().success();
    place.crossing(&["shm", "rm", SYSV]).run().success();
    place.refuses(&["shm", "read", SYSV, "--cstr"], &["not found"]);
    assert!(!place.cpp("shm_reader", &["remove"]).run().status.success(), "the segment is gone for C++ too");
    drop(end);
}

#[test]
fn a_missing_ftok_file_is_explained() {
    let place = Place::new();
    std::fs::remove_file(place.directory().join("shmfile")).unwrap();
    place.refuses(&["shm", "read", SYSV, "--cstr"], &["shmfile", "ftok", "-1"]);
    place.refuses(&["shm", "write", SYSV, "text"], &["shmfile", "ftok", "-1"]);
}

#[test]
fn reading_beyond_a_system_v_segment_is_refused() {
    let place = Place::new();
    let _end = AtEnd::run(place.cpp("shm_reader", &["remove"]));
    place.cpp("shm_writer", &["text"]).run().success();
    place.refuses(&["shm", "read", SYSV, "--offset", "1000", "--len", "100"], &["1024"]);
    place.refuses(&["shm", "write", SYSV, "--offset", "1022", "text"], &["1024"]);
}

#[test]
fn posix_segments_both_ways() {
    let place = Place::new();
    let name = format!("/{}", unique_name("crossing-interop"));
    let foreign = format!("posix:{name}");
    let _end = AtEnd::run(place.cpp("posix_shm", &["remove", &name]));
    place.cpp("posix_shm", &["write", &name, "Hello from C++"]).run().success();
    let read = place.crossing(&["shm", "read", &foreign, "--cstr"]).run().success();
    assert_eq!(bytes(&read), b"Hello from C++");
    place.crossing(&["shm", "write", &foreign, "Hello from Crossing", "--cstr"]).run().success();
    assert_eq!(place.cpp("posix_shm", &["read", &name]).run().success().text(), "Hello from Crossing\n");
    place.crossing(&["shm", "rm", &foreign]).run().success();
    assert!(!place.cpp("posix_shm", &["read", &name]).run().status.success());
    place.refuses(&["shm", "read", &foreign, "--cstr"], &["not found"]);
}

#[test]
fn cpp_reads_a_posix_segment_that_crossing_created() {
    let place = Place::new();
    let name = format!("/{}", unique_name("crossing-interop"));
    let foreign = format!("posix:{name}");
    let _end = AtEnd::run(place.cpp("posix_shm", &["remove", &name]));
    place.crossing(&["shm", "create", &foreign, "--size", "4K"]).run().success();
    place.crossing(&["shm", "write", &foreign, "from Crossing first"]).run().success();
    assert_eq!(place.cpp("posix_shm", &["read", &name]).run().success().text(), "from Crossing first\n");
}
