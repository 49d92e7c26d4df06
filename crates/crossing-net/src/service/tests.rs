use super::*;
use crate::{CallError, Endpoint, ErrorKind, Listener, Stream};
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::thread;
use std::time::Instant;

const MS: Duration = Duration::from_millis(1);

fn endpoints() -> Vec<String> {
    let name = unique_name("crossing-service");
    let path = std::env::temp_dir().join(unique_name("crossing-service"));
    let all = ["tcp:127.0.0.1:0".to_owned(), format!("unix:{}", path.display()), format!("pipe:{name}")];
    all.into_iter().filter(|text| text.parse::<Endpoint>().unwrap().is_socket()).collect()
}

/// Answers with the payload, in capitals.
fn capitals(server: Server) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while let Ok(request) = server.recv_timeout(PATIENCE) {
            if request.payload() == b"stop" {
                return;
            }
            let answer = request.payload().to_ascii_uppercase();
            let _ = request.reply(&answer);
        }
    })
}

#[test]
fn many_threads_call_at_once_over_each_mechanism_and_each_gets_its_own_answer() {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in endpoints() {
        let server = Service::options().serve(&endpoint).unwrap();
        let address = server.endpoint().clone();
        let serving = capitals(server);
        let client = Service::options().max_in_flight(4).connect(&address).unwrap();
        thread::scope(|scope| {
            for thread in 0..8 {
                let client = &client;
                scope.spawn(move || {
                    for round in 0..50 {
                        let request = format!("from {thread} round {round} {}", "x".repeat(round * 400));
                        let answer = client.call_timeout(request.as_bytes(), PATIENCE).unwrap();
                        assert_eq!(answer, request.to_ascii_uppercase().as_bytes());
                    }
                });
            }
        });
        assert!(client.call_timeout(b"stop", PATIENCE).is_err());
        serving.join().unwrap();
    }
}

fn pair() -> (Server, Client) {
    let server = Service::options().serve("tcp:127.0.0.1:0").unwrap();
    let client = Service::options().connect(server.endpoint()).unwrap();
    (server, client)
}

#[test]
fn answers_come_in_any_order() {
    let _watchdog = watchdog(PATIENCE);
    let (server, client) = pair();
    let calls: Vec<_> = (0..10_u8).map(|number| client.begin(&[number], None).unwrap()).collect();
    let mut requests: Vec<_> = (0..10).map(|_| server.recv().unwrap()).collect();
    requests.reverse();
    for request in requests {
        let answer = [request.payload()[0], 77];
        request.reply(&answer).unwrap();
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.wait().unwrap(), [number as u8, 77]);
    }
}

#[test]
fn the_time_of_a_request_is_told_to_the_server_and_late_ones_are_passed_over() {
    let _watchdog = watchdog(PATIENCE);
    let (server, client) = pair();
    let error = client.call_timeout(b"too late", 40 * MS).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    thread::sleep(20 * MS);
    assert!(server.try_recv().unwrap().is_none(), "it was cancelled");
    let call = client.begin(b"in time", Instant::now() + PATIENCE).unwrap();
    let request = server.recv_timeout(PATIENCE).unwrap();
    let left = request.deadline().unwrap().saturating_duration_since(Instant::now());
    assert!(left > PATIENCE / 2 && left <= PATIENCE, "{left:?}");
    request.reply(b"yes").unwrap();
    assert_eq!(call.wait().unwrap(), b"yes");
}

#[test]
fn a_call_that_is_dropped_is_cancelled_at_the_server() {
    let _watchdog = watchdog(PATIENCE);
    let (server, client) = pair();
    let call = client.begin(b"one", None).unwrap();
    let request = server.recv_timeout(PATIENCE).unwrap();
    assert!(!request.is_cancelled());
    drop(call);
    while !request.is_cancelled() {
        thread::sleep(MS);
    }
    request.reply(b"nobody cares").unwrap();
    // And so it is when the client goes.
    let call = client.begin(b"two", None).unwrap();
    let request = server.recv_timeout(PATIENCE).unwrap();
    drop(client);
    while !request.is_cancelled() {
        thread::sleep(MS);
    }
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn failures_say_what_the_server_said() {
    let _watchdog = watchdog(PATIENCE);
    let (server, client) = pair();
    let said = |answer: &dyn Fn(Request)| {
        let call = client.begin(b"x", None).unwrap();
        answer(server.recv_timeout(PATIENCE).unwrap());
        call.wait().unwrap_err().to_string()
    };
    assert!(said(&|request| request.fail("no such symbol").unwrap()).contains("no such symbol"));
    assert!(said(&drop).contains("without an answer"));
    let mut small = Service::options();
    let client = small.stream(Stream::options().max_frame_len(100)).connect(server.endpoint()).unwrap();
    let call = client.begin(b"x", None).unwrap();
    let error = server.recv_timeout(PATIENCE).unwrap().reply(&[0; 200]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
    assert!(call.wait().unwrap_err().to_string().contains("without an answer"));
}

#[test]
fn everybody_who_waits_is_told_at_once_when_the_server_dies() {
    let _watchdog = watchdog(PATIENCE);
    let (server, client) = pair();
    let calls: Vec<_> = (0..20).map(|_| client.begin(b"x", None).unwrap()).collect();
    let taken: Vec<_> = (0..5).map(|_| server.recv_timeout(PATIENCE).unwrap()).collect();
    drop(server);
    for call in calls {
        assert_eq!(call.wait().unwrap_err().call(), Some(&CallError::ServerDied));
    }
    let later = client.call(b"more").unwrap_err();
    assert_eq!((later.kind(), later.call()), (ErrorKind::Disconnected, Some(&CallError::NoServer)));
    drop(taken);
}

#[test]
fn limits_hold_on_both_sides() {
    let _watchdog = watchdog(PATIENCE);
    let server = Service::options().max_in_flight(2).max_clients(1).serve("tcp:127.0.0.1:0").unwrap();
    let client = Service::options().max_in_flight(2).connect(server.endpoint()).unwrap();
    let calls: Vec<_> = (0..2).map(|_| client.begin(b"x", None).unwrap()).collect();
    // The third waits for room on this side.
    let error = client.begin(b"x", Instant::now() + 20 * MS).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    for _ in 0..2 {
        server.recv_timeout(PATIENCE).unwrap().reply(b"ok").unwrap();
    }
    assert!(calls.into_iter().all(|call| call.wait().is_ok()));
    drop(client);
    while server.clients() > 0 {
        thread::sleep(MS);
    }
    // One that lets more wait than the server does is refused the third.
    let client = Service::options().max_in_flight(3).connect(server.endpoint()).unwrap();
    let mut calls: Vec<_> = (0..3).map(|_| client.begin(b"x", None).unwrap()).collect();
    assert_eq!(calls.remove(2).wait().unwrap_err().kind(), ErrorKind::LimitReached);
    for call in calls {
        server.recv_timeout(PATIENCE).unwrap().reply(b"ok").unwrap();
        assert_eq!(call.wait().unwrap(), b"ok");
    }
    // A second client is one too many.
    let second = Service::options().connect(server.endpoint());
    assert!(second.and_then(|client| client.call(b"x")).is_err());
    let _call = client.begin(b"still", None).unwrap();
    assert_eq!(server.recv_timeout(PATIENCE).unwrap().payload(), b"still");
}

#[test]
fn a_peer_that_breaks_the_protocol_is_cut_off_and_others_go_on() {
    let _watchdog = watchdog(PATIENCE);
    let (server, client) = pair();
    let mut wild = Stream::connect(server.endpoint()).unwrap();
    wild.send(b"not a request").unwrap();
    assert_eq!(wild.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Disconnected);
    let call = client.begin(b"x", None).unwrap();
    server.recv_timeout(PATIENCE).unwrap().reply(b"y").unwrap();
    assert_eq!(call.wait().unwrap(), b"y");
    // And a server that does.
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let endpoint = listener.endpoint().clone();
    let asking = thread::spawn(move || Service::options().connect(&endpoint)?.call(b"x"));
    let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
    stream.recv_timeout(PATIENCE).unwrap();
    stream.send(b"not an answer").unwrap();
    let error = asking.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("breaks the protocol"), "{error}");
}
