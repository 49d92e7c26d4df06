//! `crossing pub` and `crossing sub`: two processes, one of them killed.

mod common;

use common::{crossing, fails, ok};
use crossing_testkit::RuntimeDirGuard;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_subscriber_prints_what_is_published_and_survives_the_publisher() {
    let dir = RuntimeDirGuard::new();
    let mut sub = crossing(&dir, &["sub", "shm:prices", "--timeout", "60s"]).spawn();
    ok(&dir, &["pub", "shm:prices", "one", "--count", "2", "--wait", "1", "--timeout", "60s"]);
    assert_eq!((sub.expect_line(LIMIT), sub.expect_line(LIMIT)), ("one".into(), "one".into()));
    let mut endless =
        crossing(&dir, &["pub", "shm:prices", "two", "--count", "1000000", "--rate", "20", "--wait", "1"])
            .spawn();
    assert_eq!(sub.expect_line(LIMIT), "two");
    endless.kill();
    let mut after = String::new();
    while after != "three" {
        ok(&dir, &["pub", "shm:prices", "three", "--wait", "1", "--timeout", "60s"]);
        after = sub.expect_line(LIMIT);
        assert!(after == "two" || after == "three", "{after}");
    }
    drop(sub);
    ok(&dir, &["rm", "--stale"]);
    assert_eq!(ok(&dir, &["ls", "topic/", "--json"]).text().trim(), "[]");
}

#[test]
fn errors_say_what_to_do() {
    let dir = RuntimeDirGuard::new();
    fails(&dir, &["sub", "tcp:localhost:1"], 2, &["shm:NAME"]);
    fails(&dir, &["sub", "shm:quiet", "--timeout", "50ms"], 4, &["no message came"]);
    fails(&dir, &["pub", "shm:quiet", "x", "--wait", "1", "--timeout", "50ms"], 4, &["0 subscribers of 1"]);
    fails(&dir, &["pub", "shm:quiet", "x", "--depth", "5"], 2, &["power of two"]);
}
