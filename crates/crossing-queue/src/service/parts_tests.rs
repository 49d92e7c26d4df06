use super::*;
use crate::queue::Queue;
use crossing_testkit::{Child, role, unique_name, watchdog};
use std::time::Instant;

const LONG: Duration = Duration::from_secs(60);

fn names(service: &str, what: &str) -> Vec<String> {
    let mut names = registry::names_under(&format!("service/{service}/")).unwrap();
    names.retain(|name| name.contains(what));
    names
}

fn pair(name: &str, max_in_flight: usize) -> (Server, Client) {
    let mut options = Service::<[u8], [u8]>::options();
    let server = options.serve(name).unwrap();
    options.max_in_flight(max_in_flight).max_parts(3);
    let client = options.connect(name).unwrap();
    (server, client)
}

fn begin(server: &Server, client: &Client) -> (ReplyStream, Replies) {
    let replies = client.call_stream(b"x", None).unwrap();
    (server.recv_timeout(LONG).unwrap().stream().unwrap(), replies)
}

#[test]
fn queues_of_parts_are_used_again_when_nobody_has_a_place_in_them() {
    let _watchdog = watchdog(LONG);
    let name = unique_name("answers");
    let (server, client) = pair(&name, 4);
    for _ in 0..10 {
        let (mut stream, mut replies) = begin(&server, &client);
        stream.send(b"part").unwrap();
        stream.finish().unwrap();
        assert_eq!(*replies.recv().unwrap().unwrap(), *b"part");
        assert!(replies.recv().unwrap().is_none());
    }
    assert_eq!(names(&name, "/parts-").len(), 1, "one after the other");
    // A part that is kept keeps its queue, and what is sent in another one does not touch it.
    let (mut stream, mut replies) = begin(&server, &client);
    stream.send(b"kept").unwrap();
    stream.finish().unwrap();
    let kept = replies.recv().unwrap().unwrap();
    drop(replies);
    let (mut stream, mut replies) = begin(&server, &client);
    for _ in 0..3 {
        stream.send(b"over").unwrap();
        assert_eq!(*replies.recv().unwrap().unwrap(), *b"over");
    }
    assert_eq!(*kept, *b"kept");
    assert_eq!(names(&name, "/parts-").len(), 2);
    drop((stream, replies, kept, server, client));
    assert_eq!(names(&name, ""), Vec::<String>::new());
}

#[test]
fn answers_that_servers_hold_on_to_are_limited() {
    let _watchdog = watchdog(LONG);
    let name = unique_name("answers");
    let (server, client) = pair(&name, 1);
    // Two are cancelled, and the server does not look.
    let held: Vec<_> = (0..2)
        .map(|_| {
            let (mut stream, replies) = begin(&server, &client);
            stream.send(b"part").unwrap();
            drop(replies);
            stream
        })
        .collect();
    let error = client.call_stream(b"x", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
    // Calls with one reply go on.
    let call = client.begin(b"y", None).unwrap();
    server.recv_timeout(LONG).unwrap().reply(b"z").unwrap();
    assert_eq!(*call.wait_timeout(LONG).unwrap(), *b"z");
    drop(held);
    // What they had written is not mistaken for another answer.
    let (mut stream, mut replies) = begin(&server, &client);
    stream.send(b"new").unwrap();
    assert_eq!(*replies.recv_timeout(LONG).unwrap().unwrap(), *b"new");
}

#[test]
fn a_server_that_counts_wrong_or_says_nonsense_is_noticed() {
    let _watchdog = watchdog(LONG);
    let name = unique_name("answers");
    let (server, client) = pair(&name, 4);
    // What it says, and what comes of it.
    let cases: [(u32, u64, Option<ErrorKind>); 5] = [
        (PART, 7, Some(ErrorKind::Corrupt)),
        (END, 1, Some(ErrorKind::Corrupt)),
        (END, u64::MAX, Some(ErrorKind::Corrupt)),
        (FAILURE, u64::MAX, Some(ErrorKind::Corrupt)),
        (99, 0, None),
    ];
    for (what, number, wanted) in cases {
        let mut replies = client.call_stream(b"x", None).unwrap();
        let request = server.recv_timeout(LONG).unwrap();
        let lane = request.lane.clone().unwrap();
        let Head { id, slot, .. } = request.head;
        let head = Head { what, who: 1234, id, number, slot, lane: 0 };
        lane.send(&[1, 2, 3]).unwrap();
        lane.send(Head { id: id + 1, ..head }.as_bytes()).unwrap();
        lane.send(head.as_bytes()).unwrap();
        if wanted.is_none() {
            // What is none of this answer, and what has no meaning, is passed over.
            request.reply(b"real").unwrap();
            assert_eq!(*replies.recv_timeout(LONG).unwrap().unwrap(), *b"real");
            continue;
        }
        let error = replies.recv_timeout(LONG).unwrap_err();
        assert_eq!(Some(error.kind()), wanted, "{what}: {error}");
    }
}

#[test]
fn a_client_that_names_no_queue_of_parts_is_passed_over() {
    let _watchdog = watchdog(LONG);
    let name = unique_name("answers");
    let (server, client) = pair(&name, 4);
    let call = client.begin(b"real", None).unwrap();
    let asked = names(&name, "/asked-").pop().unwrap();
    let queue = Queue::<[u8]>::options().open(&format!("shm:{asked}")).unwrap().sender().unwrap();
    let number = names(&name, "/client-").pop().unwrap();
    let who = u32::from_str_radix(number.rsplit('-').next().unwrap(), 16).unwrap();
    // The id is that of the call that waits, the queue is not there.
    let head = Head { what: REQUEST, who, id: call.id, number: 0, slot: 0, lane: 12345 };
    for _ in 0..3 {
        queue.send(head.as_bytes()).unwrap();
    }
    let request = server.recv_timeout(LONG).unwrap();
    assert_eq!(request.payload(), b"real");
    assert!(server.try_recv().unwrap().is_none());
    request.reply(b"reply").unwrap();
    assert_eq!(*call.wait_timeout(LONG).unwrap(), *b"reply");
}

/// A server or a client in a process of its own.
#[test]
#[ignore = "a role of the test below"]
fn parts_role() {
    let Some(role) = role("parts_role") else { return };
    let name = role.argument("name");
    if role.argument("kind") == "client" {
        let mut replies = pair_client(&name).call_stream(b"x", None).unwrap();
        let _part = replies.recv().unwrap().unwrap();
        role.say("has a part");
        role.pause();
    }
    let server = Service::<[u8], [u8]>::options().serve(&name).unwrap();
    role.say("serving");
    let mut stream = server.recv().unwrap().stream().unwrap();
    stream.send(b"part").unwrap();
    // Killed with a part half written and the last word not said.
    let _half = stream.loan_slice(100, None).unwrap();
    role.say("sent");
    role.pause();
}

fn pair_client(name: &str) -> Client {
    Service::<[u8], [u8]>::options().max_in_flight(2).max_parts(3).connect(name).unwrap()
}

#[test]
fn the_killed_leave_no_place_taken_and_no_name() {
    let _watchdog = watchdog(2 * LONG);
    let name = unique_name("answers");
    let child = |kind: &str| {
        Child::role("service::parts_tests::parts_role").argument("kind", kind).argument("name", &name).spawn()
    };
    let mut client = None;
    for _ in 0..5 {
        let mut server = child("server");
        server.expect("serving");
        let client = client.get_or_insert_with(|| pair_client(&name));
        let mut replies = loop {
            // Until it knows that the last one is gone.
            match client.call_stream(b"x", None) {
                Ok(replies) => break replies,
                Err(error) => assert_eq!(error.call(), Some(&CallError::NoServer), "{error}"),
            }
        };
        server.expect("sent");
        server.kill();
        assert_eq!(*replies.recv_timeout(LONG).unwrap().unwrap(), *b"part");
        let error = replies.recv_timeout(LONG).unwrap_err();
        assert_eq!(error.call(), Some(&CallError::ServerDied), "{error}");
    }
    drop(client);

    let server = Service::<[u8], [u8]>::options().serve(&name).unwrap();
    let mut killed = child("client");
    let mut stream = server.recv_timeout(LONG).unwrap().stream().unwrap();
    stream.send(b"part").unwrap();
    killed.expect("has a part");
    killed.kill();
    // It waits for a place that the dead one does not give back any more.
    let end = Instant::now() + LONG;
    let error = loop {
        match stream.send_deadline(b"more", end) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.call(), Some(&CallError::Cancelled), "{error}");
    drop((stream, server));
    registry::remove_stale().unwrap();
    assert_eq!(names(&name, ""), Vec::<String>::new());
}
