//! Connections between real processes: their death, their identity, what they hand over.

#![forbid(unsafe_code)]

use crossing_net::{Access, Endpoint, ErrorKind, Listener, LocalName, Peer, RawStream, Stream};
use crossing_sys::file::Handle;
use crossing_sys::local::{LocalListener, LocalStream, Wait, recv, send};
use crossing_testkit::{Child, PATIENCE, Role, role, unique_name, watchdog};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn patience() -> Wait {
    Wait::at_most(PATIENCE)
}

/// A local endpoint of this system.
fn local() -> String {
    let name = unique_name("crossing-proc");
    if cfg!(windows) { format!("pipe:{name}") } else { format!("unix:@{name}") }
}

fn local_name(endpoint: &str) -> LocalName {
    match endpoint.parse().unwrap() {
        Endpoint::Unix(name) => name,
        Endpoint::Pipe(name) => LocalName::Pipe(name),
        other => panic!("{other} is not local"),
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// Runs `test` over TCP and over a local socket.
fn over_each(test: impl Fn(&str)) {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in ["tcp:127.0.0.1:0".to_owned(), local()] {
        eprintln!("over {endpoint}");
        test(&endpoint);
    }
}

fn spawn(role: &str, endpoint: impl ToString) -> Child {
    Child::role(role).argument("endpoint", endpoint.to_string()).spawn()
}

fn connect(role: &Role) -> Stream {
    Stream::options().connect_timeout(PATIENCE).connect(&role.argument("endpoint")).unwrap()
}

fn connect_raw(role: &Role) -> RawStream {
    Stream::options().connect_timeout(PATIENCE).raw().connect(&role.argument("endpoint")).unwrap()
}

#[test]
#[ignore = "a child process"]
fn role_echo() {
    let Some(role) = role("role_echo") else { return };
    let mut stream = connect(&role);
    loop {
        match stream.recv_timeout(PATIENCE) {
            Ok(frame) => {
                let frame = frame.to_vec();
                stream.send_timeout(&frame, PATIENCE).unwrap();
            }
            Err(error) => {
                assert!(error.kind() == ErrorKind::Disconnected && stream.peer_ended(), "{error}");
                return stream.close().unwrap();
            }
        }
    }
}

#[test]
fn frames_cross_between_processes() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let child = spawn("role_echo", listener.endpoint());
        let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
        for len in [0, 1, 5000, 70_000, 8 * MIB] {
            let frame = pattern(len);
            stream.send_timeout(&frame, PATIENCE).unwrap();
            assert!(stream.recv_timeout(PATIENCE).unwrap() == frame, "{len}");
        }
        stream.end_sending().unwrap();
        let error = stream.recv_timeout(PATIENCE).unwrap_err();
        assert!(error.kind() == ErrorKind::Disconnected && stream.peer_ended(), "{error}");
        child.wait(PATIENCE).success();
    });
}

#[test]
#[ignore = "a child process"]
fn role_raw_writer() {
    let Some(role) = role("role_raw_writer") else { return };
    let stream = connect_raw(&role);
    stream.write_all_timeout(&pattern(3 * MIB), PATIENCE).unwrap();
    stream.shutdown_write().unwrap();
    let mut buffer = [0; 16];
    let len = stream.read_timeout(&mut buffer, PATIENCE).unwrap();
    assert_eq!(&buffer[..len], b"received");
    // Gone at once: what was written before must arrive all the same.
    stream.write_all_timeout(b"", PATIENCE).unwrap();
}

#[test]
fn bytes_cross_between_processes_and_the_end_is_one_sided() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let child = spawn("role_raw_writer", listener.endpoint());
        let (stream, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        assert!(stream.read_to_end_deadline(4 * MIB, deadline).unwrap() == pattern(3 * MIB));
        stream.write_all_timeout(b"received", PATIENCE).unwrap();
        child.wait(PATIENCE).success();
    });
}

#[test]
#[ignore = "a child process"]
fn role_leaver() {
    let Some(role) = role("role_leaver") else { return };
    let stream = connect_raw(&role);
    stream.write_all_timeout(&pattern(20_000), PATIENCE).unwrap();
}

#[test]
fn what_was_written_arrives_though_the_writer_is_gone() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let child = spawn("role_leaver", listener.endpoint());
        let (stream, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
        child.wait(PATIENCE).success();
        let deadline = std::time::Instant::now() + PATIENCE;
        assert!(stream.read_to_end_deadline(MIB, deadline).unwrap() == pattern(20_000));
    });
}

#[test]
#[ignore = "a child process"]
fn role_hello_and_pause() {
    let Some(role) = role("role_hello_and_pause") else { return };
    let mut stream = connect(&role);
    stream.send_timeout(b"hello", PATIENCE).unwrap();
    role.pause()
}

#[test]
fn a_killed_client_is_a_disconnection() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let mut child = spawn("role_hello_and_pause", listener.endpoint());
        let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
        assert_eq!(stream.recv_timeout(PATIENCE).unwrap(), b"hello");
        let error = stream.recv_timeout(Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        std::thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                let error = stream.recv_timeout(PATIENCE).unwrap_err();
                (error.kind(), stream.peer_ended())
            });
            std::thread::sleep(Duration::from_millis(50));
            assert!(!receiving.is_finished());
            child.kill();
            assert_eq!(receiving.join().unwrap(), (ErrorKind::Disconnected, false));
        });
        let error = loop {
            if let Err(error) = stream.send_timeout(b"anybody there?", PATIENCE) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    });
}

#[test]
#[ignore = "a child process"]
fn role_server() {
    let Some(role) = role("role_server") else { return };
    let listener = Listener::bind(&role.argument("endpoint")).unwrap();
    role.say(listener.endpoint());
    let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
    stream.send_timeout(b"welcome", PATIENCE).unwrap();
    role.pause()
}

#[test]
fn a_killed_server_is_a_disconnection_and_leaves_its_name() {
    over_each(|endpoint| {
        let mut child = spawn("role_server", endpoint);
        let address = child.expect_line(PATIENCE);
        let mut stream = Stream::connect(&address).unwrap();
        assert_eq!(stream.recv_timeout(PATIENCE).unwrap(), b"welcome");
        if let Peer::Local(server) = stream.peer().unwrap() {
            assert_eq!(server.process_id(), Some(child.pid()));
            assert!(server.is_same_user());
        }
        // Whoever has the name keeps it.
        assert_eq!(Listener::bind(&address).unwrap_err().kind(), ErrorKind::AddressInUse);
        child.kill();
        let error = stream.recv_timeout(PATIENCE).unwrap_err();
        assert!(error.kind() == ErrorKind::Disconnected && !stream.peer_ended(), "{error}");
        drop(stream);
        let listener = Listener::bind(&address).unwrap();
        drop(Stream::connect(&address).unwrap());
        listener.accept_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn a_listener_knows_the_process_and_user_of_its_client() {
    let _watchdog = watchdog(PATIENCE);
    for access in [Access::Private, Access::Group, Access::World] {
        let listener = Listener::options().access(access).bind(&local()).unwrap();
        let child = spawn("role_hello_and_pause", listener.endpoint());
        let (_stream, peer) = listener.accept_timeout(PATIENCE).unwrap();
        let Peer::Local(client) = peer else { panic!("{peer}") };
        assert_eq!(client.process_id(), Some(child.pid()));
        assert!(client.is_same_user() && client.is_allowed(Access::Private), "{client:?}");
        assert_eq!(client.sid().is_some(), cfg!(windows), "{client:?}");
        assert_eq!(client.ids().is_some(), cfg!(unix), "{client:?}");
    }
}

fn scratch_file() -> (PathBuf, File) {
    let path = std::env::temp_dir().join(unique_name("crossing-handle"));
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    (path, file)
}

#[cfg(unix)]
fn handle(file: File) -> Handle {
    Handle::from(std::os::fd::OwnedFd::from(file))
}

#[cfg(unix)]
fn file(handle: Handle) -> File {
    File::from(std::os::fd::OwnedFd::from(handle))
}

#[cfg(windows)]
fn handle(file: File) -> Handle {
    Handle::from(std::os::windows::io::OwnedHandle::from(file))
}

#[cfg(windows)]
fn file(handle: Handle) -> File {
    File::from(std::os::windows::io::OwnedHandle::from(handle))
}

/// Receives a file and its client's word for it, writes into it and says so.
#[test]
#[ignore = "a child process"]
fn role_file_user() {
    let Some(role) = role("role_file_user") else { return };
    let name = local_name(&role.argument("endpoint"));
    let stream = LocalStream::connect(&name, patience()).unwrap();
    let (mut buffer, mut handles) = ([0; 64], Vec::new());
    let len = stream.recv_with_handles(&mut buffer, &mut handles, 1, patience()).unwrap();
    assert_eq!((&buffer[..len], handles.len()), (&b"a file"[..], 1));
    let mut file = file(handles.remove(0));
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the parent; ");
    file.write_all(b"from the child").unwrap();
    // And back, the other way.
    let sent = stream.send_with_handles(b"and back", &[&handle(file)], patience()).unwrap();
    assert_eq!(sent, 8);
    // Still here when the handle is taken.
    assert_eq!(recv(&stream, &mut buffer, patience()).unwrap(), 2);
}

#[test]
fn an_open_file_crosses_in_both_directions() {
    let _watchdog = watchdog(2 * PATIENCE);
    let endpoint = local();
    let listener = LocalListener::bind(&local_name(&endpoint), Access::Private, 1).unwrap();
    let child = spawn("role_file_user", &endpoint);
    let (stream, _) = listener.accept(patience()).unwrap();
    let (path, mut own) = scratch_file();
    own.write_all(b"from the parent; ").unwrap();
    let own = handle(own);
    assert_eq!(stream.send_with_handles(b"a file", &[&own], patience()).unwrap(), 6);
    drop(own);
    let (mut buffer, mut handles) = ([0; 64], Vec::new());
    let len = stream.recv_with_handles(&mut buffer, &mut handles, 1, patience()).unwrap();
    assert_eq!((&buffer[..len], handles.len()), (&b"and back"[..], 1));
    send(&stream, b"ok", patience()).unwrap();
    child.wait(PATIENCE).success();
    // The child is gone, its handle is not.
    let mut again = file(handles.remove(0));
    let mut text = String::new();
    again.seek(SeekFrom::Start(0)).unwrap();
    again.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the parent; from the child");
    drop(again);
    std::fs::remove_file(path).unwrap();
}
