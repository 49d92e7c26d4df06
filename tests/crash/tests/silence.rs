//! No system call while nobody sleeps: the kernel kills whoever makes one.

use crossing_bus::{Overflow, Topic};
use crossing_queue::Queue;
use crossing_shm::Segment;
use crossing_sync::{EventCell, MutexCell, RwLockCell, SemaphoreCell};
use crossing_testkit::{Child, RuntimeDirGuard, role, watchdog};
use std::cell::RefCell;
use std::time::Duration;

const LATE: Duration = Duration::from_secs(30);
const TIMES: u32 = 10_000;

/// Uses everything uncontended under the eyes of the kernel; runs only as a child.
#[test]
#[ignore = "a role of the tests here"]
fn silent_role() {
    let Some(role) = role("silent_role") else { return };
    let directory = role.argument("directory");
    let segment = Segment::options().size(1 << 16).directory(&directory).create("silent").unwrap();
    let mutex = segment.attach::<MutexCell<u64>>(0).unwrap();
    let rwlock = segment.attach::<RwLockCell<u64>>(64).unwrap();
    let semaphore = segment.attach::<SemaphoreCell>(4096).unwrap();
    let event = segment.attach::<EventCell>(8192).unwrap();
    let pool = segment.create_pool(16384, 4, 1024).unwrap();
    let mut options = Queue::<[u8]>::options();
    options.capacity(64).max_len(1000).acknowledge(true).unlink_on_drop(true);
    let queue = options.create(&role.argument("queue")).unwrap();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let topic = Topic::<[u8]>::options().max_len(1000).overflow(Overflow::Block);
    let topic = topic.open(&role.argument("topic")).unwrap();
    let publisher = topic.publisher().unwrap();
    let subscriber = RefCell::new(topic.subscriber().unwrap());
    let once = |number: u32| {
        *mutex.lock().into_guard() += 1;
        *rwlock.write().into_guard() += 1;
        assert!(*rwlock.read().into_guard() > 0);
        semaphore.post(1).unwrap();
        semaphore.wait();
        event.set();
        event.wait();
        event.reset();
        drop(pool.loan(100).unwrap());
        for len in [8, 64, 1000] {
            sender.send(&[number as u8; 1000][..len]).unwrap();
            let delivery = receiver.recv().unwrap();
            assert_eq!((delivery.len(), delivery[0]), (len, number as u8));
            delivery.ack().unwrap();
            let mut loan = publisher.loan_slice(len).unwrap();
            loan.fill(number as u8);
            loan.send().unwrap();
            let sample = subscriber.borrow_mut().recv().unwrap();
            publisher.send(&sample).unwrap();
            let next = subscriber.borrow_mut().recv().unwrap();
            assert_eq!((sample.len(), next.len(), next[0]), (len, len, number as u8));
        }
    };
    // What is done once: pages, thread-locals.
    (0..100).for_each(once);
    let quiet = role.argument("quiet") == "yes";
    if crossing_sys::silence::keep().is_err() {
        role.say("cannot");
        return;
    }
    (0..TIMES).for_each(once);
    if !quiet {
        std::thread::yield_now();
    }
    crossing_sys::silence::break_with(b"\n\x01say:silent\n");
}

#[test]
fn no_system_call_unless_somebody_sleeps() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let guard = RuntimeDirGuard::new();
    let topic = format!("silent-{}", std::process::id());
    let queue = format!("shm:{topic}");
    for quiet in ["yes", "no"] {
        let mut child = Child::role("silent_role")
            .argument("directory", guard.path())
            .argument("queue", &queue)
            .argument("topic", &topic)
            .argument("quiet", quiet)
            .spawn();
        if quiet == "no" {
            // The proof that the kernel would tell: it ends the thread that makes one, without a word.
            assert_eq!(child.line(Duration::from_secs(3)), None);
        } else if child.expect_line(LATE) == "cannot" {
            println!("this system cannot forbid system calls: nothing was shown");
            child.wait(LATE).success();
            return;
        }
        child.kill();
        // What the killed one left is taken over, and then removed.
        drop(Segment::options().size(4096).directory(guard.path()).create("silent").unwrap());
        Queue::unlink(&queue).unwrap();
        drop(
            Topic::<[u8]>::options()
                .max_len(1000)
                .overflow(Overflow::Block)
                .open(&topic)
                .unwrap()
                .publisher(),
        );
    }
}
