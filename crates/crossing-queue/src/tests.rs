use super::*;
use crossing_sys::file::Access;
use crossing_sys::sysv::Key;
use crossing_sys::{Error, ErrorKind};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const ROLE: &str = "CROSSING_QUEUE_TEST_ROLE";
const ENDPOINT: &str = "CROSSING_QUEUE_TEST_ENDPOINT";

/// An endpoint of its own for each test and mechanism, unlinked whatever happens.
struct Place(String);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Queue::unlink(&self.0);
    }
}

/// One endpoint of each mechanism that this system has: what holds for a queue holds for all.
fn places() -> Vec<Place> {
    all_places().into_iter().filter(exists).collect()
}

fn exists(place: &Place) -> bool {
    !matches!(Queue::<[u8]>::options().open(&place.0), Err(error) if error.kind() == ErrorKind::Unsupported)
}

fn all_places() -> [Place; 3] {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    // Relaxed: only the number matters.
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let key = 0x2000_0000 | (process & 0x1f_ffff) << 8 | number & 0xff;
    [
        Place(format!("mq:/crossing-queue-test-{process}-{number}")),
        Place(format!("sysv:{key:#x}")),
        Place(format!("shm:crossing-queue-test-{process}-{number}")),
    ]
}

fn soon(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

fn child(role: &str, place: &Place) -> Child {
    crossing_testkit::myself()
        .args(["--exact", "tests::child_role", "--nocapture"])
        .env(ROLE, role)
        .env(ENDPOINT, &place.0)
        .stdout(Stdio::null())
        .spawn()
        .expect("spawn")
}

/// Not a test by itself: what the child processes of the tests below do.
#[test]
fn child_role() {
    let (Ok(role), Ok(endpoint)) = (std::env::var(ROLE), std::env::var(ENDPOINT)) else { return };
    let queue = Queue::<[u8]>::options().open(&endpoint).expect("open in child");
    match role.as_str() {
        "send" => {
            let sender = queue.sender().expect("sender");
            for number in 0..300_u32 {
                // Lengths from 0 on, so that exactness is seen.
                sender.send(&vec![number as u8; number as usize]).expect("send");
            }
        }
        "wait" => drop(queue.receiver().expect("receiver").recv()),
        role => panic!("no role {role}"),
    }
}

#[test]
fn every_mechanism_keeps_messages_exact_and_in_order() {
    for place in places() {
        let queue = Queue::<[u8]>::options().capacity(4).max_len(64).create(&place.0).expect("create");
        assert!(queue.created());
        let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
        for message in [&b"one"[..], b"", &[0, 255, 0, 10]] {
            sender.send_timeout(message, Duration::from_secs(5)).expect("send");
        }
        assert_eq!(queue.stats().expect("stats").len, 3, "{}", place.0);
        assert_eq!(&*receiver.recv().expect("recv"), b"one");
        assert_eq!(&*receiver.try_recv().expect("try_recv"), b"");
        let last = receiver.recv_timeout(Duration::from_secs(5)).expect("recv_timeout");
        assert_eq!((&*last, last.priority()), (&[0, 255, 0, 10][..], Priority(0)));
        assert_eq!(last.into_vec(), [0, 255, 0, 10]);
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
        let began = Instant::now();
        assert!(matches!(receiver.recv_deadline(soon(50)), Err(RecvError::TimedOut)));
        assert!(began.elapsed() >= Duration::from_millis(50) && began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn every_mechanism_refuses_what_does_not_fit() {
    for place in places() {
        let queue = Queue::<[u8]>::options().capacity(2).max_len(64).create(&place.0).expect("create");
        let sender = queue.sender().expect("sender");
        let long = vec![0; sender.max_len() + 1];
        assert!(matches!(sender.try_send(&long), Err(TrySendError::TooLarge { .. })));
        assert!(matches!(sender.send(&long), Err(SendError::TooLarge { .. })));
        let mut sent = 0;
        let full = loop {
            match sender.try_send(&[7; 64]) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 1_000_000, "it never fills");
        };
        assert!(sent >= 2 && matches!(full, TrySendError::Full), "{sent} {full:?}");
        assert!(matches!(sender.send_deadline(&[7; 64], soon(40)), Err(SendError::TimedOut)));
        let error = sender.send_timeout(&[7; 64], Duration::ZERO).expect_err("full").explain(&place.0);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains(&place.0), "{error}");
        assert_eq!(queue.stats().expect("stats").len, sent);
    }
}

#[test]
fn every_mechanism_creates_opens_and_unlinks() {
    for place in places() {
        let error = Queue::<[u8]>::options().open(&place.0).expect_err("nobody made it");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let first = Queue::<[u8]>::options().unlink_on_drop(true).open_or_create(&place.0).expect("create");
        let second = Queue::<[u8]>::options().unlink_on_drop(true).open_or_create(&place.0).expect("open");
        assert!(first.created() && !second.created());
        let error = Queue::<[u8]>::options().create(&place.0).expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        drop(second);
        Queue::<[u8]>::options().open(&place.0).expect("who only opened it removed it");
        // The ends keep it alive too.
        let sender = first.sender().expect("sender");
        drop(first);
        sender.try_send(b"x").expect("still there");
        drop(sender);
        let error = Queue::<[u8]>::options().open(&place.0).expect_err("the creator is gone");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(Queue::unlink(&place.0).expect_err("gone").kind(), ErrorKind::NotFound);
    }
}

#[test]
fn every_mechanism_delivers_each_message_to_one_receiver() {
    for place in places() {
        let queue = Queue::<[u8]>::options().create(&place.0).expect("create");
        let receivers = 3;
        let counts: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..receivers)
                .map(|_| {
                    let receiver = queue.receiver().expect("receiver");
                    scope.spawn(move || {
                        let mut count = 0;
                        while !receiver.recv_timeout(Duration::from_secs(20)).expect("recv").is_empty() {
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            let sender = queue.sender().expect("sender");
            for _ in 0..600 {
                sender.send(b"x").expect("send");
            }
            for _ in 0..receivers {
                sender.send(b"").expect("send");
            }
            threads.into_iter().map(|thread| thread.join().expect("join")).collect()
        });
        assert_eq!(counts.iter().sum::<u32>(), 600, "{counts:?}");
    }
}

#[test]
fn every_mechanism_crosses_processes() {
    for place in places() {
        let queue = Queue::<[u8]>::options().capacity(5).max_len(512).create(&place.0).expect("create");
        let mut sender = child("send", &place);
        let receiver = queue.receiver().expect("receiver");
        for number in 0..300_u32 {
            let delivery = receiver.recv_deadline(soon(20_000)).expect("recv");
            assert_eq!(&*delivery, vec![number as u8; number as usize], "{}", place.0);
        }
        assert!(sender.wait().expect("wait").success());
        let mut waiter = child("wait", &place);
        std::thread::sleep(Duration::from_millis(150));
        waiter.kill().expect("kill");
        waiter.wait().expect("reap");
        queue.sender().expect("sender").send(b"kept").expect("send");
        assert_eq!(&*receiver.recv_deadline(soon(5_000)).expect("recv"), b"kept");
    }
}

#[test]
fn priorities_go_first_and_are_types_on_system_v() {
    let [posix, systemv, _] = all_places();
    if !exists(&posix) || !exists(&systemv) {
        return;
    }
    let queue = Queue::<[u8]>::options().priorities(8).create(&posix.0).expect("create");
    let sender = queue.sender().expect("sender");
    for (message, priority) in [(b"a", 0), (b"b", 7), (b"c", 3), (b"d", 7)] {
        sender.send_with(message, Priority(priority)).expect("send");
    }
    let receiver = queue.receiver().expect("receiver");
    let order: Vec<_> =
        (0..4).map(|_| receiver.recv().expect("recv")).map(|d| (d[0], d.priority().0)).collect();
    assert_eq!(order, [(b'b', 7), (b'd', 7), (b'c', 3), (b'a', 0)]);
    let Err(TrySendError::Os(error)) = sender.try_send_with(b"x", Priority(32_768)) else { panic!("sent") };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");

    let queue = Queue::<[u8]>::options().create(&systemv.0).expect("create");
    assert_eq!(queue.capabilities().priorities, 1);
    let sender = queue.sender().expect("sender");
    assert!(matches!(sender.try_send_with(b"x", Priority(1)), Err(TrySendError::Os(_))));
    // By message types, where that is asked for: priority p of n is type n - p.
    let ranked = Queue::<[u8]>::options().priorities(8).open(&systemv.0).expect("open");
    let (sender, receiver) = (ranked.sender().expect("sender"), ranked.receiver().expect("receiver"));
    for (message, priority) in [(b"a", 0), (b"b", 7), (b"c", 3), (b"d", 7)] {
        sender.send_with(message, Priority(priority)).expect("send");
    }
    let order: Vec<_> = (0..4)
        .map(|_| receiver.recv().expect("recv"))
        .map(|d| (d[0], d.priority().0, d.message_type().expect("a type")))
        .collect();
    assert_eq!(order, [(b'b', 7, 1), (b'd', 7, 1), (b'c', 3, 5), (b'a', 0, 8)]);
    let both = Queue::<[u8]>::options().priorities(8).message_type(3).open(&systemv.0).expect_err("both");
    assert_eq!(both.kind(), ErrorKind::ApiMisuse, "{both}");
    let many = Queue::<[u8]>::options().priorities(33).open(&systemv.0).expect_err("too many");
    assert_eq!(many.kind(), ErrorKind::Unsupported, "{many}");
}

#[test]
fn what_the_kernel_does_not_allow_names_its_setting() {
    let [posix, systemv, _] = all_places();
    for (place, setting) in [(&posix, "fs.mqueue.msgsize_max"), (&systemv, "kernel.msgmax")] {
        if exists(place) {
            let error =
                Queue::<[u8]>::options().capacity(1).max_len(1 << 30).create(&place.0).expect_err("created");
            assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
            assert!(error.to_string().contains(setting), "{error}");
            assert!(Queue::<[u8]>::options().open(&place.0).is_err(), "nothing is left of {}", place.0);
        }
    }
}

#[test]
fn what_an_endpoint_lacks_is_refused_at_open() {
    let unsupported = |outcome: Result<Queue, Error>| {
        let error = outcome.expect_err("opened");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    };
    let [posix, systemv, _] = all_places();
    if !exists(&posix) || !exists(&systemv) {
        return;
    }
    for place in [&posix, &systemv] {
        unsupported(Queue::<[u8]>::options().durable(true).open_or_create(&place.0));
    }
    unsupported(Queue::<[u8]>::options().message_type(3).open_or_create(&posix.0));
    for endpoint in ["log:./jobs", "tcp:127.0.0.1:80", "unix:/tmp/x"] {
        unsupported(Queue::<[u8]>::options().open(endpoint));
    }
    for endpoint in ["/jobs", "jobs", "", "mq:jobs", "mq:", "sysv:", "carrier:pigeon"] {
        let error = Queue::<[u8]>::options().open(endpoint).expect_err(endpoint);
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    }
}

#[test]
fn message_types_and_keys_of_files() {
    if !exists(&all_places()[1]) {
        return;
    }
    let file = std::env::temp_dir().join(format!("crossing-queue-test-{}", std::process::id()));
    let endpoint = format!("sysv:{},65", file.display());
    let error = Queue::<[u8]>::options().create(&endpoint).expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("ftok"), "{error}");
    std::fs::write(&file, b"").expect("file");
    let key = Key::from_path(&file, 65).expect("key");
    let place = Place(format!("sysv:{:#x}", key.0.cast_unsigned()));
    let five =
        Queue::<[u8]>::options().message_type(5).access(Access::World).create(&endpoint).expect("create");
    let six = Queue::<[u8]>::options().message_type(6).open(&place.0).expect("the same key");
    let any = Queue::<[u8]>::options().open(&endpoint).expect("open");
    std::fs::remove_file(&file).expect("remove");
    five.sender().expect("sender").send(b"5").expect("send");
    six.sender().expect("sender").send(b"6").expect("send");
    any.sender().expect("sender").send(b"1").expect("send");
    let taken = six.receiver().expect("receiver").try_recv().expect("type 6");
    assert_eq!((&*taken, taken.message_type()), (&b"6"[..], Some(6)));
    assert!(matches!(six.receiver().expect("receiver").try_recv(), Err(TryRecvError::Empty)));
    let receiver = any.receiver().expect("receiver");
    assert_eq!(receiver.recv().expect("recv").message_type(), Some(5));
    assert_eq!(receiver.recv().expect("recv").message_type(), Some(1));
}

#[test]
fn directions_are_kept() {
    for place in places() {
        let _made = Queue::<[u8]>::options().create(&place.0).expect("create");
        let sends = Queue::<[u8]>::options().direction(Direction::Send).open(&place.0).expect("open");
        assert_eq!(sends.receiver().expect_err("refused").kind(), ErrorKind::ApiMisuse);
        sends.sender().expect("sender").send(b"x").expect("send");
        let receives = Queue::<[u8]>::options().direction(Direction::Receive).open(&place.0).expect("open");
        assert_eq!(receives.sender().expect_err("refused").kind(), ErrorKind::ApiMisuse);
        assert_eq!(&*receives.receiver().expect("receiver").recv().expect("recv"), b"x");
    }
}

#[test]
fn spinning_receivers_hear_too_and_keep_their_deadlines() {
    for place in places() {
        let _ = Queue::unlink(&place.0);
        for waiting in [Waiting::Spin, Waiting::Adaptive(Duration::from_millis(3))] {
            let mut options = Queue::<[u8]>::options();
            if !place.0.starts_with("sysv:") {
                options.capacity(4).max_len(64);
            }
            let queue = options.waiting(waiting).open_or_create(&place.0).unwrap();
            let receiver = queue.receiver().unwrap();
            let begun = Instant::now();
            assert!(matches!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvError::TimedOut)));
            assert!(begun.elapsed() >= Duration::from_millis(20));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(10));
                    queue.sender().unwrap().send(b"late").unwrap();
                });
                assert_eq!(*receiver.recv().unwrap(), *b"late");
            });
        }
    }
}
