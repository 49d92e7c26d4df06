#![allow(unsafe_code)] // copies into mapped memory

use super::*;

#[test]
fn anonymous_memory_is_allocated_sealed_and_shared() {
    let file = MemoryFile::anonymous("memory-test", 8192, HugePages::No).unwrap();
    assert_eq!(file.len().unwrap(), 8192);
    let (one, other) =
        (file.map(8192, MapOptions::default()).unwrap(), file.map(8192, MapOptions::default()).unwrap());
    // SAFETY: both mappings are 8192 bytes long and writable.
    unsafe { crate::copy::to_shared(b"hello", one.as_ptr().wrapping_add(100)) };
    let mut seen = [0; 5];
    // SAFETY: as above.
    unsafe { crate::copy::from_shared(other.as_ptr().wrapping_add(100), &mut seen) };
    assert_eq!(&seen, b"hello");
    let again = MemoryFile::received(file.reopen(false).unwrap()).unwrap();
    assert!(again.allocate(1 << 20, "memory-test").is_err(), "a seal forbids growing");
}

#[test]
fn more_than_there_is_says_what_is_needed_and_free() {
    let path = crate::directory::default_root()
        .parent()
        .unwrap()
        .join(format!("crossing-full-{}", std::process::id()));
    let file = MemoryFile::create(&path, &Storage::default()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = file.allocate(1 << 50, "too-much").unwrap_err();
    let ErrorKind::NoSpace { need, have } = error.kind() else { panic!("{error}") };
    assert!(need == 1 << 50 && have < need);
    let text = error.to_string();
    assert!(
        text.contains("free")
            && text.contains("1 PiB needed")
            && text.contains(&(1_u64 << 50).to_string()[..4]),
        "{text}"
    );
}

#[test]
fn posix_names_are_checked() {
    for bad in ["", "name", "/", "/a/b", "/..", "/a\0b"] {
        assert_eq!(MemoryFile::open_posix(bad, true).unwrap_err().kind(), ErrorKind::ApiMisuse, "{bad:?}");
    }
    let missing = MemoryFile::open_posix("/crossing-not-there", true).unwrap_err().kind();
    assert_eq!(missing, if cfg!(unix) { ErrorKind::NotFound } else { ErrorKind::Unsupported });
}
