//! Queues in a bare event loop, with senders and receivers in other processes.

use crossing_queue::{Interest, Poller, Queue, Receiver, TryRecvError, TrySendError};
use crossing_sys::ErrorKind;
use crossing_sys::doorbell::wait_any;
use crossing_testkit::proxy::Random;
use crossing_testkit::{Child, Role, role, unique_name, watchdog};
#[cfg(unix)]
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Far longer than any machine needs.
const LATE: Duration = Duration::from_secs(120);

/// A queue for one test; `None` where the system has none of this kind.
fn place(scheme: &str, capacity: u64) -> Option<(String, Queue)> {
    let name = format!("{scheme}{}", unique_name("poll"));
    match Queue::<[u8]>::options().capacity(capacity).max_len(64).unlink_on_drop(true).create(&name) {
        Ok(queue) => Some((name, queue)),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => panic!("{error}"),
    }
}

/// The doorbells that hang in the directory of a name. On Windows they are no files.
#[cfg(unix)]
fn bells(name: &str) -> Vec<PathBuf> {
    let entry = crossing_shm::registry::inspect(name.strip_prefix("shm:").unwrap()).unwrap();
    let files = std::fs::read_dir(entry.path.parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with("bell-")).collect()
}

fn wait(pollers: &[&Poller]) {
    let handles: Vec<_> = pollers.iter().map(|poller| poller.handle()).collect();
    wait_any(&handles, Some(Instant::now() + LATE)).unwrap().expect("no handle became ready");
}

fn open(role: &Role, argument: &str) -> Queue {
    Queue::<[u8]>::options().open(&role.argument(argument)).unwrap()
}

fn number(bytes: &[u8]) -> (u32, u32) {
    let part = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    (part(0), part(4))
}

fn message(sender: u32, number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&sender.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// What each sender sent comes once each, in order.
#[derive(Default)]
struct Book(Vec<u32>);

impl Book {
    fn note(&mut self, bytes: &[u8]) {
        let (sender, number) = number(bytes);
        let sender = sender as usize;
        if self.0.len() <= sender {
            self.0.resize(sender + 1, 0);
        }
        assert_eq!(self.0[sender], number, "of sender {sender}");
        self.0[sender] += 1;
    }

    fn sum(&self) -> u32 {
        self.0.iter().sum()
    }
}

/// Receives what is there.
fn drain(receiver: &Receiver, book: &mut Book) -> u32 {
    let mut count = 0;
    loop {
        match receiver.try_recv() {
            Ok(delivery) => book.note(&delivery),
            Err(TryRecvError::Empty) => return count,
            Err(error) => panic!("{error}"),
        }
        count += 1;
    }
}

/// Sends `count` messages to each of two queues, in bursts, with rests in between.
#[test]
#[ignore = "a child process of the tests here"]
fn role_sender() {
    let Some(role) = role("role_sender") else { return };
    let (sender, count) = (role.argument("sender").parse().unwrap(), role.argument("count").parse().unwrap());
    let queues = [open(&role, "one"), open(&role, "other")];
    let ends = queues.each_ref().map(|queue| queue.sender().unwrap());
    let mut random = Random::new(u64::from(sender) + 1);
    for number in 0..count {
        for end in &ends {
            end.send(&message(sender, number)).unwrap();
        }
        match random.below(8) {
            0 => std::thread::sleep(Duration::from_micros(random.below(300))),
            1 => std::thread::yield_now(),
            _ => {}
        }
    }
    role.say("done");
}

fn sender(index: u32, count: u32, names: [&str; 2]) -> Child {
    let child = Child::role("role_sender").argument("sender", index.to_string());
    let child = child.argument("count", count.to_string());
    child.argument("one", names[0]).argument("other", names[1]).spawn()
}

#[test]
fn an_event_loop_over_two_queues_hears_of_every_message() {
    let _guard = watchdog(LATE);
    const SENDERS: u32 = 2;
    const COUNT: u32 = 3000;
    for other in ["shm:", "mq:/"] {
        let (one, Some(other)) = (place("shm:", 8).unwrap(), place(other, 8)) else { continue };
        let mut children: Vec<_> =
            (0..SENDERS).map(|index| sender(index, COUNT, [&one.0, &other.0])).collect();
        let ends = [one.1.receiver().unwrap(), other.1.receiver().unwrap()];
        let pollers = ends.each_ref().map(|end| end.poller().unwrap());
        assert!(one.1.capabilities().pollable && other.1.capabilities().pollable);
        let mut books = [Book::default(), Book::default()];
        while books.iter().map(Book::sum).sum::<u32>() < 2 * SENDERS * COUNT {
            for (at, end) in ends.iter().enumerate() {
                pollers[at].arm().unwrap();
                drain(end, &mut books[at]);
            }
            if books.iter().map(Book::sum).sum::<u32>() < 2 * SENDERS * COUNT {
                wait(&pollers.each_ref());
            }
        }
        for child in &mut children {
            child.expect("done");
        }
    }
}

#[test]
fn killed_senders_neither_stop_nor_double_anything() {
    let _guard = watchdog(LATE);
    let ((one, first), (other, second)) = (place("shm:", 64).unwrap(), place("shm:", 64).unwrap());
    let ends = [first.receiver().unwrap(), second.receiver().unwrap()];
    let pollers = ends.each_ref().map(|end| end.poller().unwrap());
    let mut books = [Book::default(), Book::default()];
    let mut random = Random::new(5);
    for index in 0..12 {
        let mut child = sender(index, u32::MAX, [&one, &other]);
        let enough = books[0].sum() + 1 + random.below(400) as u32;
        while books[0].sum() < enough {
            for (at, end) in ends.iter().enumerate() {
                pollers[at].arm().unwrap();
                drain(end, &mut books[at]);
            }
            if books[0].sum() < enough {
                wait(&pollers.each_ref());
            }
        }
        child.kill();
    }
    // What the last one left comes too; each was killed between its two queues at most.
    let mut left = [0, 0];
    while {
        for (at, end) in ends.iter().enumerate() {
            pollers[at].arm().unwrap();
            left[at] = drain(end, &mut books[at]);
        }
        left != [0, 0]
    } {}
    for sender in 0..12 {
        let (first, second) = (books[0].0[sender], books[1].0[sender]);
        assert!(first == second || first == second + 1, "of sender {sender}: {first} and {second}");
    }
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_receiver() {
    let Some(role) = role("role_receiver") else { return };
    let receiver = open(&role, "one").receiver().unwrap();
    let mut book = Book::default();
    let mut random = Random::new(3);
    while book.sum() < role.argument("count").parse().unwrap() {
        book.note(&receiver.recv_timeout(LATE).unwrap());
        if random.below(16) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(300)));
        }
    }
    role.say("done");
}

#[test]
fn an_event_loop_hears_of_room_for_senders() {
    let _guard = watchdog(LATE);
    const COUNT: u32 = 3000;
    for scheme in ["shm:", "mq:/"] {
        let Some((name, queue)) = place(scheme, 8) else { continue };
        let child = Child::role("role_receiver").argument("one", &name).argument("count", COUNT.to_string());
        let mut child = child.spawn();
        let sender = queue.sender().unwrap();
        let poller = sender.poller().unwrap();
        let mut sent = 0;
        while sent < COUNT {
            poller.arm().unwrap();
            loop {
                match sender.try_send(&message(0, sent)) {
                    Ok(()) => sent += 1,
                    Err(TrySendError::Full) => break,
                    Err(error) => panic!("{error}"),
                }
                if sent == COUNT {
                    break;
                }
            }
            if sent < COUNT && poller.interest() == Interest::Readable {
                wait(&[&poller]);
            } else {
                // The kernel's is writable when there is room: poll(2) for that is a matter of the loop.
                std::thread::yield_now();
            }
        }
        child.expect("done");
    }
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_poller() {
    let Some(role) = role("role_poller") else { return };
    let receiver = open(&role, "one").receiver().unwrap();
    let pollers: Vec<_> = (0..3).map(|_| receiver.poller().unwrap()).collect();
    for poller in &pollers {
        poller.arm().unwrap();
    }
    role.say("armed");
    role.pause();
}

#[cfg(unix)]
#[test]
fn doorbells_of_the_dead_are_removed_and_those_of_the_living_stay() {
    let _guard = watchdog(LATE);
    let (name, queue) = place("shm:", 8).unwrap();
    let receiver = queue.receiver().unwrap();
    let mine = receiver.poller().unwrap();
    assert_eq!(bells(&name).len(), 1);
    let mut child = Child::role("role_poller").argument("one", &name).spawn();
    child.expect("armed");
    // Others have opened the name, which sweeps its directory.
    assert_eq!(bells(&name).len(), 4);
    child.kill();
    // Sending rings the dead in vain, and the living.
    mine.arm().unwrap();
    queue.sender().unwrap().send(b"12345678").unwrap();
    wait(&[&mine]);
    receiver.try_recv().unwrap().ack().unwrap();
    // Whoever opens the name next removes what the dead left.
    let again = Queue::<[u8]>::options().open(&name).unwrap();
    assert_eq!(bells(&name).len(), 1);
    drop(again);
    // So does whoever waits, without anybody opening anything.
    let mut child = Child::role("role_poller").argument("one", &name).spawn();
    child.expect("armed");
    child.kill();
    while bells(&name).len() > 1 {
        mine.arm().unwrap();
        wait(&[&mine]);
    }
    drop(mine);
    assert_eq!(bells(&name), Vec::<PathBuf>::new());
}

#[test]
fn what_cannot_be_polled_says_so() {
    let endpoint = format!("sysv:{:#x}", 0x3000_0000 | (std::process::id() & 0xff_ffff));
    let queue = match Queue::<[u8]>::options().unlink_on_drop(true).create(&endpoint) {
        Ok(queue) => queue,
        Err(error) if error.kind() == ErrorKind::Unsupported => return,
        Err(error) => panic!("{error}"),
    };
    assert!(!queue.capabilities().pollable);
    let error = queue.receiver().unwrap().poller().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("sysv:") && error.to_string().contains("recv_timeout"), "{error}");
    assert_eq!(queue.sender().unwrap().poller().unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Sends under the eyes of the kernel, which kills it at any system call.
#[test]
#[ignore = "a child process of the tests here"]
fn role_silent() {
    let Some(role) = role("role_silent") else { return };
    let queue = open(&role, "one");
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let once = |number| {
        sender.send(&message(0, number)).unwrap();
        receiver.try_recv().unwrap();
    };
    // What is done once: pages, thread-locals.
    (0..100).for_each(once);
    role.say("ready");
    let _ = role.hear();
    if crossing_sys::silence::keep().is_err() {
        role.say("cannot");
        return;
    }
    // Fewer than the number after which a receiver that is never idle asks whether others live.
    (0..2000).for_each(once);
    crossing_sys::silence::break_with(b"\n\x01say:silent\n");
}

#[cfg(unix)]
#[test]
fn senders_make_no_system_call_unless_a_poller_is_armed() {
    let _guard = watchdog(LATE);
    for armed in [false, true] {
        let (name, queue) = place("shm:", 8).unwrap();
        // There all the time, as an event loop that is busy with other things.
        let poller = queue.receiver().unwrap().poller().unwrap();
        poller.arm().unwrap();
        let mut child = Child::role("role_silent").argument("one", &name).spawn();
        child.expect("ready");
        if armed {
            poller.arm().unwrap();
        }
        child.tell("go");
        if armed {
            // The proof that the kernel would tell: it ends the thread that makes one, without a word.
            assert_eq!(child.line(Duration::from_secs(3)), None);
        } else if child.expect_line(LATE) == "cannot" {
            println!("this system cannot forbid system calls: nothing was shown");
            return;
        }
        child.kill();
    }
}
