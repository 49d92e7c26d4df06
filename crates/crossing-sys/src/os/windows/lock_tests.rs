//! The contract of [`crate::lock`], across openings and processes.

use crate::directory::open_lock_file;
use crate::file::Access;
use crate::lock::{LockFile, MAX_SLOTS};
use crate::testing::{Place, Role, argument, told};
use std::path::Path;

fn opening(path: &Path) -> LockFile {
    LockFile::new(open_lock_file(path, Access::Private).unwrap())
}

#[test]
fn a_slot_has_one_holder_among_openings() {
    let place = Place::new();
    let path = place.0.join("lock");
    let (one, other) = (opening(&path), opening(&path));
    assert!(one.try_lock(3).unwrap());
    assert!(one.try_lock(3).unwrap(), "its holder has it already");
    assert!(!other.try_lock(3).unwrap());
    assert!(other.try_lock(4).unwrap() && other.try_lock(MAX_SLOTS - 1).unwrap(), "slots are apart");
    one.unlock(3).unwrap();
    one.unlock(3).unwrap();
    assert!(other.try_lock(3).unwrap());
    drop(other);
    assert!(one.try_lock(3).unwrap() && one.try_lock(4).unwrap(), "closing releases");
}

#[test]
fn a_question_neither_takes_nor_disturbs_a_slot() {
    let place = Place::new();
    let path = place.0.join("lock");
    let (one, other) = (opening(&path), opening(&path));
    assert!(!other.is_locked_elsewhere(0).unwrap());
    assert!(one.try_lock(0).unwrap(), "the question left it free");
    assert!(other.is_locked_elsewhere(0).unwrap() && other.is_locked_elsewhere(0).unwrap());
    assert!(!one.is_locked_elsewhere(0).unwrap(), "one's own is not elsewhere");
    assert!(!other.try_lock(0).unwrap(), "and still held after its holder asked");
}

/// Locks of Windows keep others from reading and writing what is locked: that must not be the content.
#[test]
fn content_stays_usable_while_slots_are_held() {
    let place = Place::new();
    let path = place.0.join("lock");
    let holder = opening(&path);
    for slot in [0, 255, MAX_SLOTS - 1] {
        assert!(holder.try_lock(slot).unwrap());
    }
    std::fs::write(&path, b"content").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"content");
}

#[test]
#[ignore = "a role of the test below"]
fn role_holder() {
    let Some(path) = argument() else { return };
    let file = opening(&path);
    assert!(file.try_lock(9).unwrap());
    println!("holding");
    told();
}

#[test]
fn a_killed_process_holds_nothing() {
    let place = Place::new();
    let path = place.0.join("lock");
    let file = opening(&path);
    let mut holder = Role::start("os::windows::lock::tests::role_holder", &path);
    holder.expect("holding");
    assert!(file.is_locked_elsewhere(9).unwrap() && !file.try_lock(9).unwrap());
    holder.kill();
    let soon = std::time::Instant::now() + std::time::Duration::from_secs(5);
    assert!(file.lock_deadline(9, Some(soon)).unwrap(), "death releases");
}
