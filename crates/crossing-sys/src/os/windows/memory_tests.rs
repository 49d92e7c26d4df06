use super::*;
use crate::ErrorKind;
use crate::memory::{MapOptions, MemoryFile};
use crate::testing::{Place, Role, argument, told};

fn record() -> Record {
    Record { flags: 0, identity: super::super::process::random_identity().unwrap(), len: 8192 }
}

fn made(path: &Path) -> MemoryFile {
    let file = MemoryFile::create(path, &Storage::default()).unwrap();
    file.allocate(8192, "test").unwrap();
    file
}

#[test]
fn the_record_has_the_documented_layout() {
    let record = Record { flags: LARGE | GLOBAL, identity: [0xab; 16], len: 0x0102_0304_0506_0708 };
    let bytes = record.bytes();
    assert_eq!(&bytes[..16], b"CROSSSEC\x01\0\0\0\x03\0\0\0");
    assert_eq!(bytes[16..32], [0xab; 16]);
    assert_eq!(&bytes[32..40], &[8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(bytes[40..], [0; 24]);
    let name = |flags| {
        let name = Record { flags, ..record }.name().unwrap();
        String::from_utf16(&name[..name.len() - 1]).unwrap()
    };
    assert_eq!(name(0), format!("Local\\crossing-{}", "ab".repeat(16)));
    assert_eq!(name(GLOBAL), format!("Global\\crossing-{}", "ab".repeat(16)));
}

/// What else a file may hold never becomes a section: it is a file of so many bytes, which the levels above refuse.
#[test]
fn a_broken_record_is_no_record() {
    let place = Place::new();
    let path = place.0.join("segment");
    let file = made(&path);
    let good = std::fs::read(&path).unwrap();
    assert_eq!(good.len(), RECORD_LEN);
    for (at, value) in [(0, b'X'), (7, b'X'), (8, 2), (11, 1)] {
        let mut bad = good.clone();
        bad[at] = value;
        std::fs::write(&path, &bad).unwrap();
        assert!(Record::read(file.handle()).unwrap().is_none(), "byte {at}");
        let opened = MemoryFile::open(&path, false).unwrap();
        assert_eq!(opened.len().unwrap(), RECORD_LEN as u64);
        assert!(opened.map(8192, MapOptions::default()).is_err(), "byte {at}");
    }
    std::fs::write(&path, &good[..RECORD_LEN - 1]).unwrap();
    assert!(Record::read(file.handle()).unwrap().is_none(), "cut short");
    let mut stranger = good.clone();
    stranger[16] ^= 1;
    std::fs::write(&path, &stranger).unwrap();
    let opened = MemoryFile::open(&path, false).unwrap();
    assert!(opened.is_gone() && opened.map(8192, MapOptions::default()).is_err(), "names no section");
    let mut larger = good.clone();
    larger[34] = 1;
    std::fs::write(&path, &larger).unwrap();
    let opened = MemoryFile::open(&path, false).unwrap();
    let len = opened.len().unwrap();
    assert_eq!(len, 8192 + 0x1_0000);
    assert!(opened.map(len as usize, MapOptions::default()).is_err(), "longer than its section");
    std::fs::write(&path, &good).unwrap();
    assert!(MemoryFile::open(&path, false).unwrap().map(8192, MapOptions::default()).is_ok());
}

#[test]
fn a_section_that_has_the_name_already_is_refused() {
    let record = record();
    let squatter = create_section(&record, Access::Private).unwrap();
    let error = create_section(&record, Access::Private).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(ERROR_ALREADY_EXISTS as i32));
    drop(squatter);
    create_section(&record, Access::Private).unwrap();
}

#[test]
#[ignore = "a role of the test below"]
fn role_creator() {
    let Some(path) = argument() else { return };
    let file = made(&path);
    let map = file.map(8192, MapOptions::default()).unwrap();
    println!("made");
    told();
    drop(map);
}

#[test]
fn memory_goes_with_its_last_user_and_says_so() {
    let place = Place::new();
    let path = place.0.join("segment");
    let mut creator = Role::start("os::windows::memory::tests::role_creator", &path);
    creator.expect("made");
    let file = MemoryFile::open(&path, false).unwrap();
    assert!(!file.is_gone());
    let map = file.map(8192, MapOptions::default()).unwrap();
    creator.kill();
    assert!(!file.is_gone(), "this process still has it");
    drop(map);
    // Wine closes the handles of a killed process a little later.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !file.is_gone() && std::time::Instant::now() < end {
        std::thread::yield_now();
    }
    assert!(file.is_gone());
    let error = file.map(8192, MapOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    crate::directory::remove(&path, &place.0.join("trash")).unwrap();
    let again = made(&path);
    assert!(!again.is_gone() && again.map(8192, MapOptions::default()).is_ok());
}

#[test]
fn a_section_is_allocated_once_by_who_made_it() {
    let place = Place::new();
    let path = place.0.join("segment");
    let file = made(&path);
    let other = MemoryFile::open(&path, false).unwrap();
    let error = other.allocate(1 << 20, "other").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!((file.len().unwrap(), other.len().unwrap()), (8192, 8192));
}

/// With the privilege there are large pages; without it the error says which privilege, and `Try` gives small pages.
#[test]
fn large_pages_or_a_clear_error() {
    let place = Place::new();
    let wanted = |name: &str, huge_pages| {
        let storage = Storage { huge_pages, ..Storage::default() };
        let file = MemoryFile::create(&place.0.join(name), &storage).unwrap();
        file.allocate(8192, name).map(|()| file)
    };
    let tried = wanted("try", HugePages::Try).unwrap();
    assert!(tried.map(8192, MapOptions::default()).is_ok());
    match wanted("require", HugePages::Require) {
        Ok(file) => {
            let options = MapOptions { huge_pages: HugePages::Require, ..MapOptions::default() };
            assert!(file.map(8192, options).is_ok());
        }
        Err(error) => assert!(error.to_string().contains("SeLockMemoryPrivilege"), "{error}"),
    }
    let options = MapOptions { huge_pages: HugePages::Require, ..MapOptions::default() };
    let small = made(&place.0.join("small")).map(8192, options).unwrap_err();
    assert!(small.to_string().contains("SeLockMemoryPrivilege"), "{small}");
}

#[test]
fn across_sessions_is_a_global_section() {
    let place = Place::new();
    for (name, across_sessions, flags) in [("local", false, 0), ("global", true, GLOBAL)] {
        let storage = Storage { across_sessions, ..Storage::default() };
        let file = MemoryFile::create(&place.0.join(name), &storage).unwrap();
        match file.allocate(8192, name) {
            Ok(()) => assert_eq!(Record::read(file.handle()).unwrap().unwrap().flags, flags),
            // Without SeCreateGlobalPrivilege.
            Err(error) => assert!(across_sessions && error.kind() == ErrorKind::PermissionDenied, "{error}"),
        }
    }
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_crowd() {
    let Some(directory) = argument() else { return };
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|threads| {
        for number in 0..8 {
            let (start, path) = (&start, directory.join(format!("segment-{number}")));
            threads.spawn(move || {
                start.wait();
                assert_ne!(paging_file_left().ok(), Some(0));
                drop(made(&path));
            });
        }
    });
    println!("all made");
}

/// Wine answers zeros to who asks while the process's first look is under way: no reason to refuse memory.
#[test]
fn threads_that_ask_for_memory_at_once_all_have_it() {
    for _ in 0..4 {
        let place = Place::new();
        Role::start("os::windows::memory::tests::role_crowd", &place.0).expect("all made");
    }
}
