//! The behaviours of queues. Each is a test: it panics where the queue does not do what it should.
#![allow(clippy::missing_panics_doc)]

use crossing_queue::{
    Message, Overflow, Priority, Properties, Queue, QueueOptions, RecvError, SendError, TryRecvError,
    TrySendError,
};
use crossing_sys::ErrorKind;
use crossing_testkit::{Child, Role};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_millis(300);
const CAPACITY: u64 = 8;
const MAX_LEN: usize = 128;

/// What carries the queues of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `shm:`
    Shared,
    /// `mq:`
    Posix,
    /// `sysv:`
    SystemV,
    /// `sysv:` with priorities, which are message types there.
    SystemVRanked,
}

/// A name of its own for each test, unlinked whatever happens.
#[derive(Debug)]
pub struct Place {
    /// What carries it.
    pub carrier: Carrier,
    /// The endpoint.
    pub endpoint: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Queue::unlink(&self.endpoint);
    }
}

impl Place {
    /// A fresh one; `None`, with a note, where the operating system has no such queues.
    #[must_use]
    pub fn new(carrier: Carrier) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Relaxed: only the number matters.
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let endpoint = match carrier {
            Carrier::Shared => format!("shm:crossing-conformance-{process}-{number}"),
            Carrier::Posix => format!("mq:/crossing-conformance-{process}-{number}"),
            Carrier::SystemV | Carrier::SystemVRanked => {
                format!("sysv:{:#x}", 0x4000_0000 | (process & 0x1f_ffff) << 8 | number & 0xff)
            }
        };
        match Queue::<[u8]>::options().open(&endpoint) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                println!("note: not on this system: {error}");
                None
            }
            _ => Some(Self { carrier, endpoint }),
        }
    }

    /// Options for 8 messages of 128 bytes, and priorities where they can be had.
    #[must_use]
    pub fn options(&self) -> QueueOptions {
        let mut options = Queue::<[u8]>::options();
        options.capacity(CAPACITY).max_len(MAX_LEN as u64);
        if self.carrier != Carrier::SystemV {
            options.priorities(8);
        }
        options
    }

    /// A new queue.
    #[must_use]
    pub fn create(&self) -> Queue {
        self.options().create(&self.endpoint).expect("create")
    }

    fn open(&self) -> Queue {
        let mut options = Queue::<[u8]>::options();
        if self.carrier == Carrier::SystemVRanked {
            options.priorities(8);
        }
        options.open(&self.endpoint).expect("open")
    }

    /// Asking for what it lacks is an error that names it.
    fn refuses(&self, ask: impl FnOnce(&mut QueueOptions) -> &mut QueueOptions, word: &str) {
        let error = ask(&mut self.options()).create(&self.endpoint).expect_err("opened what it lacks");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)).expect("4 bytes")
}

/// First in, first out, to the byte, of any length.
pub fn order(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    for round in 0..20_u8 {
        for length in 0..5 {
            sender.try_send(&vec![round ^ length; usize::from(length) * 30]).expect("send");
        }
        for length in 0..5 {
            let message = receiver.try_recv().expect("received");
            assert_eq!(*message, vec![round ^ length; usize::from(length) * 30]);
        }
    }
}

/// Each message to exactly one of several receivers, from several senders, each sender's in its order.
pub fn one_receiver_each(place: &Place) {
    const EACH: u32 = 400;
    let queue = place.create();
    let got: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let receiver = queue.receiver().expect("receiver");
                scope.spawn(move || {
                    let mut got = Vec::new();
                    loop {
                        let message = receiver.recv_timeout(LONG).expect("received");
                        if message.is_empty() {
                            return got;
                        }
                        got.push(number(&message));
                    }
                })
            })
            .collect();
        let senders: Vec<_> = (0..3_u32)
            .map(|who| {
                let sender = queue.sender().expect("sender");
                scope.spawn(move || {
                    for count in 0..EACH {
                        sender.send_timeout(&(who << 16 | count).to_le_bytes(), LONG).expect("sent");
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().expect("a sender"));
        let sender = queue.sender().expect("sender");
        (0..3).for_each(|_| sender.send_timeout(b"", LONG).expect("the end"));
        receivers.into_iter().map(|receiver| receiver.join().expect("a receiver")).collect()
    });
    for each in &got {
        for who in 0..3 {
            let own: Vec<u32> = each.iter().copied().filter(|id| id >> 16 == who).collect();
            assert!(own.is_sorted(), "a sender's messages out of order");
        }
    }
    let mut all: Vec<u32> = got.concat();
    all.sort_unstable();
    let wanted: Vec<u32> = (0..3_u32).flat_map(|who| (0..EACH).map(move |count| who << 16 | count)).collect();
    assert_eq!(all, wanted);
}

/// The highest priority first, in order within one; priorities that there are not are refused.
pub fn priorities(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    let levels = queue.capabilities().priorities;
    if place.carrier == Carrier::SystemV {
        assert_eq!(levels, 1);
    } else {
        assert!(levels >= 8);
        for (message, priority) in [(b"a", 0), (b"b", 7), (b"c", 3), (b"d", 7), (b"e", 3)] {
            sender.send_with(message, Priority(priority)).expect("send");
        }
        let order: Vec<_> = (0..5)
            .map(|_| receiver.try_recv().expect("received"))
            .map(|message| (message[0], message.priority().0))
            .collect();
        assert_eq!(order, [(b'b', 7), (b'd', 7), (b'c', 3), (b'e', 3), (b'a', 0)]);
    }
    let Err(TrySendError::Os(error)) = sender.try_send_with(b"x", Priority(levels)) else { panic!("sent") };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
}

/// As many messages as it was made for, and then none until there is room.
pub fn capacity(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    let mut sent = 0_u32;
    loop {
        let mut message = [0; MAX_LEN];
        message[..4].copy_from_slice(&sent.to_le_bytes());
        match sender.try_send(&message) {
            Ok(()) => sent += 1,
            Err(TrySendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
        assert!(sent <= 100_000, "no limit");
    }
    let stats = queue.stats().expect("stats");
    assert_eq!(stats.len, u64::from(sent));
    match stats.capacity {
        Some(capacity) => assert_eq!((u64::from(sent), capacity), (CAPACITY, CAPACITY)),
        None => assert!(stats.max_bytes.expect("bytes") / MAX_LEN as u64 == u64::from(sent)),
    }
    assert!(matches!(sender.send_timeout(b"late", MOMENT), Err(SendError::TimedOut)));
    assert_eq!(number(&receiver.try_recv().expect("received")), 0);
    sender.send_timeout(&[9; MAX_LEN], LONG).expect("room");
    for wanted in 1..sent {
        assert_eq!(number(&receiver.try_recv().expect("received")), wanted);
    }
}

/// A full queue is an error at once where that was asked for.
pub fn overflow_fail(place: &Place) {
    let queue = place.options().overflow(Overflow::Fail).create(&place.endpoint).expect("create");
    let sender = queue.sender().expect("sender");
    let full = std::iter::repeat_with(|| sender.send(&[1; MAX_LEN])).find_map(Result::err);
    assert!(matches!(full, Some(SendError::Full)));
}

/// The oldest is dropped for the newest, and counted; or refused at open.
pub fn overflow_drop_oldest(place: &Place) {
    if !place.create().capabilities().drop_oldest {
        Queue::unlink(&place.endpoint).expect("unlinked");
        place.refuses(|options| options.overflow(Overflow::DropOldest), "oldest");
        return;
    }
    Queue::unlink(&place.endpoint).expect("unlinked");
    let queue = place.options().overflow(Overflow::DropOldest).create(&place.endpoint).expect("create");
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    for count in 0..20_u32 {
        sender.send(&count.to_le_bytes()).expect("sent");
    }
    for wanted in 12..20 {
        assert_eq!(number(&receiver.try_recv().expect("received")), wanted);
    }
    assert_eq!(queue.stats().expect("stats").dropped, 12);
}

/// Every way of waiting ends when it should, and a sleeper is woken.
pub fn waiting(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    let begun = Instant::now();
    assert!(matches!(receiver.recv_timeout(MOMENT), Err(RecvError::TimedOut)));
    assert!(matches!(receiver.recv_deadline(Instant::now() + MOMENT), Err(RecvError::TimedOut)));
    assert!(begun.elapsed() >= 2 * MOMENT);
    assert!(matches!(receiver.recv_deadline(begun), Err(RecvError::TimedOut)), "a time that has passed");
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| receiver.recv_timeout(LONG).expect("woken").to_vec());
        std::thread::sleep(MOMENT);
        sender.send(b"wake").expect("sent");
        assert_eq!(sleeper.join().expect("the sleeper"), b"wake");
    });
}

/// The longest message passes, and one byte more does not.
pub fn lengths(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    let max = sender.max_len();
    assert!(max >= MAX_LEN);
    match sender.try_send(&vec![1; max + 1]) {
        Err(TrySendError::TooLarge { len, max: most }) => {
            assert_eq!((len, most), (max as u64 + 1, max as u64));
        }
        other => panic!("{other:?}"),
    }
    for len in [0, 1, MAX_LEN] {
        sender.try_send(&vec![len as u8; len]).expect("sent");
        assert_eq!(*receiver.try_recv().expect("received"), vec![len as u8; len]);
    }
}

/// Several at a time.
pub fn batches(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    let messages: Vec<[u8; 4]> = (0..6_u32).map(u32::to_le_bytes).collect();
    let slices: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
    assert_eq!(sender.send_many(&slices).expect("sent"), 6);
    let got = receiver.recv_many(4, Some(Instant::now() + LONG)).expect("received");
    assert_eq!(got.iter().map(|message| number(message)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    drop(got);
    let got = receiver.recv_many(4, Some(Instant::now() + LONG)).expect("received");
    assert_eq!(got.iter().map(|message| number(message)).collect::<Vec<_>>(), [4, 5]);
}

/// What is not acknowledged comes again, first; or acknowledging is refused at open.
pub fn acknowledgement(place: &Place) {
    let can = place.create().capabilities();
    Queue::unlink(&place.endpoint).expect("unlinked");
    if !can.acknowledge {
        place.refuses(|options| options.acknowledge(true), "acknowledged");
        return;
    }
    let queue = place.options().acknowledge(true).create(&place.endpoint).expect("create");
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    sender.send(b"one").expect("sent");
    sender.send(b"two").expect("sent");
    let first = receiver.try_recv().expect("received");
    assert!(*first == *b"one" && !first.redelivered() && first.deliveries() == 1);
    drop(first);
    let again = receiver.try_recv().expect("received");
    assert!(*again == *b"one" && again.redelivered() && again.deliveries() == 2);
    again.nack().expect("held");
    let again = receiver.try_recv().expect("received");
    assert_eq!((&*again, again.deliveries()), (&b"one"[..], 3));
    again.ack().expect("held");
    let second = receiver.try_recv().expect("received");
    assert_eq!(*second, *b"two");
    let given = Instant::now();
    second.nack_after(LATER).expect("held");
    let early = receiver.try_recv();
    // A machine that stood still meanwhile proves nothing.
    assert!(matches!(early, Err(TryRecvError::Empty)) || given.elapsed() >= LATER, "given back for later");
    if let Ok(message) = early {
        message.nack().expect("held");
    }
    receiver.recv_timeout(LONG).expect("later").ack().expect("held");
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
}

/// Messages expire, and come later, where that can be had; else sending such a one is an error.
pub fn expiry_and_delay(place: &Place) {
    let queue = place.create();
    let can = queue.capabilities();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    let short = Message::new(b"short").ttl(MOMENT);
    let late = Message::new(b"late").delay(LATER);
    if can.expiry {
        sender.send_message(&short).expect("sent");
        std::thread::sleep(2 * MOMENT);
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)), "it has expired");
        assert_eq!(queue.stats().expect("stats").expired, 1);
    } else {
        assert!(
            matches!(sender.send_message(&short), Err(SendError::Os(error)) if error.kind() == ErrorKind::Unsupported)
        );
    }
    if can.delay {
        let begun = Instant::now();
        sender.send_message(&late).expect("sent");
        sender.send(b"now").expect("sent");
        let mut got = [0, 1].map(|_| receiver.recv_timeout(LONG).expect("received").into_vec());
        assert!(begun.elapsed() >= LATER, "too early");
        // In time this is their order; a machine that stood still meanwhile proves nothing.
        got.sort_by_key(|message| message == b"late");
        assert_eq!(got, [b"now".to_vec(), b"late".to_vec()]);
    } else {
        assert!(
            matches!(sender.send_message(&late), Err(SendError::Os(error)) if error.kind() == ErrorKind::Unsupported)
        );
    }
}

/// A place to answer to, an id and other properties travel with a message where that can be had.
pub fn properties(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    let mut properties = Properties::new();
    properties.set("colour", b"blue").reply_to("shm:answers").correlation_id(77);
    let message = Message::new(b"body").properties(&properties);
    if !queue.capabilities().properties {
        assert!(
            matches!(sender.send_message(&message), Err(SendError::Os(error)) if error.kind() == ErrorKind::Unsupported)
        );
        return;
    }
    sender.send_message(&message).expect("sent");
    let got = receiver.try_recv().expect("received");
    let seen = got.properties();
    assert_eq!((&*got, seen.get("colour")), (&b"body"[..], Some(&b"blue"[..])));
    assert_eq!((seen.reply_to().as_deref(), seen.correlation_id()), (Some("shm:answers"), Some(77)));
}

/// Values of one type, with the bytes that they have in memory; a foreign message of another length is told of, and dropped,
/// unless the queue keeps such messages out.
pub fn values(place: &Place) {
    type Value = [u64; 3];
    let priorities = |options: &mut QueueOptions<Value>| {
        if place.carrier == Carrier::SystemVRanked {
            options.priorities(8);
        }
    };
    let mut options = Queue::<Value>::options();
    options.capacity(CAPACITY).max_len(MAX_LEN as u64);
    priorities(&mut options);
    let queue = options.create(&place.endpoint).expect("create");
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    for round in 0..100_u64 {
        let value = [round, round << 40, !round];
        sender.send(&value).expect("sent");
        assert_eq!(*receiver.recv_timeout(LONG).expect("received"), value);
    }
    sender.send(&[1, 2, 3]).expect("sent");
    let bytes = place.open();
    let seen = bytes.receiver().expect("receiver").try_recv().expect("received").into_vec();
    assert_eq!(seen, [1_u64, 2, 3].map(u64::to_ne_bytes).concat());
    match bytes.sender().expect("sender").try_send(b"foreign") {
        Err(TrySendError::Os(error)) => assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}"),
        sent => {
            sent.expect("sent");
            let error = receiver.recv_timeout(LONG).expect_err("no value");
            assert!(matches!(error, RecvError::Mismatch(_)), "{error}");
        }
    }
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    if queue.stats().expect("stats").max_len == MAX_LEN as u64 {
        let larger = Queue::<[u64; 17]>::options();
        assert_eq!(larger.open(&place.endpoint).expect_err("too large").kind(), ErrorKind::Incompatible);
    }
}

/// Messages written where they will be received, or copied where there is no such place; dropped, they never were.
pub fn loans(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    for round in 0..40_usize {
        let mut loan = sender.loan_slice(round * 3).expect("lent");
        assert_eq!(loan.is_in_place(), queue.capabilities().zero_copy);
        loan.fill(7);
        if round % 3 == 0 {
            drop(loan);
            assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
            continue;
        }
        loan.send().expect("sent");
        assert_eq!(*receiver.recv_timeout(LONG).expect("received"), vec![7; round * 3]);
    }
    assert!(matches!(sender.try_loan_slice(queue_limit(&queue) + 1), Err(TrySendError::TooLarge { .. })));
}

fn queue_limit(queue: &Queue) -> usize {
    usize::try_from(queue.stats().expect("stats").max_len).expect("small")
}

/// What was delivered too often is put aside where that can be had; else refused at open.
pub fn dead_letters(place: &Place) {
    let can = place.create().capabilities();
    Queue::unlink(&place.endpoint).expect("unlinked");
    if !can.dead_letters {
        place.refuses(|options| options.max_deliveries(2), "dead letters");
        return;
    }
    let queue = place.options().acknowledge(true).max_deliveries(2).create(&place.endpoint).expect("create");
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    sender.send(b"poison").expect("sent");
    for _ in 0..2 {
        receiver.try_recv().expect("received").nack().expect("held");
    }
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    assert_eq!(queue.stats().expect("stats").dead_letters, 1);
    let dead = queue.dead_letters().expect("dead letters");
    let letter = dead.try_recv().expect("received");
    assert_eq!((&*letter, letter.deliveries()), (&b"poison"[..], 3));
    letter.ack().expect("held");
    assert_eq!(queue.stats().expect("stats").dead_letters, 0);
}

/// Counted, looked at without taking where that can be had, and emptied.
pub fn looking_and_purging(place: &Place) {
    let queue = place.create();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    for message in [&b"first"[..], b"second"] {
        sender.send(message).expect("sent");
    }
    assert_eq!(queue.stats().expect("stats").len, 2);
    match queue.browse(10, 3) {
        Ok(seen) => {
            let bytes: Vec<_> = seen.iter().map(|glimpse| (&glimpse.bytes[..], glimpse.len)).collect();
            assert_eq!(bytes, [(&b"fir"[..], 5), (&b"sec"[..], 6)]);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
    }
    assert_eq!(queue.stats().expect("stats").len, 2, "looking takes nothing");
    assert_eq!(queue.purge().expect("purged"), 2);
    assert_eq!(queue.stats().expect("stats").len, 0);
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
}

/// Names are created once, opened when they are there, and gone when unlinked.
pub fn names(place: &Place) {
    let missing = Queue::<[u8]>::options().open(&place.endpoint).expect_err("there is none");
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    let queue = place.create();
    assert!(queue.created());
    let taken = place.options().create(&place.endpoint).expect_err("there is one");
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
    let same = place.options().open_or_create(&place.endpoint).expect("opened");
    assert!(!same.created());
    queue.sender().expect("sender").send(b"both").expect("sent");
    assert_eq!(*same.receiver().expect("receiver").try_recv().expect("received"), *b"both");
    drop((queue, same));
    Queue::unlink(&place.endpoint).expect("unlinked");
    let gone = Queue::<[u8]>::options().open(&place.endpoint).expect_err("gone");
    assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
}

/// A handle for an event loop, where that can be had; else an error.
pub fn polling(place: &Place) {
    let queue = place.create();
    let receiver = queue.receiver().expect("receiver");
    if !queue.capabilities().pollable {
        let error = receiver.poller().expect_err("no handle");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        return;
    }
    let poller = receiver.poller().expect("a poller");
    let sender = queue.sender().expect("sender");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for count in 0..100_u32 {
                sender.send_timeout(&count.to_le_bytes(), LONG).expect("sent");
                if count % 7 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let mut wanted = 0;
        let end = Instant::now() + LONG;
        while wanted < 100 {
            poller.arm().expect("armed");
            while let Ok(message) = receiver.try_recv() {
                assert_eq!(number(&message), wanted);
                wanted += 1;
            }
            if wanted < 100 {
                let ready = crossing_sys::doorbell::wait_any(&[poller.handle()], Some(end)).expect("waited");
                assert!(ready.is_some(), "nothing came after {wanted}");
            }
        }
    });
}

/// What a child process does: `send` 200 messages; `hold` one for ever.
pub fn child(role: &Role) {
    let carrier = if role.argument("ranked") == "yes" { Carrier::SystemVRanked } else { Carrier::Shared };
    let place = std::mem::ManuallyDrop::new(Place { carrier, endpoint: role.argument("endpoint") });
    let queue = place.open();
    if role.argument("does") == "send" {
        let sender = queue.sender().expect("sender");
        for count in 0..200_u32 {
            sender.send_timeout(&count.to_le_bytes(), LONG).expect("sent");
        }
    } else {
        let receiver = queue.receiver().expect("receiver");
        let _held = receiver.recv_timeout(LONG).expect("received");
        role.say("holding");
        role.pause();
    }
}

/// The path of the test that is [`child`].
const CHILD: &str = "role_child";

fn start(place: &Place, does: &str) -> Child {
    let ranked = if place.carrier == Carrier::SystemVRanked { "yes" } else { "no" };
    Child::role(CHILD)
        .argument("endpoint", &place.endpoint)
        .argument("does", does)
        .argument("ranked", ranked)
        .spawn()
}

/// From one process to another, in order, with waiting on both sides.
pub fn two_processes(place: &Place) {
    let queue = place.create();
    let receiver = queue.receiver().expect("receiver");
    let child = start(place, "send");
    for wanted in 0..200 {
        assert_eq!(number(&receiver.recv_timeout(LONG).expect("received")), wanted);
    }
    child.wait(LONG).success();
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
}

/// What a killed receiver held goes to another one, and says so, where messages are acknowledged; elsewhere the queue goes
/// on without what was taken.
pub fn a_killed_receiver(place: &Place) {
    let acknowledge = place.create().capabilities().acknowledge;
    Queue::unlink(&place.endpoint).expect("unlinked");
    let queue = place.options().acknowledge(acknowledge).create(&place.endpoint).expect("create");
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    sender.send(b"one").expect("sent");
    sender.send(b"two").expect("sent");
    let mut child = start(place, "hold");
    child.expect("holding");
    child.kill();
    if acknowledge {
        let mut left = vec![b"one".to_vec(), b"two".to_vec()];
        while !left.is_empty() {
            let message = receiver.recv_timeout(LONG).expect("received");
            assert_eq!(message.redelivered(), *message == *b"one");
            left.retain(|other| *other != *message);
            message.ack().expect("held");
        }
    } else {
        assert_eq!(*receiver.recv_timeout(LONG).expect("received"), *b"two");
    }
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
}
