use super::*;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const ROLE: &str = "CROSSING_SEMAPHORE_TEST_ROLE";
const NAME: &str = "CROSSING_SEMAPHORE_TEST_NAME";

/// A name of its own for each test, unlinked whatever happens.
struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the number matters.
        Self(format!("/crossing-sem-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = unlink(&self.0);
    }
}

fn child(role: &str, name: &Name) -> Child {
    crate::testing::myself()
        .args(["--exact", "named_semaphore::tests::child_role", "--nocapture"])
        .env(ROLE, role)
        .env(NAME, &name.0)
        .stdout(Stdio::null())
        .spawn()
        .expect("spawn")
}

/// Not a test by itself: what the child processes of the tests below do.
#[test]
fn child_role() {
    let (Ok(role), Ok(name)) = (std::env::var(ROLE), std::env::var(NAME)) else { return };
    let semaphore = NamedSemaphore::open(&name).expect("open in child");
    match role.as_str() {
        "post" => (0..100).for_each(|_| semaphore.post().expect("post")),
        "wait" => semaphore.wait().expect("wait"),
        role => panic!("no role {role}"),
    }
}

#[test]
fn permits_are_counted() {
    let name = Name::new();
    let semaphore = NamedSemaphore::create(&name.0, 2, Access::Private).expect("create");
    let same = NamedSemaphore::open(&name.0).expect("open");
    assert_eq!(same.value().expect("value"), 2);
    assert!(semaphore.try_wait().expect("wait") && same.try_wait().expect("wait"));
    assert!(!semaphore.try_wait().expect("none left"));
    drop(same);
    semaphore.post().expect("closing one object leaves the other open");
    assert!(semaphore.wait_timeout(Duration::MAX).expect("there is one"));
}

#[test]
fn waiting_ends_at_the_deadline_or_with_a_permit() {
    let name = Name::new();
    let semaphore = NamedSemaphore::create(&name.0, 0, Access::Private).expect("create");
    let began = Instant::now();
    assert!(!semaphore.wait_timeout(Duration::from_millis(60)).expect("none"));
    assert!(began.elapsed() >= Duration::from_millis(60), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(!semaphore.wait_deadline(Some(began)).expect("a deadline in the past"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            semaphore.post().expect("post");
        });
        assert!(semaphore.wait_timeout(Duration::from_secs(20)).expect("wait"));
    });
}

#[test]
fn creating_opening_and_unlinking() {
    let name = Name::new();
    assert_eq!(NamedSemaphore::open(&name.0).expect_err("missing").kind(), ErrorKind::NotFound);
    let first = NamedSemaphore::open_or_create(&name.0, 3, Access::World).expect("create");
    let second = NamedSemaphore::open_or_create(&name.0, 9, Access::World).expect("open");
    assert!(first.created() && !second.created());
    assert_eq!(second.value().expect("value"), 3, "what exists keeps its value");
    let error = NamedSemaphore::create(&name.0, 1, Access::Private).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    unlink(&name.0).expect("unlink");
    assert_eq!(unlink(&name.0).expect_err("gone").kind(), ErrorKind::NotFound);
    assert!(first.try_wait().expect("what is open stays usable"));
    for wrong in ["gate", "/", "/a/b", "", "/nul\0", &format!("/{}", "n".repeat(252))] {
        let error = NamedSemaphore::create(wrong, 1, Access::Private).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    }
    let error = NamedSemaphore::create(&name.0, MAX_VALUE + 1, Access::Private).expect_err("too high");
    assert_eq!(error.kind(), ErrorKind::ApiMisuse);
    let full = NamedSemaphore::create(&name.0, MAX_VALUE, Access::Private).expect("the highest");
    assert_eq!(full.post().expect_err("overflow").kind(), ErrorKind::LimitReached);
}

#[test]
fn other_processes_post_and_wait() {
    let name = Name::new();
    let semaphore = NamedSemaphore::create(&name.0, 0, Access::Private).expect("create");
    let mut poster = child("post", &name);
    for _ in 0..100 {
        assert!(semaphore.wait_timeout(Duration::from_secs(20)).expect("wait"));
    }
    assert!(poster.wait().expect("wait").success());
    // A waiter killed while it sleeps takes no permit along.
    let mut waiter = child("wait", &name);
    std::thread::sleep(Duration::from_millis(150));
    waiter.kill().expect("kill");
    waiter.wait().expect("reap");
    semaphore.post().expect("post");
    assert!(semaphore.try_wait().expect("the permit is still there"));
}
