//! Kills a process at each named point of creating, opening, lending and removing, and looks at what is left.
//! Run by `cargo test -p crossing-shm --features crash-points --test crash`.
#![cfg(feature = "crash-points")]

use crossing_shm::{Segment, registry};
use crossing_sys::ErrorKind;
use crossing_testkit::{Child, role, unique_name};
use std::time::Duration;

/// The points that the child passes.
const POINTS: [&str; 16] = [
    "registry.lock.group-made",
    "registry.lock.held",
    "segment.create.file",
    "segment.create.allocated",
    "segment.create.owned",
    "segment.create.named",
    "segment.open.joined",
    "pool.claim.before",
    "pool.claim.after",
    "pool.return.before",
    "pool.return.after",
    "segment.drop.decided",
    "registry.remove.before",
    "registry.remove.segment-gone",
    "registry.remove.lock-gone",
    "registry.remove.directory-gone",
];

#[test]
#[ignore = "a child process"]
fn role_life() {
    let Some(role) = role("role_life") else { return };
    let name = role.argument("name");
    let owner = Segment::options().size(16 << 10).create(&name).unwrap();
    let user = Segment::options().open(&name).unwrap();
    let pool = owner.create_pool(0, 4, 256).unwrap();
    let offset = pool.loan(8).unwrap().leave();
    drop(pool.take(offset, 8).unwrap());
    drop((pool, user, owner));
}

#[test]
fn a_death_at_any_point_leaves_a_name_that_the_next_one_can_use() {
    for point in POINTS {
        for count in 1..=3 {
            let name = unique_name("crash") + "/life";
            let child = Child::role("role_life").argument("name", &name);
            let output =
                child.env("CROSSING_CRASH", format!("{point}:{count}")).spawn().wait(Duration::from_secs(20));
            let killed = crossing_testkit::killed(output.status);
            assert!(killed || count > 1, "{point} is never passed: {:?}", output.status);
            // What is left is nothing, or stale: never alive, never damaged.
            match registry::inspect(&name) {
                Ok(entry) => assert!(entry.stale && entry.problem.is_none(), "{point}:{count}: {entry:?}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{point}:{count}: {error}"),
            }
            let missing = Segment::options().open(&name).map(drop).unwrap_err();
            assert_eq!(missing.kind(), ErrorKind::NotFound, "{point}:{count}: {missing}");
            let next = Segment::options().size(64).create(&name);
            let path = registry::inspect(&name).unwrap().path;
            assert!(next.unwrap().created(), "{point}:{count}");
            let group = path.ancestors().nth(2).unwrap();
            assert!(group.to_str().unwrap().ends_with('+'), "{}", group.display());
            assert!(!group.exists(), "{point}:{count}: something is left behind");
        }
    }
}
