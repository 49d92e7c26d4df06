//! Mutexes, semaphores, events and file mappings between Crossing and a C program, both ways.
#![cfg(windows)]

use crossing::foreign::kernel_object::{
    MappingOptions, NamedEvent, NamedMapping, NamedMutex, NamedSemaphore, Namespace, Reset,
};
use crossing::{Access, ErrorKind};
use crossing_interop_windows_tests::{ask, foreign, start};
use crossing_testkit::{Child, PATIENCE, role, unique_name};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const LOCAL: Namespace = Namespace::Local;
const SHORT: Duration = Duration::from_millis(60);

/// With a letter that is no ASCII: both sides must mean the same UTF-16.
fn name(kind: &str) -> String {
    unique_name(&format!("größe-{kind}"))
}

#[test]
fn a_mutex_made_in_c_excludes_and_passes() {
    let name = name("mutex");
    let mut c = foreign(&["mutex", "create", &name, "1"]);
    let mutex = NamedMutex::open(&name, LOCAL).unwrap();
    let start = Instant::now();
    assert!(mutex.lock_timeout(SHORT).unwrap().is_none());
    assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
    c.tell("unlock");
    let acquired = mutex.lock_timeout(PATIENCE).unwrap().expect("the C program unlocked");
    assert!(!acquired.is_recovered());
    c.expect("unlocked");
    assert_eq!(ask(&mut c, "wait 50"), "timeout");
    drop(acquired);
    assert_eq!(ask(&mut c, "wait 10000"), "object");
    assert!(mutex.try_lock().unwrap().is_none());
    assert_eq!(ask(&mut c, "unlock"), "unlocked");
    assert_eq!(ask(&mut c, "unlock"), "error 288", "ERROR_NOT_OWNER");
}

#[test]
fn a_mutex_of_a_killed_c_program_is_recovered_once() {
    let name = name("mutex");
    let mutex = NamedMutex::create(&name, LOCAL, Access::Private).unwrap();
    let mut c = foreign(&["mutex", "open", &name]);
    assert_eq!(ask(&mut c, "wait 10000"), "object");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let acquired = mutex.lock_timeout(PATIENCE).unwrap().expect("the dead do not hold it");
            acquired.is_recovered()
        });
        std::thread::sleep(SHORT);
        assert!(!waiter.is_finished());
        c.kill();
        assert!(waiter.join().unwrap(), "the waiter was not told of the death");
    });
    let again = mutex.lock().unwrap();
    assert!(!again.is_recovered(), "told twice");
}

#[test]
#[ignore = "a child process of a_mutex_of_a_killed_holder_is_abandoned_in_c"]
fn role_holder() {
    let Some(role) = role("role_holder") else { return };
    let mutex = NamedMutex::open(&role.argument("name"), LOCAL).unwrap();
    let _held = mutex.lock().unwrap();
    role.say("locked");
    role.pause();
}

#[test]
fn a_mutex_of_a_killed_holder_is_abandoned_in_c() {
    let name = name("mutex");
    let mut c = foreign(&["mutex", "create", &name]);
    let mut holder = Child::role("role_holder").argument("name", &name).spawn();
    holder.expect("locked");
    assert_eq!(ask(&mut c, "wait 50"), "timeout");
    c.tell("wait 20000");
    assert!(c.line(SHORT).is_none(), "the C program got a mutex that another holds");
    holder.kill();
    c.expect("abandoned");
    assert_eq!(ask(&mut c, "unlock"), "unlocked");
    assert_eq!(ask(&mut c, "wait 10000"), "object", "told twice");
}

#[test]
fn a_semaphore_counts_both_ways() {
    let name = name("semaphore");
    let semaphore = NamedSemaphore::create(&name, LOCAL, 1, 4, Access::Private).unwrap();
    let mut c = foreign(&["semaphore", "open", &name]);
    assert_eq!(ask(&mut c, "wait 10000"), "object");
    assert_eq!(ask(&mut c, "wait 50"), "timeout");
    assert!(!semaphore.wait_timeout(SHORT).unwrap());
    assert_eq!(ask(&mut c, "release 3"), "before 0");
    assert!(semaphore.try_wait().unwrap());
    assert_eq!(semaphore.release(2).unwrap(), 2);
    assert_eq!(ask(&mut c, "release 1"), "error 298", "ERROR_TOO_MANY_POSTS");
    assert_eq!(semaphore.release(1).unwrap_err().kind(), ErrorKind::LimitReached);
    for _ in 0..4 {
        assert_eq!(ask(&mut c, "wait 0"), "object");
    }
    c.tell("wait 20000");
    assert_eq!(semaphore.release(1).unwrap(), 0);
    c.expect("object");
}

#[test]
fn a_semaphore_made_in_c_counts() {
    let name = name("semaphore");
    let mut c = foreign(&["semaphore", "create", &name, "2", "3"]);
    let semaphore = NamedSemaphore::open(&name, LOCAL).unwrap();
    assert!(semaphore.try_wait().unwrap() && semaphore.try_wait().unwrap());
    assert!(!semaphore.try_wait().unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| semaphore.wait_timeout(PATIENCE).unwrap());
        std::thread::sleep(SHORT);
        assert_eq!(ask(&mut c, "release 1"), "before 0");
        assert!(waiter.join().unwrap());
    });
    assert_eq!(semaphore.release(4).unwrap_err().kind(), ErrorKind::LimitReached);
}

#[test]
fn events_wake_both_ways() {
    let name = name("event");
    let mut c = foreign(&["event", "create", &name, "0", "0"]);
    let event = NamedEvent::open(&name, LOCAL).unwrap();
    assert!(!event.wait_timeout(SHORT).unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| event.wait_timeout(PATIENCE).unwrap());
        std::thread::sleep(SHORT);
        assert_eq!(ask(&mut c, "set"), "set");
        assert!(waiter.join().unwrap());
    });
    assert!(!event.try_wait().unwrap(), "it was reset by letting one through");
    c.tell("wait 20000");
    event.set().unwrap();
    c.expect("object");
    assert_eq!(ask(&mut c, "wait 50"), "timeout");
}

#[test]
fn an_event_of_manual_reset_stays_set_in_c() {
    let name = name("event");
    let event = NamedEvent::create(&name, LOCAL, Reset::Manual, false, Access::Private).unwrap();
    let mut c = foreign(&["event", "open", &name]);
    assert_eq!(ask(&mut c, "wait 50"), "timeout");
    event.set().unwrap();
    assert_eq!(ask(&mut c, "wait 10000"), "object");
    assert_eq!(ask(&mut c, "wait 0"), "object");
    assert_eq!(ask(&mut c, "reset"), "reset");
    assert!(!event.try_wait().unwrap());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_mapping_carries_bytes_both_ways() {
    let name = name("mapping");
    let mapping = NamedMapping::create(&name, 10_000, &MappingOptions::default()).unwrap();
    let mut c = foreign(&["mapping", "open", &name]);
    assert_eq!(ask(&mut c, "size"), "size 12288", "10000 bytes in whole pages");
    mapping.write(9_990, &[0, 255, 1, 254, 10, 13, 26, 0x80, 9, 7]).unwrap();
    assert_eq!(ask(&mut c, "get 9990 10"), "00ff01fe0a0d1a800907");
    let sent: Vec<u8> = (0..=255).collect();
    assert_eq!(ask(&mut c, &format!("put 4000 {}", hex(&sent))), "put");
    let mut got = [0; 256];
    mapping.read(4_000, &mut got).unwrap();
    assert_eq!(got[..], sent);
    // SeqCst, as the Interlocked functions of C.
    mapping.word(16).unwrap().store(40, Ordering::SeqCst);
    assert_eq!(ask(&mut c, "add 16 2"), "before 40");
    assert_eq!(mapping.word(16).unwrap().load(Ordering::SeqCst), 42);
}

#[test]
fn a_mapping_made_in_c_has_its_size_and_bounds() {
    let name = name("mapping");
    let mut c = foreign(&["mapping", "create", &name, "5000"]);
    assert_eq!(ask(&mut c, "put 0 c0ffee"), "put");
    let mapping = NamedMapping::open(&name, LOCAL, true).unwrap();
    assert_eq!(mapping.len(), 8192, "the system tells whole pages");
    let mut bytes = [9; 4];
    mapping.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0xc0, 0xff, 0xee, 0]);
    assert_eq!(mapping.read(8190, &mut bytes).unwrap_err().kind(), ErrorKind::ApiMisuse);
    assert_eq!(mapping.write(0, b"x").unwrap_err().kind(), ErrorKind::PermissionDenied);
    drop(mapping);
    c.kill();
    let gone = NamedMapping::open(&name, LOCAL, true).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound, "the memory outlived its last handle");
}

#[test]
fn what_c_has_made_is_never_taken_for_created() {
    let name = name("taken");
    let _c = foreign(&["mutex", "create", &name]);
    let error = NamedMutex::create(&name, LOCAL, Access::Private).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = NamedMapping::open(&name, LOCAL, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    start(&["mutex", "create", &name]).expect("exists");
    start(&["event", "open", &name]).expect("error 6");
}
