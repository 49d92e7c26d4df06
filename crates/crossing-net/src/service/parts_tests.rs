use super::*;
use crate::{CallError, ErrorKind, Listener, Stream};
use crossing_testkit::{PATIENCE, watchdog};
use crossing_wire::service::Call as Message;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

fn send(stream: &mut Stream, message: &Message<'_>) {
    let mut frame = Vec::new();
    message.encode(&mut frame);
    stream.send_timeout(&frame, PATIENCE).unwrap();
}

/// A client, and a server that is the test.
fn wild_server() -> (Client, Stream) {
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let endpoint = listener.endpoint().clone();
    let connecting = thread::spawn(move || Service::options().max_parts(2).connect(&endpoint).unwrap());
    let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
    // The introduction goes with the first look.
    let _ = stream.try_recv();
    (connecting.join().unwrap(), stream)
}

fn request(stream: &mut Stream) -> (u64, u16) {
    match Message::decode(stream.recv_timeout(PATIENCE).unwrap()) {
        Ok(Message::Request { id, window, .. }) => (id, window),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_sends_more_parts_than_it_may_is_left() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (client, mut stream) = wild_server();
    let mut replies = client.call_stream(b"x", None).unwrap();
    let (id, window) = request(&mut stream);
    assert_eq!(window, 2);
    for _ in 0..3 {
        send(&mut stream, &Message::Part { id, payload: b"part" });
    }
    // Taken sooner, they would allow more.
    while client.servers() > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(replies.recv().unwrap().unwrap(), b"part");
    assert_eq!(replies.recv().unwrap().unwrap(), b"part");
    let error = replies.recv().unwrap_err();
    assert_eq!(error.call(), Some(&CallError::ServerDied), "{error}");
    assert!(error.to_string().contains("more parts than it may"), "{error}");
    assert_eq!(client.call(b"y").unwrap_err().call(), Some(&CallError::NoServer));
}

#[test]
fn parts_for_one_reply_and_their_end_are_no_answer() {
    let _watchdog = watchdog(2 * PATIENCE);
    for end in [false, true] {
        let (client, mut stream) = wild_server();
        let call = client.begin(b"x", None).unwrap();
        let (id, window) = request(&mut stream);
        assert_eq!(window, 0);
        let message = if end { Message::End { id } } else { Message::Part { id, payload: b"" } };
        send(&mut stream, &message);
        let error = call.wait().unwrap_err();
        assert!(error.to_string().contains("breaks the protocol"), "{error}");
    }
}

#[test]
fn credit_is_sent_before_it_is_waited_for_and_cancels_are_repeated() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (client, mut stream) = wild_server();
    let mut replies = client.call_stream(b"x", None).unwrap();
    let (id, _) = request(&mut stream);
    for _ in 0..2 {
        send(&mut stream, &Message::Part { id, payload: b"part" });
        replies.recv().unwrap();
    }
    let mut granted = 0;
    while granted < 2 {
        match Message::decode(stream.recv_timeout(PATIENCE).unwrap()) {
            Ok(Message::Credit { id: of, parts }) if of == id => granted += parts,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(granted, 2);
    drop(replies);
    let cancel = |stream: &mut Stream| {
        let frame = stream.recv_timeout(PATIENCE).unwrap();
        assert_eq!(Message::decode(frame), Ok(Message::Cancel { id }));
    };
    cancel(&mut stream);
    // A server that sends on did not hear it.
    send(&mut stream, &Message::Part { id, payload: b"part" });
    cancel(&mut stream);
}

#[test]
fn a_client_that_grants_too_much_or_to_nobody_harms_nobody() {
    let _watchdog = watchdog(2 * PATIENCE);
    let server = Service::options().serve("tcp:127.0.0.1:0").unwrap();
    let mut wild = Stream::connect(server.endpoint()).unwrap();
    send(&mut wild, &Message::Credit { id: 77, parts: 5 });
    send(&mut wild, &Message::Request { id: 1, millis: 0, window: 1, payload: b"x" });
    send(&mut wild, &Message::Credit { id: 1, parts: u32::MAX });
    send(&mut wild, &Message::Credit { id: 1, parts: u32::MAX });
    let mut answer = server.recv_timeout(PATIENCE).unwrap().stream().unwrap();
    for _ in 0..100 {
        answer.send(b"part").unwrap();
    }
    answer.finish().unwrap();
    for _ in 0..100 {
        let frame = wild.recv_timeout(PATIENCE).unwrap();
        assert_eq!(Message::decode(frame), Ok(Message::Part { id: 1, payload: b"part" }));
    }
    assert_eq!(Message::decode(wild.recv_timeout(PATIENCE).unwrap()), Ok(Message::End { id: 1 }));
    // What only servers say ends its connection.
    send(&mut wild, &Message::Part { id: 2, payload: b"" });
    assert_eq!(wild.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_its_stream_ends() {
    let _watchdog = watchdog(4 * PATIENCE);
    let patience = Duration::from_millis(100);
    let server = Service::options().slow_client(patience).serve("tcp:127.0.0.1:0").unwrap();
    let mut wild = Stream::connect(server.endpoint()).unwrap();
    // It takes any number, and reads none.
    send(&mut wild, &Message::Request { id: 1, millis: 0, window: u16::MAX, payload: b"x" });
    let mut answer = server.recv_timeout(PATIENCE).unwrap().stream().unwrap();
    let part = vec![7; 1 << 20];
    let error = loop {
        if let Err(error) = answer.send(&part) {
            break error;
        }
    };
    assert_eq!(error.call(), Some(&CallError::Cancelled), "{error}");
    assert!(answer.is_cancelled());
    let client = Service::options().connect(server.endpoint()).unwrap();
    let call = client.begin(b"other", None).unwrap();
    server.recv_timeout(PATIENCE).unwrap().reply(b"reply").unwrap();
    assert_eq!(call.wait().unwrap(), b"reply");
}

#[test]
fn a_server_that_fails_rests_while_the_others_are_asked() {
    let _watchdog = watchdog(4 * PATIENCE);
    // It closes each connection at once, and counts them.
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let broken = format!("tcp:{}", closing.local_addr().unwrap());
    let seen = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&seen);
    thread::spawn(move || {
        while closing.accept().is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let server = Service::options().serve("tcp:127.0.0.1:0").unwrap();
    let living = server.endpoint().to_string();
    let serving = thread::spawn(move || {
        while let Ok(request) = server.recv_timeout(PATIENCE) {
            if request.payload() == b"stop" {
                return;
            }
            request.reply(b"reply").unwrap();
        }
    });
    let since = Instant::now();
    let client = Service::options().connect_any(&[&*broken, &*living]).unwrap();
    while since.elapsed() < Duration::from_millis(300) {
        assert_eq!(client.call_timeout(b"x", PATIENCE).unwrap(), b"reply");
        assert_eq!(client.servers(), 1);
    }
    // The pauses are of 50 ms at first, and doubled each time.
    let most = 1 + since.elapsed().as_millis() / 50;
    let seen = seen.load(Ordering::SeqCst);
    assert!((1..=most).contains(&seen.into()), "{seen} attempts, {most} at most");
    assert!(client.call_timeout(b"stop", PATIENCE).is_err());
    serving.join().unwrap();
}

#[cfg(target_family = "unix")]
#[test]
fn servers_that_share_a_port_share_the_clients_and_one_that_leaves_gets_no_more() {
    let _watchdog = watchdog(4 * PATIENCE);
    let mut options = Service::options();
    options.listener(ListenerOptions::default().reuse_port(true));
    let Ok(first) = options.serve("tcp:127.0.0.1:0") else { return };
    let endpoint = first.endpoint().clone();
    let second = options.serve(&endpoint).unwrap();
    // Each on a connection of its own, which the system gives to either.
    let ask = |answering: &[(&Server, u8)]| {
        let client = Service::options().connect(&endpoint).unwrap();
        let call = client.begin(b"who", None).unwrap();
        loop {
            for (server, number) in answering {
                if let Some(request) = server.try_recv().unwrap() {
                    request.reply(&[*number]).unwrap();
                    return call.wait().unwrap()[0];
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    };
    let by: Vec<u8> = (0..64).map(|_| ask(&[(&first, 1), (&second, 2)])).collect();
    assert!(by.contains(&1) && by.contains(&2), "{by:?}");
    drop(first);
    assert!((0..16).all(|_| ask(&[(&second, 2)]) == 2));
}
