//! TLS: who is let in, what is said when somebody is not, and OpenSSL at the other end.

use crossing_net::{
    DevAuthority, Error, ErrorKind, Listener, RawStream, SessionOptions, Stream, StreamOptions, TlsOptions,
};
use crossing_testkit::{Child, PATIENCE, role, unique_name, watchdog};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A directory with the certificates of a small authority.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(unique_name("crossing-tls"));
        let authority = DevAuthority::new(&unique_name("authority")).unwrap();
        let issue = |names: &[&str], valid| authority.issue(names, valid).unwrap();
        let server = issue(&["localhost", "127.0.0.1"], DAY);
        let client = issue(&["client.test"], DAY);
        let expired = issue(&["localhost"], Duration::ZERO);
        let named = issue(&["other.test"], DAY);
        let all = [("server", &server), ("client", &client), ("expired", &expired), ("named", &named)];
        authority.write(&directory, &all).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Options that trust the authority.
    fn trusting(&self) -> TlsOptions {
        let mut options = TlsOptions::new();
        options.trust_file(self.path("ca.pem"));
        options
    }

    fn identity(&self, name: &str) -> TlsOptions {
        let mut options = TlsOptions::new();
        options.identity(self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        options
    }

    fn known(&self, name: &str) -> TlsOptions {
        let mut options = self.identity(name);
        options.trust_file(self.path("ca.pem"));
        options
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn listener(tls: &TlsOptions) -> Listener {
    Listener::options().tls(tls).bind("tls:127.0.0.1:0").unwrap()
}

fn client(tls: &TlsOptions) -> StreamOptions {
    let mut options = Stream::options();
    options.tls(tls).connect_timeout(PATIENCE);
    options
}

/// A connection over which one frame goes.
fn meet(listener: &Listener, options: &StreamOptions) -> Result<(Stream, Stream), Error> {
    let mut client = options.connect(listener.endpoint())?;
    let (mut server, _) = listener.accept_timeout(PATIENCE)?;
    let serving = thread::spawn(move || server.send_timeout(b"x", PATIENCE).map(|()| server));
    let result = client.recv_timeout(PATIENCE).map(drop);
    let server = serving.join().unwrap();
    result?;
    Ok((client, server?))
}

fn port(listener: &Listener) -> u16 {
    let crossing_net::Endpoint::Tls { port, .. } = *listener.endpoint() else { unreachable!() };
    port
}

/// What client and server say of a connection that must not come about; one of them may not notice.
fn refused(server: &TlsOptions, options: &TlsOptions, host: &str) -> (Option<Error>, Option<Error>) {
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = listener(server);
    let endpoint = format!("tls:{host}:{}", port(&listener));
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
        stream.recv_timeout(PATIENCE).err()
    });
    let said = match client(options).connect(&endpoint) {
        Ok(mut stream) => stream.recv_timeout(PATIENCE).err(),
        Err(error) => Some(error),
    };
    (said, serving.join().unwrap())
}

#[test]
fn frames_go_both_ways_at_once_and_the_end_is_told() {
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    let listener = listener(&files.identity("server"));
    let options = client(&files.trusting());
    let connecting = listener.endpoint().clone();
    let frames =
        || [0, 1, 100, 20_000, 300_000, 3 << 20].map(|len| (0..len).map(|at| (at % 251) as u8).collect());
    let work = move |mut stream: Stream| {
        for frame in frames() {
            let frame: Vec<u8> = frame;
            // Both sides send before they receive: what does not fit must go while receiving.
            while let Err(error) = stream.send_timeout(&frame, Duration::from_millis(200)) {
                // Nothing was sent; on a busy machine not even hands were shaken by then.
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            }
            assert_eq!(stream.recv_timeout(PATIENCE).unwrap(), frame);
        }
        stream
    };
    let other = thread::spawn(move || work(options.connect(&connecting).unwrap()));
    let (server, _) = listener.accept_timeout(PATIENCE).unwrap();
    let mut server = work(server);
    let client = other.join().unwrap();
    let closing = thread::spawn(move || client.close());
    assert_eq!(server.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(server.peer_ended());
    server.close().unwrap();
    closing.join().unwrap().unwrap();
}

#[test]
fn both_sides_prove_who_they_are() {
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    let listener = listener(&files.known("server"));
    let mut stream = client(&files.known("client")).connect(listener.endpoint()).unwrap();
    let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
    let sending = thread::spawn(move || stream.send(b"hello").map(|()| stream));
    assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"hello");
    sending.join().unwrap().unwrap();
    // A client without a certificate, and one of another authority.
    let (said, told) = refused(&files.known("server"), &files.trusting(), "127.0.0.1");
    let (said, told) = (said.unwrap(), told.unwrap());
    assert!(told.to_string().contains("presented no certificate"), "{told}");
    assert!(
        said.to_string().contains("demands a certificate") && said.to_string().contains("--tls-cert"),
        "{said}"
    );
    let strangers = Files::new();
    let mut stranger = strangers.identity("client");
    stranger.trust_file(files.path("ca.pem"));
    let (said, told) = refused(&files.known("server"), &stranger, "127.0.0.1");
    let (said, told) = (said.unwrap().to_string(), told.unwrap().to_string());
    assert!(told.contains("the client's certificate (for client.test)"), "{told}");
    assert!(told.contains("not one of the trusted"), "{told}");
    assert!(said.contains("refused this side's certificate"), "{said}");
}

#[test]
fn what_is_gathered_arrives_in_its_order() {
    let _watchdog = watchdog(PATIENCE);
    const COUNT: u32 = 30_000;
    let files = Files::new();
    let listener = listener(&files.identity("server"));
    let (client, mut server) = meet(&listener, &client(&files.trusting())).unwrap();
    let (sending, mut receiving) = client.split().unwrap();
    let mut sending = sending.gathering(100_000).unwrap();
    let reader = thread::spawn(move || {
        for number in 0..COUNT {
            let frame = server.recv().unwrap();
            assert_eq!((&frame[..4], frame.len()), (&number.to_le_bytes()[..], 4 + number as usize % 300));
            if number % 1000 == 0 {
                server.send(&number.to_le_bytes()).unwrap();
            }
        }
    });
    let answers = thread::spawn(move || {
        for number in (0..COUNT).step_by(1000) {
            assert_eq!(receiving.recv().unwrap(), number.to_le_bytes());
        }
    });
    for number in 0..COUNT {
        let mut frame = number.to_le_bytes().to_vec();
        frame.resize(4 + number as usize % 300, 7);
        sending.send(&frame).unwrap();
    }
    drop(sending);
    reader.join().unwrap();
    answers.join().unwrap();
}

#[test]
fn a_wrong_certificate_is_named_with_the_reason() {
    let files = Files::new();
    let (said, told) = refused(&files.identity("expired"), &files.trusting(), "localhost");
    let (said, told) = (said.unwrap(), told.unwrap());
    assert_eq!(said.kind(), ErrorKind::PermissionDenied);
    let text = said.to_string();
    assert!(text.contains("the server's certificate (for localhost) is refused: it expired on 20"), "{text}");
    assert!(text.contains("ago"), "{text}");
    assert!(told.to_string().contains("refused this side's certificate"), "{told}");

    let (said, _) = refused(&files.identity("named"), &files.trusting(), "localhost");
    let text = said.unwrap().to_string();
    assert!(text.contains("(for other.test)") && text.contains("not for the name \"localhost\""), "{text}");
    assert!(text.contains("--tls-name"), "{text}");

    let strangers = Files::new();
    let (said, _) = refused(&files.identity("server"), &strangers.trusting(), "127.0.0.1");
    let text = said.unwrap().to_string();
    assert!(text.contains("not one of the trusted authorities") && text.contains("--tls-ca"), "{text}");

    // The name that is expected can be given.
    let _watchdog = watchdog(PATIENCE);
    let listener = listener(&files.identity("named"));
    meet(&listener, &client(files.trusting().server_name("other.test"))).unwrap();
}

#[test]
fn wrong_files_are_told_before_anything_is_connected() {
    let files = Files::new();
    let bind = |tls: &TlsOptions| Listener::options().tls(tls).bind("tls:127.0.0.1:0").unwrap_err();
    let error = Listener::bind("tls:127.0.0.1:0").unwrap_err();
    assert!(error.to_string().contains("without a certificate"), "{error}");
    let mut crossed = TlsOptions::new();
    let error = bind(crossed.identity(files.path("server.pem"), files.path("client.key")));
    assert!(
        error.to_string().contains("client.key") && error.to_string().contains("does not belong"),
        "{error}"
    );
    let error = bind(TlsOptions::new().identity(files.path("gone.pem"), files.path("server.key")));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = bind(TlsOptions::new().identity(files.path("server.key"), files.path("server.key")));
    assert!(error.to_string().contains("no certificate"), "{error}");
}

#[test]
fn a_peer_without_tls_is_told_apart_and_does_not_disturb_others() {
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    let listener = listener(&files.identity("server"));
    let plain = RawStream::connect_deadline(&format!("tcp:127.0.0.1:{}", port(&listener)), None).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
    let error = server.recv_timeout(PATIENCE).unwrap_err();
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    // A client of TLS at a listener without it.
    let bare = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let crossing_net::Endpoint::Tcp { port, .. } = *bare.endpoint() else { unreachable!() };
    let options = client(&files.trusting());
    let connecting = thread::spawn(move || {
        let mut stream = options.connect(&format!("tls:127.0.0.1:{port}"))?;
        stream.recv_timeout(PATIENCE).map(drop)
    });
    let (bare, _) = bare.accept_raw_timeout(PATIENCE).unwrap();
    bare.write_all(b"220 smtp.example.org ESMTP\r\n").unwrap();
    let error = connecting.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

#[test]
fn a_peer_that_says_nothing_does_not_hold_its_caller() {
    let _watchdog = watchdog(PATIENCE);
    let files = Files::new();
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = client(&files.trusting());
    options.handshake_timeout(Duration::from_millis(100));
    let mut stream = options.connect(&format!("tls:{}", mute.local_addr().unwrap())).unwrap();
    let error = stream.send(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("introduce"), "{error}");
}

#[test]
fn certificates_are_replaced_without_dropping_connections() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (files, renewed) = (Files::new(), Files::new());
    let listener = listener(&files.identity("server"));
    let (before, mut serving) = meet(&listener, &client(&files.trusting())).unwrap();
    for name in ["server.pem", "server.key"] {
        std::fs::copy(renewed.path(name), files.path(name)).unwrap();
    }
    listener.reload_certificates().unwrap();
    // The new certificate counts for new connections, the old connection goes on.
    let error = meet(&listener, &client(&files.trusting())).unwrap_err();
    assert!(error.to_string().contains("not one of the trusted"), "{error}");
    meet(&listener, &client(&renewed.trusting())).unwrap();
    let sending = thread::spawn(move || {
        let mut before = before;
        before.send(b"still here").map(|()| before)
    });
    assert_eq!(serving.recv_timeout(PATIENCE).unwrap(), b"still here");
    sending.join().unwrap().unwrap();
    // A file that is damaged leaves the certificate in use.
    std::fs::write(files.path("server.pem"), "nothing").unwrap();
    assert!(listener.reload_certificates().is_err());
    meet(&listener, &client(&renewed.trusting())).unwrap();
}

#[test]
fn protocols_are_agreed_and_tls_sessions_resumed() {
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    let listener = listener(files.identity("server").alpn(&["crossing/1", "other"]));
    let mut tls = files.trusting();
    let options = client(tls.alpn(&["other"]));
    for round in 0..3 {
        let (mut stream, _server) = meet(&listener, &options).unwrap();
        assert_eq!(stream.tls_agreed(), Some((Some(b"other".to_vec()), round > 0)), "round {round}");
        stream.send(b"y").unwrap();
    }
    let (said, _) =
        refused(files.identity("server").alpn(&["a"]), files.trusting().alpn(&["b"]), "127.0.0.1");
    assert!(said.unwrap().to_string().contains("ALPN"));
}

#[test]
fn a_session_goes_over_tls() {
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    let listener = Listener::options().tls(&files.identity("server")).session(&SessionOptions::default());
    let listener = listener.bind("tls:127.0.0.1:0").unwrap();
    let mut near =
        client(&files.trusting()).session(&SessionOptions::default()).connect(listener.endpoint()).unwrap();
    let (mut far, _) = listener.accept_timeout(PATIENCE).unwrap();
    let message = vec![7; 500_000];
    for _ in 0..10 {
        near.send(&message).unwrap();
        far.send(&message).unwrap();
        assert_eq!(far.recv_timeout(PATIENCE).unwrap(), message);
        assert_eq!(near.recv_timeout(PATIENCE).unwrap(), message);
    }
    let closing = thread::spawn(move || near.close(PATIENCE));
    far.close(PATIENCE).unwrap();
    closing.join().unwrap().unwrap();
}

#[cfg(all(feature = "tokio", unix))]
#[test]
fn tokio_streams_go_over_tls() {
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    let listener = listener(&files.known("server"));
    let options = client(&files.known("client"));
    let stranger = client(&files.trusting());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = crossing_net::tokio::Listener::from_blocking(listener).unwrap();
        let connect = crossing_net::tokio::Stream::connect_with(&options, listener.endpoint());
        let (near, accepted) = tokio::join!(connect, listener.accept());
        let (mut near, (mut far, _)) = (near.unwrap(), accepted.unwrap());
        let echo = tokio::spawn(async move {
            while let Ok(frame) = far.recv().await {
                let frame = frame.to_vec();
                far.send(&frame).await.unwrap();
            }
        });
        for len in [0, 10, 40_000, 2 << 20] {
            let frame: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            near.send(&frame).await.unwrap();
            assert_eq!(near.recv().await.unwrap(), frame);
        }
        drop(near);
        echo.await.unwrap();
        // And who is not let in is told why.
        let connect = crossing_net::tokio::Stream::connect_with(&stranger, listener.endpoint());
        let (near, accepted) = tokio::join!(connect, listener.accept());
        let (mut near, (mut far, _)) = (near.unwrap(), accepted.unwrap());
        let (said, told) = tokio::join!(near.recv(), far.recv());
        assert!(told.unwrap_err().to_string().contains("presented no certificate"));
        assert!(said.unwrap_err().to_string().contains("demands a certificate"));
    });
}

#[test]
fn a_listener_is_who_its_client_asks_for() {
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    let of = |name: &str| (files.path(&format!("{name}.pem")), files.path(&format!("{name}.key")));
    let (certificate, key) = of("named");
    let mut both = files.identity("server");
    both.identity_for("other.test", &certificate, &key);
    let listener = listener(&both);
    // The name goes to the server, which has a certificate for it; an address is no name, and gets the other one.
    for name in ["other.test", "OTHER.test"] {
        meet(&listener, &client(files.trusting().server_name(name))).unwrap();
    }
    meet(&listener, &client(&files.trusting())).unwrap();
    let error = meet(&listener, &client(files.trusting().server_name("third.test"))).unwrap_err();
    assert!(error.to_string().contains("(for localhost)"), "{error}");
    // Reloaded like the other one.
    let renewed = Files::new();
    for name in ["named.pem", "named.key"] {
        std::fs::copy(renewed.path(name), files.path(name)).unwrap();
    }
    listener.reload_certificates().unwrap();
    meet(&listener, &client(renewed.trusting().server_name("other.test"))).unwrap();
    meet(&listener, &client(&files.trusting())).unwrap();

    // With that one alone, others are refused, and told.
    let mut only = TlsOptions::new();
    only.identity_for("other.test", &certificate, &key);
    let (said, told) = refused(&only, &renewed.trusting(), "127.0.0.1");
    let (said, told) = (said.unwrap().to_string(), told.unwrap().to_string());
    assert!(told.contains("no certificate for the name"), "{told}");
    assert!(said.contains("no certificate for the name"), "{said}");
    let bind = |tls: &TlsOptions| Listener::options().tls(tls).bind("tls:127.0.0.1:0").unwrap_err();
    let error = bind(files.identity("server").identity_for("wrong.test", &certificate, &key));
    assert!(error.to_string().contains("named.pem") && error.to_string().contains("wrong.test"), "{error}");
    let error = bind(files.identity("server").identity_for("no name", &certificate, &key));
    assert!(error.to_string().contains("no name of a server"), "{error}");
}

#[test]
#[ignore = "a child process"]
fn role_trusting_client() {
    let Some(role) = role("role_trusting_client") else { return };
    let mut stream = Stream::connect(&role.argument("endpoint")).unwrap();
    match stream.recv_timeout(PATIENCE) {
        Ok(frame) => role.say(String::from_utf8_lossy(frame)),
        Err(error) => role.say(error),
    }
}

#[cfg(unix)] // the store of Windows is not to be changed by a test
#[test]
fn the_authorities_of_the_platform_are_trusted_where_no_file_is_named() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (files, strangers) = (Files::new(), Files::new());
    let listener = listener(&files.identity("server"));
    for (authorities, expected) in [(&files, "welcome"), (&strangers, "not one of the trusted authorities")] {
        let mut child = Child::role("role_trusting_client")
            .argument("endpoint", listener.endpoint().to_string())
            // What OpenSSL and its like take for the platform's.
            .env("SSL_CERT_FILE", authorities.path("ca.pem"))
            .spawn();
        let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
        let sent = server.send_timeout(b"welcome", PATIENCE);
        let line = child.expect_line(PATIENCE);
        assert!(line.contains(expected), "{line}; {sent:?}");
    }
}

/// Clients that never come to an end with shaking hands, a byte at a time, and others that send garbage.
#[test]
fn slow_and_senseless_clients_are_given_up_and_others_are_served() {
    let _watchdog = watchdog(4 * PATIENCE);
    let files = Files::new();
    let mut options = Listener::options();
    options.tls(&files.identity("server")).handshake_timeout(Duration::from_millis(300));
    let listener = options.bind("tls:127.0.0.1:0").unwrap();
    let address = format!("tcp:127.0.0.1:{}", port(&listener));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let slow: Vec<_> =
                (0..60).map(|_| RawStream::connect_deadline(&address, None).unwrap()).collect();
            // A record of 16 KiB is announced.
            let mut bytes = [0x16, 3, 1, 0x40, 0].into_iter().chain(std::iter::repeat(0));
            while !over.load(Ordering::SeqCst) {
                let byte = [bytes.next().unwrap_or_default()];
                for stream in &slow {
                    let _ = stream.try_write(&byte);
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        let given_up: Vec<_> = (0..60)
            .map(|_| {
                let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
                scope.spawn(move || stream.recv_timeout(PATIENCE).unwrap_err())
            })
            .collect();
        meet(&listener, &client(&files.trusting())).unwrap();
        for error in given_up.into_iter().map(|thread| thread.join().unwrap()) {
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        }
        over.store(true, Ordering::SeqCst);
    });
    for number in 0..100_u8 {
        let senseless = RawStream::connect_deadline(&address, None).unwrap();
        let _ = senseless.write_all(&[number.wrapping_mul(37); 300]);
        let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
        let error = server.recv_timeout(PATIENCE).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::Os, "{error}");
    }
    meet(&listener, &client(&files.trusting())).unwrap();
}

fn has_openssl() -> bool {
    Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn openssl(arguments: &[&str], ca: &Path) -> std::process::Child {
    let mut command = Command::new("openssl");
    command.args(arguments).arg("-CAfile").arg(ca);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn openssl_is_a_peer_on_either_side() {
    if !has_openssl() {
        eprintln!("skipped: no openssl here");
        return;
    }
    let _watchdog = watchdog(2 * PATIENCE);
    let files = Files::new();
    // As the client, with a certificate of its own.
    let listener = listener(&files.known("server"));
    let address = format!("127.0.0.1:{}", port(&listener));
    let (certificate, key) = (files.path("client.pem"), files.path("client.key"));
    let identity = ["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap()];
    let arguments =
        [&["s_client", "-quiet", "-verify_return_error", "-connect", &address][..], &identity].concat();
    let mut child = openssl(&arguments, &files.path("ca.pem"));
    let (server, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"from openssl\n").unwrap();
    let mut buffer = [0; 100];
    let len = server.read_timeout(&mut buffer, PATIENCE).unwrap();
    assert_eq!(&buffer[..len], b"from openssl\n");
    server.write_all(b"to openssl\n").unwrap();
    server.shutdown_write().unwrap();
    let mut got = vec![0; 11];
    child.stdout.as_mut().unwrap().read_exact(&mut got).unwrap();
    assert_eq!(got, b"to openssl\n");
    let _ = child.kill();
    let _ = child.wait();

    // As the server, which sends back what it gets, reversed.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (certificate, key) = (files.path("server.pem"), files.path("server.key"));
    let identity = ["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap()];
    let accept = format!("127.0.0.1:{free}");
    let arguments = [&["s_server", "-quiet", "-rev", "-tls1_3", "-accept", &accept][..], &identity].concat();
    let mut child = openssl(&arguments, &files.path("ca.pem"));
    let options = client(&files.trusting());
    let stream = loop {
        match options.raw().connect(&format!("tls:{accept}")) {
            Ok(stream) => break stream,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    stream.write_all(b"abc\n").unwrap();
    let len = stream.read_timeout(&mut buffer, PATIENCE).unwrap();
    assert_eq!(&buffer[..len], b"cba\n");
    let _ = child.kill();
    let _ = child.wait();
}
