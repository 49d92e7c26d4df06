use super::*;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const ROLE: &str = "CROSSING_MQ_TEST_ROLE";
const NAME: &str = "CROSSING_MQ_TEST_NAME";

/// A name of its own for each test, unlinked whatever happens.
struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the number matters.
        Self(format!("/crossing-mq-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = unlink(&self.0);
    }
}

fn small(name: &Name) -> MessageQueue {
    Options::new().max_messages(3).max_message_len(32).create(&name.0).expect("create")
}

fn recv(queue: &MessageQueue) -> Result<(Vec<u8>, u32), RecvError> {
    let mut buffer = vec![0xEE; queue.max_message_len()];
    let received = queue.try_recv(&mut buffer)?;
    buffer.truncate(received.len);
    Ok((buffer, received.priority))
}

/// Runs `child_role` of this test binary in a process of its own.
fn child(role: &str, name: &Name) -> Child {
    crate::testing::myself()
        .args(["--exact", "mq::tests::child_role", "--nocapture"])
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
    let queue = Options::new().open(&name).expect("open in child");
    match role.as_str() {
        "count" => {
            for number in 0..500_u32 {
                queue.send_deadline(&number.to_le_bytes(), number % 2, None).expect("send");
            }
        }
        "sleep" => {
            let mut buffer = vec![0; queue.max_message_len()];
            let _ = queue.recv_deadline(&mut buffer, None);
        }
        role => panic!("no role {role}"),
    }
}

#[test]
fn messages_are_exact_and_ordered_by_priority() {
    let name = Name::new();
    let queue = small(&name);
    assert!(queue.created());
    queue.try_send(b"", 0).expect("empty message");
    queue.try_send(&[0, 1, 0, 255], 5).expect("with NUL bytes");
    queue.try_send(&[7; 32], 5).expect("of the full length");
    assert_eq!(
        queue.attributes().expect("attributes"),
        Attributes { max_messages: 3, max_message_len: 32, len: 3 }
    );
    assert_eq!(recv(&queue).expect("first"), (vec![0, 1, 0, 255], 5));
    assert_eq!(recv(&queue).expect("second"), (vec![7; 32], 5));
    assert_eq!(recv(&queue).expect("third"), (vec![], 0));
    assert!(matches!(recv(&queue), Err(RecvError::Empty)));
}

#[test]
fn a_full_queue_and_wrong_messages_are_refused() {
    let name = Name::new();
    let queue = small(&name);
    for _ in 0..3 {
        queue.try_send(b"x", 0).expect("room");
    }
    assert!(matches!(queue.try_send(b"x", 0), Err(SendError::Full)));
    let began = Instant::now();
    let deadline = Some(began + Duration::from_millis(60));
    assert!(matches!(queue.send_deadline(b"x", 0, deadline), Err(SendError::TimedOut)));
    assert!(began.elapsed() >= Duration::from_millis(60), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(matches!(queue.try_send(&[0; 33], 0), Err(SendError::TooLarge { len: 33, max: 32 })));
    let Err(SendError::Os(error)) = queue.try_send(b"x", MAX_PRIORITY + 1) else { panic!("priority taken") };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse);
    assert!(matches!(queue.try_recv(&mut [0; 31]), Err(RecvError::BufferTooSmall { len: 31, need: 32 })));
    assert_eq!(queue.attributes().expect("attributes").len, 3, "nothing was added or lost");
}

#[test]
fn waiting_for_a_message_ends_at_the_deadline_or_with_the_message() {
    let name = Name::new();
    let queue = small(&name);
    let mut buffer = [0; 32];
    let began = Instant::now();
    let outcome = queue.recv_deadline(&mut buffer, Some(began + Duration::from_millis(60)));
    assert!(matches!(outcome, Err(RecvError::TimedOut)));
    assert!(began.elapsed() >= Duration::from_millis(60));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            queue.try_send(b"now", 9).expect("send");
        });
        let received = queue.recv_deadline(&mut buffer, None).expect("receive");
        assert_eq!((&buffer[..received.len], received.priority), (&b"now"[..], 9));
    });
}

#[test]
fn names_and_missing_queues_are_explained() {
    for wrong in ["jobs", "/", "/a/b", "/.", "/..", "", "/nul\0", &format!("/{}", "n".repeat(256))] {
        let error = Options::new().create(wrong).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
        assert!(unlink(wrong).is_err());
    }
    let name = Name::new();
    let error = Options::new().open(&name.0).expect_err("nobody made it");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no such queue"), "{error}");
    assert_eq!(unlink(&name.0).expect_err("nobody made it").kind(), ErrorKind::NotFound);
}

#[test]
fn creating_and_opening_agree() {
    let name = Name::new();
    let first = Options::new().max_messages(2).max_message_len(16).open_or_create(&name.0).expect("create");
    let second = Options::new().open_or_create(&name.0).expect("open");
    assert!(first.created() && !second.created());
    assert_eq!((second.max_messages(), second.max_message_len()), (2, 16));
    assert_eq!(Options::new().create(&name.0).expect_err("taken").kind(), ErrorKind::AlreadyExists);
    let error = Options::new().max_message_len(17).open(&name.0).expect_err("too small");
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    assert!(first.unlink_if_same().expect("unlink"));
    assert!(!second.unlink_if_same().expect("gone already"));
    let _third = small(&name);
    assert!(!second.unlink_if_same().expect("another queue has the name now"));
}

#[test]
fn directions_are_kept() {
    let name = Name::new();
    let both = small(&name);
    let sender = Options::new().direction(Direction::Send).open(&name.0).expect("open");
    let receiver = Options::new().direction(Direction::Receive).open(&name.0).expect("open");
    sender.try_send(b"a", 0).expect("send");
    let Err(SendError::Os(error)) = receiver.try_send(b"b", 0) else { panic!("sent") };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    let Err(RecvError::Os(error)) = recv(&sender) else { panic!("received") };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    assert_eq!(recv(&receiver).expect("receive").0, b"a");
    drop(both);
}

#[test]
fn sizes_beyond_every_limit_name_the_limit() {
    let name = Name::new();
    // Beyond what even root may have (HARD_MSGMAX and HARD_MSGSIZEMAX of the kernel).
    let error = Options::new().max_messages(100_000).create(&name.0).expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert!(error.to_string().contains("fs.mqueue.msg_max"), "{error}");
    let error = Options::new().max_message_len(64 << 20).create(&name.0).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert!(error.to_string().contains("fs.mqueue.msgsize_max"), "{error}");
    assert_eq!(
        Options::new().max_messages(0).create(&name.0).expect_err("none").kind(),
        ErrorKind::ApiMisuse
    );
}

#[test]
fn another_process_sends_more_than_fits_and_nothing_is_lost() {
    let name = Name::new();
    let queue = small(&name);
    let mut sender = child("count", &name);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut buffer = [0; 32];
    let mut seen = Vec::new();
    while seen.len() < 500 {
        let received = queue.recv_deadline(&mut buffer, Some(deadline)).expect("receive");
        let number = u32::from_le_bytes(buffer[..received.len].try_into().expect("four bytes"));
        assert_eq!(received.priority, number % 2);
        seen.push(number);
    }
    assert!(sender.wait().expect("wait").success());
    // Within one priority the order is that of sending.
    for parity in 0..2 {
        let numbers: Vec<u32> = seen.iter().copied().filter(|number| number % 2 == parity).collect();
        assert_eq!(numbers, (0..500).filter(|number| number % 2 == parity).collect::<Vec<_>>());
    }
    assert!(matches!(recv(&queue), Err(RecvError::Empty)));
}

#[test]
fn a_receiver_killed_while_it_waits_takes_no_message_along() {
    let name = Name::new();
    let queue = small(&name);
    let mut waiter = child("sleep", &name);
    std::thread::sleep(Duration::from_millis(200));
    waiter.kill().expect("kill");
    waiter.wait().expect("wait");
    queue.try_send(b"kept", 0).expect("send");
    assert_eq!(recv(&queue).expect("receive").0, b"kept");
}
