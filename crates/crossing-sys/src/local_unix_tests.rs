//! Unix sockets: their files, and names that live or died.

use super::tests::exchange;
use super::*;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

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
    for long in
        [LocalName::Path(format!("/tmp/{}", "x".repeat(200)).into()), LocalName::Abstract("x".repeat(205))]
    {
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
fn waits_for_a_listener_end_when_they_should() {
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
}
