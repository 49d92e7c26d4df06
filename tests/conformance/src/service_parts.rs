//! The behaviours of answers in parts.
#![allow(clippy::missing_panics_doc)]

use crate::service::{LONG, MOMENT, Place, later};
use crossing::service::{CallError, Client, Replies, ReplyStream, Server, Service};
use crossing::{Error, ErrorKind};
use crossing_testkit::{Child, Role};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A client that takes few parts at a time.
fn narrow(server: &Server, parts: usize) -> Client {
    Service::<[u8], [u8]>::options().max_parts(parts).connect(&server.endpoint()).expect("connect")
}

/// The answer to `request` from both sides.
fn stream(server: &Server, client: &Client, request: &[u8]) -> (ReplyStream, Replies) {
    let replies = client.call_stream(request, None).expect("begun");
    let request = server.recv_timeout(LONG).expect("a request");
    assert!(request.takes_parts());
    (request.stream().expect("a stream"), replies)
}

fn next(replies: &mut Replies) -> Vec<u8> {
    replies.recv_timeout(LONG).expect("a part").expect("not the end").to_vec()
}

/// Waits until the server has heard of it.
fn hears(stream: &ReplyStream) {
    let end = Instant::now() + LONG;
    while !stream.is_cancelled() {
        assert!(Instant::now() < end, "it hears nothing of it");
        thread::sleep(Duration::from_millis(1));
    }
}

fn told(error: &Error, why: &CallError) {
    assert_eq!(error.call(), Some(why), "{error}");
}

/// Any number of parts, none too, of any length, in order; then the end, again and again. A single reply is one part.
pub fn parts(place: &Place) {
    let (server, client) = place.pair();
    let part = |round: usize, at: usize| vec![(round + at).to_le_bytes()[0]; at * 131 % 8000];
    let serving = thread::spawn(move || {
        for round in 0..8_usize {
            let mut stream = server.recv_timeout(LONG).expect("a request").stream().expect("a stream");
            assert_eq!(stream.payload(), [round.to_le_bytes()[0]]);
            assert!(stream.time_left().is_some_and(|left| left <= LONG));
            for at in 0..round * 25 {
                if at % 3 == 0 {
                    let bytes = part(round, at);
                    let mut loan = stream.loan_slice(bytes.len(), None).expect("lent");
                    loan.copy_from_slice(&bytes);
                    loan.send().expect("sent");
                } else {
                    stream.send(&part(round, at)).expect("sent");
                }
            }
            drop(stream.loan_slice(10, Instant::now() + LONG).expect("lent"));
            stream.finish().expect("finished");
        }
        server.recv_timeout(LONG).expect("a request").reply(b"only").expect("answered");
    });
    for round in 0..8_usize {
        let mut replies =
            client.call_stream(&[round.to_le_bytes()[0]], Instant::now() + LONG).expect("begun");
        for at in 0..round * 25 {
            assert_eq!(next(&mut replies), part(round, at));
        }
        for _ in 0..2 {
            assert!(replies.recv().expect("the end").is_none());
            assert!(replies.try_recv().expect("the end").is_none());
        }
        assert!(replies.next().is_none());
    }
    let all: Vec<_> = client.call_stream(b"one", None).expect("begun").collect();
    assert!(matches!(&all[..], [Ok(only)] if **only == *b"only"), "{all:?}");
    serving.join().expect("the server");
}

/// Values of one type.
pub fn values_in_parts(place: &Place) {
    let server = Service::<u64, [u64; 2]>::options().serve(&place.endpoint).expect("serve");
    let client = Service::<u64, [u64; 2]>::options().connect(&server.endpoint()).expect("connect");
    let serving = thread::spawn(move || {
        let mut stream = server.recv_timeout(LONG).expect("a request").stream().expect("a stream");
        for number in 0..*stream.payload() {
            stream.send(&[number, number * number]).expect("sent");
        }
        stream.finish().expect("finished");
    });
    let replies = client.call_stream(&200, Instant::now() + LONG).expect("begun");
    for (reply, number) in replies.zip(0..200) {
        assert_eq!(*reply.expect("a part"), [number, number * number]);
    }
    serving.join().expect("the server");
}

/// As many parts as the client takes and no more; then the server waits, in each way there is.
pub fn bounded(place: &Place) {
    let server = Service::<[u8], [u8]>::options().serve(&place.endpoint).expect("serve");
    let client = narrow(&server, 4);
    let (mut stream, mut replies) = stream(&server, &client, b"many");
    let nothing = replies.try_recv().expect_err("nothing yet");
    assert_eq!((nothing.kind(), nothing.call()), (ErrorKind::WouldBlock, None), "{nothing}");
    let nothing = replies.recv_timeout(MOMENT).expect_err("nothing yet");
    assert_eq!((nothing.kind(), nothing.call()), (ErrorKind::TimedOut, None), "{nothing}");
    for number in 0..4 {
        assert!(stream.try_send(&[number]).expect("sent"), "{number}");
    }
    assert!(!stream.try_send(&[4]).expect("no room"));
    let full = stream.send_timeout(&[4], MOMENT).expect_err("no room");
    assert_eq!((full.kind(), full.call()), (ErrorKind::TimedOut, None), "{full}");
    let full = stream.send_deadline(&[4], Instant::now()).expect_err("no room");
    assert_eq!(full.kind(), ErrorKind::TimedOut, "{full}");
    // Who waits goes on when parts are taken.
    let sending = thread::spawn(move || {
        for number in 4..200 {
            stream.send(&[number]).expect("sent");
        }
        stream.finish().expect("finished");
    });
    for number in 0..200 {
        assert_eq!(next(&mut replies), [number]);
    }
    assert!(replies.recv_timeout(LONG).expect("the end").is_none());
    sending.join().expect("the server");
    // The end needs no room.
    let (mut stream, mut replies) = self::stream(&server, &client, b"full");
    for number in 0..4 {
        stream.send(&[number]).expect("sent");
    }
    stream.finish().expect("finished");
    for number in 0..4 {
        assert_eq!(next(&mut replies), [number]);
    }
    assert!(replies.recv_timeout(LONG).expect("the end").is_none());
}

/// A client that does not take its parts stops nothing else: neither its own other calls, nor those of others.
pub fn others_go_on(place: &Place) {
    let server = Service::<[u8], [u8]>::options().serve(&place.endpoint).expect("serve");
    let (slow, other) = (narrow(&server, 2), narrow(&server, 2));
    let (mut stuck, replies) = stream(&server, &slow, b"stuck");
    while stuck.try_send(b"part").expect("sent") {}
    let (waits, waiting) = mpsc::channel();
    let sending = thread::spawn(move || {
        waits.send(()).expect("heard");
        stuck.send(b"one too many").expect_err("it is cancelled in the end")
    });
    waiting.recv().expect("it is about to wait");
    let serving = thread::spawn(move || {
        for _ in 0..40 {
            let request = server.recv_timeout(LONG).expect("a request");
            if request.takes_parts() {
                let mut stream = request.stream().expect("a stream");
                (0..10).for_each(|number| stream.send(&[number]).expect("sent"));
                stream.finish().expect("finished");
            } else {
                request.reply(b"reply").expect("answered");
            }
        }
        server
    });
    for client in [&slow, &other, &slow, &other] {
        for _ in 0..5 {
            assert_eq!(*client.call_timeout(b"call", LONG).expect("a reply"), *b"reply");
            let mut replies = client.call_stream(b"parts", Instant::now() + LONG).expect("begun");
            for number in 0..10 {
                assert_eq!(next(&mut replies), [number]);
            }
            assert!(replies.recv().expect("the end").is_none());
        }
    }
    assert!(!sending.is_finished(), "it waits for its client alone");
    drop(replies);
    told(&sending.join().expect("the sender"), &CallError::Cancelled);
    drop(serving.join().expect("the server"));
}

/// Who does not want more says so, and its place is free for the next.
pub fn cancelled_parts(place: &Place) {
    let server = Service::<[u8], [u8]>::options().max_in_flight(1).serve(&place.endpoint).expect("serve");
    let client =
        Service::<[u8], [u8]>::options().max_in_flight(1).connect(&server.endpoint()).expect("connect");
    for round in 0..20 {
        let (mut stream, mut replies) = stream(&server, &client, b"begun");
        stream.send(b"part").expect("sent");
        if round % 2 == 0 {
            assert_eq!(next(&mut replies), b"part");
        }
        drop(replies);
        hears(&stream);
        told(&stream.send(b"for nobody").expect_err("cancelled"), &CallError::Cancelled);
        told(&stream.try_send(b"for nobody").expect_err("cancelled"), &CallError::Cancelled);
        match round % 3 {
            0 => stream.finish().expect("dropped"),
            1 => stream.fail("for nobody").expect("dropped"),
            _ => drop(stream),
        }
    }
    // One that is dropped before the server comes to it.
    drop(client.call_stream(b"dropped", None).expect("begun"));
    let call = client.begin(b"next", None).expect("begun");
    later(&server, b"dropped").reply(b"heard").expect("answered");
    assert_eq!(*call.wait_timeout(LONG).expect("a reply"), *b"heard");
}

/// The time of a call is that of its last part, on both sides.
pub fn parts_in_time(place: &Place) {
    let server = Service::<[u8], [u8]>::options().serve(&place.endpoint).expect("serve");
    let client = narrow(&server, 2);
    let serving = thread::spawn(move || {
        loop {
            let request = server.recv_timeout(LONG).expect("a request");
            if request.payload() == b"end" {
                return request.reply(b"").expect("answered");
            }
            // One that came too late is not seen here at all.
            let mut stream = request.stream().expect("a stream");
            let error = loop {
                if let Err(error) = stream.send(b"part") {
                    break error;
                }
            };
            // Whoever notices first.
            assert!(
                matches!(error.call(), Some(CallError::DeadlinePassed | CallError::Cancelled)),
                "{error}"
            );
            stream.finish().expect("it is over already");
        }
    });
    // One that takes parts until its time is over, one that takes none, one whose server sends none.
    let over = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        told(&error, &CallError::DeadlinePassed);
    };
    let mut replies = client.call_stream(b"endless", Instant::now() + 4 * MOMENT).expect("begun");
    over(loop {
        match replies.recv() {
            Ok(part) => assert_eq!(*part.expect("not the end"), *b"part"),
            Err(error) => break error,
        }
    });
    over(replies.recv().expect_err("and it stays so"));
    let mut replies = client.call_stream(b"ignored", Instant::now() + 4 * MOMENT).expect("begun");
    thread::sleep(5 * MOMENT);
    let mut came = 0;
    over(loop {
        match replies.try_recv() {
            Ok(part) => assert_eq!(*part.expect("not the end"), *b"part"),
            // The news of the failure may be on the way.
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("its time is over: {error}"),
            Err(error) => break error,
        }
        came += 1;
    });
    assert!(came <= 2, "{came}");
    let _ = client.call_timeout(b"end", LONG).expect("a reply");
    serving.join().expect("the server");
}

/// What was sent before a failure comes first; then the failure, whatever it is.
pub fn failed_parts(place: &Place) {
    let (server, client) = place.pair();
    let after_two = |end: &dyn Fn(ReplyStream)| {
        let (mut stream, mut replies) = stream(&server, &client, b"begun");
        stream.send(b"1").expect("sent");
        stream.send(b"2").expect("sent");
        end(stream);
        assert_eq!((next(&mut replies), next(&mut replies)), (b"1".to_vec(), b"2".to_vec()));
        let error = replies.recv_timeout(LONG).expect_err("failed");
        let again = replies.try_recv().expect_err("failed");
        assert_eq!(error.call(), again.call());
        // As an iterator it tells it once.
        assert!(matches!(replies.next(), Some(Err(_))) && replies.next().is_none());
        error.call().cloned()
    };
    let said = after_two(&|stream| stream.fail_with(9, "no more").expect("told"));
    assert!(
        matches!(&said, Some(CallError::Application(said)) if (said.code(), said.text()) == (9, "no more")),
        "{said:?}"
    );
    let long = after_two(&|stream| stream.fail(&"x".repeat(10_000)).expect("told"));
    assert!(
        matches!(&long, Some(CallError::Application(said)) if said.code() == 0 && said.text().len() == 512),
        "{long:?}"
    );
    assert_eq!(after_two(&|stream| drop(stream)), Some(CallError::Cancelled));
    // Too long a part is the server's to deal with: the stream goes on.
    let (mut stream, mut replies) = stream(&server, &client, b"long");
    stream.send(b"short").expect("sent");
    let long = stream.send(&vec![0; 64 << 20]).expect_err("too long");
    assert!(matches!(long.kind(), ErrorKind::TooLarge { .. }), "{long}");
    stream.send(b"short again").expect("sent");
    stream.finish().expect("finished");
    assert_eq!((next(&mut replies), next(&mut replies)), (b"short".to_vec(), b"short again".to_vec()));
    assert!(replies.recv_timeout(LONG).expect("the end").is_none());
    // One that is refused before it begins.
    let request = client.call_stream(b"refused", None).expect("begun");
    server.recv_timeout(LONG).expect("a request").fail_with(3, "no").expect("told");
    let error = request.collect::<Result<Vec<_>, _>>().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Application { code: 3 }, "{error}");
}

/// Many streams and calls of many threads at the same time: each gets its own parts.
pub fn streams_in_turn(place: &Place) {
    let (server, client) = place.pair();
    thread::scope(|scope| {
        for _ in 0..4 {
            let server = server.clone();
            scope.spawn(move || {
                for _ in 0..30 {
                    let request = server.recv_timeout(LONG).expect("a request");
                    if !request.takes_parts() {
                        let bytes = request.payload().to_vec();
                        request.reply(&bytes).expect("answered");
                        continue;
                    }
                    let mut stream = request.stream().expect("a stream");
                    let [thread, round] = *stream.payload() else { panic!("a strange request") };
                    (0..50).for_each(|at| stream.send(&[thread, round, at]).expect("sent"));
                    stream.finish().expect("finished");
                }
            });
        }
        for thread in 0..6_u8 {
            let client = client.clone();
            scope.spawn(move || {
                for round in 0..10 {
                    let replies = client.call_stream(&[thread, round], Instant::now() + LONG).expect("begun");
                    // Awaited after the parts: all threads of the server may be busy with streams.
                    let call = client.begin(&[thread, 77], Instant::now() + LONG).expect("begun");
                    let parts: Vec<Vec<u8>> = replies.map(|part| part.expect("a part").to_vec()).collect();
                    let all: Vec<Vec<u8>> = (0..50).map(|at| vec![thread, round, at]).collect();
                    assert_eq!(parts, all);
                    assert_eq!(*call.wait_timeout(LONG).expect("a reply"), [thread, 77]);
                }
            });
        }
    });
}

/// A client that is stopped, and then killed, with a stream in progress: others go on, and the server hears of it.
pub fn killed_client(place: &Place) {
    let server = Service::<[u8], [u8]>::options().serve(&place.endpoint).expect("serve");
    let mut child =
        Child::role("role_child").argument("kind", "client").argument("endpoint", server.endpoint()).spawn();
    let mut stuck = server.recv_timeout(LONG).expect("a request").stream().expect("a stream");
    stuck.send(b"first").expect("sent");
    child.expect("got the first");
    #[cfg(unix)]
    child.stop();
    let (full, filled) = mpsc::channel();
    let sending = thread::spawn(move || {
        // More than any socket and any client takes.
        let part = vec![7; 1 << 20];
        loop {
            match stuck.send_timeout(&part, MOMENT) {
                Ok(()) => {}
                // Full, and tried again.
                Err(error) if error.kind() == ErrorKind::TimedOut && error.call().is_none() => {
                    let _ = full.send(());
                }
                Err(error) => return (error, stuck),
            }
        }
    });
    let other = Service::<[u8], [u8]>::options().connect(&server.endpoint()).expect("connect");
    // Until the stopped one takes no more, or was cut off for that; and some more.
    let (end, mut more) = (Instant::now() + LONG, 20);
    while more > 0 {
        let call = other.begin(b"call", None).expect("begun");
        server.recv_timeout(LONG).expect("a request").reply(b"reply").expect("answered");
        assert_eq!(*call.wait_timeout(LONG).expect("a reply"), *b"reply");
        if matches!(filled.try_recv(), Ok(()) | Err(mpsc::TryRecvError::Disconnected)) || more < 20 {
            more -= 1;
        }
        assert!(Instant::now() < end, "it takes parts without end");
    }
    child.kill();
    let (error, stuck) = sending.join().expect("the sender");
    told(&error, &CallError::Cancelled);
    assert!(stuck.is_cancelled());
}

/// The client of [`killed_client`].
pub(crate) fn client_child(role: &Role) {
    let mut options = Service::<[u8], [u8]>::options();
    let client =
        options.max_parts(4).max_reply_len(1 << 20).connect(&role.argument("endpoint")).expect("connect");
    let mut replies = client.call_stream(b"endless", None).expect("begun");
    assert_eq!(next(&mut replies), b"first");
    role.say("got the first");
    role.pause();
}
