//! `crossing send` and `recv` over sockets that keep messages whole.

mod common;

#[cfg(unix)]
use common::{crossing, ok};
use common::{fails, local_socket};
#[cfg(unix)]
use crossing_testkit::PATIENCE as LIMIT;
use crossing_testkit::RuntimeDirGuard;

#[cfg(unix)]
const WAIT: [&str; 2] = ["-t", "30s"];

#[cfg(unix)]
#[test]
fn messages_stay_whole_and_are_answered() {
    let dir = RuntimeDirGuard::new();
    for kind in ["seqpacket", "datagram"] {
        let (endpoint, file) = local_socket();
        let typed = ["--type", kind];
        let recv = ["recv", &endpoint, "--listen", "-n", "5", "--reply", "got it"];
        let server = crossing(&dir, &recv).args(typed).args(WAIT).spawn();
        let send = ["send", &endpoint, "whole", "-n", "3", "--await-reply"];
        let sent = crossing(&dir, &send).args(typed).args(WAIT).run().success();
        assert_eq!(sent.stdout, b"got it\ngot it\ngot it\n", "{kind}");
        let mut lines =
            crossing(&dir, &["send", &endpoint, "--batch", "--await-reply"]).args(typed).args(WAIT).spawn();
        lines.tell("a line");
        lines.tell("and another");
        assert_eq!(lines.wait(LIMIT).success().stdout, b"got it\ngot it\n");
        let received = server.wait(LIMIT).success();
        assert_eq!(received.stdout, b"whole\nwhole\nwhole\na line\nand another\n", "{kind}");
        assert!(received.stderr.contains("listening on unix:"), "{}", received.stderr);
        assert!(!file.unwrap().exists());
    }
}

#[cfg(unix)]
#[test]
fn who_connects_may_receive_and_the_sender_is_told() {
    let dir = RuntimeDirGuard::new();
    let (endpoint, _) = local_socket();
    let listener = crossing::net::Listener::options().packets().bind(&endpoint).unwrap();
    let client =
        crossing(&dir, &["recv", &endpoint, "-n", "2", "--json", "--type", "seqpacket", "-t", "30s"]).spawn();
    let (stream, _) = listener.accept_timeout(LIMIT).unwrap();
    stream.send(b"one").unwrap();
    stream.send(b"").unwrap();
    let printed = client.wait(LIMIT).success().text();
    let lens: Vec<_> = printed.lines().map(|line| line.contains("\"len\":3")).collect();
    assert_eq!(lens, [true, false], "{printed}");
    // Too few: the peer ended.
    let client = crossing(&dir, &["recv", &endpoint, "--type", "seqpacket", "-t", "30s"]).spawn();
    drop(listener.accept_timeout(LIMIT).unwrap());
    let ended = client.wait(LIMIT);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("0 of 1"), "{}", ended.stderr);

    let (endpoint, _) = local_socket();
    let server = crossing(&dir, &["recv", &endpoint, "--json", "--type", "datagram", "-t", "30s"]).spawn();
    ok(&dir, &["send", &endpoint, "x", "--type", "datagram", "-t", "30s"]);
    let printed = server.wait(LIMIT).success().text();
    assert!(printed.contains("\"peer\":\"process "), "{printed}");
}

#[test]
fn what_makes_no_sense_is_said() {
    let dir = RuntimeDirGuard::new();
    for kind in ["seqpacket", "datagram"] {
        let typed = |args: &[&'static str]| [args, &["--type", kind]].concat();
        fails(&dir, &typed(&["send", "tcp:127.0.0.1:1", "x"]), 1, &["not supported here", "unix:PATH"]);
        fails(&dir, &typed(&["recv", "tcp:127.0.0.1:0", "--listen"]), 1, &["unix:PATH"]);
        fails(&dir, &typed(&["send", "mq:/q", "x"]), 2, &["--type"]);
        fails(&dir, &typed(&["recv", "mq:/q"]), 2, &["--type"]);
        fails(&dir, &typed(&["send", "unix:a", "x", "--raw"]), 2, &["--raw", "streams"]);
        fails(&dir, &typed(&["recv", "unix:a", "--listen", "--session"]), 2, &["--session"]);
        fails(&dir, &typed(&["send", "unix:a", "x", "--priority", "3"]), 2, &["--priority"]);
        let code = if cfg!(unix) { 3 } else { 1 };
        fails(&dir, &typed(&["send", "unix:/no/such/socket", "x"]), code, &["/no/such/socket"]);
    }
    let (endpoint, _) = local_socket();
    if cfg!(unix) {
        fails(&dir, &["recv", &endpoint, "--type", "datagram", "-t", "20ms"], 4, &["timed out"]);
        fails(&dir, &["recv", &endpoint, "--type", "seqpacket", "-l", "-t", "20ms"], 4, &["timed out"]);
    }
}
