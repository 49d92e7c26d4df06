//! The same behaviour over every mechanism, and peers that misbehave.

use super::*;
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use crossing_wire::{Encoder, Kind, Preamble};
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(30);
const MIB: usize = 1 << 20;

/// An endpoint of each mechanism that this system has.
fn endpoints() -> Vec<String> {
    let name = unique_name("crossing-net");
    let path = std::env::temp_dir().join(unique_name("crossing-net"));
    let all = ["tcp:127.0.0.1:0".to_owned(), format!("unix:{}", path.display()), format!("unix:@{name}")];
    let all = all.into_iter().chain([format!("pipe:{name}")]);
    all.filter(|text| text.parse::<Endpoint>().unwrap().is_socket()).collect()
}

/// Runs `test` over each mechanism.
pub(crate) fn over_each(test: impl Fn(&str)) {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in endpoints() {
        eprintln!("over {endpoint}");
        test(&endpoint);
    }
}

pub(crate) fn connected(endpoint: &str) -> (Stream, Stream) {
    let listener = Listener::bind(endpoint).unwrap();
    let client = Stream::options().connect_timeout(PATIENCE).connect(listener.endpoint()).unwrap();
    (client, listener.accept_timeout(PATIENCE).unwrap().0)
}

/// A stream whose peer is played by hand.
fn with_raw_peer(endpoint: &str, options: &mut ListenerOptions) -> (Stream, RawStream) {
    let listener = options.bind(endpoint).unwrap();
    let raw = Stream::options().raw().connect(listener.endpoint()).unwrap();
    (listener.accept_timeout(PATIENCE).unwrap().0, raw)
}

pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn frames_arrive_whole_and_in_order_both_ways() {
    over_each(|endpoint| {
        let (mut client, mut server) = connected(endpoint);
        let frames = [b"one".to_vec(), vec![], pattern(8 << 10), pattern((8 << 10) + 1), pattern(60_000)];
        for frame in &frames {
            client.send(frame).unwrap();
        }
        for frame in &frames {
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), frame);
            server.send(frame).unwrap();
        }
        for frame in &frames {
            assert_eq!(client.recv_timeout(PATIENCE).unwrap(), frame);
        }
    });
}

#[test]
fn large_frames_cross_in_both_directions() {
    over_each(|endpoint| {
        let (mut client, mut server) = connected(endpoint);
        let large = pattern(8 * MIB);
        thread::scope(|scope| {
            scope.spawn(|| {
                let got = server.recv().unwrap().to_vec();
                server.send(&got).unwrap();
            });
            client.send(&large).unwrap();
            assert!(client.recv().unwrap() == large);
        });
    });
}

#[test]
fn nothing_waits_longer_than_it_was_told() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        assert!(listener.try_accept().unwrap().is_none());
        assert!(listener.try_accept_raw().unwrap().is_none());
        assert_eq!(listener.accept_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        let mut client = Stream::connect(listener.endpoint()).unwrap();
        // Nobody has introduced himself yet.
        assert!(client.try_recv().unwrap().is_none());
        assert!(!client.try_send(b"x").unwrap());
        assert_eq!(client.send_timeout(b"x", SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        let (mut server, _) = listener.accept().unwrap();
        assert_eq!(client.recv_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        client.send(b"late").unwrap();
        assert_eq!(server.recv().unwrap(), b"late");
        assert!(server.try_recv().unwrap().is_none());
    });
}

#[test]
fn a_frame_cut_by_time_goes_on_with_the_next_calls() {
    over_each(|endpoint| {
        let (mut client, mut server) = connected(endpoint);
        let large = pattern(8 * MIB);
        // Nobody reads: the frame is begun and left.
        client.send_timeout(&large, SHORT).unwrap();
        assert!(!client.try_send(b"no room").unwrap());
        assert_eq!(client.send_timeout(b"no room", SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(server.recv().unwrap() == large);
                server.send(b"got it").unwrap();
                assert_eq!(server.recv().unwrap(), b"next");
            });
            // Only receives, and yet the rest goes.
            assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"got it");
            client.send(b"next").unwrap();
        });
    });
}

#[test]
fn an_end_is_told_from_a_cut() {
    over_each(|endpoint| {
        let (mut client, mut server) = connected(endpoint);
        client.send(b"last").unwrap();
        client.end_sending().unwrap();
        assert_eq!(client.send(b"more").unwrap_err().kind(), ErrorKind::ApiMisuse);
        assert_eq!(server.recv().unwrap(), b"last");
        for _ in 0..2 {
            assert_eq!(server.recv().unwrap_err().kind(), ErrorKind::Disconnected);
        }
        assert!(server.peer_ended());
        // Half-closed: the other direction goes on.
        server.send(b"answer").unwrap();
        assert_eq!(client.recv().unwrap(), b"answer");
        drop(server);
        assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::Disconnected);
        assert!(!client.peer_ended());
    });
}

#[test]
fn close_delivers_the_tail_though_unread_frames_come_in() {
    over_each(|endpoint| {
        let (mut client, mut server) = connected(endpoint);
        let tail = pattern(100_000);
        server.send(b"never read by the client").unwrap();
        client.send(b"first").unwrap();
        assert_eq!(server.recv().unwrap(), b"first");
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(server.recv().unwrap(), tail);
                server.send(b"also not read").unwrap();
                assert!(server.recv().is_err() && server.peer_ended());
                drop(server);
            });
            client.send(&tail).unwrap();
            client.close().unwrap();
        });
    });
}

#[test]
fn sending_to_a_dead_peer_is_an_error_and_no_signal() {
    over_each(|endpoint| {
        let (mut client, mut server) = connected(endpoint);
        server.send(b"hello").unwrap();
        client.recv().unwrap();
        drop(server);
        let error = loop {
            if let Err(error) = client.send(&pattern(10_000)) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    });
}

#[test]
fn each_side_keeps_its_own_limit() {
    over_each(|endpoint| {
        let listener = Listener::options().max_frame_len(100).bind(endpoint).unwrap();
        let mut client = Stream::connect(listener.endpoint()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let error = client.send(&[1; 101]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 101, max: 100 }, "{error}");
        // The stream goes on, and the other direction has another limit.
        client.send(&[1; 100]).unwrap();
        assert_eq!(server.recv().unwrap(), [1; 100]);
        server.send(&[2; 5000]).unwrap();
        assert_eq!(client.recv().unwrap(), [2; 5000]);
    });
}

#[test]
fn an_oversized_frame_is_refused_at_its_header() {
    over_each(|endpoint| {
        let (mut server, peer) = with_raw_peer(endpoint, Listener::options().max_frame_len(1000));
        peer.write_all(&Preamble::new(10).encode()).unwrap();
        let header = Encoder::new(10).header(Kind::Data, 1001).unwrap();
        peer.write_all(&header).unwrap();
        let error = server.recv_timeout(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 1001, max: 1000 }, "{error}");
    });
}

#[test]
fn a_peer_that_sends_byte_by_byte_is_understood() {
    over_each(|endpoint| {
        let (mut server, peer) = with_raw_peer(endpoint, &mut Listener::options());
        let mut bytes = Preamble::new(10).encode().to_vec();
        Encoder::new(10).encode(Kind::Data, b"slowly", &mut bytes).unwrap();
        Encoder::new(10).encode(Kind::Data, b"", &mut bytes).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for byte in &bytes {
                    peer.write_all(&[*byte]).unwrap();
                    thread::sleep(Duration::from_millis(1));
                }
            });
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"slowly");
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"");
        });
    });
}

#[test]
fn garbage_and_other_versions_are_refused_with_the_reason() {
    over_each(|endpoint| {
        let (mut server, peer) = with_raw_peer(endpoint, &mut Listener::options());
        peer.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let error = server.recv_timeout(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains("GET /") && error.to_string().contains("raw"), "{error}");
        assert_eq!(server.send(b"x").unwrap_err().kind(), ErrorKind::Incompatible);
        // The name of a pipe is taken as long as a connection lives.
        drop((server, peer));

        let (mut server, peer) = with_raw_peer(endpoint, &mut Listener::options());
        let mut preamble = Preamble::new(10).encode();
        preamble[8] = 7;
        peer.write_all(&preamble).unwrap();
        let error = server.recv_timeout(PATIENCE).unwrap_err().to_string();
        assert!(error.contains("7.2") && error.contains("1.2"), "{error}");
        drop((server, peer));

        let (mut server, peer) = with_raw_peer(endpoint, &mut Listener::options());
        peer.write_all(&Preamble::new(10).encode()).unwrap();
        peer.write_all(&[0, 0, 0, 0, 99, 0, 0, 0]).unwrap();
        assert_eq!(server.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Corrupt);
    });
}

#[test]
fn a_silent_peer_does_not_hold_a_receiver_without_end() {
    over_each(|endpoint| {
        let (mut server, _peer) = with_raw_peer(endpoint, Listener::options().handshake_timeout(SHORT));
        let error = server.recv().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("did not introduce itself"), "{error}");
        assert_eq!(server.send(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_peer_that_introduced_itself_may_be_silent_for_long() {
    over_each(|endpoint| {
        let (mut server, peer) =
            with_raw_peer(endpoint, Listener::options().handshake_timeout(PATIENCE / 60));
        peer.write_all(&Preamble::new(10).encode()).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(PATIENCE / 60 + SHORT);
                peer.write_all(&[1, 0, 0, 0, 1, 0, 0, 0, b'x']).unwrap();
            });
            assert_eq!(server.recv().unwrap(), b"x");
        });
    });
}

#[test]
fn a_cut_in_the_middle_of_a_frame_is_a_disconnection() {
    over_each(|endpoint| {
        let (mut server, peer) = with_raw_peer(endpoint, &mut Listener::options());
        // The server's preamble is read first: closing with unread bytes would be a reset.
        peer.read(&mut [0; 64]).unwrap();
        peer.write_all(&Preamble::new(10).encode()).unwrap();
        peer.write_all(&[9, 0, 0, 0, 1, 0, 0, 0, b'x']).unwrap();
        drop(peer);
        let error = server.recv_timeout(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert!(error.to_string().contains("unfinished"), "{error}");
        assert!(!server.peer_ended());
    });
}

#[test]
fn raw_streams_carry_bytes_and_half_close() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let mut client = Stream::options().raw().connect(listener.endpoint()).unwrap();
        let (mut server, peer) = listener.accept_raw_timeout(PATIENCE).unwrap();
        match peer {
            Peer::Tcp(address) => assert!(address.ip().is_loopback()),
            Peer::Local(who) => assert_eq!(who.process_id(), Some(std::process::id())),
        }
        assert_eq!(server.try_read(&mut [0; 9]).unwrap(), None);
        assert_eq!(server.read_timeout(&mut [0; 9], SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        // One send of the peer comes with one read.
        client.write_all(b"Hello from client").unwrap();
        let mut buffer = [0; 1024];
        let len = server.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"Hello from client");
        Write::write_all(&mut client, b"std").unwrap();
        Read::read_exact(&mut server, &mut buffer[..3]).unwrap();
        assert_eq!(&buffer[..3], b"std");
        client.shutdown_write().unwrap();
        assert_eq!(server.read(&mut buffer).unwrap(), 0);
        server.write_all(b"still there").unwrap();
        drop(server);
        assert_eq!(client.read_to_end(100).unwrap(), b"still there");
    });
}

#[test]
fn raw_reading_to_the_end_is_bounded() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        for (len, fits) in [(0, true), (200_000, true), (200_001, false)] {
            let client = Stream::options().raw().connect(listener.endpoint()).unwrap();
            let (server, _) = listener.accept_raw().unwrap();
            thread::scope(|scope| {
                scope.spawn(move || {
                    // The reader may give up before the end.
                    let _ = client.write_all(&pattern(len));
                });
                let result = server.read_to_end(200_000);
                drop(server);
                match result {
                    Ok(bytes) => assert!(fits && bytes == pattern(len)),
                    Err(error) => {
                        let kind = ErrorKind::TooLarge { len: 200_001, max: 200_000 };
                        assert!(!fits && error.kind() == kind, "{error}");
                    }
                }
            });
        }
    });
}

#[test]
fn many_frames_go_at_once_and_what_there_was_no_room_for_is_told() {
    over_each(|endpoint| {
        let (mut client, mut server) = connected(endpoint);
        let frames: Vec<Vec<u8>> =
            (0..3_000_usize).map(|at| pattern(if at % 500 == 7 { 20_000 } else { at % 90 })).collect();
        let serving = thread::spawn(move || {
            let mut got = Vec::new();
            server.send(b"ready").unwrap();
            while let Ok(frame) = server.recv_timeout(PATIENCE) {
                got.push(frame.to_vec());
            }
            got
        });
        assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"ready");
        client.send_many(&frames).unwrap();
        client.end_sending().unwrap();
        assert_eq!(serving.join().unwrap(), frames);

        // Nobody reads: each frame either went (maybe in part) or is left, whatever the room was.
        let (mut client, mut server) = connected(endpoint);
        server.send(b"ready").unwrap();
        assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"ready");
        let small: Vec<[u8; 8]> = (0..2_000_000_u64).map(u64::to_le_bytes).collect();
        let mut taken = 0;
        for _ in 0..3 {
            taken += client.send_many_deadline(&small[taken..], std::time::Instant::now() + SHORT).unwrap();
        }
        taken += client.try_send_many(&small[taken..]).unwrap();
        assert!(taken > 1_000 && taken < small.len(), "{taken}");
        let serving = thread::spawn(move || {
            let mut next = 0_u64;
            while let Ok(frame) = server.recv_timeout(PATIENCE) {
                assert_eq!(frame, next.to_le_bytes());
                next += 1;
            }
            next
        });
        client.send_many(&small[taken..taken + 10_000]).unwrap();
        client.end_sending().unwrap();
        assert_eq!(serving.join().unwrap(), taken as u64 + 10_000);
        // One that is too long is told before anything goes.
        let (mut client, mut server) = connected(endpoint);
        server.send(b"ready").unwrap();
        let error = client.send_many(&[vec![1; 10], vec![0; 17 * MIB]]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
        assert!(server.try_recv().unwrap().is_none());
    });
}

#[test]
fn socket_options_are_set_or_refused() {
    over_each(|endpoint| {
        let mut listening = Listener::options();
        let mut connecting = Stream::options();
        let listener = listening.recv_buffer(1 << 16).send_buffer(1 << 16).bind(endpoint).unwrap();
        let pipe = endpoint.starts_with("pipe");
        connecting.recv_buffer(1 << 15);
        let connected = connecting.connect(listener.endpoint());
        assert_eq!(connected.is_err(), pipe, "{connected:?}");
        assert_eq!(listener.accept_timeout(PATIENCE).is_err(), pipe);
        // The system's own buffers are far larger: fewer bytes fit now.
        if let Ok(stream) = connected {
            let raw = Stream::options().send_buffer(1 << 13).raw().connect(listener.endpoint()).unwrap();
            let written =
                (0..).map_while(|_| raw.try_write(&[0; 4096]).ok().filter(|len| *len > 0)).sum::<usize>();
            assert!(written < 1 << 20, "{written}");
            drop(stream);
        }
        let kept = Stream::options().keepalive(Duration::from_secs(30)).connect(listener.endpoint());
        assert_eq!(kept.is_ok(), endpoint.starts_with("tcp"), "{kept:?}");
    });
}

#[test]
fn no_more_connections_are_open_than_may() {
    over_each(|endpoint| {
        let listener = Listener::options().max_connections(2).bind(endpoint).unwrap();
        let address = listener.endpoint().clone();
        let clients =
            thread::spawn(move || (0..3_u8).map(|_| Stream::connect(&address).unwrap()).collect::<Vec<_>>());
        let first = listener.accept_timeout(PATIENCE).unwrap();
        let _second = listener.accept_timeout(PATIENCE).unwrap();
        assert!(listener.is_full());
        assert!(listener.try_accept().unwrap().is_none());
        let error = listener.accept_timeout(SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("max_connections"), "{error}");
        let closing = thread::spawn(move || {
            thread::sleep(SHORT);
            drop(first);
        });
        let third = listener.accept_timeout(PATIENCE).unwrap();
        closing.join().unwrap();
        clients.join().unwrap();
        // One that could not be accepted does not count.
        drop(third);
        assert!(listener.accept_timeout(SHORT).is_err());
        assert!(!listener.is_full());
    });
}

#[test]
fn raw_writing_ends_with_its_time_and_says_how_far_it_came() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let client = Stream::options().raw().connect(listener.endpoint()).unwrap();
        let (_server, _) = listener.accept_raw().unwrap();
        let error = client.write_all_timeout(&vec![1; 64 * MIB], SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("of 67108864 bytes were written"), "{error}");
        // On a slow machine the time was over before the stream was full, and TCP grows its buffers: fill the rest.
        let rest = vec![2; MIB];
        let full = (0..64).any(|_| client.try_write(&rest).unwrap() == 0);
        assert!(full, "nobody reads, and the stream takes 64 MiB more");
    });
}

#[test]
fn an_address_in_use_and_nobody_there_are_told_with_their_fix() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let address = listener.endpoint().to_string();
        let error = Listener::bind(&address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
        assert!(error.advice().is_some_and(|fix| fix.contains("stop th")), "{error}");
        drop(listener);
        let error = Stream::options().connect_timeout(PATIENCE).connect(&address).unwrap_err();
        let expected =
            if endpoint.starts_with("unix:/") { ErrorKind::NotFound } else { ErrorKind::ConnectionRefused };
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.advice().is_some_and(|fix| fix.contains("start the listener")), "{error}");
    });
}

#[test]
fn a_port_is_free_again_at_once() {
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let address = listener.endpoint().to_string();
    let client = Stream::connect(&address).unwrap();
    // The side that closes first keeps the port in TIME_WAIT.
    drop(listener.accept().unwrap());
    drop(listener);
    drop(client);
    Listener::bind(&address).unwrap();
}

#[test]
fn other_mechanisms_are_refused_with_what_to_use() {
    let absent = if cfg!(windows) { "unix:a" } else { "pipe:a" };
    for endpoint in ["mq:/a", "shm:a", "sysv:f,65", "posix:/a", "log:d", "tls:h:1", absent] {
        if cfg!(feature = "tls") && endpoint.starts_with("tls") {
            continue;
        }
        for error in [Listener::bind(endpoint).unwrap_err(), Stream::connect(endpoint).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.advice().is_some(), "{error}");
        }
    }
    assert_eq!(Stream::connect("nonsense").unwrap_err().kind(), ErrorKind::ApiMisuse);
}

#[test]
fn splitting_waits_for_the_introduction_as_told_and_halves_are_closed_together() {
    over_each(|endpoint| {
        let (silent, _peer) = with_raw_peer(endpoint, &mut Listener::options());
        let error = silent.split_deadline(std::time::Instant::now() + SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(!error.to_string().contains("handshake_timeout"), "not that one's time is over: {error}");
        let (client, server) = connected(endpoint);
        let large = pattern(MIB);
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut sending, receiving) = client.split_deadline(None).unwrap();
                sending.send(&large).unwrap();
                sending.close(receiving).unwrap();
            });
            let mut server = server;
            // Unread by the client: its end loses nothing for that.
            server.send(b"unread").unwrap();
            assert!(server.recv().unwrap() == large);
            assert!(server.recv().is_err() && server.peer_ended());
        });
    });
}
