//! The demo: every message arrives, the killed process's lock and loan come back, nothing is left.

mod common;

use common::{KILL, POSIX, crossing, ok};
use crossing_testkit::RuntimeDirGuard;
use std::time::{Duration, Instant};

#[test]
fn the_demo_shows_everything_and_leaves_nothing() {
    let dir = RuntimeDirGuard::new();
    let output = ok(&dir, &["demo"]);
    let text = output.text();
    for part in
        ["Process1", "SharedMemory", "MessageQueue", KILL, "Recovered", "reclaims", "▶", "◀", "Checked:"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let roads = ["SharedMemory arrived intact: 8 of 8", "Socket arrived intact: 6 of 6"];
    let more = ["TcpFramed arrived intact: 6 of 6", "TcpRaw arrived intact: 6 of 6"];
    for road in roads.into_iter().chain(more).chain(["SharedQueue arrived intact: 6 of 6"]) {
        assert!(text.contains(road), "{road} in\n{text}");
    }
    assert_eq!(text.contains("MessageQueue arrived intact: 6 of 6"), POSIX, "{text}");
    assert_eq!(text.contains("MessageQueue is left out"), !POSIX, "{text}");
    let peer = if cfg!(unix) { " (uid " } else { " (user S-1-" };
    assert!(text.contains("is connected, Socket: process ") && text.contains(peer), "{text}");
    assert!(!text.contains("FAILED"), "{text}");
    assert_eq!(output.stderr, "");
}

#[test]
fn the_same_as_mermaid() {
    let dir = RuntimeDirGuard::new();
    let output = ok(&dir, &["demo", "--format", "mermaid"]);
    let text = output.text();
    assert!(text.starts_with("sequenceDiagram\n    participant Process1\n"), "{text}");
    assert_eq!(text.matches("Process1->>SharedMemory: ping").count(), 4, "{text}");
    assert_eq!(text.matches("SharedMemory->>Process1: pong").count(), 4, "{text}");
    assert_eq!(text.matches("Socket->>Process2: ping").count(), 3, "{text}");
    assert!(text.matches("Tcp->>Process2: framed ping").count() == 3, "{text}");
    assert!(text.matches("Process1->>Tcp: raw ping").count() == 3, "{text}");
    assert!(text.contains("Note over SharedMemory,Process2: Process2 gets the mutex as Recovered"), "{text}");
    assert!(output.stderr.contains(&format!("with {KILL}")), "{}", output.stderr);
}

#[test]
fn the_same_as_data() {
    let dir = RuntimeDirGuard::new();
    let text = ok(&dir, &["demo", "--json"]).text();
    let data: serde_json::Value = serde_json::from_str(&text).expect("one JSON document");
    assert_eq!(data["ok"], true);
    let messages = data["messages"].as_array().expect("messages");
    // Through the segment 8, and through each other road 6.
    assert_eq!(messages.len(), if POSIX { 38 } else { 32 });
    for through in ["SharedMemory", "Socket", "TcpFramed", "TcpRaw", "SharedQueue"] {
        assert!(messages.iter().any(|message| message["through"] == through), "{through}");
    }
    for message in messages {
        assert!(message["latency_ns"].as_u64().is_some_and(|ns| ns > 0), "{message}");
    }
    assert!(data["checks"].as_array().is_some_and(|checks| checks.iter().all(|check| check["ok"] == true)));
}

#[test]
fn what_a_killed_demo_left_is_reclaimed_by_the_next() {
    let dir = RuntimeDirGuard::new();
    let mut killed = crossing(&dir, &["demo"]).spawn();
    // Kill it once the first messages have gone.
    while !killed.expect_line(Duration::from_secs(20)).contains("-->") {}
    killed.kill();
    drop(killed);
    // Its children end when they see that it is gone; then nobody uses what it left.
    let deadline = Instant::now() + Duration::from_secs(10);
    while ok(&dir, &["ls", "--json"]).text().contains("\"state\":\"live\"") {
        assert!(Instant::now() < deadline, "the segments of a killed demo become stale");
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = ok(&dir, &["demo"]).text();
    assert!(text.contains("reclaimed"), "{text}");
    assert_eq!(ok(&dir, &["ls", "--json"]).text().trim(), "[]");
}
