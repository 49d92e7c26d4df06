use super::*;

#[test]
fn what_is_left_is_listed_and_what_is_allowed_is_not() {
    let mut guard = RuntimeDirGuard::new();
    fs::create_dir_all(guard.path().join("group/name")).unwrap();
    fs::create_dir(guard.path().join("kept")).unwrap();
    guard.allow("kept");
    assert_eq!(guard.leftovers(), [PathBuf::from("group"), PathBuf::from("group").join("name")]);
    fs::remove_dir_all(guard.path().join("group")).unwrap();
    assert_eq!(guard.leftovers(), Vec::<PathBuf>::new());
}

#[cfg(windows)]
#[test]
fn who_removes_a_directory_is_waited_for() {
    use std::os::windows::fs::OpenOptionsExt;
    const DELETE: u32 = 0x0001_0000;
    const SHARE_ALL: u32 = 7;
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
    let guard = RuntimeDirGuard::new();
    let path = guard.path().join("group");
    fs::create_dir(&path).unwrap();
    let remover = fs::OpenOptions::new()
        .access_mode(DELETE)
        .share_mode(SHARE_ALL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(&path)
        .unwrap();
    // Longer than the floor below is patient.
    let removal = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_200));
        drop(remover);
    });
    assert_eq!(guard.leftovers(), [PathBuf::from("group")]);
    removal.join().unwrap();
    fs::remove_dir(path).unwrap();
    assert_eq!(guard.leftovers(), Vec::<PathBuf>::new());
}
