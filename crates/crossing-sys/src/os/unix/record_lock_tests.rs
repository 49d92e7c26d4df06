use super::*;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const ROLE: &str = "CROSSING_RECORD_LOCK_ROLE";
const MEMORY: &str = "CROSSING_RECORD_LOCK_MEMORY";

/// A file that stands for memory, removed with its lock file.
struct Memory(PathBuf);

impl Memory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("crossing-record-lock-{name}-{}", std::process::id()));
        std::fs::write(&path, b"memory").unwrap();
        Self(path)
    }

    fn open(&self) -> Handle {
        open_memory(&self.0)
    }

    fn lock_file(&self) -> PathBuf {
        path_of(&stat_of(&self.open()).unwrap())
    }

    fn child(&self, role: &str) -> Command {
        let mut command = crate::testing::myself();
        command.args(["--exact", "os::unix::record_lock::tests::child_role", "--nocapture"]);
        command.env(ROLE, role).env(MEMORY, &self.0).stdout(Stdio::null());
        command
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.lock_file());
        let _ = std::fs::remove_file(&self.0);
    }
}

fn open_memory(path: &Path) -> Handle {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).unwrap().into()
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < patience, "never {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Not a test by itself: what the child processes of the tests below do.
#[test]
fn child_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var_os(MEMORY).unwrap());
    let memory = open_memory(&path);
    match role.as_str() {
        "hold" => {
            assert!(try_lock(&memory, 3).unwrap());
            std::thread::sleep(Duration::from_secs(60));
        }
        "expect-held" => assert!(is_locked_elsewhere(&memory, 3).unwrap()),
        "compete" => {
            // The marker is there while somebody has the slot: two at once would find each other's.
            let marker = path.with_extension("marker");
            for _ in 0..300 {
                until("the slot's turn", || try_lock(&memory, 0).unwrap());
                std::fs::File::create_new(&marker).expect("somebody else has the slot too");
                std::fs::remove_file(&marker).unwrap();
                unlock(&memory, 0).unwrap();
            }
        }
        other => panic!("no role {other}"),
    }
}

#[test]
fn two_openings_of_one_process_contend() {
    let memory = Memory::new("openings");
    let (one, other) = (memory.open(), memory.open());
    assert!(try_lock(&one, 3).unwrap() && try_lock(&one, 3).unwrap());
    assert!(!try_lock(&other, 3).unwrap() && try_lock(&other, 4).unwrap());
    assert!(is_locked_elsewhere(&other, 3).unwrap() && !is_locked_elsewhere(&one, 3).unwrap());
    unlock(&other, 3).unwrap();
    assert!(is_locked_elsewhere(&other, 3).unwrap(), "only its holder unlocks a slot");
    release(&one);
    assert!(try_lock(&other, 3).unwrap());
    release(&other);
}

#[test]
fn the_lock_file_goes_with_the_last_lock() {
    let memory = Memory::new("last");
    let handle = memory.open();
    assert!(!is_locked_elsewhere(&handle, 1).unwrap());
    assert!(!memory.lock_file().exists(), "asking makes no file");
    assert!(try_lock(&handle, 1).unwrap() && try_lock(&handle, 2).unwrap());
    unlock(&handle, 1).unwrap();
    assert!(memory.lock_file().exists());
    unlock(&handle, 2).unwrap();
    assert!(!memory.lock_file().exists());
}

#[test]
fn a_kill_releases_and_until_then_others_see_the_lock() {
    let memory = Memory::new("kill");
    let handle = memory.open();
    let child = memory.child("hold").spawn().unwrap();
    until("held", || is_locked_elsewhere(&handle, 3).unwrap());
    assert!(!try_lock(&handle, 3).unwrap());
    assert!(try_lock(&handle, 4).unwrap());
    unlock(&handle, 4).unwrap();
    assert!(memory.lock_file().exists(), "the other process holds a slot of it");
    assert!(is_locked_elsewhere(&handle, 3).unwrap());
    kill(child);
    assert!(!is_locked_elsewhere(&handle, 3).unwrap());
    assert!(try_lock(&handle, 3).unwrap());
    release(&handle);
}

#[test]
fn closing_other_openings_of_the_memory_gives_up_nothing() {
    let memory = Memory::new("closing");
    let handle = memory.open();
    assert!(try_lock(&handle, 3).unwrap());
    for _ in 0..3 {
        let other = memory.open();
        assert!(is_locked_elsewhere(&other, 3).unwrap());
        release(&other);
        drop(other);
    }
    assert!(memory.child("expect-held").status().unwrap().success());
    release(&handle);
    assert!(!memory.child("expect-held").stderr(Stdio::null()).status().unwrap().success());
}

#[test]
fn one_at_a_time_while_lock_files_come_and_go() {
    let memory = Memory::new("compete");
    let children: Vec<Child> = (0..4).map(|_| memory.child("compete").spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(!memory.lock_file().exists());
}

#[test]
fn a_foreign_lock_file_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can make another user's file
    }
    let memory = Memory::new("foreign");
    let handle = memory.open();
    assert!(try_lock(&handle, 1).unwrap());
    let path = memory.lock_file();
    std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
    release(&handle);
    std::fs::write(&path, b"").unwrap();
    std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
    assert_eq!(try_lock(&handle, 1).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}
