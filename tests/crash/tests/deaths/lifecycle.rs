//! Deaths while a name is made, opened, cleared and removed.

use super::ground::points;
use crossing_shm::Segment;
use crossing_sys::ErrorKind;
use crossing_testkit::{Child, RuntimeDirGuard, killed, role, watchdog};
use std::path::Path;
use std::time::Duration;

const LATE: Duration = Duration::from_secs(30);
/// With a group, whose directory comes and goes with it.
const NAME: &str = "group/life";

fn child(guard: &RuntimeDirGuard, what: &str, crash: Option<&str>) -> Child {
    let child =
        Child::role("lifecycle::lifecycle_role").argument("directory", guard.path()).argument("what", what);
    let child = match crash {
        Some(point) => child.env("CROSSING_CRASH", format!("{point}:1")),
        None => child,
    };
    child.spawn()
}

/// Makes, opens and removes a name as the parent says; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn lifecycle_role() {
    let Some(role) = role("lifecycle_role") else { return };
    let directory = role.argument("directory");
    let mut options = Segment::options();
    options.size(4096).directory(Path::new(&directory));
    match role.argument("what").as_str() {
        "own" => {
            let _segment = options.create(NAME).unwrap();
            role.say("owning");
            role.pause();
        }
        "create" => drop(options.create(NAME).unwrap()),
        "open" => {
            drop(options.open(NAME).map_err(|error| assert_eq!(error.kind(), ErrorKind::NotFound, "{error}")))
        }
        _ => drop(options.open_or_create(NAME).unwrap()),
    }
}

/// The name can be made at once, and going leaves nothing.
fn afresh(guard: &RuntimeDirGuard, after: &str) {
    let made = Segment::options().size(64).directory(guard.path()).create(NAME);
    let segment = made.unwrap_or_else(|error| panic!("after a death at {after}: {error}"));
    drop(segment);
    assert_eq!(guard.leftovers(), Vec::<std::path::PathBuf>::new(), "after a death at {after}");
}

#[test]
fn every_point_of_a_names_life() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let guard = RuntimeDirGuard::new();
    let mut all = points("crossing-shm", &["pool."]);
    all.extend(points(
        "crossing-sync",
        &["mutex.", "rwlock.", "condvar.", "semaphore.", "event.", "barrier.", "once.", "bell.", "doorbell."],
    ));
    let mut kills = 0;
    for point in &all {
        let mut reached = false;
        for (before, what) in [
            ("", "create"),
            ("own", "create"),
            ("half", "create"),
            ("", "either"),
            ("own", "open"),
            ("half", "either"),
        ] {
            if before == "own" {
                let mut owner = child(&guard, "own", None);
                owner.expect("owning");
                owner.kill();
                kills += 1;
            }
            if before == "half" {
                let ended = child(&guard, "create", Some("segment.create.allocated")).wait(LATE);
                assert!(killed(ended.status), "{}", ended.text());
                kills += 1;
            }
            let ended = child(&guard, what, Some(point)).wait(LATE);
            assert!(killed(ended.status) || ended.status.success(), "{point}: {}", ended.text());
            reached |= killed(ended.status);
            kills += u32::from(killed(ended.status));
            afresh(&guard, point);
        }
        // One who opens what a living owner has.
        let mut owner = child(&guard, "own", None);
        owner.expect("owning");
        let ended = child(&guard, "open", Some(point)).wait(LATE);
        reached |= killed(ended.status);
        kills += u32::from(killed(ended.status)) + 1;
        let taken = Segment::options().size(64).directory(guard.path()).create(NAME);
        assert_eq!(
            taken.map(|_| ()).unwrap_err().kind(),
            ErrorKind::AlreadyExists,
            "a living owner's name was removed"
        );
        owner.kill();
        afresh(&guard, point);
        assert!(reached, "nobody reached {point}");
    }
    println!("killed {kills} in the life of a name, at {} points", all.len());
}
