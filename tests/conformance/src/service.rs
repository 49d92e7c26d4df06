//! The behaviours of services. Each is a test: it panics where the service does not do what it should.
#![allow(clippy::missing_panics_doc)]

use crossing::ErrorKind;
use crossing::service::{CallError, Client, Request, Server, Service};
use crossing_testkit::{Child, Role, unique_name};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) const LONG: Duration = Duration::from_secs(60);
pub(crate) const MOMENT: Duration = Duration::from_millis(50);

/// What carries the services of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `shm:`
    Shared,
    /// `unix:`, or `pipe:` on Windows.
    Local,
    /// `tcp:`
    Tcp,
}

/// An endpoint of its own for each test.
#[derive(Debug)]
pub struct Place {
    /// What carries it.
    pub carrier: Carrier,
    pub(crate) endpoint: String,
    file: Option<PathBuf>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Place {
    /// A fresh one.
    #[must_use]
    pub fn new(carrier: Carrier) -> Self {
        let name = unique_name("conformance");
        let (endpoint, file) = match carrier {
            Carrier::Shared => (format!("shm:{name}"), None),
            Carrier::Tcp => ("tcp:127.0.0.1:0".to_owned(), None),
            Carrier::Local if cfg!(unix) => {
                let path = std::env::temp_dir().join(format!("{name}.sock"));
                (format!("unix:{}", path.display()), Some(path))
            }
            Carrier::Local => (format!("pipe:{name}"), None),
        };
        Self { carrier, endpoint, file }
    }

    pub(crate) fn pair(&self) -> (Server, Client) {
        let server = Service::options().serve(&self.endpoint).expect("serve");
        let client = Service::options().connect(&server.endpoint()).expect("connect");
        (server, client)
    }
}

/// Answers as many requests in a thread of its own.
fn answer(
    server: Server,
    count: usize,
    how: impl Fn(Request) + Send + 'static,
) -> std::thread::JoinHandle<Server> {
    std::thread::spawn(move || {
        for _ in 0..count {
            how(server.recv_timeout(LONG).expect("a request"));
        }
        server
    })
}

/// The request after `given_up`, which is passed over, unless the server is faster than the news.
pub(crate) fn later(server: &Server, given_up: &[u8]) -> Request {
    let request = server.recv_timeout(LONG).expect("a request");
    if request.payload() != given_up {
        return request;
    }
    drop(request);
    server.recv_timeout(LONG).expect("a request")
}

/// There and back, to the byte, of any length.
pub fn every_length(place: &Place) {
    let (server, client) = place.pair();
    let serving = answer(server, 200, |request| {
        let mut answer = request.payload().to_vec();
        answer.reverse();
        request.reply(&answer).expect("answered");
    });
    for round in 0..200_usize {
        let mut request: Vec<u8> = (0..round * 41 % 8000).map(|at| (at ^ round).to_le_bytes()[0]).collect();
        let reply = client.call_timeout(&request, LONG).expect("a reply");
        request.reverse();
        assert_eq!(*reply, *request);
    }
    serving.join().expect("the server");
}

/// Values of one type; a client of another one is told so, at once or by its first call.
pub fn values(place: &Place) {
    let server = Service::<[u64; 3], u128>::options().serve(&place.endpoint).expect("serve");
    let endpoint = server.endpoint();
    let client = Service::<[u64; 3], u128>::options().connect(&endpoint).expect("connect");
    let wrong = Service::<[u32; 3], u128>::options().connect(&endpoint);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                let request = server.recv_timeout(LONG).expect("a request");
                let sum = request.payload().iter().map(|part| u128::from(*part)).sum();
                request.reply(&sum).expect("answered");
            }
        });
        match wrong {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}"),
            Ok(wrong) => {
                let error = wrong.call_timeout(&[1, 2, 3], LONG).expect_err("no value");
                assert!(error.to_string().contains("12 bytes"), "{error}");
            }
        }
        for round in 0..100 {
            let reply = client.call_timeout(&[round, u64::MAX, 1], LONG).expect("a reply");
            assert_eq!(*reply, u128::from(u64::MAX) + u128::from(round) + 1);
        }
    });
}

/// Replies in any order, each to its own call.
pub fn out_of_order(place: &Place) {
    let (server, client) = place.pair();
    for _ in 0..10 {
        let calls: Vec<_> = (0..8_u8).map(|number| client.begin(&[number], None).expect("begun")).collect();
        let mut requests: Vec<_> = (0..8).map(|_| server.recv_timeout(LONG).expect("a request")).collect();
        while let Some(request) = requests.pop() {
            let byte = request.payload()[0];
            request.reply(&[byte, byte]).expect("answered");
        }
        for (call, number) in calls.into_iter().zip(0..8_u8) {
            assert_eq!(*call.wait_timeout(LONG).expect("a reply"), [number, number]);
        }
    }
}

/// Many threads of one client, and of one server.
pub fn many_threads(place: &Place) {
    let (server, client) = place.pair();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let request = server.recv_timeout(LONG).expect("a request");
                    let answer = request.payload().repeat(2);
                    request.reply(&answer).expect("answered");
                }
            });
        }
        for thread in 0..6_u8 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..100_u8 {
                    let reply = client.call_timeout(&[thread, round], LONG).expect("a reply");
                    assert_eq!(*reply, [thread, round, thread, round]);
                }
            });
        }
    });
}

/// What is not wanted any more is passed over, and the server can see it.
pub fn cancelled(place: &Place) {
    let (server, client) = place.pair();
    let call = client.begin(b"begun", None).expect("begun");
    let request = server.recv_timeout(LONG).expect("a request");
    assert!(!request.is_cancelled());
    drop(call);
    let end = Instant::now() + LONG;
    while !request.is_cancelled() {
        assert!(Instant::now() < end, "it hears nothing of it");
        std::thread::sleep(Duration::from_millis(1));
    }
    request.reply(b"for nobody").expect("dropped");
    drop(client.begin(b"dropped", None).expect("begun"));
    let next = client.begin(b"next", None).expect("begun");
    let request = later(&server, b"dropped");
    assert_eq!(request.payload(), b"next");
    request.reply(b"heard").expect("answered");
    assert_eq!(*next.wait_timeout(LONG).expect("a reply"), *b"heard");
}

/// Deadlines end calls, and the server knows them.
pub fn deadlines(place: &Place) {
    let (server, client) = place.pair();
    let late = client.call_timeout(b"late", Duration::from_millis(20)).expect_err("nobody answers");
    assert_eq!(late.kind(), ErrorKind::TimedOut, "{late}");
    let call = client.begin(b"timed", Instant::now() + LONG).expect("begun");
    let request = later(&server, b"late");
    assert_eq!(request.payload(), b"timed", "the late one was passed over");
    assert!(request.time_left().expect("told") <= LONG);
    request.reply(b"in time").expect("answered");
    assert_eq!(*call.wait().expect("a reply"), *b"in time");
    let none = server.recv_timeout(MOMENT).expect_err("no request");
    assert_eq!(none.kind(), ErrorKind::TimedOut, "{none}");
    assert!(server.try_recv().expect("looked").is_none());
}

/// No more than may wait for replies.
pub fn limits(place: &Place) {
    let server = Service::<[u8], [u8]>::options().max_in_flight(2).serve(&place.endpoint).expect("serve");
    let endpoint = server.endpoint();
    let client = Service::<[u8], [u8]>::options().max_in_flight(2).connect(&endpoint).expect("connect");
    let calls = [1_u8, 2].map(|number| client.begin(&[number], None).expect("begun"));
    let third = client.begin(&[3], Instant::now() + MOMENT).expect_err("one too many");
    assert_eq!(third.kind(), ErrorKind::TimedOut, "{third}");
    for call in calls {
        server.recv_timeout(LONG).expect("a request").reply(b"").expect("answered");
        let _ = call.wait_timeout(LONG).expect("a reply");
    }
    // A client with a higher limit than the server's is refused what is beyond.
    let bold = Service::<[u8], [u8]>::options().max_in_flight(3).connect(&endpoint).expect("connect");
    let calls = [1_u8, 2, 3].map(|number| bold.begin(&[number], None).expect("begun"));
    let requests = [(); 2].map(|()| server.recv_timeout(LONG).expect("a request"));
    assert!(server.recv_timeout(MOMENT).is_err(), "the third is refused");
    requests.into_iter().for_each(|request| request.reply(b"").expect("answered"));
    let outcomes = calls.map(|call| call.wait_timeout(LONG).map_err(|error| error.kind()));
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(ErrorKind::LimitReached)));
    assert_eq!(refused.count(), 1, "{outcomes:?}");
}

/// Why there is no reply can be told apart: the server's number and words, who let go, who was late, who was refused.
pub fn failures(place: &Place) {
    let server = Service::options().max_in_flight(1).serve(&place.endpoint).expect("serve");
    let client = Service::<[u8], [u8]>::options().connect(&server.endpoint()).expect("connect");
    let serving = answer(server, 6, |request| match request.payload() {
        b"fail" => request.fail("no coffee").expect("told"),
        b"code" => request.fail_with(u32::MAX, "no tea").expect("told"),
        b"talk" => request.fail_with(1, &"\u{e9}".repeat(10_000)).expect("told"),
        b"drop" => drop(request),
        b"part" => {
            let error = request.stream().expect_err("one reply is awaited");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
        _ => {
            let error = request.reply(&vec![0; 64 << 20]).expect_err("too long");
            assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
        }
    });
    let failed = |what: &[u8]| client.call_timeout(what, LONG).expect_err("failed");
    let said = |error: &crossing::Error| match error.call() {
        Some(CallError::Application(said)) => (said.code(), said.text().to_owned()),
        other => panic!("{other:?}: {error}"),
    };
    assert_eq!(said(&failed(b"fail")), (0, "no coffee".to_owned()));
    let code = failed(b"code");
    assert_eq!(
        (code.kind(), said(&code)),
        (ErrorKind::Application { code: u32::MAX }, (u32::MAX, "no tea".into()))
    );
    let text = code.to_string();
    assert!(text.contains("no tea") && text.contains("4294967295"), "{text}");
    assert_eq!(said(&failed(b"talk")), (1, "\u{e9}".repeat(256)), "cut at a character");
    let dropped = failed(b"drop");
    assert_eq!(
        (dropped.kind(), dropped.call()),
        (ErrorKind::Cancelled, Some(&CallError::Cancelled)),
        "{dropped}"
    );
    assert!(dropped.to_string().contains("let go"), "{dropped}");
    let (code, text) = said(&failed(b"part"));
    assert!(code == 0 && text.contains("call_stream"), "{text}");
    assert_eq!(failed(b"long").call(), Some(&CallError::Cancelled));
    let server = serving.join().expect("the server");

    let late = client.call_timeout(b"late", MOMENT).expect_err("nobody answers");
    assert_eq!((late.kind(), late.call()), (ErrorKind::TimedOut, Some(&CallError::DeadlinePassed)), "{late}");
    let first = client.begin(b"first", None).expect("begun");
    let request = later(&server, b"late");
    assert_eq!(request.payload(), b"first", "the late one was passed over");
    let second = client.begin(b"second", None).expect("begun");
    assert!(server.recv_timeout(MOMENT).is_err(), "one too many");
    let refused = second.wait_timeout(LONG).expect_err("refused");
    assert_eq!(
        (refused.kind(), refused.call()),
        (ErrorKind::LimitReached, Some(&CallError::Refused)),
        "{refused}"
    );
    request.reply(b"").expect("answered");
    let _ = first.wait_timeout(LONG).expect("a reply");
}

/// What is written where it will be read, or in a buffer where there is no such place.
pub fn loans(place: &Place) {
    let (server, client) = place.pair();
    let serving = std::thread::spawn(move || {
        for _ in 0..20 {
            let request = server.recv_timeout(LONG).expect("a request");
            let len = request.payload().len();
            let mut loan = request.loan_slice(len).expect("lent").expect("wanted");
            for at in 0..len {
                loan[at] = loan.payload()[at] + 1;
            }
            loan.send().expect("answered");
        }
        let request = server.recv_timeout(LONG).expect("a request");
        drop(request.loan_slice(3).expect("lent"));
    });
    for byte in 0..20_u8 {
        let mut loan = client.loan_slice(5000, Instant::now() + LONG).expect("lent");
        loan.fill(byte);
        let reply = loan.send().expect("sent").wait_timeout(LONG).expect("a reply");
        assert_eq!(*reply, [byte + 1; 5000]);
    }
    drop(client.loan_slice(1, None).expect("lent"));
    let dropped = client.call_timeout(b"drop", LONG).expect_err("let go");
    assert_eq!(dropped.call(), Some(&CallError::Cancelled), "{dropped}");
    serving.join().expect("the server");
}

/// Threads share a server and a client by clones; the last that is dropped ends it.
pub fn clones(place: &Place) {
    let (server, client) = place.pair();
    let serving: Vec<_> = (0..3_u8)
        .map(|thread| {
            let server = server.clone();
            std::thread::spawn(move || {
                // Each answers as many, so that all of them do.
                for _ in 0..40 {
                    let request = server.recv_timeout(LONG).expect("a request");
                    let answer = [request.payload()[0], thread];
                    request.reply(&answer).expect("answered");
                }
            })
        })
        .collect();
    let asking: Vec<_> = (0..4_u8)
        .map(|thread| {
            let client = client.clone();
            std::thread::spawn(move || {
                (0..30).map(|_| client.call_timeout(&[thread], LONG).expect("a reply")[1]).collect::<Vec<_>>()
            })
        })
        .collect();
    let by: Vec<u8> = asking.into_iter().flat_map(|thread| thread.join().expect("asked")).collect();
    serving.into_iter().for_each(|thread| thread.join().expect("served"));
    for thread in 0..3 {
        assert_eq!(by.iter().filter(|by| **by == thread).count(), 40, "thread {thread}");
    }
    // This one is still there.
    let call = client.begin(b"still", None).expect("begun");
    server.recv_timeout(LONG).expect("a request").reply(b"here").expect("answered");
    assert_eq!(*call.wait_timeout(LONG).expect("a reply"), *b"here");
    let call = client.begin(b"gone", None).expect("begun");
    drop(server);
    assert_eq!(call.wait_timeout(LONG).expect_err("gone").call(), Some(&CallError::ServerDied));
}

/// Who waits for a server that goes is told at once, and so is who comes later.
pub fn server_gone(place: &Place) {
    let (server, client) = place.pair();
    let endpoint = server.endpoint();
    let calls = [1_u8, 2, 3].map(|number| client.begin(&[number], None).expect("begun"));
    drop(server);
    for call in calls {
        let error = call.wait_timeout(LONG).expect_err("nobody answers");
        assert_eq!((error.kind(), error.call()), (ErrorKind::Disconnected, Some(&CallError::ServerDied)));
    }
    let later = client.call_timeout(b"later", LONG).expect_err("nobody there");
    assert_eq!(
        (later.kind(), later.call()),
        (ErrorKind::Disconnected, Some(&CallError::NoServer)),
        "{later}"
    );
    let nobody = Service::<[u8], [u8]>::options().connect(&endpoint).expect_err("nobody there");
    // Disconnected: the system took the connection, just before the listener was closed.
    let kinds = [ErrorKind::NotFound, ErrorKind::ConnectionRefused, ErrorKind::Disconnected];
    assert!(kinds.contains(&nobody.kind()), "{nobody}");
}

/// A server that is killed in the middle: everybody who waits is told, those with one reply and those with parts.
pub fn killed_server(place: &Place) {
    let mut child =
        Child::role("role_child").argument("kind", "server").argument("endpoint", &place.endpoint).spawn();
    let endpoint = child.expect_line(LONG);
    let client = Service::<[u8], [u8]>::options().connect(&endpoint).expect("connect");
    assert_eq!(*client.call_timeout(b"echo", LONG).expect("a reply"), *b"echo");
    // It has begun these three, and sent two parts of each.
    let mut streams = [(); 3].map(|()| client.call_stream(b"parts", None).expect("begun"));
    (0..3).for_each(|_| child.expect("two parts"));
    let calls = [&b"hold"[..], b"a", b"b"].map(|request| client.begin(request, None).expect("begun"));
    child.expect("holding");
    let died = |error: crossing::Error| {
        assert_eq!(
            (error.kind(), error.call()),
            (ErrorKind::Disconnected, Some(&CallError::ServerDied)),
            "{error}"
        );
    };
    std::thread::scope(|scope| {
        // Some wait already when it dies.
        let waiting: Vec<_> = calls
            .into_iter()
            .map(|call| scope.spawn(|| call.wait_timeout(LONG).expect_err("nobody answers")))
            .collect();
        assert_eq!(*streams[0].recv_timeout(LONG).expect("a part").expect("not the end"), *b"part");
        child.kill();
        waiting.into_iter().for_each(|waiting| died(waiting.join().expect("told")));
        for (at, mut stream) in streams.into_iter().enumerate() {
            // What it had sent is there.
            for _ in usize::from(at == 0)..2 {
                assert_eq!(*stream.recv_timeout(LONG).expect("a part").expect("not the end"), *b"part");
            }
            died(stream.recv_timeout(LONG).expect_err("nobody sends more"));
            died(stream.recv().expect_err("and it stays so"));
        }
    });
    let later = client.call_timeout(b"later", LONG).expect_err("nobody there");
    assert_eq!(later.call(), Some(&CallError::NoServer), "{later}");
}

/// Another process: a server, or a client.
pub fn child(role: &Role) {
    if role.argument("kind") == "client" {
        return crate::service_parts::client_child(role);
    }
    let server = Service::<[u8], [u8]>::options().serve(&role.argument("endpoint")).expect("serve");
    role.say(server.endpoint());
    let mut streams = Vec::new();
    loop {
        let request = server.recv().expect("a request");
        match request.payload() {
            b"hold" => {
                role.say("holding");
                role.pause();
            }
            b"parts" => {
                let mut stream = request.stream().expect("a stream");
                stream.send(b"part").expect("sent");
                stream.send(b"part").expect("sent");
                streams.push(stream);
                role.say("two parts");
            }
            b"who" => request.reply(&std::process::id().to_le_bytes()).expect("answered"),
            bytes => {
                let bytes = bytes.to_vec();
                request.reply(&bytes).expect("answered");
            }
        }
    }
}
