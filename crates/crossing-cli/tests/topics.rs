//! `crossing pub` and `crossing sub`: two processes, one of them killed.

mod common;

use common::{crossing, fails, ok};
use crossing_testkit::{RuntimeDirGuard, unique_name};
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
    for rate in ["0", "-1", "nan", "often", "1e-300", "1e-9"] {
        fails(
            &dir,
            &["pub", "shm:quiet", "x", "--count", "2", &format!("--rate={rate}")],
            2,
            &["rate", rate],
        );
    }
    ok(&dir, &["pub", "shm:quiet", "x", "--count", "2", "--rate=1e300"]);
}

#[test]
fn messages_come_from_arguments_files_and_standard_input_and_are_shown_in_every_form() {
    let dir = RuntimeDirGuard::new();
    let subscribe = |args: &[&str]| {
        let common = ["sub", "shm:forms", "--timeout", "60s"];
        crossing(&dir, &[&common[..], args].concat()).spawn()
    };
    let mut text = subscribe(&["--count", "4"]);
    let mut json = subscribe(&["--count", "4", "--json"]);
    let mut hex = subscribe(&["--count", "4", "--hex"]);
    let mut rate = subscribe(&["--rate"]);
    let publish = |args: &[&str]| {
        let common = ["pub", "shm:forms", "--wait", "4", "--timeout", "60s"];
        crossing(&dir, &[&common[..], args].concat()).spawn()
    };
    let file = std::env::temp_dir().join(unique_name("crossing-message"));
    std::fs::write(&file, "from a file").unwrap();
    for source in [&["argument"][..], &[&format!("@{}", file.display())], &["--size", "5"]] {
        publish(source).wait(LIMIT).success();
    }
    std::fs::remove_file(&file).unwrap();
    let mut input = publish(&["-"]);
    input.tell("from input");
    input.wait(LIMIT).success();
    for wanted in ["argument", "from a file", "xxxxx", "from input\n"] {
        assert_eq!(text.expect_line(LIMIT), wanted.trim_end());
        let line = json.expect_line(LIMIT);
        let data = format!("\"data\":\"{}\"", wanted.replace('\n', "\\n"));
        for part in [&data, "\"missed\":0", "\"position\":0", "\"publisher\":\""] {
            assert!(line.contains(part), "{part} in {line}");
        }
        let digits: String = wanted.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex.expect_line(LIMIT), digits);
    }
    // Each second a line, whether messages come or not.
    for _ in 0..2 {
        let line = rate.expect_line(LIMIT);
        assert!(line.contains(" messages/s, ") && line.ends_with(" MB/s, 0 missed"), "{line}");
    }
    rate.kill();
    for child in [text, json, hex] {
        child.wait(LIMIT).success();
    }
    ok(&dir, &["rm", "--stale"]);
    fails(&dir, &["sub", "shm:forms", "--rate", "--timeout", "50ms"], 4, &["no message came"]);
}

#[test]
fn lines_are_published_as_they_come() {
    let dir = RuntimeDirGuard::new();
    let mut sub = crossing(&dir, &["sub", "shm:lines", "--timeout", "60s"]).spawn();
    let line = |options: &[&str]| {
        let common = ["pub", "shm:lines", "--batch", "--wait", "1", "--timeout", "60s"];
        crossing(&dir, &[&common[..], options].concat()).spawn()
    };
    let mut publisher = line(&["--max-len", "8"]);
    for number in 0..100 {
        // The next one is written when this one has been received.
        publisher.tell(&format!("line {number}"));
        assert_eq!(sub.expect_line(LIMIT), format!("line {number}"));
    }
    publisher.tell("nine char");
    let output = publisher.wait(LIMIT);
    assert!(!output.status.success() && output.stderr.contains("9 bytes"), "{}", output.stderr);
    sub.kill();
    ok(&dir, &["rm", "--stale"]);
    fails(&dir, &["pub", "shm:lines", "--batch", "--count", "2"], 2, &["--batch", "--count"]);
    fails(&dir, &["pub", "shm:lines", "data", "--batch"], 2, &["--batch"]);
    fails(&dir, &["pub", "shm:lines", "data", "--max-len", "7"], 2, &["--batch"]);
}

/// The first object of that name's text in `json`, up to its end.
fn part<'a>(json: &'a str, of: &str) -> &'a str {
    let at = json.find(of).unwrap_or_else(|| panic!("{of} in {json}"));
    json[at..].split(']').next().unwrap_or_default()
}

#[test]
fn inspect_shows_members_places_and_the_dead() {
    let dir = RuntimeDirGuard::new();
    fails(&dir, &["inspect", "ticks"], 3, &["ticks"]);
    let mut sub = crossing(&dir, &["sub", "shm:ticks", "--timeout", "60s"]).spawn();
    ok(&dir, &["pub", "shm:ticks", "one", "--count", "3", "--wait", "1", "--timeout", "60s"]);
    for _ in 0..3 {
        assert_eq!(sub.expect_line(LIMIT), "one");
    }
    let json = ok(&dir, &["inspect", "shm:ticks", "--json"]).text();
    let subscribers = part(&json, "\"subscribers\":[");
    assert!(json.contains("\"kind\":\"topic\"") && subscribers.contains("\"state\":\"live\""), "{json}");
    assert!(subscribers.contains(&format!("\"pid\":{}", sub.pid())), "{json}");
    let rows = ok(&dir, &["ls", "--json"]).text();
    assert!(rows.contains("\"name\":\"ticks\",\"kind\":\"topic\""), "{rows}");
    assert!(ok(&dir, &["ls", "--all"]).text().contains("topic/ticks/sub-"));

    let mut publisher =
        crossing(&dir, &["pub", "shm:ticks", "two", "--count", "1000000", "--rate", "20", "--wait", "1"])
            .spawn();
    assert_eq!(sub.expect_line(LIMIT), "two");
    let text = ok(&dir, &["inspect", "ticks"]).text();
    for word in ["topic", "PUBLISHER", "SUBSCRIBER", "BEHIND", "drop-oldest", "live"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // The publisher last: while it lives it removes what dead subscribers left.
    publisher.kill();
    sub.kill();
    let json = ok(&dir, &["inspect", "ticks", "--json"]).text();
    // On Windows the memory of the dead goes with them: nothing but their names is left.
    let (list, word) =
        if cfg!(unix) { ("\"subscribers\":[", "\"state\":\"dead\"") } else { ("\"remains\":[", "/sub-") };
    assert!(part(&json, list).contains(word), "{json}");
    ok(&dir, &["rm", "--stale"]);
    fails(&dir, &["inspect", "ticks"], 3, &["ticks"]);
}

#[test]
fn inspect_shows_queues_and_what_they_hold() {
    let dir = RuntimeDirGuard::new();
    ok(&dir, &["queue", "create", "shm:jobs", "--capacity", "16", "--max-len", "100"]);
    ok(&dir, &["send", "shm:jobs", "work", "--priority", "3"]);
    let json = ok(&dir, &["inspect", "jobs", "--json"]).text();
    for part in ["\"kind\":\"queue\"", "\"len\":1", "\"capacity\":16", "\"max_len\":100", "\"dropped\":0"] {
        assert!(json.contains(part), "{part}: {json}");
    }
    let text = ok(&dir, &["inspect", "shm:jobs"]).text();
    assert!(text.contains("1 messages of at most 16") && text.contains("memory"), "{text}");
    assert!(ok(&dir, &["ls"]).text().contains("queue"));
    ok(&dir, &["queue", "rm", "shm:jobs"]);
}

#[test]
fn services_over_shared_memory_answer_and_die() {
    let dir = RuntimeDirGuard::new();
    fails(&dir, &["call", "shm:upper", "x"], 3, &["crossing serve shm:upper"]);
    let mut echo = crossing(&dir, &["serve", "shm:upper", "--echo", "--max-len", "1K"]).spawn();
    assert_eq!(ok(&dir, &["call", "shm:upper", "hello", "--timeout", "60s"]).text().trim(), "hello");
    let rows = ok(&dir, &["ls"]).text();
    assert!(rows.contains("service/upper/server-"), "{rows}");
    let long = "x".repeat(2000);
    fails(&dir, &["call", "shm:upper", &long], 1, &["max_request_len"]);
    echo.kill();
    fails(&dir, &["call", "shm:upper", "x"], 3, &["no server lives"]);
    assert_eq!(ok(&dir, &["ls", "service/", "--json"]).text().trim(), "[]", "the call removed what it left");
}
