use super::*;
use crate::{Listener, ListenerOptions, RawStream};
use crossing_sys::local::LocalStream;
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use crossing_wire::{Encoder, Kind, Preamble};
use std::fs::File;
use std::io::{PipeReader, Read, Write, pipe as pipe_of_the_system};
use std::os::fd::OwnedFd;
use std::thread;

const MIB: usize = 1 << 20;

fn endpoint() -> String {
    format!("unix:{}", std::env::temp_dir().join(unique_name("crossing-handles")).display())
}

/// A client, and the server that takes so many handles with a frame.
fn connected(max_handles: usize) -> (Stream, Stream) {
    let listener = Listener::options().max_handles(max_handles).bind(&endpoint()).unwrap();
    let client = Stream::connect(listener.endpoint()).unwrap();
    (client, listener.accept_timeout(PATIENCE).unwrap().0)
}

fn pipe() -> (PipeReader, Handle) {
    let (reader, writer) = pipe_of_the_system().unwrap();
    (reader, Handle::from(OwnedFd::from(writer)))
}

fn write(handle: Handle, text: &str) {
    File::from(OwnedFd::from(handle)).write_all(text.as_bytes()).unwrap();
}

/// All that was written, once nobody has the writing end open any more.
fn read(mut reader: PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn each_frame_brings_its_own_however_frames_are_gathered() {
    let _watchdog = watchdog(4 * PATIENCE);
    let (mut client, mut server) = connected(3);
    // Lengths of frames that are copied, gathered and split, and how many handles go with each.
    let frames: Vec<(usize, usize)> = (0..200)
        .map(|at| {
            ([0, 10, 70_000, 5000, COPIED_LEN, COPIED_LEN + 1, 300_000][at % 7], [0, 1, 0, 3, 2][at % 5])
        })
        .collect();
    let total = frames.iter().map(|(_, handles)| handles).sum::<usize>();
    let (readers, writers): (Vec<_>, Vec<_>) = (0..total).map(|_| pipe()).unzip();
    thread::scope(|scope| {
        let frames = &frames;
        scope.spawn(move || {
            let mut writers = writers.into_iter();
            for (at, (len, count)) in frames.iter().enumerate() {
                let handles: Vec<Handle> = writers.by_ref().take(*count).collect();
                let frame = vec![at as u8; *len];
                if handles.is_empty() && at % 2 == 0 {
                    // Beside other small ones, which are gathered.
                    client.send_many(&[&frame]).unwrap();
                } else {
                    client.send_with_handles(&frame, &handles.iter().collect::<Vec<_>>()).unwrap();
                }
            }
            client.end_sending().unwrap();
        });
        let mut next = 0;
        for (at, (len, count)) in frames.iter().enumerate() {
            let (frame, handles) = server.recv_with_handles_timeout(PATIENCE).unwrap();
            assert!(frame.len() == *len && frame.iter().all(|byte| *byte == at as u8), "frame {at}");
            assert_eq!(handles.len(), *count, "frame {at}");
            for handle in handles {
                write(handle, &next.to_string());
                next += 1;
            }
        }
        let error = server.recv_timeout(PATIENCE).unwrap_err();
        assert!(error.kind() == ErrorKind::Disconnected && server.peer_ended(), "{error}");
    });
    for (at, reader) in readers.into_iter().enumerate() {
        assert_eq!(read(reader), at.to_string());
    }
}

#[test]
fn they_go_both_ways_and_over_halves() {
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = Listener::options().max_handles(1).bind(&endpoint()).unwrap();
    let mut client = Stream::options().max_handles(1).connect(listener.endpoint()).unwrap();
    let (server, _) = listener.accept_timeout(PATIENCE).unwrap();
    let (reader, handle) = pipe();
    assert!(client.try_recv_with_handles().unwrap().is_none());
    let (mut sending, mut receiving) = server.split().unwrap();
    client.send_with_handles(b"there", &[&handle]).unwrap();
    drop(handle);
    let (frame, handles) = receiving.recv_with_handles().unwrap();
    assert_eq!(frame, b"there");
    sending.send_with_handles(b"and back", &handles.iter().collect::<Vec<_>>()).unwrap();
    drop(handles);
    let (frame, mut handles) = client.recv_with_handles_timeout(PATIENCE).unwrap();
    assert_eq!(frame, b"and back");
    write(handles.remove(0), "here again");
    assert_eq!(read(reader), "here again");
}

#[test]
fn who_does_not_ask_for_them_gets_none() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (mut client, mut server) = connected(2);
    let (reader, handle) = pipe();
    client.send_with_handles(b"one", &[&handle, &handle]).unwrap();
    client.send(b"two").unwrap();
    drop(handle);
    assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"one");
    assert_eq!(read(reader), "");
    let (frame, handles) = server.recv_with_handles_timeout(PATIENCE).unwrap();
    assert_eq!((frame, handles.len()), (&b"two"[..], 0));
}

#[test]
fn more_than_the_peer_takes_are_not_sent() {
    let _watchdog = watchdog(2 * PATIENCE);
    for takes in [0, 2] {
        let (mut client, mut server) = connected(takes);
        let (_reader, handle) = pipe();
        let error = client.send_with_handles(b"x", &[&handle; 3]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        assert!(error.to_string().contains("max_handles"), "{error}");
        client.send(b"goes on").unwrap();
        assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"goes on");
    }
}

#[test]
fn a_peer_that_claims_to_take_more_than_the_system_carries_is_sent_no_more() {
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = Listener::bind(&endpoint()).unwrap();
    let Endpoint::Unix(name) = listener.endpoint() else { unreachable!() };
    let raw = LocalStream::connect(name, Wait::at_most(PATIENCE)).unwrap();
    put(&raw, &Preamble::new(MIB).with_handles(255).encode(), &[]);
    let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
    let (_reader, handle) = pipe();
    let error = server.send_with_handles(b"x", &[&handle; 65]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
    server.send_with_handles(b"as many as go", &[&handle; 64]).unwrap();
    let (mut buffer, mut handles) = ([0; 100], Vec::new());
    while handles.is_empty() {
        raw.recv_with_handles(&mut buffer, &mut handles, 64, Wait::at_most(PATIENCE)).unwrap();
    }
    assert_eq!(handles.len(), 64);
}

#[test]
fn there_are_none_over_the_network() {
    let _watchdog = watchdog(2 * PATIENCE);
    let error = Listener::options().max_handles(1).bind("tcp:127.0.0.1:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let error = Stream::options().max_handles(1).connect(listener.endpoint()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("unix:PATH"), "{error}");
    let mut client = Stream::connect(listener.endpoint()).unwrap();
    let error = client.send_with_handles(b"x", &[&pipe().1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn a_frame_that_finds_no_room_takes_its_handles_along_later() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (mut client, mut server) = connected(1);
    server.send(b"introduced").unwrap();
    client.recv_timeout(PATIENCE).unwrap();
    let (reader, handle) = pipe();
    let mut sent = 0;
    while client.try_send_with_handles(&[1; 1000], &[&handle]).unwrap() {
        sent += 1;
    }
    let short = Duration::from_millis(20);
    let error = client.send_with_handles_timeout(b"late", &[&handle], short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let sending = thread::spawn(move || {
        client.send_with_handles(&vec![2; MIB], &[&handle]).unwrap();
        client
    });
    for _ in 0..sent {
        let (frame, handles) = server.recv_with_handles_timeout(PATIENCE).unwrap();
        assert_eq!((frame, handles.len()), (&[1; 1000][..], 1));
    }
    let (frame, mut handles) = server.recv_with_handles_timeout(PATIENCE).unwrap();
    assert!(frame == vec![2; MIB]);
    sending.join().unwrap();
    write(handles.remove(0), "last");
    assert_eq!(read(reader), "last");
}

/// A server and the client that is played by hand.
fn with_raw_peer(options: &ListenerOptions) -> (Stream, LocalStream) {
    let listener = options.bind(&endpoint()).unwrap();
    let Endpoint::Unix(name) = listener.endpoint() else { unreachable!() };
    let raw = LocalStream::connect(name, Wait::at_most(PATIENCE)).unwrap();
    put(&raw, &Preamble::new(MIB).encode(), &[]);
    (listener.accept_timeout(PATIENCE).unwrap().0, raw)
}

fn put(raw: &LocalStream, bytes: &[u8], handles: &[&Handle]) {
    let sent = raw.send_with_handles(bytes, handles, Wait::at_most(PATIENCE)).unwrap();
    assert_eq!(sent, bytes.len());
}

/// What the server says of a peer that sends each of these with so many handles, all of which must be closed.
fn misbehaving(max_handles: usize, parts: &[(&[u8], usize)]) -> Error {
    let _watchdog = watchdog(2 * PATIENCE);
    let (mut server, raw) = with_raw_peer(Listener::options().max_handles(max_handles));
    let (reader, handle) = pipe();
    for (bytes, count) in parts {
        put(&raw, bytes, &vec![&handle; *count]);
    }
    drop(handle);
    let error = loop {
        match server.recv_with_handles_timeout(PATIENCE) {
            Ok((_, handles)) => drop(handles),
            Err(error) => break error,
        }
    };
    assert_eq!(read(reader), "", "{error}");
    let again = server.recv_with_handles_timeout(PATIENCE).unwrap_err();
    assert_ne!(again.kind(), ErrorKind::TimedOut, "it stays at its error");
    error
}

fn frame(len: usize, handles: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    Encoder::new(MIB).encode(Kind::Data, &vec![0; len], &mut frame).unwrap();
    frame[6] = handles;
    frame
}

#[test]
fn a_peer_that_sends_others_than_it_announces_is_given_up() {
    let (good, none) = (frame(5, 1), frame(5, 0));
    let cases: [&[(&[u8], usize)]; 8] = [
        // Announced, and not sent.
        &[(&good, 0)],
        &[(&good, 1), (&frame(5, 2), 1), (&none, 0)],
        // Sent, and not announced.
        &[(&none, 1)],
        &[(&good, 1), (&none, 2)],
        // With part of a frame.
        &[(&frame(5, 1)[..10], 2)],
        &[(&none[..8], 1)],
        &[(&good[..10], 1), (&good[10..], 1)],
        // More than may be.
        &[(&frame(5, 4), 3)],
    ];
    for (at, case) in cases.iter().enumerate() {
        let error = misbehaving(3, case);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "case {at}: {error}");
    }
    // With a piece of a header: it may still announce as many as may be, and no more.
    assert_eq!(misbehaving(3, &[(&good[..4], 3), (&good[4..], 0)]).kind(), ErrorKind::Corrupt);
    assert_eq!(misbehaving(3, &[(&good[..4], 3), (&good[4..6], 1)]).kind(), ErrorKind::Corrupt);
}

#[test]
fn a_peer_that_sends_too_many_at_once_is_given_up() {
    let error = misbehaving(2, &[(&frame(5, 2), 3)]);
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
    assert!(error.to_string().contains("max_handles"), "{error}");
}

#[test]
fn where_none_are_taken_the_system_closes_them_and_announcing_some_is_an_error() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (mut server, raw) = with_raw_peer(&Listener::options());
    let (reader, handle) = pipe();
    put(&raw, &frame(5, 0), &[&handle]);
    drop(handle);
    assert_eq!(server.recv_timeout(PATIENCE).unwrap(), [0; 5]);
    assert_eq!(read(reader), "");
    put(&raw, &frame(5, 1), &[&pipe().1]);
    let error = server.recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn raw_streams_leave_none_open() {
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = Listener::bind(&endpoint()).unwrap();
    let Endpoint::Unix(name) = listener.endpoint() else { unreachable!() };
    let raw = LocalStream::connect(name, Wait::at_most(PATIENCE)).unwrap();
    let server: RawStream = listener.accept_raw_timeout(PATIENCE).unwrap().0;
    let (reader, handle) = pipe();
    put(&raw, b"bytes", &[&handle]);
    drop(handle);
    let mut buffer = [0; 9];
    assert_eq!(server.read_timeout(&mut buffer, PATIENCE).unwrap(), 5);
    assert_eq!(read(reader), "");
}
