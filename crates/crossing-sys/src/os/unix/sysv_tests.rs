#![allow(unsafe_code)] // asks the C library's ftok

use crate::sysv::Key;
use std::ffi::CString;

#[test]
fn keys_of_files_are_those_of_the_c_library() {
    let own = std::env::temp_dir().join(format!("crossing-ftok-test-{}", std::process::id()));
    std::fs::write(&own, b"").expect("a file");
    let link = own.with_extension("link");
    std::os::unix::fs::symlink(&own, &link).expect("a link");
    let paths = [
        own.to_str().expect("text").to_owned(),
        // Not "/": qemu shows another root to the C library than to Rust's.
        std::env::temp_dir().to_str().expect("text").to_owned(),
        link.to_str().expect("text").to_owned(),
        "/dev/null".to_owned(),
    ];
    for path in &paths {
        let c_path = CString::new(path.as_str()).expect("no NUL");
        for project in [1, 65, 127, 128, 255, 0x141, -1] {
            // SAFETY: the path ends with NUL.
            let expected = unsafe { libc::ftok(c_path.as_ptr(), project) };
            let found = Key::from_path(path, project).expect("key");
            assert_eq!(super::key_t(found), expected, "{path} {project}");
        }
    }
    std::fs::remove_file(&link).expect("remove");
    std::fs::remove_file(&own).expect("remove");
}
