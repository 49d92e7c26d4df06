//! Services, proxies, sessions and TLS from the command line.

mod common;

use common::{crossing, fails, local_socket, ok, shell};
use crossing_testkit::{PATIENCE as LIMIT, RuntimeDirGuard, unique_port, watchdog};

fn tcp() -> String {
    format!("tcp:127.0.0.1:{}", unique_port())
}

#[test]
fn a_request_is_echoed_over_each_mechanism() {
    let dir = RuntimeDirGuard::new();
    for endpoint in [tcp(), local_socket().0] {
        let server = crossing(&dir, &["serve", &endpoint, "--echo", "-n", "2", "-t", "20s"]).spawn();
        for text in ["hello", "again"] {
            let output = ok(&dir, &["call", &endpoint, text, "-t", "20s"]);
            assert_eq!(output.stdout, format!("{text}\n").as_bytes());
        }
        server.wait(LIMIT).success();
    }
    fails(&dir, &["serve", "tcp:127.0.0.1:0"], 2, &["--echo"]);
    fails(&dir, &["call", "unix:/no/such/socket", "x"], if cfg!(unix) { 3 } else { 1 }, &["/no/such/socket"]);
}

#[test]
fn one_of_several_servers_answers_and_several_requests_go_round() {
    let _watchdog = watchdog(4 * LIMIT);
    let dir = RuntimeDirGuard::new();
    let (one, two, nobody) = (tcp(), local_socket().0, tcp());
    let serve = |endpoint: &str, text: &str| {
        let (unix, windows) = (format!("echo {text}"), format!("echo {text}"));
        let serve = ["serve", endpoint, "-t", "60s", "--exec"];
        let server = crossing(&dir, &[&serve[..], &shell(&unix, &windows)].concat()).spawn();
        ok(&dir, &["call", endpoint, "x", "-t", "20s"]);
        server
    };
    let mut first = serve(&one, "one");
    // Whichever place the one that is there has.
    for [endpoint, other] in [[&one, &nobody], [&nobody, &one]] {
        let output = ok(&dir, &["call", endpoint, "x", "--or", other, "-t", "20s"]);
        assert_eq!(output.text().trim(), "one");
    }
    let _second = serve(&two, "two");
    // The first to be connected answers alone until the other one is, too.
    let both = || {
        let call = ["call", &one, "x", "--or", &two, "--or", &nobody, "-n", "10", "-t", "60s"];
        let output = ok(&dir, &call);
        let text = output.text();
        let answers: Vec<&str> = text.split_whitespace().collect();
        assert!(
            answers.len() == 10 && answers.iter().all(|answer| ["one", "two"].contains(answer)),
            "{text}"
        );
        answers.contains(&"one") && answers.contains(&"two")
    };
    while !both() {}
    first.kill();
    assert_eq!(ok(&dir, &["call", &one, "x", "--or", &two, "-t", "20s"]).text().trim(), "two");
    fails(&dir, &["call", &one, "x", "--or", &nobody], 3, &[one.strip_prefix("tcp:").unwrap()]);
    fails(&dir, &["call", &one, "x", "--or", "shm:name"], 1, &["shm:name", "alone"]);
    fails(&dir, &["call", &one, "x", "--or", &two, "--raw"], 2, &["--raw"]);
    let help = ok(&dir, &["call", "--help"]).text();
    assert!(help.contains("--or <ENDPOINT>") && help.contains("Another server"), "{help}");
}

#[test]
fn a_command_answers_and_its_failure_is_told() {
    let dir = RuntimeDirGuard::new();
    let endpoint = tcp();
    let command = shell("tr a-z A-Z", "echo X");
    let serve = ["serve", &endpoint, "-n", "1", "-t", "20s", "--exec"];
    let server = crossing(&dir, &[&serve[..], &command].concat()).spawn();
    let output = ok(&dir, &["call", &endpoint, "x", "-t", "20s"]);
    assert_eq!(output.text().trim(), "X");
    server.wait(LIMIT).success();

    let endpoint = tcp();
    let command = shell("echo no such thing >&2; exit 3", "echo no such thing 1>&2 & exit 3");
    let serve = ["serve", &endpoint, "-n", "1", "-t", "20s", "--exec"];
    let server = crossing(&dir, &[&serve[..], &command].concat()).spawn();
    fails(&dir, &["call", &endpoint, "x", "-t", "20s"], 1, &["no such thing", "3"]);
    server.wait(LIMIT).success();
}

#[test]
fn an_answer_in_parts_is_printed_as_it_comes() {
    let dir = RuntimeDirGuard::new();
    let shared = "shm:parts".to_owned();
    for endpoint in [tcp(), local_socket().0, shared] {
        let command = shell("cat; echo; echo two; echo; echo four", "echo ask& echo two& echo.& echo four");
        let serve = ["serve", &endpoint, "-n", "3", "-t", "20s", "--lines", "--exec"];
        let server = crossing(&dir, &[&serve[..], &command].concat()).spawn();
        let output = ok(&dir, &["call", &endpoint, "ask", "--stream", "-t", "20s"]);
        let lines: Vec<&str> =
            std::str::from_utf8(&output.stdout).unwrap().lines().map(str::trim_end).collect();
        assert_eq!(lines, ["ask", "two", "", "four"]);
        // Who takes one reply has all of it at once, and each part is one of JSON.
        let whole = ok(&dir, &["call", &endpoint, "ask", "-t", "20s"]);
        assert!(whole.text().trim_end().ends_with("four"), "{}", whole.text());
        let json = ok(&dir, &["call", &endpoint, "ask", "--stream", "--json", "-t", "20s"]);
        assert_eq!(json.text().lines().count(), 4, "{}", json.text());
        server.wait(LIMIT).success();
    }
    fails(&dir, &["serve", "tcp:127.0.0.1:0", "--echo", "--lines"], 2, &["--lines"]);
    fails(&dir, &["call", "tcp:127.0.0.1:1", "x", "--stream", "--raw"], 2, &["--raw"]);
}

#[test]
fn what_came_before_a_failure_is_printed_and_the_failure_is_told() {
    let dir = RuntimeDirGuard::new();
    let endpoint = tcp();
    let command = shell("echo one; echo no more >&2; exit 3", "echo one& echo no more 1>&2 & exit 3");
    let serve = ["serve", &endpoint, "-n", "1", "-t", "20s", "--lines", "--exec"];
    let server = crossing(&dir, &[&serve[..], &command].concat()).spawn();
    let called = common::run(&dir, &["call", &endpoint, "x", "--stream", "-t", "20s"]);
    assert_eq!(called.text().trim_end(), "one");
    assert_eq!(called.status.code(), Some(1));
    assert!(called.stderr.contains("no more") && called.stderr.contains("(3)"), "{}", called.stderr);
    server.wait(LIMIT).success();

    // One reply is one part, for who takes parts.
    let endpoint = tcp();
    let server = crossing(&dir, &["serve", &endpoint, "--echo", "-n", "1", "-t", "20s"]).spawn();
    assert_eq!(ok(&dir, &["call", &endpoint, "whole", "--stream", "-t", "20s"]).stdout, b"whole\n");
    server.wait(LIMIT).success();
}

#[cfg(unix)]
#[test]
fn parts_come_while_the_command_runs_and_it_ends_with_its_caller() {
    let dir = RuntimeDirGuard::new();
    let endpoint = tcp();
    // It would write without end.
    let command = shell("echo $$; while true; do echo more; done", "");
    let serve = ["serve", &endpoint, "-n", "1", "-t", "20s", "--lines", "--exec"];
    let server = crossing(&dir, &[&serve[..], &command].concat()).spawn();
    let mut called = crossing(&dir, &["call", &endpoint, "x", "--stream", "-t", "60s"]).spawn();
    let number = called.expect_line(LIMIT);
    assert!(number.trim().parse::<u32>().is_ok(), "{number}");
    called.expect("more");
    called.kill();
    // It has nobody to write to, and so the server is done.
    server.wait(LIMIT).success();
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let dir = RuntimeDirGuard::new();
    let endpoint = tcp();
    let command = shell("sleep 60; true", "ping -n 60 127.0.0.1");
    let serve = ["serve", &endpoint, "-n", "1", "-t", "20s", "--exec"];
    let server = crossing(&dir, &[&serve[..], &command].concat()).spawn();
    server_is_up(&dir, &endpoint);
    let called = common::run(&dir, &["call", &endpoint, "x", "-t", "300ms"]);
    // Whoever notices first: the caller, or the server, who was told how long the caller waits.
    let told = match called.status.code() {
        Some(4) => "timed out",
        _ => "longer than the client waits",
    };
    assert!(!called.status.success() && called.stderr.contains(told), "{}", called.stderr);
    server.wait(LIMIT).success();
}

/// Waits for a listener without asking anything.
fn server_is_up(_dir: &RuntimeDirGuard, endpoint: &str) {
    let address = endpoint.strip_prefix("tcp:").unwrap();
    while std::net::TcpStream::connect(address).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_proxy_passes_frames_and_raw_bytes_on_to_another_mechanism() {
    let dir = RuntimeDirGuard::new();
    let long = "bytes ".repeat(5_000);
    for (raw, text) in [(&[][..], "through"), (&["--raw"], long.trim_end())] {
        let (front, (back, _)) = (tcp(), local_socket());
        let serve = ["serve", &back, "--echo", "-n", "2", "-t", "20s"];
        let server = crossing(&dir, &[&serve[..], raw].concat()).spawn();
        let call = |endpoint: &str| {
            let output = ok(&dir, &[&["call", endpoint, text, "-t", "20s"][..], raw].concat());
            assert_eq!(output.text().trim_end(), text);
        };
        // It waits for the server, which a proxy does not.
        call(&back);
        let proxy = crossing(&dir, &["proxy", &front, &back, "-n", "1"]).spawn();
        call(&front);
        server.wait(LIMIT).success();
        proxy.wait(LIMIT).success();
    }
}

#[cfg(unix)]
#[test]
fn a_flood_of_connections_beyond_the_limit_of_open_files_is_survived() {
    let dir = RuntimeDirGuard::new();
    let port = unique_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let limited =
        format!("ulimit -n 30; exec {} serve {endpoint} --echo -n 1", env!("CARGO_BIN_EXE_crossing"));
    let server = dir.give(crossing_testkit::Child::program("sh")).args(["-c", &limited]).spawn();
    server_is_up(&dir, &endpoint);
    let flood: Vec<_> =
        (0..100).map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    std::thread::sleep(std::time::Duration::from_millis(200));
    drop(flood);
    let output = ok(&dir, &["call", &endpoint, "still there", "-t", "20s"]);
    assert_eq!(output.stdout, b"still there\n");
    server.wait(LIMIT).success();
}

#[test]
fn messages_in_a_session() {
    let dir = RuntimeDirGuard::new();
    for endpoint in [tcp(), local_socket().0] {
        let recv = ["recv", &endpoint, "--listen", "--session", "-n", "3", "--reply", "got it", "-t", "20s"];
        let server = crossing(&dir, &recv).spawn();
        let send = ["send", &endpoint, "m", "-n", "3", "--session", "--await-reply", "-t", "20s"];
        assert_eq!(ok(&dir, &send).stdout, b"got it\ngot it\ngot it\n");
        assert_eq!(server.wait(LIMIT).success().stdout, b"m\nm\nm\n");
    }
}

#[cfg(feature = "tls")]
#[test]
fn certificates_are_made_and_used() {
    let dir = RuntimeDirGuard::new();
    let files = std::env::temp_dir().join(crossing_testkit::unique_name("crossing-cli-tls"));
    let text = files.to_str().unwrap();
    let said = ok(&dir, &["tls", "dev-cert", text]);
    assert!(said.text().contains("--tls-ca"), "{}", said.text());
    fails(&dir, &["tls", "dev-cert", text], 1, &["exists already"]);
    let [ca, certificate, key, client, client_key] =
        ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"]
            .map(|name| files.join(name).to_str().unwrap().to_owned());
    let endpoint = format!("tls:localhost:{}", unique_port());
    // Both sides prove who they are.
    let recv = ["recv", &endpoint, "--listen", "-t", "20s", "--reply", "safe"];
    let recv = [&recv[..], &["--tls-cert", &certificate, "--tls-key", &key, "--tls-ca", &ca]].concat();
    let server = crossing(&dir, &recv).spawn();
    let send = ["send", &endpoint, "secret", "--await-reply", "-t", "20s", "--tls-ca", &ca];
    let output = ok(&dir, &[&send[..], &["--tls-cert", &client, "--tls-key", &client_key]].concat());
    assert_eq!(output.stdout, b"safe\n");
    assert_eq!(server.wait(LIMIT).success().stdout, b"secret\n");

    // A session over TLS, and a service.
    let endpoint = format!("tls:localhost:{}", unique_port());
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let recv =
        ["recv", &endpoint, "--listen", "--session", "-t", "20s", "--reply", "safe", "--tls-alpn", "a/1"];
    let server = crossing(&dir, &[&recv[..], &tls].concat()).spawn();
    let send = ["send", &endpoint, "kept", "--session", "--await-reply", "-t", "20s", "--tls-ca", &ca];
    assert_eq!(ok(&dir, &[&send[..], &["--tls-alpn", "a/1"]].concat()).stdout, b"safe\n");
    assert_eq!(server.wait(LIMIT).success().stdout, b"kept\n");
    let endpoint = format!("tls:localhost:{}", unique_port());
    let serve = ["serve", &endpoint, "--echo", "-n", "1", "-t", "20s"];
    let server = crossing(&dir, &[&serve[..], &tls].concat()).spawn();
    assert_eq!(ok(&dir, &["call", &endpoint, "x", "-t", "20s", "--tls-ca", &ca]).stdout, b"x\n");
    server.wait(LIMIT).success();

    // A proxy takes TLS off; a name that is not in the certificate is refused.
    let (front, back) = (format!("tls:127.0.0.1:{}", unique_port()), tcp());
    let server = crossing(&dir, &["serve", &back, "--echo", "-n", "2", "-t", "20s"]).spawn();
    assert_eq!(ok(&dir, &["call", &back, "x", "-t", "20s"]).stdout, b"x\n");
    let proxy = ["proxy", &front, &back, "-n", "2", "--tls-cert", &certificate, "--tls-key", &key];
    let proxy = crossing(&dir, &proxy).spawn();
    let wrong = ["call", &front, "x", "-t", "20s", "--tls-ca", &ca, "--tls-name", "other.test"];
    fails(&dir, &wrong, 1, &["localhost", "not for the name \"other.test\"", "--tls-name"]);
    assert_eq!(ok(&dir, &["call", &front, "x", "-t", "20s", "--tls-ca", &ca]).stdout, b"x\n");
    server.wait(LIMIT).success();
    proxy.wait(LIMIT).success();
    let _ = std::fs::remove_dir_all(&files);
}
