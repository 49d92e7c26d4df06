use super::*;
use std::io::Write;
use std::net::TcpListener;

fn raw_peer(bytes: &'static [u8]) -> SocketRoad {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let road = SocketRoad::connect(Through::TcpRaw, &format!("tcp:127.0.0.1:{port}")).expect("connect");
    let (mut stream, _) = listener.accept().expect("accept");
    for byte in bytes {
        stream.write_all(&[*byte]).expect("one byte at a time");
    }
    road
}

#[test]
fn raw_messages_are_put_together_from_any_pieces() {
    let mut road = raw_peer(b"\x03\0\0\0abc\0\0\0\0\x01\0\0\0z");
    for expected in [&b"abc"[..], b"", b"z"] {
        assert_eq!(road.recv().expect("a message"), expected);
    }
    assert!(road.recv().expect_err("the end").contains("ended"));
}

#[test]
fn a_raw_peer_cannot_announce_what_it_wants() {
    let error = raw_peer(b"\xff\xff\xff\xff").recv().expect_err("4 GiB");
    assert!(error.contains("4294967295"), "{error}");
    let error = raw_peer(b"\x05\0\0\0ab").recv().expect_err("cut short");
    assert!(error.contains("2 of 5"), "{error}");
}

#[test]
fn both_ends_are_introduced_once() {
    for through in [Through::TcpFramed, Through::TcpRaw] {
        let mut server = SocketRoad::listen(through, "tcp:127.0.0.1:0").expect("listen");
        let endpoint = server.endpoint().expect("an endpoint").clone();
        let client = std::thread::spawn(move || {
            let mut client = SocketRoad::connect(through, &endpoint).expect("connect");
            client.send(b"hello").expect("send");
            client
        });
        assert!(matches!(server.introduce(), Ok(Some(Peer::Tcp(address))) if address.ip().is_loopback()));
        assert!(matches!(server.introduce(), Ok(None)));
        assert_eq!(server.recv().expect("a message"), b"hello");
        drop(client.join().expect("the client"));
    }
}
