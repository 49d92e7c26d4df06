//! The kernel's POSIX message queues between `crossing send`/`recv` and C++ programs, both ways, to the byte.

use crossing_interop_tests::{AtEnd, Place, bytes};
use crossing_testkit::{PATIENCE, unique_name};

/// A queue name, its endpoint, and its removal.
fn queue(place: &Place) -> (String, String, AtEnd) {
    let name = format!("/{}", unique_name("crossing-interop"));
    let end = AtEnd::run(place.cpp("mq_receiver", &[&name, "unlink"]));
    let endpoint = format!("mq:{name}");
    (name, endpoint, end)
}

#[test]
fn cpp_sends_and_crossing_receives() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.cpp("mq_sender", &[&name, "Hello from C++", "0"]).run().success();
    let received = place.crossing(&["recv", &endpoint, "--count", "1"]).run().success();
    assert_eq!(bytes(&received), b"Hello from C++");
    place.cpp("mq_sender", &[&name, "exactly", "0"]).run().success();
    let received = place.crossing(&["recv", &endpoint, "--count", "1", "--raw-output"]).run().success();
    assert_eq!(received.stdout, b"exactly");
}

#[test]
fn crossing_waits_for_cpp() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.cpp("mq_receiver", &[&name, "create"]).run().success();
    let receiver = place.crossing(&["recv", &endpoint, "--count", "2", "--timeout", "20s"]).spawn();
    place.cpp("mq_sender", &[&name, "one", "0"]).run().success();
    place.cpp("mq_sender", &[&name, "two", "0"]).run().success();
    assert_eq!(receiver.wait(PATIENCE).success().text().trim_end(), "one\ntwo");
}

#[test]
fn crossing_sends_and_cpp_receives_exactly_the_bytes() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.cpp("mq_receiver", &[&name, "create"]).run().success();
    place.crossing(&["send", &endpoint, "Hello from Crossing", "--priority", "5"]).run().success();
    let received = place.cpp("mq_receiver", &[&name]).run().success();
    assert_eq!(received.text(), "5 19\nHello from Crossing");
}

#[test]
fn messages_of_any_bytes_and_of_none() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.cpp("mq_receiver", &[&name, "create"]).run().success();
    place.crossing(&["send", &endpoint, ""]).run().success();
    assert_eq!(place.cpp("mq_receiver", &[&name]).run().success().stdout, b"0 0\n");
    let line = "with newline\n";
    place.crossing(&["send", &endpoint, line]).run().success();
    assert_eq!(place.cpp("mq_receiver", &[&name]).run().success().text(), format!("0 13\n{line}"));
    let full = "x".repeat(1024);
    place.crossing(&["send", &endpoint, &full]).run().success();
    assert_eq!(place.cpp("mq_receiver", &[&name]).run().success().text(), format!("0 1024\n{full}"));
}

#[test]
fn the_higher_priority_comes_first_on_both_sides() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.cpp("mq_sender", &[&name, "low", "1"]).run().success();
    place.crossing(&["send", &endpoint, "high", "--priority", "9"]).run().success();
    place.cpp("mq_sender", &[&name, "middle", "5"]).run().success();
    assert_eq!(place.cpp("mq_receiver", &[&name]).run().success().text(), "9 4\nhigh");
    let rest = place.crossing(&["recv", &endpoint, "--count", "2"]).run().success();
    assert_eq!(rest.text().trim_end(), "middle\nlow");
}

#[test]
fn prioritised_messages_go_both_ways_in_their_order() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.cpp("mq_receiver", &[&name, "create"]).run().success();
    let messages = [("a", "3"), ("b", "31"), ("c", "0"), ("d", "31"), ("e", "3")];
    for (message, priority) in messages {
        place.cpp("mq_sender", &[&name, message, priority]).run().success();
    }
    let received = place.crossing(&["recv", &endpoint, "--count", "5", "--json"]).run().success();
    let text = received.text();
    let order: Vec<_> =
        ["\"priority\":31", "\"priority\":31", "\"priority\":3", "\"priority\":3", "\"priority\":0"]
            .into_iter()
            .zip(text.lines())
            .filter(|(wanted, line)| line.replace(' ', "").contains(wanted))
            .collect();
    assert_eq!(order.len(), 5, "{text}");
    for (message, priority) in messages {
        place.crossing(&["send", &endpoint, message, "--priority", priority]).run().success();
    }
    for wanted in ["31 1\nb", "31 1\nd", "3 1\na", "3 1\ne", "0 1\nc"] {
        assert_eq!(place.cpp("mq_receiver", &[&name]).run().success().text(), wanted);
    }
}

#[test]
fn crossing_creates_the_queue_that_cpp_uses() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.crossing(&["send", &endpoint, "first", "--create"]).run().success();
    assert_eq!(place.cpp("mq_receiver", &[&name]).run().success().text(), "0 5\nfirst");
    place.crossing(&["queue", "rm", &endpoint]).run().success();
    assert!(!place.cpp("mq_receiver", &[&name, "unlink"]).run().status.success(), "the queue is gone");
}

#[test]
fn errors_name_the_fix() {
    let place = Place::new();
    let (name, endpoint, _end) = queue(&place);
    place.refuses(&["recv", &endpoint, "--count", "1"], &["not found", "create"]);
    place.refuses(&["send", &endpoint, "text"], &["not found", "create"]);
    place.cpp("mq_receiver", &[&name, "create"]).run().success();
    place.refuses(&["send", &endpoint, &"x".repeat(1025)], &["1025", "1024"]);
    for _ in 0..10 {
        place.cpp("mq_sender", &[&name, "fill", "0"]).run().success();
    }
    place.refuses(&["send", &endpoint, "eleventh", "--timeout", "50ms"], &[]);
    let huge = format!("mq:/{}", unique_name("crossing-interop"));
    place.refuses(&["queue", "create", &huge, "--capacity", "100000000"], &["fs.mqueue"]);
}
