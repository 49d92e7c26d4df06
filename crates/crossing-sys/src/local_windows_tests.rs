//! Named pipes: names, squatters, waits for clients.

use super::tests::{LONG, exchange};
use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

fn name() -> LocalName {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    LocalName::Pipe(format!("crossing-test-{}-{number}", std::process::id()))
}

fn bind(name: &LocalName) -> Result<LocalListener> {
    LocalListener::bind(name, Access::Private, 8)
}

#[test]
fn a_name_has_one_listener_and_is_free_after_it() {
    for access in [Access::Private, Access::Group, Access::World] {
        let name = name();
        let first = LocalListener::bind(&name, access, 8).unwrap();
        let error = bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
        exchange(&first, "hello");
        exchange(&first, "again");
        drop(first);
        let error = LocalStream::connect(&name, Wait::Forever).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        exchange(&bind(&name).unwrap(), "hello");
    }
}

#[test]
fn a_name_is_taken_while_a_connection_lives() {
    let name = name();
    let listener = bind(&name).unwrap();
    let client = LocalStream::connect(&name, Wait::Forever).unwrap();
    let (server, _) = listener.accept(Wait::at_most(LONG)).unwrap();
    drop(listener);
    assert_eq!(bind(&name).unwrap_err().kind(), ErrorKind::AddressInUse);
    send(&server, b"x", Wait::Forever).unwrap();
    assert_eq!(recv(&client, &mut [0; 2], Wait::Forever).unwrap(), 1);
    drop((client, server));
    bind(&name).unwrap();
}

#[test]
fn wrong_names_are_refused() {
    let long = "x".repeat(248);
    let too_large = ErrorKind::TooLarge { len: 248, max: 247 };
    let wrong = [
        ("", ErrorKind::ApiMisuse),
        (r"a\b", ErrorKind::ApiMisuse),
        ("a\0", ErrorKind::ApiMisuse),
        (&long, too_large),
    ];
    for (text, kind) in wrong {
        let name = LocalName::Pipe(text.to_owned());
        assert_eq!(bind(&name).unwrap_err().kind(), kind, "{text}");
        assert_eq!(LocalStream::connect(&name, Wait::Forever).unwrap_err().kind(), kind, "{text}");
    }
    exchange(&bind(&LocalName::Pipe("y".repeat(247))).unwrap(), "as long as can be");
}

#[test]
fn waits_for_clients_and_servers_end_when_they_should() {
    let name = name();
    let listener = bind(&name).unwrap();
    let soon = || Wait::at_most(Duration::from_millis(20));
    let input = Ready { readable: true, writable: false };
    assert_eq!(listener.accept(Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(listener.accept(soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(wait_ready(&listener, input, Some(Instant::now())).unwrap(), Ready::default());
    let client = LocalStream::connect(&name, Wait::Never).unwrap();
    assert_eq!(wait_ready(&listener, input, None).unwrap(), input);
    // One is not accepted yet: the next must wait.
    let error = LocalStream::connect(&name, Wait::Never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    let start = Instant::now();
    let error = LocalStream::connect(&name, soon()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(start.elapsed() >= Duration::from_millis(20));
    thread::scope(|scope| {
        let late = scope.spawn(|| LocalStream::connect(&name, Wait::at_most(LONG)));
        thread::sleep(Duration::from_millis(20));
        let (server, who) = listener.accept(Wait::Forever).unwrap();
        assert_eq!(who.process_id(), Some(std::process::id()));
        send(&client, b"first", Wait::Forever).unwrap();
        assert_eq!(recv(&server, &mut [0; 8], Wait::Forever).unwrap(), 5);
        late.join().unwrap().unwrap();
    });
    listener.accept(Wait::Never).unwrap();
}

/// A client that went before it was accepted is a connection whose bytes can be read.
#[test]
fn a_client_that_went_is_accepted_with_what_it_said() {
    let name = name();
    let listener = bind(&name).unwrap();
    let client = LocalStream::connect(&name, Wait::Never).unwrap();
    send(&client, b"bye", Wait::Never).unwrap();
    drop(client);
    let (server, _) = listener.accept(Wait::at_most(LONG)).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(recv(&server, &mut buffer, Wait::Forever).unwrap(), 3);
    assert_eq!(recv(&server, &mut buffer, Wait::Forever).unwrap(), 0);
    drop(server);
    exchange(&listener, "and the next");
}

#[test]
fn both_ends_know_each_other() {
    let name = name();
    let listener = bind(&name).unwrap();
    let client = LocalStream::connect(&name, Wait::Forever).unwrap();
    let (_server, peer) = listener.accept(Wait::Forever).unwrap();
    assert_eq!(peer.process_id(), Some(std::process::id()));
    assert!(peer.is_same_user() && peer.ids().is_none(), "{peer:?}");
    assert!(peer.sid().is_some_and(|sid| sid.starts_with("S-1-")), "{peer:?}");
    assert!(peer.is_allowed(Access::Private) && peer.to_string().contains("S-1-"), "{peer}");
    let server = client.credentials().unwrap();
    assert_eq!((server.process_id(), server.sid()), (peer.process_id(), peer.sid()));
    assert!(server.is_same_user());
}

/// Threads that exit, with waits that ended before, leave the stream whole.
#[test]
fn a_waiting_receiver_does_not_hold_up_a_sender() {
    let (left, right) = LocalStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 8];
            assert_eq!(recv(&left, &mut buffer, Wait::at_most(LONG)).unwrap(), 2);
        });
        thread::sleep(Duration::from_millis(30));
        // The other direction of the same end, while it waits to receive.
        send(&left, b"abc", Wait::at_most(LONG)).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(recv(&right, &mut buffer, Wait::at_most(LONG)).unwrap(), 3);
        // A second receiver's time ends though the first one waits longer.
        let error = recv(&left, &mut buffer, Wait::at_most(Duration::from_millis(20))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        send(&right, b"ok", Wait::Forever).unwrap();
    });
}
