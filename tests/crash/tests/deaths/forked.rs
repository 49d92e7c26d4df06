//! A forked child shares its parent's open files; it must not keep the dead parent's locks alive.
#![allow(unsafe_code)] // fork

use super::ground::Ground;
use crossing_testkit::{Child, RuntimeDirGuard, role, watchdog};
use std::path::Path;
use std::time::Duration;

const LATE: Duration = Duration::from_secs(30);

/// Locks the mutex and forks a child that lives on; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn forking_role() {
    let Some(role) = role("forking_role") else { return };
    let ground = Ground::open(Path::new(&role.argument("directory")));
    let _guard = ground.mutex.lock();
    // SAFETY: the child calls nothing but sleep and _exit, which are async-signal-safe.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: no pointers.
        unsafe { libc::sleep(60) };
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    assert!(child > 0, "fork");
    role.say(child);
    role.pause();
}

#[test]
fn a_forked_child_does_not_keep_its_dead_parents_locks() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let guard = RuntimeDirGuard::new();
    let ground = Ground::create(guard.path());
    let mut parent = Child::role("forked::forking_role").argument("directory", guard.path()).spawn();
    let child: libc::pid_t = parent.expect_line(LATE).parse().unwrap();
    parent.kill();
    // SAFETY: signal 0 only asks whether the process is there.
    assert_eq!(unsafe { libc::kill(child, 0) }, 0, "the forked child lives");
    let recovered = ground.mutex.lock_timeout(LATE).expect("the dead parent's mutex").is_recovered();
    // SAFETY: our own grandchild, which only sleeps.
    unsafe { libc::kill(child, libc::SIGKILL) };
    assert!(recovered);
}
