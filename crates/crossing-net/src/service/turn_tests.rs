use super::super::*;
use crossing_testkit::{PATIENCE, watchdog};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

const MS: Duration = Duration::from_millis(1);

fn pair() -> (Server, Client) {
    let server = Service::options().slow_client(PATIENCE).serve("tcp:127.0.0.1:0").unwrap();
    let client = Service::options().connect(server.endpoint()).unwrap();
    (server, client)
}

/// Answers with what came, until it is nothing.
fn echo(server: Server) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let request = server.recv_timeout(PATIENCE).unwrap();
            let payload = request.payload().to_vec();
            request.reply(&payload).unwrap();
            if payload.is_empty() {
                return;
            }
        }
    })
}

#[test]
fn replies_are_taken_though_nobody_waits_for_them() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (server, client) = pair();
    // So that a thread that waits has read before, and the thread of the connection does not.
    let first = thread::scope(|scope| {
        scope.spawn(|| server.recv_timeout(PATIENCE).unwrap().reply(b"first").unwrap());
        client.call_timeout(b"x", PATIENCE).unwrap()
    });
    assert_eq!(first, b"first");
    let calls: Vec<_> = (0..3).map(|_| client.begin(b"much", None).unwrap()).collect();
    // More than the system holds: these replies are done when the client has taken most of them.
    let much = vec![7; 8 << 20];
    for _ in 0..3 {
        server.recv_timeout(PATIENCE).unwrap().reply(&much).unwrap();
    }
    for call in calls {
        assert!(call.wait().unwrap() == much);
    }
}

#[test]
fn who_gives_up_hands_the_reading_to_another_who_waits() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (server, client) = pair();
    for _ in 0..10 {
        let (hasty, patient) =
            (client.begin(b"hasty", None).unwrap(), client.begin(b"patient", None).unwrap());
        let giving_up = thread::spawn(move || hasty.wait_deadline(Instant::now() + 20 * MS).unwrap_err());
        let waiting = thread::spawn(move || patient.wait_deadline(Instant::now() + PATIENCE).unwrap());
        let requests = [(); 2].map(|()| server.recv_timeout(PATIENCE).unwrap());
        assert_eq!(giving_up.join().unwrap().kind(), crate::ErrorKind::TimedOut);
        for request in requests {
            request.reply(b"at last").unwrap();
        }
        assert_eq!(waiting.join().unwrap(), b"at last");
    }
}

#[test]
fn another_client_is_served_beside_the_one_whose_connection_is_read_by_who_serves() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (server, first) = pair();
    let endpoint = server.endpoint().clone();
    let serving = echo(server);
    for round in 0..5_u8 {
        for number in 1..20 {
            assert_eq!(first.call_timeout(&[number, round], PATIENCE).unwrap(), [number, round]);
        }
        let second = Service::options().connect(&endpoint).unwrap();
        thread::scope(|scope| {
            for client in [&first, &second] {
                scope.spawn(move || {
                    for number in 1..20 {
                        assert_eq!(client.call_timeout(&[number], PATIENCE).unwrap(), [number]);
                    }
                });
            }
        });
    }
    assert_eq!(first.call_timeout(b"", PATIENCE).unwrap(), b"");
    serving.join().unwrap();
}

#[test]
fn several_threads_serve_the_only_client_at_once() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (server, client) = pair();
    let (all_here, both) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..2 {
            let (server, all_here) = (server.clone(), all_here.clone());
            scope.spawn(move || {
                let request = server.recv_timeout(PATIENCE).unwrap();
                all_here.send(()).unwrap();
                // Held until the other one has its own.
                while !request.is_cancelled() {
                    thread::sleep(MS);
                }
            });
        }
        let calls = [(); 2].map(|()| client.begin(b"x", None).unwrap());
        (0..2).for_each(|_| both.recv_timeout(PATIENCE).unwrap());
        // Those who serve are busy and do not read: that nobody wants the answers reaches them all the same.
        drop(calls);
    });
}
