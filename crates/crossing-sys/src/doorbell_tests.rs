use super::*;
use crate::testing::{Role, argument};
use std::time::Duration;

/// Long enough for any machine.
const ENOUGH: Duration = Duration::from_secs(60);

/// A porch of a directory of its own, gone when dropped.
struct Ground(Porch);

impl Ground {
    fn new() -> Self {
        let identity = crate::process::random_identity().unwrap();
        let directory = std::env::temp_dir()
            .join(format!("doorbell-{:02x?}", &identity[..8]).replace([' ', '[', ']', ','], ""));
        std::fs::create_dir(&directory).unwrap();
        Self(Porch::new(&directory, identity, Access::Private))
    }

    fn files(&self) -> usize {
        std::fs::read_dir(&self.0.directory).unwrap().count()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0.directory);
    }
}

/// Waits for the handle as an event loop does; whether it became ready. On Windows that silences it.
fn wait(bell: &Doorbell, time: Duration) -> bool {
    wait_any(&[bell.handle()], Some(Instant::now() + time)).unwrap().is_some()
}

#[test]
fn of_several_the_one_that_was_rung_is_told() {
    let ground = Ground::new();
    let bells: Vec<_> = (0..3).map(|number| ground.0.hang(7, number).unwrap()).collect();
    let handles: Vec<_> = bells.iter().map(Doorbell::handle).collect();
    assert_eq!(wait_any(&handles, Some(Instant::now() + Duration::from_millis(5))).unwrap(), None);
    assert!(ground.0.ring(7, 1));
    assert_eq!(wait_any(&handles, None).unwrap(), Some(1));
}

#[test]
fn a_doorbell_is_ready_from_ring_to_silence() {
    let ground = Ground::new();
    let bell = ground.0.hang(7, 1).unwrap();
    assert!(!wait(&bell, Duration::ZERO));
    assert!(ground.0.ring(7, 1));
    assert!(ground.0.ring(7, 1));
    assert!(wait(&bell, ENOUGH));
    bell.silence().unwrap();
    assert!(!wait(&bell, Duration::ZERO));
    // Others are not rung, and nobody is rung who is not there.
    assert!(!ground.0.ring(7, 2));
    assert!(!ground.0.ring(8, 1));
    assert!(!wait(&bell, Duration::ZERO));
}

#[test]
fn however_often_it_is_rung_it_neither_blocks_nor_stays() {
    let ground = Ground::new();
    let bell = ground.0.hang(7, 1).unwrap();
    // More than a pipe holds.
    for _ in 0..70_000 {
        assert!(ground.0.ring(7, 1));
    }
    for _ in 0..3 {
        bell.silence().unwrap();
    }
    assert!(!wait(&bell, Duration::ZERO));
    assert!(ground.0.ring(7, 1));
    assert!(wait(&bell, ENOUGH));
}

#[test]
fn the_alarm_rings_by_itself() {
    let ground = Ground::new();
    let bell = ground.0.hang(7, 1).unwrap();
    assert!(bell.alarm_passed());
    let at = Instant::now() + Duration::from_millis(30);
    bell.set_alarm(at).unwrap();
    assert!(wait(&bell, ENOUGH));
    // Timers of Windows may be a tick early.
    assert!(Instant::now() + Duration::from_millis(20) >= at);
    bell.silence().unwrap();
    assert!(!wait(&bell, Duration::ZERO));
    // A nearer one replaces a farther one, a farther one does not replace a nearer one.
    bell.set_alarm(Instant::now() + ENOUGH * 10).unwrap();
    assert!(!bell.alarm_passed());
    bell.set_alarm(Instant::now() + Duration::from_millis(30)).unwrap();
    bell.set_alarm(Instant::now() + ENOUGH * 10).unwrap();
    assert!(wait(&bell, ENOUGH));
}

#[test]
fn a_dropped_doorbell_leaves_nothing() {
    let ground = Ground::new();
    for _ in 0..3 {
        let bell = ground.0.hang(7, 1).unwrap();
        drop(bell);
        assert_eq!(ground.files(), 0);
        assert!(!ground.0.ring(7, 1));
    }
}

#[test]
fn names_say_whose_they_are() {
    let porch = Porch::new(Path::new("nowhere"), [0xab; 16], Access::Private);
    assert_eq!(owner_of(OsStr::new(&porch.name(0x1234, 9))), Some(0x1234));
    for name in ["segment", "lock", "bell-", "bell-1-2-3", "new-1-2", "bell-x-00001234-9"] {
        assert_eq!(owner_of(OsStr::new(name)), None);
    }
    assert_eq!(owner_of(OsStr::new(&format!("{}-1", porch.name(1, 2)))), None);
}

#[test]
#[ignore = "a role of another test"]
fn role_rings() {
    let Some(argument) = argument() else { return };
    let (directory, stem) = argument.to_str().unwrap().split_once('|').unwrap();
    let (directory, stem) = (PathBuf::from(directory), stem.to_owned());
    let porch = Porch { directory, stem, access: Access::Private };
    println!("rang {}", porch.ring(7, 1));
}

#[test]
fn another_process_rings() {
    let ground = Ground::new();
    let bell = ground.0.hang(7, 1).unwrap();
    let argument = format!("{}|{}", ground.0.directory.display(), ground.0.stem);
    let mut role = Role::start("doorbell::tests::role_rings", argument);
    assert_eq!(role.expect("rang "), "true");
    assert!(wait(&bell, ENOUGH));
}

/// What lies there in place of a doorbell is neither followed nor written into.
#[cfg(unix)]
#[test]
fn a_file_in_its_place_is_left_alone() {
    let ground = Ground::new();
    let (path, other) = (ground.0.directory.join(ground.0.name(7, 1)), ground.0.directory.join("other"));
    std::fs::write(&path, b"kept").unwrap();
    assert!(!ground.0.ring(7, 1));
    assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&other, b"kept").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    assert!(!ground.0.ring(7, 1));
    assert_eq!(std::fs::read(&other).unwrap(), b"kept");
    // Who hangs a doorbell up takes the name.
    let bell = ground.0.hang(7, 1).unwrap();
    assert!(ground.0.ring(7, 1));
    assert!(wait(&bell, ENOUGH));
    assert_eq!(std::fs::read(&other).unwrap(), b"kept");
}
