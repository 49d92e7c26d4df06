//! Segments of shared memory that have no name go to another process by their handle.

#![forbid(unsafe_code)]

use crossing::net::{Endpoint, Listener, Stream};
use crossing::shm::Segment;
use crossing::sync::MutexCell;
use crossing::{ErrorKind, Handle};
use crossing_testkit::{Child, PATIENCE, role, unique_name, watchdog};

/// Adds `by` to the counter in the segment behind a handle that came.
fn raise(handles: Vec<Handle>, by: u64) {
    let [handle] = <[Handle; 1]>::try_from(handles).expect("one handle");
    let segment = Segment::options().from_handle(handle).unwrap();
    *segment.attach::<MutexCell<u64>>(0).unwrap().lock().into_guard() += by;
}

#[test]
#[ignore = "a child process"]
fn role_counter() {
    let Some(role) = role("role_counter") else { return };
    let endpoint = role.argument("endpoint");
    let mut options = Stream::options();
    options.max_handles(1).connect_timeout(PATIENCE);
    if role.argument("kind") == "stream" {
        let mut stream = options.connect(&endpoint).unwrap();
        while let Ok((frame, handles)) = stream.recv_with_handles_timeout(PATIENCE) {
            raise(handles, frame.len() as u64);
            stream.send(b"done").unwrap();
        }
        assert!(stream.peer_ended());
    } else {
        let mut packets = options.packets().connect(&endpoint).unwrap();
        while let Ok((packet, handles)) = packets.recv_with_handles_timeout(PATIENCE) {
            raise(handles, packet.len() as u64);
            packets.send(b"done").unwrap();
        }
    }
}

fn child(endpoint: &Endpoint, kind: &str) -> Child {
    Child::role("role_counter").argument("endpoint", endpoint.to_string()).argument("kind", kind).spawn()
}

/// Segments with a counter each; `None` where the system has none without a name.
fn segments() -> Option<[Segment; 2]> {
    match Segment::options().size(4096).anonymous("counter") {
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        first => Some([first.unwrap(), Segment::options().size(4096).anonymous("counter").unwrap()]),
    }
}

fn counts(segments: &[Segment]) -> Vec<u64> {
    let count = |segment: &Segment| segment.attach::<MutexCell<u64>>(0).unwrap().lock().into_guard().get();
    segments.iter().map(count).collect()
}

#[test]
fn a_segment_goes_over_a_stream_of_frames() {
    let _watchdog = watchdog(2 * PATIENCE);
    let Some(segments) = segments() else { return };
    let endpoint = Endpoint::local(&unique_name("handles")).unwrap();
    let listener = Listener::bind(&endpoint).unwrap();
    let child = child(&endpoint, "stream");
    let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
    for (at, frame) in [&b"1"[..], b"22", b"333"].into_iter().enumerate() {
        stream.send_with_handles(frame, &[segments[at % 2].handle().unwrap()]).unwrap();
        assert_eq!(stream.recv_timeout(PATIENCE).unwrap(), b"done");
    }
    stream.close().unwrap();
    child.wait(PATIENCE).success();
    assert_eq!(counts(&segments), [4, 2]);
}

#[cfg(unix)]
#[test]
fn a_segment_goes_with_a_packet() {
    let _watchdog = watchdog(2 * PATIENCE);
    let Some(segments) = segments() else { return };
    let endpoint = Endpoint::local(&unique_name("handles")).unwrap();
    let listener = match Listener::options().packets().bind(&endpoint) {
        Err(error) if error.kind() == ErrorKind::Unsupported => return,
        listener => listener.unwrap(),
    };
    let child = child(&endpoint, "packets");
    let (mut packets, _) = listener.accept_timeout(PATIENCE).unwrap();
    for (at, packet) in [&b"1"[..], b"22", b"333"].into_iter().enumerate() {
        packets.send_with_handles(packet, &[segments[at % 2].handle().unwrap()]).unwrap();
        assert_eq!(packets.recv_timeout(PATIENCE).unwrap(), b"done");
    }
    drop(packets);
    child.wait(PATIENCE).success();
    assert_eq!(counts(&segments), [4, 2]);
}
