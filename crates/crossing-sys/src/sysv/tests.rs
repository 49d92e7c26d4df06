#![allow(unsafe_code)] // looks through the pointers of mappings

use super::*;
use crate::ErrorKind;
use crate::file::Access;
use crate::mq::{RecvError, SendError};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

const ROLE: &str = "CROSSING_SYSV_TEST_ROLE";
const KEY: &str = "CROSSING_SYSV_TEST_KEY";

/// A key of its own for each test; all kinds of objects with it are removed whatever happens.
struct Own(Key);

impl Own {
    fn new() -> Self {
        static NEXT: AtomicI32 = AtomicI32::new(1);
        let process = (std::process::id() & 0x3f_ffff).cast_signed();
        // Relaxed: only the number matters.
        Self(Key(0x4000_0000 | process << 8 | NEXT.fetch_add(1, Ordering::Relaxed) & 0xff))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = SharedMemory::open(self.0).and_then(|memory| memory.remove());
        let _ = SemaphoreSet::open(self.0).and_then(|set| set.remove());
        let _ = MessageQueue::open(self.0).and_then(|queue| queue.remove());
    }
}

fn soon(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

/// Runs `child_role` of this test binary in a process of its own.
fn child(role: &str, own: &Own) -> Child {
    crate::testing::myself()
        .args(["--exact", "sysv::tests::child_role", "--nocapture"])
        .env(ROLE, role)
        .env(KEY, own.0.0.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("spawn")
}

/// Not a test by itself: what the child processes of the tests below do.
#[test]
fn child_role() {
    let (Ok(role), Ok(key)) = (std::env::var(ROLE), std::env::var(KEY)) else { return };
    let key = Key(key.parse().expect("a number"));
    match role.as_str() {
        "hold" => {
            let set = SemaphoreSet::open(key).expect("open");
            assert!(set.wait_deadline(0, Undo::OnExit, soon(10_000)).expect("wait"));
            set.post(1, Undo::Never).expect("tell");
            std::thread::sleep(Duration::from_secs(60));
        }
        "count" => {
            let queue = MessageQueue::open(key).expect("open");
            for number in 0..2000_u32 {
                queue.send_deadline(&number.to_le_bytes(), 1, None).expect("send");
            }
        }
        role => panic!("no role {role}"),
    }
}

#[test]
fn keys_are_read_and_written() {
    assert_eq!(Key::parse("0x41000001").expect("hexadecimal"), Key(0x4100_0001));
    assert_eq!(Key::parse("0xffffffff").expect("all ones"), Key(-1));
    assert_eq!(Key::parse("-1").expect("negative"), Key(-1));
    assert_eq!(Key::parse("1234").expect("decimal"), Key(1234));
    assert_eq!(Key(-1).to_string(), "sysv:0xffffffff");
    for wrong in ["", "0x", "0x-1", "0x100000000", "five", "99999999999", ",65", "/tmp,", "/tmp,ab", "/tmp,é"]
    {
        let error = Key::parse(wrong).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    }
    assert_eq!(Key::parse("/tmp,65").expect("number"), Key::parse("/tmp,A").expect("letter"));
    assert_eq!(Key::parse("/tmp,0x41").expect("number"), Key::parse("/tmp,A").expect("letter"));
}

#[test]
fn keys_take_8_bits_of_project_and_device_and_16_of_the_inode() {
    assert_eq!(Key::of_file(0xABC_DE12, 0x7_3456, 0x141), Key(0x4112_3456));
    assert_eq!(Key::of_file(0, 0, -1), Key(0xff00_0000_u32.cast_signed()));
}

#[test]
fn a_missing_file_is_told_with_the_key_that_careless_programs_share() {
    let error = Key::from_path("/nonexistent/shmfile", 65).expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(text.contains("-1") && text.contains("sysv:0xffffffff"), "{text}");
    assert_eq!(Key::from_path("/tmp", 256).expect_err("zero").kind(), ErrorKind::ApiMisuse);
}

#[test]
fn memory_is_shared_between_mappings_and_goes_when_removed() {
    let own = Own::new();
    let memory = SharedMemory::create(own.0, 1000, Access::Private).expect("create");
    assert!(memory.created());
    let error = SharedMemory::create(own.0, 1000, Access::Private).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let (one, two) = (memory.attach().expect("attach"), memory.attach_read_only().expect("attach"));
    assert_eq!((one.len(), two.len()), (1000, 1000));
    assert!(one.as_ptr() != two.as_ptr() && two.is_read_only() && !one.is_read_only());
    let (written, read) = (one.as_ptr().wrapping_add(999), two.as_ptr().wrapping_add(999));
    // SAFETY: the first mapping is writable and has 1000 bytes.
    unsafe { written.write_volatile(0xA5) };
    // SAFETY: the second has 1000 bytes too, and nobody writes now.
    assert_eq!(unsafe { read.read_volatile() }, 0xA5);
    let stat = memory.stat().expect("stat");
    assert_eq!((stat.size, stat.attaches, stat.mode), (1000, 2, 0o600));
    assert_eq!(stat.creator_pid, std::process::id());
    assert!(!stat.marked_for_deletion && stat.attached_at.is_some());
    let listed = list_memory().expect("list").into_iter().find(|found| found.id == memory.id());
    assert_eq!(listed.expect("listed"), stat);
    memory.remove().expect("remove");
    assert!(memory.stat().expect("still attached").marked_for_deletion);
    assert_eq!(SharedMemory::open(own.0).expect_err("no name").kind(), ErrorKind::NotFound);
    drop((one, two));
    assert_eq!(memory.stat().expect_err("gone").kind(), ErrorKind::NotFound);
}

#[test]
fn memory_of_the_wrong_size_is_refused() {
    let own = Own::new();
    assert_eq!(
        SharedMemory::create(own.0, 0, Access::Private).expect_err("empty").kind(),
        ErrorKind::ApiMisuse
    );
    let first = SharedMemory::open_or_create(own.0, 100, Access::World).expect("create");
    assert_eq!(first.stat().expect("stat").mode, 0o666);
    assert!(!SharedMemory::open_or_create(own.0, 50, Access::World).expect("open").created());
    let error = SharedMemory::open_or_create(own.0, 101, Access::World).expect_err("small");
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    // A kernel of 64 bits may have room for all that a process of 32 can address.
    let Ok(huge) = usize::try_from(1_u64 << 62) else { return };
    let other = Own::new();
    let error = SharedMemory::create(other.0, huge, Access::Private).expect_err("huge");
    assert!(matches!(error.kind(), ErrorKind::LimitReached | ErrorKind::NoSpace { .. }), "{error}");
}

#[test]
fn semaphores_count_and_wait() {
    let own = Own::new();
    let set = SemaphoreSet::create(own.0, &[2, 0, 5], Access::Private).expect("create");
    assert_eq!((0..3).map(|index| set.value(index).expect("value")).collect::<Vec<_>>(), [2, 0, 5]);
    assert!(set.try_wait(0, Undo::Never).expect("wait") && set.try_wait(0, Undo::Never).expect("wait"));
    assert!(!set.try_wait(0, Undo::Never).expect("none left"));
    let began = Instant::now();
    assert!(!set.wait_deadline(0, Undo::Never, soon(60)).expect("none left"));
    assert!(began.elapsed() >= Duration::from_millis(60), "{:?}", began.elapsed());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            set.post(0, Undo::Never).expect("post");
        });
        assert!(set.wait_deadline(0, Undo::Never, None).expect("wait"));
    });
    assert_eq!(set.value(3).expect_err("no such index").kind(), ErrorKind::ApiMisuse);
    set.set_value(1, 32_767).expect("set");
    assert_eq!(set.post(1, Undo::Never).expect_err("overflow").kind(), ErrorKind::LimitReached);
    let opened = SemaphoreSet::open_or_create(own.0, &[9, 9], Access::Private).expect("open");
    assert_eq!((opened.created(), opened.count(), opened.value(2).expect("kept")), (false, 3, 5));
    let listed = list_semaphores().expect("list").into_iter().find(|found| found.key == own.0);
    assert_eq!(listed.expect("listed"), set.stat().expect("stat"));
    let error = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| opened.wait_deadline(0, Undo::Never, soon(10_000)));
        std::thread::sleep(Duration::from_millis(50));
        set.remove().expect("remove");
        waiter.join().expect("join").expect_err("removed")
    });
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(set.post(0, Undo::Never).expect_err("removed").kind(), ErrorKind::NotFound);
}

#[test]
fn a_killed_holder_gives_its_permit_back() {
    let own = Own::new();
    let set = SemaphoreSet::create(own.0, &[1, 0], Access::Private).expect("create");
    let mut holder = child("hold", &own);
    assert!(set.wait_deadline(1, Undo::Never, soon(20_000)).expect("wait"), "the holder did not start");
    assert_eq!(set.value(0).expect("value"), 0);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| set.wait_deadline(0, Undo::Never, soon(20_000)));
        holder.kill().expect("kill");
        holder.wait().expect("reap");
        assert!(waiter.join().expect("join").expect("wait"), "the permit was lost");
    });
}

#[test]
fn queues_keep_messages_exact_and_by_type() {
    let own = Own::new();
    let queue = MessageQueue::create(own.0, Access::Private).expect("create");
    let mut buffer = vec![0; queue.max_message_len()];
    assert!(matches!(queue.try_recv(&mut buffer, Select::Any), Err(RecvError::Empty)));
    for (message, number) in [(&b"five"[..], 5), (b"", 2), (&[0, 255, 0], 9), (b"again five", 5)] {
        queue.try_send(message, number).expect("send");
    }
    let stat = queue.stat().expect("stat");
    assert_eq!((stat.len, stat.bytes, stat.last_sender_pid), (4, 17, std::process::id()));
    let listed = list_queues().expect("list").into_iter().find(|found| found.key == own.0);
    assert_eq!(listed.expect("listed"), stat);
    assert!(matches!(
        queue.try_recv(&mut [0; 2], Select::Type(5)),
        Err(RecvError::BufferTooSmall { len: 2, .. })
    ));
    let mut take = |select| {
        let message = queue.try_recv(&mut buffer, select).expect("receive");
        (buffer[..message.len].to_vec(), message.message_type)
    };
    assert_eq!(take(Select::LowestUpTo(4)), (vec![], 2));
    assert_eq!(take(Select::Type(9)), (vec![0, 255, 0], 9));
    assert_eq!(take(Select::Any), (b"five".to_vec(), 5));
    assert_eq!(take(Select::LowestUpTo(i64::MAX)), (b"again five".to_vec(), 5));
    assert!(matches!(queue.recv_deadline(&mut buffer, Select::Any, soon(40)), Err(RecvError::TimedOut)));
    assert!(matches!(queue.try_recv(&mut buffer, Select::Type(0)), Err(RecvError::Os(_))));
    assert!(matches!(queue.try_send(b"x", 0), Err(SendError::Os(_))));
}

#[test]
fn full_queues_wait_and_messages_that_never_fit_are_refused() {
    let own = Own::new();
    let queue = MessageQueue::create(own.0, Access::Private).expect("create");
    queue.set_max_bytes(64).expect("lower");
    queue.try_send(&[1; 60], 1).expect("room");
    assert!(matches!(queue.try_send(&[1; 60], 1), Err(SendError::Full)));
    assert!(matches!(queue.send_deadline(&[1; 60], 1, soon(40)), Err(SendError::TimedOut)));
    // Without the check this would wait for ever if there were no deadline.
    assert!(matches!(
        queue.send_deadline(&[1; 65], 1, soon(5_000)),
        Err(SendError::TooLarge { len: 65, max: 64 })
    ));
    let long = vec![0; queue.max_message_len() + 1];
    assert!(matches!(queue.try_send(&long, 1), Err(SendError::TooLarge { .. })));
    let removed = std::thread::scope(|scope| {
        let sender = scope.spawn(|| queue.send_deadline(&[1; 60], 1, None));
        std::thread::sleep(Duration::from_millis(50));
        queue.remove().expect("remove");
        sender.join().expect("join")
    });
    let Err(SendError::Os(error)) = removed else { panic!("{removed:?}") };
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn another_process_sends_more_than_fits_and_nothing_is_lost() {
    let own = Own::new();
    let queue = MessageQueue::create(own.0, Access::Private).expect("create");
    queue.set_max_bytes(64).expect("lower");
    let mut sender = child("count", &own);
    let mut buffer = vec![0; queue.max_message_len()];
    for number in 0..2000_u32 {
        let message = queue.recv_deadline(&mut buffer, Select::Any, soon(20_000)).expect("receive");
        assert_eq!(buffer[..message.len], number.to_le_bytes());
    }
    assert!(sender.wait().expect("wait").success());
    assert!(matches!(queue.try_recv(&mut buffer, Select::Any), Err(RecvError::Empty)));
}
