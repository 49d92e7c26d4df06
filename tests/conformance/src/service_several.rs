//! The behaviours of several servers of one service: over `shm:` they share a name, over sockets each has an endpoint.
#![allow(clippy::missing_panics_doc)]

use crate::service::{Carrier, LONG, Place};
use crossing::ErrorKind;
use crossing::service::{CallError, Client, Server, Service};
use crossing_testkit::Child;
use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

/// A second endpoint for the same service.
fn second(place: &Place) -> Place {
    let mut second = Place::new(place.carrier);
    if place.carrier == Carrier::Shared {
        second.endpoint.clone_from(&place.endpoint);
    }
    second
}

fn connect(carrier: Carrier, endpoints: [&str; 2]) -> Client {
    let options = Service::<[u8], [u8]>::options();
    let client = match carrier {
        Carrier::Shared => options.connect(endpoints[0]),
        _ => options.connect_any(&endpoints),
    };
    let client = client.expect("connect");
    until(|| client.servers() == 2);
    client
}

fn until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < end, "it does not come to it");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Answers `count` requests with its own number.
fn numbered(server: Server, number: u8, count: usize) -> thread::JoinHandle<Server> {
    thread::spawn(move || {
        for _ in 0..count {
            server.recv_timeout(LONG).expect("a request").reply(&[number]).expect("answered");
        }
        server
    })
}

/// They are asked by turns.
pub fn several_servers(place: &Place) {
    let places = [place.endpoint.clone(), second(place).endpoint.clone()];
    let servers = places.each_ref().map(|at| Service::options().serve(at).expect("serve"));
    let endpoints = servers.each_ref().map(Server::endpoint);
    let [first, other] = servers;
    let serving = [numbered(first, 1, 50), numbered(other, 2, 50)];
    let client = connect(place.carrier, endpoints.each_ref().map(|it| &**it));
    let by: Vec<u8> = (0..100).map(|_| client.call_timeout(b"who", LONG).expect("a reply")[0]).collect();
    assert_eq!(by.iter().filter(|by| **by == 1).count(), 50, "{by:?}");
    // Each served as many; one that leaves is not asked any more.
    let [first, other] = serving.map(|serving| serving.join().expect("a server"));
    drop(first);
    until(|| client.servers() == 1);
    let serving = numbered(other, 2, 10);
    for _ in 0..10 {
        assert_eq!(*client.call_timeout(b"who", LONG).expect("a reply"), [2]);
    }
    drop(serving.join().expect("a server"));
}

/// Processes: one is killed, its calls fail at once, the others are done by the other; it comes back and is asked again.
pub fn killed_one_of_several(place: &Place) {
    let other = second(place);
    let spawn = |endpoint: &str| {
        let mut child =
            Child::role("role_child").argument("kind", "server").argument("endpoint", endpoint).spawn();
        let endpoint = child.expect_line(LONG);
        (child, endpoint)
    };
    let mut children = [spawn(&place.endpoint), spawn(&other.endpoint)];
    let client = connect(place.carrier, children.each_ref().map(|(_, endpoint)| &**endpoint));
    let who = || {
        let reply = client.call_timeout(b"who", LONG).expect("a reply");
        u32::from_le_bytes((&*reply).try_into().expect("a number"))
    };
    let first = who();
    let next = who();
    assert_ne!(first, next, "by turns");
    // So the turn is at the first one again.
    let call = client.begin(b"hold", None).expect("begun");
    let mut stream = client.call_stream(b"parts", None).expect("begun");
    let victim = children.iter_mut().position(|(child, _)| child.pid() == first);
    // Under an emulator the process that the test knows is not the one that answers.
    let Some(victim) = victim else { return };
    let (child, endpoint) = &mut children[victim];
    child.expect("holding");
    child.kill();
    let error = call.wait_timeout(LONG).expect_err("nobody answers");
    assert_eq!(error.call(), Some(&CallError::ServerDied), "{error}");
    // The stream is the other one's.
    for _ in 0..2 {
        assert_eq!(*stream.recv_timeout(LONG).expect("a part").expect("not the end"), *b"part");
    }
    drop(stream);
    for _ in 0..10 {
        assert_eq!(who(), next, "the living one");
    }
    let (mut again, _) = spawn(endpoint);
    let mut seen = HashSet::new();
    until(|| {
        seen.insert(who());
        seen.contains(&again.pid()) && seen.contains(&next)
    });
    assert_eq!(seen.len(), 2, "and nobody else");
    again.kill();
}

/// Nobody there, at first or any more, is told as that; who comes is found.
pub fn none_of_several(place: &Place) {
    let options = Service::<[u8], [u8]>::options();
    let other = second(place);
    let servers = [place, &other].map(|place| options.serve(&place.endpoint).expect("serve"));
    let endpoints = servers.each_ref().map(Server::endpoint);
    let endpoints = endpoints.each_ref().map(|it| &**it);
    let client = connect(place.carrier, endpoints);
    let calls = [(); 2].map(|()| client.begin(b"x", None).expect("begun"));
    drop(servers);
    for call in calls {
        assert_eq!(call.wait_timeout(LONG).expect_err("gone").call(), Some(&CallError::ServerDied));
    }
    let nobody = client.call_timeout(b"x", LONG).expect_err("nobody there");
    assert_eq!(
        (nobody.kind(), nobody.call()),
        (ErrorKind::Disconnected, Some(&CallError::NoServer)),
        "{nobody}"
    );
    let nobody = match place.carrier {
        Carrier::Shared => options.connect(endpoints[0]),
        _ => options.connect_any(&endpoints),
    };
    let nobody = nobody.expect_err("nobody there");
    // Disconnected: the system took the connection, just before the listener was closed.
    let kinds = [ErrorKind::NotFound, ErrorKind::ConnectionRefused, ErrorKind::Disconnected];
    assert!(kinds.contains(&nobody.kind()), "{nobody}");
    let misuse = options.connect_any(&[]).expect_err("no endpoint");
    assert_eq!(misuse.kind(), ErrorKind::ApiMisuse, "{misuse}");
    let shared = options.connect_any(&["shm:x", "shm:y"]).expect_err("it has several by itself");
    assert_eq!(shared.kind(), ErrorKind::Unsupported, "{shared}");
    // One comes back.
    let server = options.serve(endpoints[1]).expect("serve");
    let serving = numbered(server, 9, 1);
    until(|| match client.call_timeout(b"x", LONG) {
        Ok(reply) => *reply == [9],
        Err(error) => {
            assert_eq!(error.call(), Some(&CallError::NoServer), "{error}");
            false
        }
    });
    drop(serving.join().expect("a server"));
}
