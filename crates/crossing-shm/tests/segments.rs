//! What a damaged, foreign or abandoned segment may and may not do, with real processes that are killed.

use crossing_shm::{Access, Segment, registry};
use crossing_sync::MutexCell;
use crossing_sys::ErrorKind;
use crossing_sys::local::{LocalStream, Wait};
use crossing_sys::memory::MemoryFile;
use crossing_testkit::{Child, RuntimeDirGuard, role, unique_name};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Runs a role of these tests in a runtime directory of its own, where nobody else removes what is stale.
fn alone(role: &str) {
    let dir = RuntimeDirGuard::new();
    dir.give(Child::role(role)).spawn().wait(Duration::from_secs(100)).success();
}

/// A segment that stays, and the path of its file.
fn kept(name: &str) -> PathBuf {
    drop(Segment::options().size(5000).persist(true).create(name).unwrap());
    registry::inspect(name).unwrap().path
}

fn file_of(name: &str, path: PathBuf) -> PathBuf {
    let file = if path.is_dir() { path.join("segment") } else { path };
    assert!(file.is_file(), "{name}: {}", file.display());
    file
}

fn refused(name: &str, what: &str) {
    for read_only in [false, true] {
        let error = Segment::options().read_only(read_only).open(name).unwrap_err();
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::Corrupt | ErrorKind::Incompatible),
            "{what}, read_only {read_only}: {error}"
        );
    }
    let error = Segment::options().size(5000).open_or_create(name).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible), "{what}: {error}");
    let error = Segment::options().size(5000).create(name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{what}: {error}");
}

#[test]
fn a_scribbled_header_is_an_error_and_nothing_kept_is_removed() {
    let name = unique_name("scribble");
    let path = file_of(&name, kept(&name));
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    for at in 0..88_u64 {
        let mut old = [0];
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut old).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[old[0] ^ 0x81]).unwrap();
        refused(&name, &format!("byte {at}"));
        assert!(registry::inspect(&name).unwrap().problem.is_some(), "byte {at}");
        assert!(!registry::inspect(&name).unwrap().stale, "byte {at}: it may be of a newer build");
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&old).unwrap();
    }
    drop(Segment::options().size(5000).open(&name).unwrap());
    registry::remove(&name).unwrap();
}

#[test]
fn a_truncated_file_is_an_error_and_can_be_removed_by_name() {
    let name = unique_name("truncate");
    let path = file_of(&name, kept(&name));
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for len in [13191, 13193, 1 << 20, 8193, 8192, 8191, 4096, 100, 87, 1, 0] {
        file.set_len(len).unwrap();
        refused(&name, &format!("{len} bytes"));
    }
    registry::remove(&name).unwrap();
    assert_eq!(registry::inspect(&name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
#[ignore = "a child process"]
fn role_owner() {
    let Some(role) = role("role_owner") else { return };
    let segment = Segment::options().size(16 << 10).create(&role.argument("name")).unwrap();
    let pool = segment.create_pool(4096, 4, 256).unwrap();
    let _loans = (pool.loan(1).unwrap(), pool.loan(1).unwrap());
    let mutex = segment.attach::<MutexCell<u64>>(0).unwrap();
    let _guard = mutex.lock();
    role.say("ready");
    role.pause();
}

fn owner(name: &str) -> Child {
    let mut owner = Child::role("role_owner").argument("name", name).spawn();
    owner.expect("ready");
    owner
}

#[test]
fn what_a_killed_owner_left_is_stale_and_reclaimed() {
    alone("role_reclaimer");
}

#[test]
#[ignore = "a child process"]
fn role_reclaimer() {
    let Some(_role) = role("role_reclaimer") else { return };
    for again in ["open", "create", "open_or_create", "remove_stale"] {
        let name = unique_name("killed");
        let mut owner = owner(&name);
        let entry = registry::inspect(&name).unwrap();
        assert!(entry.owned && !entry.stale, "{entry:?}");
        assert_eq!(registry::remove(&name).unwrap_err().kind(), ErrorKind::Busy);
        owner.kill();
        assert!(registry::inspect(&name).unwrap().stale);
        match again {
            "open" => assert_eq!(Segment::options().open(&name).unwrap_err().kind(), ErrorKind::NotFound),
            "create" => assert!(Segment::options().size(64).create(&name).unwrap().created()),
            "open_or_create" => assert!(Segment::options().size(64).open_or_create(&name).unwrap().created()),
            _ => drop(registry::remove_stale().unwrap()),
        }
        assert_eq!(registry::inspect(&name).unwrap_err().kind(), ErrorKind::NotFound, "after {again}");
    }
}

#[test]
fn what_is_unfinished_is_removed_and_nothing_else() {
    alone("role_remover");
}

#[test]
#[ignore = "a child process"]
fn role_remover() {
    let Some(_role) = role("role_remover") else { return };
    let prefix = unique_name("unfinished");
    let name = |which: &str| format!("{prefix}/{which}");
    let kept = Segment::options().size(64).create(&name("kept")).unwrap();
    let kept_path = registry::inspect(&name("kept")).unwrap().path;
    let mut owner = owner(&name("stale"));
    owner.kill();
    // As creators and removers leave them that die after each of their steps.
    let group = kept_path.ancestors().nth(2).unwrap();
    let halves = ["empty", "locked", "half"].map(|which| group.join(which));
    for directory in &halves {
        std::fs::create_dir(directory).unwrap();
    }
    std::fs::write(halves[1].join("lock"), b"").unwrap();
    std::fs::write(halves[2].join("lock"), b"").unwrap();
    std::fs::write(halves[2].join("segment-1"), b"half").unwrap();
    registry::remove_unfinished(&prefix).unwrap();
    for directory in &halves {
        assert!(!directory.exists(), "{}", directory.display());
    }
    assert!(registry::inspect(&name("stale")).unwrap().stale, "that is for others to judge");
    assert!(kept_path.exists() && Segment::options().open(&name("kept")).is_ok());
    // Groups whose last name went with its remover: they go where everything stale does, and no other.
    let empty = group.with_file_name("left%2Fempty+");
    std::fs::create_dir(&empty).unwrap();
    registry::remove(&name("stale")).unwrap();
    assert_eq!(registry::remove_stale().unwrap(), Vec::<String>::new());
    assert!(!empty.exists() && kept_path.exists());
    drop(kept);
    assert!(!group.exists(), "it goes with its last name");
}

#[test]
fn a_group_comes_and_goes_under_those_who_join_and_leave() {
    alone("role_crowd");
}

/// Processes that make the only name of a group again and again, while others list it, sweep it and remove theirs.
#[test]
#[ignore = "a child process"]
fn role_crowd() {
    const ROUNDS: usize = if cfg!(windows) { 40 } else { 400 };
    let Some(_role) = role("role_crowd") else { return };
    let mut members: Vec<Child> = (0..3)
        .map(|number| Child::role("role_one_of_a_crowd").argument("name", format!("crowd/{number}")).spawn())
        .collect();
    members.iter_mut().for_each(|member| member.expect("ready"));
    members.iter_mut().for_each(|member| member.tell(&ROUNDS.to_string()));
    for _ in 0..ROUNDS / 4 {
        registry::remove_unfinished("crowd").unwrap();
        let names = registry::names_in("crowd").unwrap();
        assert!(names.len() <= 3 && names.iter().all(|name| name.starts_with("crowd/")), "{names:?}");
        registry::remove_stale().unwrap();
    }
    for member in members {
        member.wait(Duration::from_secs(90)).success();
    }
    if cfg!(windows) {
        registry::remove_stale().unwrap();
    }
    assert_eq!(registry::names_under("").unwrap(), Vec::<String>::new());
}

#[test]
#[ignore = "a child process"]
fn role_one_of_a_crowd() {
    let Some(role) = role("role_one_of_a_crowd") else { return };
    let name = role.argument("name");
    role.say("ready");
    let rounds: usize = role.hear().unwrap().parse().unwrap();
    for round in 0..rounds {
        let segment = Segment::options().size(64).create(&name).unwrap_or_else(|e| panic!("{round}: {e}"));
        assert!(registry::names_in("crowd").unwrap().contains(&name), "{round}");
        // Its directory may stay for a moment: somebody who sweeps has made its lock again, and removes it next. At the end all are gone.
        drop(segment);
    }
}

#[cfg(unix)]
#[test]
fn who_has_no_file_left_leaves_nothing() {
    alone("role_poor");
}

#[cfg(unix)]
#[test]
#[ignore = "a child process"]
fn role_poor() {
    let Some(_role) = role("role_poor") else { return };
    let root = crossing_sys::directory::runtime_root().unwrap();
    let leftovers = || std::fs::read_dir(&root).unwrap().count();
    let (mut failures, mut successes) = (0, 0);
    for free in 0..8 {
        let open = || std::fs::File::open("/dev/null");
        let mut files: Vec<_> = std::iter::from_fn(|| open().ok()).collect();
        files.truncate(files.len() - free);
        let made = Segment::options().size(64).create("poor/segment");
        let joined = Segment::options().size(64).open_or_create("poor/other");
        drop(files);
        for made in [&made, &joined] {
            match made {
                Ok(_) => successes += 1,
                Err(error) => {
                    failures += 1;
                    assert_ne!(error.kind(), ErrorKind::NotFound, "{error}");
                }
            }
        }
        drop((made, joined));
        assert_eq!(leftovers(), 0, "with {free} files");
    }
    assert!(failures > 2 && successes > 2, "{failures}, {successes}");
}

#[test]
fn survivors_of_a_killed_owner_keep_memory_lock_and_loans() {
    let name = unique_name("survivor");
    let mut owner = owner(&name);
    let segment = Segment::options().open(&name).unwrap();
    let pool = segment.open_pool(4096).unwrap();
    assert_eq!((pool.stats().loaned, pool.reclaim()), (2, 0), "the living keep their loans");
    owner.kill();
    assert!(!registry::inspect(&name).unwrap().stale, "somebody uses it");
    assert_eq!((pool.reclaim(), pool.stats().free), (2, 4));
    let mutex = segment.attach::<MutexCell<u64>>(0).unwrap();
    assert!(mutex.lock_timeout(Duration::from_secs(5)).unwrap().is_recovered());
    drop((mutex, pool, segment));
    assert_eq!(registry::inspect(&name).unwrap_err().kind(), ErrorKind::NotFound, "the last one cleans up");
}

#[test]
fn handles_pass_over_a_socket_and_unsealed_ones_are_refused() {
    let segment = Segment::options().size(4096).anonymous("passed").unwrap();
    segment.write_bytes(9, b"hello").unwrap();
    let (here, there) = LocalStream::pair().unwrap();
    let limit = Wait::at_most(Duration::from_secs(5));
    here.send_with_handles(b"x", &[segment.handle().unwrap()], limit).unwrap();
    let mut byte = [0];
    let mut handles = Vec::new();
    there.recv_with_handles(&mut byte, &mut handles, 1, limit).unwrap();
    let received = Segment::options().from_handle(handles.pop().unwrap()).unwrap();
    let mut bytes = [0; 5];
    received.read_bytes(9, &mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    #[cfg(unix)]
    unsealed_memory_is_refused();
    let text = std::env::temp_dir().join(unique_name("crossing-text"));
    std::fs::write(&text, [7; 9000]).unwrap();
    let file = MemoryFile::open(&text, false).unwrap();
    assert!(Segment::options().from_handle(file.into_handle()).is_err(), "any file is no memory");
    std::fs::remove_file(text).unwrap();
}

#[cfg(unix)]
fn unsealed_memory_is_refused() {
    // The bare memfd that this stands for is of Linux: os/linux/memory_tests.rs of crossing-sys.
    let place = crossing_sys::directory::runtime_root().unwrap().join(unique_name("bare"));
    let bare = MemoryFile::create(&place, &crossing_sys::memory::Storage::default()).unwrap();
    bare.allocate(1 << 20, "bare").unwrap();
    std::fs::remove_file(&place).unwrap();
    assert!(Segment::options().from_handle(bare.into_handle()).is_err(), "its sender could cut it short");
    let (end, _other) = rustix::pipe::pipe().unwrap();
    assert!(Segment::options().from_handle(end.into()).is_err(), "a pipe is no memory");
}

#[test]
fn files_are_private_unless_asked_otherwise() {
    let name = unique_name("private");
    let segment = Segment::options().size(64).create(&name).unwrap();
    let path = file_of(&name, registry::inspect(&name).unwrap().path);
    assert!(path.is_file());
    assert_eq!(registry::inspect(&name).unwrap().access, Access::Private);
    #[cfg(unix)]
    modes_are_private(&path);
    drop(segment);
}

#[cfg(unix)]
fn modes_are_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_segment_is_not_followed() {
    let name = unique_name("link");
    let path = file_of(&name, kept(&name));
    let target = std::env::temp_dir().join(unique_name("crossing-link"));
    std::fs::copy(&path, &target).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    assert!(Segment::options().read_only(true).open(&name).is_err());
    assert!(
        registry::list().is_ok() && registry::remove_stale().is_ok(),
        "one odd entry does not hide the others"
    );
    assert!(target.is_file(), "and nothing is removed through it");
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    std::fs::remove_file(target).unwrap();
}

#[cfg(unix)]
#[test]
fn posix_objects_are_bare_bytes() {
    let name = format!("/{}", unique_name("crossing-shm"));
    let made = Segment::options().size(100).create_posix(&name).unwrap();
    assert_eq!(Segment::options().size(1).create_posix(&name).unwrap_err().kind(), ErrorKind::AlreadyExists);
    made.write_bytes(0, b"bare").unwrap();
    assert_eq!(&std::fs::read(format!("/dev/shm{name}")).unwrap()[..4], b"bare");
    assert!(made.attach::<MutexCell<u64>>(0).is_err(), "nobody knows who uses it");
    let _ = std::fs::remove_file(format!("/dev/shm{name}"));
}

#[test]
fn a_pool_whose_words_and_head_are_scribbled_lends_nothing_outside() {
    let segment = Segment::options().size(8192).anonymous("hostile").unwrap();
    let pool = segment.create_pool(0, 4, 256).unwrap();
    let again = segment.create_pool(0, 4, 256).map(drop).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists, "it would free what is on loan");
    // A peer: another mapping of the same memory, which keeps no books of our pool.
    let handle = segment.handle().unwrap().try_clone().unwrap();
    let peer = Segment::options().from_handle(handle).unwrap();
    for pattern in [0x00_u8, 0x01, 0x55, 0x81, 0xaa, 0xff] {
        // The head and the words of the chunks are all that a peer can lie with.
        peer.write_bytes(0, &[pattern; 64 + 4 * 8]).unwrap();
        let _ = (pool.stats(), pool.reclaim(), pool.reclaim_left());
        if let Ok(mut loan) = pool.loan(256) {
            loan.fill(pattern);
        }
        for offset in [0, 1, 64, 128, 8191, 8192, u64::MAX] {
            drop(pool.take(offset, 256));
        }
        assert!(segment.open_pool(0).is_err(), "{pattern:#x}");
    }
    let through_us = segment.write_bytes(64, &[0; 8]).unwrap_err();
    assert_eq!(through_us.kind(), ErrorKind::ApiMisuse, "nobody writes past the loans of his own mapping");
    assert!(segment.attach::<MutexCell<u64>>(128).is_err());
    let head = |chunk_len: u64, count: u64| {
        peer.write_bytes(0, b"CROSPOOL").unwrap();
        peer.write_bytes(8, &chunk_len.to_le_bytes()).unwrap();
        peer.write_bytes(16, &count.to_le_bytes()).unwrap();
        segment.open_pool(0).map(drop)
    };
    for (chunk_len, count) in
        [(0, 4), (256, 0), (256, 1000), (u64::MAX, 4), (256, u64::MAX), (u64::MAX - 62, 1)]
    {
        assert!(head(chunk_len, count).is_err(), "{count} chunks of {chunk_len}");
    }
    head(256, 4).unwrap();
}
