use super::*;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

const LONG: Duration = Duration::from_secs(30);

/// A directory of one test, removed at its end; the test fails if something is left in it.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("crossing-local-{}-{test}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn name(&self) -> LocalName {
        LocalName::Path(self.path())
    }

    fn path(&self) -> PathBuf {
        self.0.join("s")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        fs::remove_dir_all(&self.0).unwrap();
        assert!(thread::panicking() || left.is_empty(), "left behind: {left:?}");
    }
}

fn bind(name: &LocalName) -> Result<LocalListener> {
    LocalListener::bind(name, Access::Private, 8)
}

/// Says `text` over a new connection and expects it at the listener.
fn exchange(listener: &LocalListener, text: &str) {
    let client = LocalStream::connect(listener.name(), Wait::at_most(LONG)).unwrap();
    let (server, _) = listener.accept(Wait::at_most(LONG)).unwrap();
    send(&client, text.as_bytes(), Wait::Forever).unwrap();
    let mut buffer = [0; 64];
    let len = recv(&server, &mut buffer, Wait::Forever).unwrap();
    assert_eq!(&buffer[..len], text.as_bytes());
}

/// A socket file whose listener is gone.
fn stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(fs::symlink_metadata(path).unwrap().file_type().is_socket());
}

#[test]
fn the_file_has_the_mode_of_the_access_and_goes_with_the_listener() {
    let place = Place::new("mode");
    for (access, mode) in [(Access::Private, 0o600), (Access::Group, 0o660), (Access::World, 0o666)] {
        let listener = LocalListener::bind(&place.name(), access, 8).unwrap();
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, mode);
        exchange(&listener, "hello");
        drop(listener);
        assert!(!place.path().exists());
    }
}

#[test]
fn a_stale_file_is_replaced() {
    let place = Place::new("stale");
    stale(&place.path());
    let error = LocalStream::connect(&place.name(), Wait::Forever).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    exchange(&bind(&place.name()).unwrap(), "hello");
}

#[test]
fn a_live_listener_is_neither_replaced_nor_disturbed() {
    let place = Place::new("live");
    let first = bind(&place.name()).unwrap();
    let error = bind(&place.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
    // The question whether it lives was no connection.
    assert_eq!(first.accept(Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    exchange(&first, "still here");
}

#[test]
fn a_live_datagram_socket_is_not_replaced() {
    let place = Place::new("datagram");
    let foreign = UnixDatagram::bind(place.path()).unwrap();
    assert_eq!(bind(&place.name()).unwrap_err().kind(), ErrorKind::AddressInUse);
    let error = LocalStream::connect(&place.name(), Wait::Forever).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    drop(foreign);
    drop(bind(&place.name()).unwrap());
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let place = Place::new("file");
    fs::write(place.path(), "precious").unwrap();
    let error = bind(&place.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    let error = LocalStream::connect(&place.name(), Wait::Forever).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "precious");
    fs::remove_file(place.path()).unwrap();
    // Nor is what a link points at.
    fs::write(place.0.join("target"), "precious").unwrap();
    std::os::unix::fs::symlink(place.0.join("target"), place.path()).unwrap();
    assert_eq!(bind(&place.name()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    fs::remove_file(place.path()).unwrap();
    fs::remove_file(place.0.join("target")).unwrap();
}

#[test]
fn of_many_who_race_for_a_stale_file_one_wins() {
    let place = Place::new("race");
    for round in 0..50 {
        stale(&place.path());
        let barrier = Barrier::new(8);
        let results: Vec<_> = thread::scope(|scope| {
            let run = || {
                barrier.wait();
                bind(&place.name())
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}");
        for error in lost.into_iter().map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
        }
        exchange(won[0].as_ref().unwrap(), "the winner serves");
    }
}

#[test]
fn a_lock_file_left_by_a_death_hinders_nobody() {
    let place = Place::new("lock");
    fs::write(place.0.join("s.lock"), "").unwrap();
    drop(bind(&place.name()).unwrap());
}

#[test]
fn the_drop_leaves_another_ones_file_alone() {
    let place = Place::new("other");
    let listener = bind(&place.name()).unwrap();
    fs::remove_file(place.path()).unwrap();
    let other = UnixListener::bind(place.path()).unwrap();
    drop(listener);
    assert!(place.path().exists());
    drop(other);
    fs::remove_file(place.path()).unwrap();
}

#[test]
fn missing_places_and_long_names_are_told_apart() {
    let place = Place::new("missing");
    let missing = LocalName::Path(place.0.join("no/such/dir"));
    assert_eq!(bind(&missing).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(LocalStream::connect(&missing, Wait::Forever).unwrap_err().kind(), ErrorKind::NotFound);
    for name in [LocalName::Path("/tmp/".to_owned().into()).clone(), LocalName::Abstract(String::new())] {
        let long = match name {
            LocalName::Path(_) => LocalName::Path(format!("/tmp/{}", "x".repeat(200)).into()),
            LocalName::Abstract(_) => LocalName::Abstract("x".repeat(205)),
        };
        let too_large = ErrorKind::TooLarge { len: 205, max: 107 };
        assert_eq!(bind(&long).unwrap_err().kind(), too_large);
        assert_eq!(LocalStream::connect(&long, Wait::Forever).unwrap_err().kind(), too_large);
    }
    for wrong in ["", "@", "a\0b"] {
        assert_eq!(LocalName::parse(wrong).unwrap_err().kind(), ErrorKind::ApiMisuse, "{wrong:?}");
    }
}

#[test]
fn abstract_names_have_no_file_and_know_their_peers() {
    let name = LocalName::Abstract(format!("crossing-test-{}", std::process::id()));
    let listener = bind(&name).unwrap();
    assert_eq!(bind(&name).unwrap_err().kind(), ErrorKind::AddressInUse);
    let client = LocalStream::connect(&name, Wait::Forever).unwrap();
    let (_server, peer) = listener.accept(Wait::Forever).unwrap();
    assert_eq!(peer.process_id(), Some(std::process::id()));
    assert!(peer.is_same_user() && peer.ids().is_some());
    assert_eq!(client.credentials().unwrap(), peer);
    drop(listener);
    assert_eq!(LocalStream::connect(&name, Wait::Never).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn access_decides_about_credentials() {
    let stranger = Credentials { process_id: None, ids: Some((1, 1)), same_user: false, same_group: false };
    let colleague = Credentials { same_group: true, ..stranger };
    let own = Credentials { same_user: true, ..stranger };
    let allowed =
        |who: Credentials| [Access::Private, Access::Group, Access::World].map(|a| who.is_allowed(a));
    assert_eq!(allowed(stranger), [false, false, true]);
    assert_eq!(allowed(colleague), [false, true, true]);
    assert_eq!(allowed(own), [true, true, true]);
}

#[test]
fn waits_end_when_they_should() {
    let place = Place::new("waits");
    let listener = LocalListener::bind(&place.name(), Access::Private, 0).unwrap();
    let soon = || Wait::at_most(Duration::from_millis(20));
    assert_eq!(listener.accept(soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    let mut waiting = Vec::new();
    let full = loop {
        match LocalStream::connect(&place.name(), Wait::Never) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100, "the backlog has no end");
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    let late = LocalStream::connect(&place.name(), soon()).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut, "{late}");

    let (left, right) = LocalStream::pair().unwrap();
    let mut buffer = vec![0; 1 << 16];
    assert_eq!(recv(&left, &mut buffer, Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(recv(&left, &mut buffer, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    while send(&right, &buffer, Wait::Never).is_ok() {}
    assert_eq!(send(&right, &buffer, Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(send(&right, &buffer, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    let both = Ready { readable: true, writable: true };
    let ready = wait_ready(&right, both, Some(Instant::now())).unwrap();
    assert_eq!(ready, Ready::default());
    let ready = wait_ready(&left, both, None).unwrap();
    assert_eq!(ready, both);
}

#[test]
fn an_ended_and_a_closed_peer_are_seen() {
    let (left, right) = LocalStream::pair().unwrap();
    end_sending(&left).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(recv(&right, &mut buffer, Wait::Forever).unwrap(), 0);
    send(&right, b"still", Wait::Forever).unwrap();
    assert_eq!(recv(&left, &mut buffer, Wait::Forever).unwrap(), 5);
    drop(left);
    let error = send(&right, b"gone", Wait::Forever).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn handles_cross_and_work() {
    let (left, right) = LocalStream::pair().unwrap();
    let (near, far) = LocalStream::pair().unwrap();
    let far = far.into_handle();
    let sent = left.send_with_handles(b"take it", &[&far, &far], Wait::Forever).unwrap();
    assert_eq!(sent, 7);
    drop(far);
    let (mut buffer, mut handles) = ([0; 16], Vec::new());
    let len = right.recv_with_handles(&mut buffer, &mut handles, 2, Wait::Forever).unwrap();
    assert_eq!((&buffer[..len], handles.len()), (&b"take it"[..], 2));
    let flags = rustix::io::fcntl_getfd(&handles[0]).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    handles.truncate(1);
    let far = LocalStream::from_handle(handles.remove(0));
    send(&far, b"hello", Wait::Forever).unwrap();
    assert_eq!(recv(&near, &mut buffer, Wait::Forever).unwrap(), 5);
    drop(far);
    // All copies are closed now, or this would wait.
    assert_eq!(recv(&near, &mut buffer, Wait::at_most(LONG)).unwrap(), 0);
}

#[test]
fn more_handles_than_allowed_are_refused_and_closed() {
    let (left, right) = LocalStream::pair().unwrap();
    let (near, far) = LocalStream::pair().unwrap();
    let far = far.into_handle();
    let many = vec![&far; MAX_HANDLES + 1];
    let error = left.send_with_handles(b"x", &many, Wait::Forever).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(
        left.send_with_handles(b"", &[], Wait::Forever).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    left.send_with_handles(b"x", &many[..MAX_HANDLES], Wait::Forever).unwrap();
    drop(far);
    let (mut buffer, mut handles) = ([0; 16], Vec::new());
    let error = right.recv_with_handles(&mut buffer, &mut handles, 3, Wait::Forever).unwrap_err();
    assert_eq!((error.kind(), handles.len()), (io::ErrorKind::InvalidData, 0));
    assert_eq!(recv(&near, &mut buffer, Wait::at_most(LONG)).unwrap(), 0);
}
