use crate::ErrorKind;
use crate::file::Access;
use crate::kernel_object::{
    MappingOptions, NamedEvent, NamedMapping, NamedMutex, NamedSemaphore, Namespace, Reset,
};
use crate::memory::HugePages;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const LOCAL: Namespace = Namespace::Local;
const SHORT: Duration = Duration::from_millis(60);

/// A name that no other test uses: tests of one process have different kinds, or numbers.
fn unique_name(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the number matters.
    format!("crossing-{kind}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_mutex_excludes_other_threads() {
    let name = unique_name("mutex");
    let mutex = NamedMutex::create(&name, LOCAL, Access::Private).unwrap();
    let held = mutex.lock().unwrap();
    assert!(!held.is_recovered());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = NamedMutex::open(&name, LOCAL).unwrap();
            assert!(other.try_lock().unwrap().is_none());
            let start = Instant::now();
            assert!(other.lock_timeout(SHORT).unwrap().is_none());
            assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
        });
    });
    drop(held);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(mutex.try_lock().unwrap().is_some()));
    });
}

#[test]
fn a_mutex_is_recursive_for_its_thread() {
    let mutex = NamedMutex::create(&unique_name("mutex"), LOCAL, Access::Private).unwrap();
    let free =
        || std::thread::scope(|scope| scope.spawn(|| mutex.try_lock().unwrap().is_some()).join().unwrap());
    let first = mutex.lock().unwrap();
    let second = mutex.lock().unwrap();
    drop(first);
    assert!(!free());
    drop(second);
    assert!(free());
}

#[test]
fn the_mutex_of_a_thread_that_ended_is_recovered_once() {
    let mutex = NamedMutex::create(&unique_name("mutex"), LOCAL, Access::Private).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(mutex.lock().unwrap().into_held()));
    });
    assert!(mutex.lock().unwrap().is_recovered());
    assert!(!mutex.lock().unwrap().is_recovered());
}

#[test]
fn a_semaphore_counts() {
    let name = unique_name("semaphore");
    let semaphore = NamedSemaphore::create(&name, LOCAL, 1, 3, Access::Group).unwrap();
    let other = NamedSemaphore::open(&name, LOCAL).unwrap();
    assert!(other.try_wait().unwrap());
    assert!(!semaphore.try_wait().unwrap());
    assert!(!semaphore.wait_timeout(SHORT).unwrap());
    assert_eq!(semaphore.release(2).unwrap(), 0);
    let error = semaphore.release(2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
    assert_eq!(other.release(1).unwrap(), 2);
    assert!(semaphore.wait_timeout(SHORT).unwrap());
    semaphore.wait().unwrap();
    assert_eq!(semaphore.release(0).unwrap_err().kind(), ErrorKind::ApiMisuse);
}

#[test]
fn an_event_resets_as_it_was_made() {
    let names = [unique_name("event"), unique_name("event")];
    let auto = NamedEvent::create(&names[0], LOCAL, Reset::Auto, true, Access::Private).unwrap();
    assert!(auto.try_wait().unwrap());
    assert!(!auto.try_wait().unwrap());
    let manual = NamedEvent::create(&names[1], LOCAL, Reset::Manual, false, Access::World).unwrap();
    let other = NamedEvent::open(&names[1], LOCAL).unwrap();
    assert!(!other.wait_timeout(SHORT).unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| other.wait().unwrap());
        manual.set().unwrap();
        waiter.join().unwrap();
    });
    assert!(manual.try_wait().unwrap());
    assert!(other.try_wait().unwrap());
    other.reset().unwrap();
    assert!(!manual.try_wait().unwrap());
}

#[test]
fn a_mapping_shares_bytes() {
    let name = unique_name("mapping");
    let mapping = NamedMapping::create(&name, 5000, &MappingOptions::default()).unwrap();
    assert_eq!(mapping.len(), 5000);
    let other = NamedMapping::open(&name, LOCAL, false).unwrap();
    assert_eq!(other.len(), 8192);
    mapping.write(4990, b"at the end").unwrap();
    let mut bytes = [0; 12];
    other.read(4990, &mut bytes).unwrap();
    assert_eq!(&bytes, b"at the end\0\0");
    assert_eq!(mapping.read(4990, &mut bytes).unwrap_err().kind(), ErrorKind::ApiMisuse);
    assert_eq!(mapping.write(usize::MAX, b"x").unwrap_err().kind(), ErrorKind::ApiMisuse);
    // Relaxed: one thread.
    mapping.word(8).unwrap().fetch_add(7, Ordering::Relaxed);
    assert_eq!(other.word(8).unwrap().load(Ordering::Relaxed), 7);
    assert_eq!(other.word(7).unwrap_err().kind(), ErrorKind::ApiMisuse);
    let reader = NamedMapping::open(&name, LOCAL, true).unwrap();
    reader.read(4990, &mut bytes).unwrap();
    assert_eq!(&bytes[..10], b"at the end");
    assert_eq!(reader.write(0, b"x").unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(reader.word(0).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn what_exists_is_never_taken_for_created() {
    let name = unique_name("taken");
    let mutex = NamedMutex::create(&name, LOCAL, Access::Private).unwrap();
    let error = NamedMutex::create(&name, LOCAL, Access::Private).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.advice().is_some(), "{error}");
    let error = NamedSemaphore::create(&name, LOCAL, 0, 1, Access::Private).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    let error = NamedEvent::open(&name, LOCAL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    drop(mutex);
    let mapping = NamedMapping::create(&name, 10, &MappingOptions::default()).unwrap();
    let error = NamedMapping::create(&name, 10, &MappingOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    drop(mapping);
    let error = NamedMapping::open(&name, LOCAL, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "an object outlived its last handle");
    assert!(error.advice().is_some(), "{error}");
}

#[test]
fn namespaces_are_apart() {
    let name = unique_name("namespace");
    let _local = NamedMutex::create(&name, LOCAL, Access::Private).unwrap();
    assert_eq!(NamedMutex::open(&name, Namespace::Global).unwrap_err().kind(), ErrorKind::NotFound);
    let global = NamedMutex::create(&name, Namespace::Global, Access::Private).unwrap();
    assert_eq!(global.name(), format!("Global\\{name}"));
}

#[test]
fn too_much_memory_is_told_in_bytes() {
    let name = unique_name("huge");
    let error = NamedMapping::create(&name, 1 << 46, &MappingOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSpace { need, .. } if need == 1 << 46), "{error:?}");
    assert!(error.advice().is_some(), "{error}");
}

#[test]
fn large_pages_come_or_the_error_tells_the_right() {
    let name = unique_name("large");
    let wish = |large_pages| MappingOptions { large_pages, ..MappingOptions::default() };
    match NamedMapping::create(&name, 1, &wish(HugePages::Require)) {
        Ok(mapping) => assert!(mapping.len() >= 2 << 20, "{mapping:?}"),
        Err(error) => {
            let expected = [ErrorKind::PermissionDenied, ErrorKind::Unsupported];
            assert!(expected.contains(&error.kind()) && error.advice().is_some(), "{error:?}");
        }
    }
    NamedMapping::create(&name, 1, &wish(HugePages::Try)).unwrap().write(0, b"x").unwrap();
}
