//! `crossing send` and `crossing recv`: exact bytes over every mechanism, and what the errors say.

mod common;

use common::{POSIX, crossing, fails, local_socket, ok};
use crossing_testkit::{RuntimeDirGuard, unique_name, unique_port};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn queues_carry_exact_bytes_by_priority() {
    let dir = RuntimeDirGuard::new();
    let kernel = format!("mq:/{}", unique_name("crossing-cli"));
    queue_round_trip(&dir, "shm:jobs");
    if POSIX {
        queue_round_trip(&dir, &kernel);
    } else {
        fails(&dir, &["queue", "create", &kernel], 1, &["not supported here"]);
    }
}

fn queue_round_trip(dir: &RuntimeDirGuard, queue: &str) {
    fails(dir, &["recv", queue], 3, &["not found", "--create"]);
    fails(dir, &["send", queue, "x"], 3, &["--create"]);
    ok(dir, &["queue", "create", queue, "--capacity", "4", "--max-len", "64"]);
    ok(dir, &["send", queue, "low"]);
    ok(dir, &["send", queue, "high", "--priority", "9"]);
    ok(dir, &["send", queue, ""]);
    let stat = ok(dir, &["queue", "stat", queue, "--json"]).text();
    for part in ["\"capacity\":4", "\"max_len\":64", "\"len\":3"] {
        assert!(stat.contains(part), "{part} in {stat}");
    }
    assert_eq!(ok(dir, &["recv", queue, "--count", "1"]).stdout, b"high\n");
    assert_eq!(ok(dir, &["recv", queue, "-0"]).stdout, b"low");
    let json = ok(dir, &["recv", queue, "--json"]).text();
    assert!(json.contains("\"len\":0") && json.contains("\"priority\":0"), "{json}");
    fails(dir, &["recv", queue, "--timeout", "50ms"], 4, &[]);
    let long = "x".repeat(65);
    fails(dir, &["send", queue, &long], 1, &["65", "64"]);
    ok(dir, &["send", queue, "full", "--count", "4"]);
    fails(dir, &["send", queue, "full", "--timeout", "50ms"], 4, &[]);
    assert_eq!(ok(dir, &["recv", queue, "--count", "4", "--unlink"]).stdout, b"full\nfull\nfull\nfull\n");
    fails(dir, &["queue", "stat", queue], 3, &[]);
    fails(dir, &["queue", "rm", queue], 3, &[]);
}

#[test]
fn shared_queues_browse_give_back_bury_and_purge() {
    let dir = RuntimeDirGuard::new();
    let queue = "shm:desk";
    ok(&dir, &["queue", "create", queue, "--capacity", "20", "--max-deliveries", "2"]);
    let mut sender =
        crossing(&dir, &["send", queue, "--batch", "--priority", "3", "--property", "k=v"]).spawn();
    sender.tell("a");
    // It is there before the next line comes.
    assert_eq!(ok(&dir, &["recv", queue, "-t", "60s"]).stdout, b"a\n");
    sender.tell("a");
    sender.tell("bb");
    sender.wait(LIMIT).success();
    ok(&dir, &["send", queue, "later", "--delay", "1h"]);
    let seen = ok(&dir, &["queue", "browse", queue]).text();
    for part in ["ready  priority  3  delivered 0       2 B  bb", "aside  priority  0"] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    assert_eq!(ok(&dir, &["recv", queue, "--nack", "--count", "2"]).stdout, b"a\nbb\n");
    assert_eq!(ok(&dir, &["recv", queue, "--nack"]).stdout, b"a\n");
    let stat = ok(&dir, &["queue", "stat", queue, "--json"]).text();
    for part in ["\"dead_letters\":1", "\"delayed\":2", "\"sent\":4", "\"redelivered\":1"] {
        assert!(stat.contains(part), "{part} in {stat}");
    }
    assert_eq!(ok(&dir, &["recv", queue, "--dead"]).stdout, b"a\n");
    assert!(ok(&dir, &["queue", "purge", queue]).text().contains("2 messages dropped"));
    fails(&dir, &["recv", queue, "-t", "20ms"], 4, &["stayed empty"]);
    ok(&dir, &["send", queue, "x", "--count", "25", "--overflow", "drop-oldest"]);
    assert!(ok(&dir, &["queue", "stat", queue]).text().contains("20 messages of at most 20"));
    fails(&dir, &["send", queue, "x", "--overflow", "fail"], 1, &["full"]);
    ok(&dir, &["queue", "rm", queue]);
    if POSIX {
        let kernel = format!("mq:/{}", unique_name("crossing-cli"));
        ok(&dir, &["queue", "create", &kernel]);
        fails(&dir, &["send", &kernel, "x", "--ttl", "1s"], 1, &["do not expire", "shm:"]);
        fails(&dir, &["recv", &kernel, "--nack"], 1, &["handed over for good"]);
        fails(&dir, &["queue", "browse", &kernel], 1, &["receivers alone"]);
        ok(&dir, &["queue", "rm", &kernel]);
    }
}

#[test]
fn one_that_follows_receives_until_it_is_ended_and_nothing_that_expired() {
    let dir = RuntimeDirGuard::new();
    let queue = "shm:followed";
    ok(&dir, &["queue", "create", queue]);
    ok(&dir, &["send", queue, "stale", "--ttl", "1ms"]);
    std::thread::sleep(Duration::from_millis(10));
    let mut follower = crossing(&dir, &["recv", queue, "--follow"]).spawn();
    for text in ["one", "two", "three"] {
        ok(&dir, &["send", queue, text, "--ttl", "1h"]);
        assert_eq!(follower.expect_line(LIMIT), text);
    }
    assert!(follower.is_running());
    follower.kill();
    let stat = ok(&dir, &["queue", "stat", queue, "--json"]).text();
    assert!(stat.contains("\"expired\":1"), "{stat}");
    ok(&dir, &["queue", "rm", queue]);
}

#[test]
fn a_receiver_that_waits_is_woken() {
    let dir = RuntimeDirGuard::new();
    wake_a_receiver(&dir, "shm:wake");
    if POSIX {
        wake_a_receiver(&dir, &format!("mq:/{}", unique_name("crossing-cli")));
    }
}

fn wake_a_receiver(dir: &RuntimeDirGuard, queue: &str) {
    let receiver =
        crossing(dir, &["recv", queue, "--create", "--count", "2", "--unlink", "-t", "10s"]).spawn();
    let deadline = Instant::now() + LIMIT;
    while !common::run(dir, &["queue", "stat", queue]).status.success() {
        assert!(Instant::now() < deadline, "the receiver creates the queue");
        std::thread::sleep(Duration::from_millis(10));
    }
    ok(dir, &["send", queue, "a"]);
    ok(dir, &["send", queue, "b"]);
    assert_eq!(receiver.wait(LIMIT).success().stdout, b"a\nb\n");
}

/// Framed, both ways, between two processes.
fn framed(dir: &RuntimeDirGuard, endpoint: &str) {
    let server =
        crossing(dir, &["recv", endpoint, "--listen", "--reply", "thanks", "--count", "2", "-t", "10s"])
            .spawn();
    // More than a command line can hold on some systems.
    let large = "m".repeat(100_000);
    let mut sender = crossing(dir, &["send", endpoint, "-", "--await-reply", "--timeout", "10s"]).spawn();
    sender.tell(&large);
    assert_eq!(sender.wait(LIMIT).success().stdout, b"thanks\n");
    let sent = ok(dir, &["send", endpoint, "second", "--await-reply", "--timeout", "10s"]);
    assert_eq!(sent.stdout, b"thanks\n");
    assert_eq!(server.wait(LIMIT).success().text(), format!("{large}\n\nsecond\n"));
}

#[test]
fn frames_over_tcp() {
    let dir = RuntimeDirGuard::new();
    framed(&dir, &format!("tcp:127.0.0.1:{}", unique_port()));
}

#[test]
fn frames_over_a_local_socket_that_is_gone_afterwards() {
    let dir = RuntimeDirGuard::new();
    let (endpoint, path) = local_socket();
    framed(&dir, &endpoint);
    assert!(path.is_none_or(|path| !path.exists()), "the socket file is gone");
    fails(&dir, &["send", &endpoint, "x"], 3, &["cannot connect to"]);
}

#[test]
fn several_messages_on_one_connection() {
    let dir = RuntimeDirGuard::new();
    let endpoint = format!("tcp:127.0.0.1:{}", unique_port());
    let server = crossing(&dir, &["recv", &endpoint, "--listen", "--count", "3", "-t", "10s"]).spawn();
    ok(&dir, &["send", &endpoint, "m", "--count", "3", "--timeout", "10s"]);
    assert_eq!(server.wait(LIMIT).success().stdout, b"m\nm\nm\n");
}

/// Connects as a foreign client does, waiting for the listener.
fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + LIMIT;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_foreign_client_that_sends_once_and_reads_once_is_served() {
    let dir = RuntimeDirGuard::new();
    let port = unique_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let args = ["recv", &endpoint, "--listen", "--raw", "--reply", "Hello from server", "--count", "1"];
    let server = crossing(&dir, &args).spawn();
    let mut client = connect(port);
    client.write_all(b"Hello from client").expect("send");
    let mut buffer = [0; 1024];
    let len = client.read(&mut buffer).expect("read once");
    assert_eq!(&buffer[..len], b"Hello from server");
    assert_eq!(server.wait(LIMIT).success().stdout, b"Hello from client\n");
}

#[test]
fn a_foreign_server_that_reads_once_and_sends_once_is_served() {
    let dir = RuntimeDirGuard::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let endpoint = format!("tcp:127.0.0.1:{}", listener.local_addr().expect("address").port());
    let client = crossing(&dir, &["send", &endpoint, "--raw", "--await-reply", "Hello from client"]).spawn();
    let (mut stream, _) = listener.accept().expect("accept");
    let mut buffer = [0; 1024];
    let len = stream.read(&mut buffer).expect("read once");
    assert_eq!(&buffer[..len], b"Hello from client");
    stream.write_all(b"Hello from server").expect("send");
    // The connection stays open: the reply must not wait for its end.
    assert_eq!(client.wait(LIMIT).success().stdout, b"Hello from server\n");
}

#[test]
fn raw_bytes_to_the_end_of_the_stream() {
    let dir = RuntimeDirGuard::new();
    let port = unique_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let server = crossing(&dir, &["recv", &endpoint, "--listen", "--raw", "-0"]).spawn();
    let mut client = connect(port);
    let bytes: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    client.write_all(&bytes).expect("send");
    drop(client);
    assert!(server.wait(LIMIT).success().stdout == bytes, "every byte and no other");
}

#[test]
fn errors_say_what_to_do() {
    let dir = RuntimeDirGuard::new();
    let port = unique_port();
    fails(&dir, &["send", &format!("tcp:127.0.0.1:{port}"), "x"], 3, &["connection refused"]);
    if cfg!(unix) {
        fails(&dir, &["send", "unix:/no/such/socket", "x"], 3, &["/no/such/socket"]);
        fails(&dir, &["send", "pipe:no-such", "x"], 1, &["not supported here", "unix:"]);
    } else {
        fails(&dir, &["send", "pipe:no-such", "x"], 3, &["no-such"]);
        fails(&dir, &["send", "unix:/no/such/socket", "x"], 1, &["not supported here", "pipe:"]);
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let endpoint = format!("tcp:127.0.0.1:{}", taken.local_addr().expect("address").port());
    fails(&dir, &["recv", &endpoint, "--listen"], 1, &["address in use"]);
    fails(&dir, &["send", "nonsense", "x"], 2, &["mq:/NAME"]);
    fails(&dir, &["send", "mq:/q", "x", "--raw"], 2, &["--raw"]);
    fails(&dir, &["send", "mq:/q", "x", "--await-reply"], 2, &["--await-reply"]);
    fails(&dir, &["recv", "mq:/q", "--listen"], 2, &["--listen"]);
    fails(&dir, &["send", "tcp:127.0.0.1:1", "x", "--priority", "3"], 2, &["--priority"]);
}
