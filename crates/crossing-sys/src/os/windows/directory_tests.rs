use crate::directory::{CASE_SENSITIVE, empty_trash, names, open_lock_file, remove, rename_new};
use crate::file::Access;
use crate::memory::{MapOptions, MemoryFile, Storage};
use crate::testing::{Place, Role, argument, told};
use crate::{ErrorKind, directory};

#[test]
#[ignore = "a role of the test below"]
fn role_mapper() {
    let Some(path) = argument() else { return };
    let map = MemoryFile::open(&path, false).unwrap().map(4096, MapOptions::default()).unwrap();
    println!("mapped");
    told();
    drop(map);
    println!("unmapped");
    told();
}

#[test]
fn the_name_of_what_another_process_has_mapped_is_free_at_once() {
    let place = Place::new();
    let (path, trash) = (place.0.join("segment"), place.0.join("trash"));
    let storage = Storage { persist: true, ..Storage::default() };
    let first = MemoryFile::create(&path, &storage).unwrap();
    first.allocate(4096, "first").unwrap();
    let mut mapper = Role::start("os::windows::directory::tests::role_mapper", &path);
    mapper.expect("mapped");
    remove(&path, &trash).unwrap();
    let second = MemoryFile::create(&path, &storage).unwrap();
    second.allocate(8192, "second").unwrap();
    assert_eq!((first.len().unwrap(), second.len().unwrap()), (4096, 8192), "two files");
    assert!(names(&path, second.handle()) && !names(&path, first.handle()));
    mapper.tell("unmap");
    mapper.expect("unmapped");
    mapper.kill();
    drop(first);
    empty_trash(&trash);
    assert!(!trash.exists(), "nothing is left of the first");
    assert!(path.exists());
}

#[test]
fn removing_what_is_not_there_says_so() {
    let place = Place::new();
    let error = remove(&place.0.join("nothing"), &place.0.join("trash")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!place.0.join("trash").exists(), "no trash for nothing");
    empty_trash(&place.0.join("trash"));
}

#[test]
fn names_that_differ_in_case_are_one() {
    const { assert!(!CASE_SENSITIVE) };
    let place = Place::new();
    MemoryFile::create(&place.0.join("Prices"), &Storage::default()).unwrap();
    let error = MemoryFile::create(&place.0.join("prices"), &Storage::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn a_new_name_never_replaces_one() {
    let place = Place::new();
    let (from, to) = (place.0.join("from"), place.0.join("to"));
    std::fs::write(&from, b"from").unwrap();
    std::fs::write(&to, b"to").unwrap();
    assert_eq!(rename_new(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&to).unwrap(), b"to");
    std::fs::remove_file(&to).unwrap();
    rename_new(&from, &to).unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), b"from");
}

#[test]
fn a_directory_is_no_file_to_lock() {
    let place = Place::new();
    let path = place.0.join("lock");
    directory::make(&path, Access::Private).unwrap();
    open_lock_file(&path, Access::Private).unwrap_err();
}
