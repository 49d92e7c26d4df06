//! POSIX named and System V semaphores between `crossing sync semaphore` and C++ programs.

use crossing_interop_tests::{AtEnd, Place};
use crossing_testkit::{PATIENCE, unique_name};

/// Both directions of a semaphore: `own` names it for Crossing, `cpp` runs the C++ program with a verb.
fn both_ways(place: &Place, own: &str, cpp: &dyn Fn(&str) -> crossing_testkit::Builder) {
    let crossing = |verb: &str| place.crossing(&["sync", "semaphore", verb, own]);
    let value = || crossing("value").run().success().text().trim().to_owned();
    assert_eq!(value(), "1");

    crossing("wait").run().success();
    assert_eq!(cpp("value").run().success().text(), "0\n");

    let mut waiter = cpp("wait").spawn();
    waiter.expect("waiting");
    crossing("post").run().success();
    assert_eq!(waiter.wait(PATIENCE).success().text(), "waiting\ngot it\n0\n");

    let waiter = place.crossing(&["sync", "semaphore", "wait", own, "--timeout", "20s"]).spawn();
    cpp("post").run().success();
    waiter.wait(PATIENCE).success();
    assert_eq!(value(), "0");

    place.refuses(&["sync", "semaphore", "wait", own, "--timeout", "50ms"], &[]);
    crossing("rm").run().success();
    assert!(!cpp("value").run().status.success(), "the semaphore is gone");
    place.refuses(&["sync", "semaphore", "post", own], &["not found"]);
}

#[test]
fn posix_named() {
    let place = Place::new();
    let name = format!("/{}", unique_name("crossing-interop"));
    let _end = AtEnd::run(place.cpp("semaphore", &["remove", &name]));
    place.cpp("semaphore", &["create", &name, "1"]).run().success();
    both_ways(&place, &format!("posix:{name}"), &|verb| place.cpp("semaphore", &[verb, &name]));
}

#[test]
fn posix_created_by_crossing() {
    let place = Place::new();
    let name = format!("/{}", unique_name("crossing-interop"));
    let own = format!("posix:{name}");
    let _end = AtEnd::run(place.cpp("semaphore", &["remove", &name]));
    place.crossing(&["sync", "semaphore", "create", &own, "--value", "3"]).run().success();
    assert_eq!(place.cpp("semaphore", &["wait", &name]).run().success().text(), "waiting\ngot it\n2\n");
}

#[test]
fn system_v() {
    let place = Place::new();
    let _end = AtEnd::run(place.cpp("sysv_semaphore", &["remove"]));
    place.cpp("sysv_semaphore", &["create", "1"]).run().success();
    both_ways(&place, "sysv:shmfile,65", &|verb| place.cpp("sysv_semaphore", &[verb]));
}

#[test]
fn system_v_created_by_crossing() {
    let place = Place::new();
    let _end = AtEnd::run(place.cpp("sysv_semaphore", &["remove"]));
    let own = "sysv:shmfile,65";
    place.crossing(&["sync", "semaphore", "create", own, "--value", "3"]).run().success();
    assert_eq!(place.cpp("sysv_semaphore", &["wait"]).run().success().text(), "waiting\ngot it\n2\n");
}
