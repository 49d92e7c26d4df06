//! A process of 32 bits and one of 64 bits share a segment and a queue. Run by `cargo xtask test --only i686`, which builds
//! this file for both.

use crossing_queue::{Priority, Queue};
use crossing_shm::{Pool, Segment};
use crossing_sync::{Event, EventCell, Mutex, MutexCell};
use crossing_testkit::{Child, RuntimeDirGuard, role, watchdog};
use std::time::Duration;

const LATE: Duration = Duration::from_secs(30);
const TIMES: u64 = 20_000;

struct Ground {
    counter: Mutex<u64>,
    event: Event,
    pool: Pool,
    _segment: Segment,
}

impl Ground {
    fn of(segment: Segment, new: bool) -> Self {
        let counter = segment.attach::<MutexCell<u64>>(0).unwrap();
        let event = segment.attach::<EventCell>(64).unwrap();
        let pool = if new { segment.create_pool(4096, 8, 1000) } else { segment.open_pool(4096) }.unwrap();
        Self { counter, event, pool, _segment: segment }
    }

    fn count(&self) {
        for _ in 0..TIMES {
            *self.counter.lock().into_guard() += 1;
        }
    }
}

/// The other one; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn bits_role() {
    let Some(role) = role("bits_role") else { return };
    let segment = Segment::options().directory(role.argument("directory")).open("bits").unwrap();
    let ground = Ground::of(segment, false);
    let queue = Queue::<[u8]>::options().acknowledge(true).open(&role.argument("queue")).unwrap();
    let back = Queue::<[u8]>::options().open(&format!("{}-back", role.argument("queue"))).unwrap();
    role.say(usize::BITS);
    ground.count();
    // A chunk that the other one left.
    let offset: u64 = role.hear().unwrap().parse().unwrap();
    role.say(String::from_utf8_lossy(&ground.pool.take(offset, 5).unwrap()));
    // Everything from one queue, sent back by the other.
    let (sender, receiver) = (back.sender().unwrap(), queue.receiver().unwrap());
    for _ in 0..100 {
        let delivery = receiver.recv_timeout(LATE).unwrap();
        let bytes = delivery.to_vec();
        delivery.ack().unwrap();
        sender.send_with(&bytes, Priority(9)).unwrap();
    }
    ground.event.wait();
    let _held = receiver.recv_timeout(LATE).unwrap();
    let _guard = ground.counter.lock();
    role.say("holding");
    role.pause();
}

#[test]
#[ignore = "needs this file built for both: cargo xtask test --only i686"]
fn processes_of_32_and_64_bits_share_a_segment() {
    let other = std::env::var("CROSSING_TEST_OTHER_BITS").expect("the other build of this file");
    let _watchdog = watchdog(Duration::from_secs(120));
    let guard = RuntimeDirGuard::new();
    let segment = Segment::options().size(1 << 16).directory(guard.path()).create("bits").unwrap();
    let ground = Ground::of(segment, true);
    let name = format!("shm:bits-{}", std::process::id());
    let mut options = Queue::<[u8]>::options();
    options.capacity(8).max_len(70_000).acknowledge(true).unlink_on_drop(true);
    let queue = options.create(&name).unwrap();
    let back = options.create(&format!("{name}-back")).unwrap();

    let mut child = Child::role_of(&other, "bits_role")
        .argument("directory", guard.path())
        .argument("queue", &name)
        .spawn();
    let bits = child.expect_line(LATE);
    assert_ne!(bits, usize::BITS.to_string(), "two of a kind");
    ground.count();
    let mut chunk = ground.pool.loan(5).unwrap();
    chunk.copy_from_slice(b"chunk");
    child.tell(&chunk.leave().to_string());
    child.expect("chunk");
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let replies = back.receiver().unwrap();
    for number in 0..100_usize {
        let bytes: Vec<u8> = (0..number * 700).map(|at| (at + number) as u8).collect();
        sender.send_timeout(&bytes, LATE).unwrap();
        let reply = replies.recv_timeout(LATE).unwrap();
        assert_eq!((reply.priority(), *reply == *bytes), (Priority(9), true), "message {number}");
        reply.ack().unwrap();
    }
    sender.send(b"held").unwrap();
    ground.event.set();
    child.expect("holding");
    assert!(ground.counter.try_lock().is_err(), "two hold it");
    child.kill();
    let acquired = ground.counter.lock_timeout(LATE).unwrap();
    assert!(acquired.is_recovered());
    assert_eq!(*acquired.into_guard(), 2 * TIMES);
    let again = receiver.recv_timeout(LATE).unwrap();
    assert_eq!((&*again, again.redelivered()), (&b"held"[..], true));
    again.ack().unwrap();
    println!("{} and {bits} bits share a segment and a queue", usize::BITS);
}
