//! What the children do.

use crate::journal::Journal;
use crossing_bus::{
    Loan, LoanError, Overflow, Publisher, RecvError, Sample, SendError, Subscriber, Topic, TryRecvError,
    TrySendError,
};
use crossing_crash_tests::next;
use crossing_testkit::Role;
use std::path::PathBuf;
use std::time::Duration;

pub const DEPTH: u64 = 16;
const MAX_LEN: usize = 8_000;
const MAX_SUBSCRIBERS: u32 = 12;
const BORROWED: u32 = 3;
/// Longer than any of these tests: who leaves waits until everything was read.
const LINGER: Duration = Duration::from_secs(50);

fn topic(name: &str, overflow: &str, in_place: bool, linger: Duration) -> Topic<[u8]> {
    let overflow = match overflow {
        "block" => Overflow::Block,
        "oldest" => Overflow::DropOldest,
        _ => Overflow::DropNewest,
    };
    let options = Topic::<[u8]>::options().depth(DEPTH as u32).max_len(MAX_LEN as u32).in_place(in_place);
    let options = options.max_subscribers(MAX_SUBSCRIBERS).max_borrowed(BORROWED).linger(linger);
    options.overflow(overflow).open(name).expect("a topic")
}

fn byte(id: u64, at: usize) -> u8 {
    (at as u64 ^ id ^ (id >> 32)).to_le_bytes()[0]
}

/// An id, then bytes that only it has.
fn fill(bytes: &mut [u8], id: u64) {
    bytes.iter_mut().enumerate().for_each(|(at, place)| *place = byte(id, at));
    bytes[..8].copy_from_slice(&id.to_le_bytes());
}

/// The id of a whole message.
fn id_of(bytes: &[u8]) -> Option<u64> {
    let id = u64::from_le_bytes(*bytes.first_chunk()?);
    let mut expected = vec![0; bytes.len()];
    fill(&mut expected, id);
    (*bytes == *expected).then_some(id)
}

pub struct Work<'r> {
    pub role: &'r Role,
    pub journal: Journal,
    pub directory: PathBuf,
    pub number: u64,
    pub count: u64,
    pub seed: u64,
}

impl<'r> Work<'r> {
    pub fn of(role: &'r Role) -> Self {
        let number = |name: &str| role.argument(name).parse::<u64>().expect("a number");
        let directory = PathBuf::from(role.argument("journals"));
        let journal = Journal::open(&directory, number("number"));
        Self {
            role,
            journal,
            directory,
            number: number("number"),
            count: number("count"),
            seed: number("seed"),
        }
    }

    pub fn random(&mut self) -> u64 {
        next(&mut self.seed)
    }

    pub fn topic(&self, in_place: bool) -> Topic<[u8]> {
        // Nobody waits for one that lies about what it has read.
        let trusting = !self.role.argument("kind").starts_with("bold");
        let linger = if trusting { LINGER } else { Duration::from_millis(1) };
        topic(&self.role.argument("topic"), &self.role.argument("overflow"), in_place, linger)
    }

    /// Publishes until there are `count`, or the end is announced.
    pub fn publish(&mut self) {
        let publisher = self.topic(true).publisher().expect("a publisher");
        self.role.say("working");
        let mut sequence = 0;
        // Loans that are thrown away, and that a killed one has.
        let mut idle: Option<Loan<'_, [u8]>> = None;
        while sequence < self.count && !self.journal.is_announced("stop") {
            let id = (self.number << 32) | sequence;
            let random = self.random();
            let len = match random % 8 {
                0..4 => 8 + (random >> 8) as usize % 56,
                4..7 => 113 + (random >> 8) as usize % 900,
                _ => 8 + (random >> 8) as usize % (MAX_LEN - 8),
            };
            if random.is_multiple_of(7) {
                idle = publisher.loan_slice(MAX_LEN).ok();
            }
            // Loans wait shortly, so that everybody sees an announcement.
            let patience = Duration::from_millis(30);
            let sent = if (random >> 32).is_multiple_of(3) {
                let mut loan = publisher.loan_slice(len).expect("a loan");
                fill(&mut loan, id);
                loan.send_timeout(patience)
            } else {
                let mut bytes = vec![0; len];
                fill(&mut bytes, id);
                publisher.send_timeout(&bytes, patience)
            };
            match sent {
                Ok(()) => {
                    self.journal.sent(id);
                    sequence += 1;
                }
                Err(SendError::TimedOut { .. }) => {}
                Err(error) => panic!("message {sequence}: {error}"),
            }
            match random >> 40 & 63 {
                // Long enough for subscribers to fall asleep.
                0 => std::thread::sleep(Duration::from_millis(1)),
                1..5 => std::thread::sleep(Duration::from_micros(50)),
                _ => {}
            }
            assert_eq!(publisher.position(), sequence);
        }
        drop(idle);
    }

    fn note(&mut self, sample: &Sample<[u8]>) {
        let id = id_of(sample).unwrap_or_else(|| panic!("{sample:?} is torn"));
        assert_eq!(id & 0xffff_ffff, sample.position(), "another message");
        self.journal.received(id, sample.missed());
    }

    /// Receives until there are `count`, or the end is announced, and then what is left.
    pub fn subscribe(&mut self) {
        // Who is to reach a point holds what it can.
        let in_place = self.count < u64::MAX || !self.random().is_multiple_of(4);
        let mut subscriber = self.topic(in_place).subscriber().expect("a subscriber");
        self.role.say("working");
        let (mut received, mut held) = (0, Vec::new());
        while received < self.count && !self.journal.is_announced("drain") {
            let sample = match subscriber.recv_timeout(Duration::from_millis(30)) {
                Ok(sample) => sample,
                Err(RecvError::TimedOut) => continue,
                Err(RecvError::TooManyHeld { .. }) => {
                    held.clear();
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            self.note(&sample);
            received += 1;
            let random = self.random();
            if random.is_multiple_of(4) {
                held.push((id_of(&sample), sample));
            }
            if held.len() > 5 || random.is_multiple_of(16) {
                for (id, sample) in held.drain(..) {
                    assert_eq!(id_of(&sample), id, "a sample changed while it was held");
                }
            }
            if random.is_multiple_of(128) {
                // Long enough for publishers to come round.
                std::thread::sleep(Duration::from_micros(700));
            }
        }
        drop(held);
        if self.count == u64::MAX {
            // All publishers have ended, this way or that.
            subscriber.check().expect("checked");
            self.drain(&mut subscriber);
        }
    }

    fn drain(&mut self, subscriber: &mut Subscriber<[u8]>) {
        loop {
            match subscriber.try_recv() {
                Ok(sample) => self.note(&sample),
                Err(TryRecvError::Empty) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Has every kind of thing that a member can have, until it is killed.
    pub fn hold(&mut self) {
        let topic = self.topic(true);
        let mut subscriber = topic.subscriber().expect("a subscriber");
        let publisher = topic.publisher().expect("a publisher");
        let mut held = Vec::new();
        for sequence in 0..6 {
            let id = (self.number << 32) | sequence;
            let mut bytes = vec![0; 200];
            fill(&mut bytes, id);
            match publisher.try_send(&bytes) {
                Ok(()) => self.journal.sent(id),
                Err(TrySendError::Full { .. }) => break,
                Err(error) => panic!("{error}"),
            }
            while let Ok(sample) = subscriber.try_recv() {
                self.note(&sample);
                held.push(sample);
                if held.len() > 20 {
                    break;
                }
            }
        }
        let _loans = (publisher.loan_slice(MAX_LEN), publisher.loan_slice(200));
        self.role.say("holding");
        self.role.pause();
    }

    /// Comes and goes, so that everybody looks who is there.
    pub fn visit(&mut self) {
        let topic = self.topic(true);
        drop(topic.publisher().expect("a publisher"));
        drop(topic.subscriber().expect("a subscriber"));
    }

    /// One message there and back, by members that come afresh.
    pub fn afresh(&mut self) {
        let topic = self.topic(true);
        let mut subscriber = topic.subscriber().expect("a subscriber");
        let publisher = topic.publisher().expect("a publisher");
        for number in 0..3 * DEPTH {
            let mut bytes = vec![0; if number.is_multiple_of(2) { 20 } else { 2_000 }];
            fill(&mut bytes, number);
            publisher.send(&bytes).expect("sent");
            let sample = subscriber.recv_timeout(Duration::from_secs(50)).expect("received");
            assert_eq!((sample.publisher(), &sample[..]), (publisher.key(), &bytes[..]));
        }
    }

    /// Publishes as its parent says: until it must wait for the one with that process id, or a number of messages.
    pub fn obey(&mut self) {
        let publisher = self.topic(true).publisher().expect("a publisher");
        self.role.say("working");
        let mut sequence = 0;
        loop {
            let Some(order) = self.role.hear() else { return };
            let awaited = order.strip_prefix("until ").map(|pid| pid.parse::<u32>().expect("a process"));
            let patience = Duration::from_millis(if awaited.is_some() { 200 } else { 50_000 });
            let goal = sequence + if awaited.is_some() { 1_000 } else { 100 };
            let mut outcome = "all".to_owned();
            while sequence < goal {
                let mut bytes = vec![0; if sequence % 2 == 0 { 30 } else { 1_000 }];
                fill(&mut bytes, (self.number << 32) | sequence);
                match publisher.send_timeout(&bytes, patience) {
                    Ok(()) => sequence += 1,
                    Err(SendError::TimedOut { slowest }) if awaited == Some(slowest) => {
                        outcome = format!("waits for {slowest}");
                        break;
                    }
                    // Another was slower for a moment: the machine is busy.
                    Err(SendError::TimedOut { .. }) if awaited.is_some() => {}
                    Err(error) => panic!("{error}"),
                }
            }
            if awaited.is_none() {
                assert!(publisher.flush(Duration::from_secs(50)).expect("flushed"), "somebody does not read");
            }
            self.role.say(&outcome);
        }
    }

    /// Receives without end, in order.
    pub fn follow(&mut self) {
        let mut subscriber = self.topic(true).subscriber().expect("a subscriber");
        self.role.say("working");
        let mut last = None;
        loop {
            let sample = subscriber.recv().expect("received");
            let id = id_of(&sample).expect("whole");
            assert!(last.replace(id).is_none_or(|last| last < id), "{id:x} came after {last:x?}");
        }
    }

    /// Publishes to a topic where somebody scribbles: every call ends, whatever it says.
    pub fn bold_publish(&mut self) {
        self.role.say("working");
        let mut turns = 0;
        while turns < self.count && !self.journal.is_announced("stop") {
            turns += 1;
            // Somebody's segments may be none at this moment.
            let Ok(publisher) = self.topic(true).publisher() else { continue };
            // Its messages must arrive whole, if they do.
            std::fs::write(self.directory.join(format!("key-{}", publisher.key())), b"").expect("noted");
            for sequence in 0..300 {
                let patience = Duration::from_micros(self.random() % 2_000);
                let len = 8 + self.random() as usize % 3_000;
                let id = (self.number << 32) | sequence;
                let outcome = if self.random().is_multiple_of(2) {
                    self.bold_loan(&publisher, len, id, patience)
                } else {
                    let mut bytes = vec![0; if len.is_multiple_of(2) { 8 + len % 50 } else { len }];
                    fill(&mut bytes, id);
                    publisher.send_timeout(&bytes, patience)
                };
                std::hint::black_box(outcome.is_ok());
            }
            let _ = publisher.check();
            while publisher.next_change().is_some() {}
            let _ = publisher.flush(Duration::from_millis(1));
        }
    }

    fn bold_loan(
        &self,
        publisher: &Publisher<[u8]>,
        len: usize,
        id: u64,
        patience: Duration,
    ) -> Result<(), SendError> {
        match publisher.loan_slice(len) {
            Ok(mut loan) => {
                fill(&mut loan, id);
                loan.send_timeout(patience)
            }
            Err(LoanError::TooMany { .. }) => panic!("none is on loan"),
            Err(_) => Ok(()),
        }
    }

    /// Receives from a topic where somebody scribbles: every call ends, what comes is read to its last byte, and what
    /// comes from those who keep the rules is whole.
    pub fn bold_subscribe(&mut self) {
        self.role.say("working");
        let mut turns = 0;
        while turns < self.count && !self.journal.is_announced("stop") {
            turns += 1;
            let in_place = self.random().is_multiple_of(2);
            let topic = self.topic(in_place);
            let _ = topic.latest();
            let Ok(mut subscriber) = topic.subscriber() else { continue };
            let mut held = Vec::new();
            for _ in 0..300 {
                let patience = Duration::from_micros(self.random() % 2_000);
                if self.random().is_multiple_of(64) {
                    let _ = subscriber.latest();
                }
                if let Ok(sample) = subscriber.recv_timeout(patience) {
                    self.examine(&sample);
                    if self.random().is_multiple_of(8) {
                        held.push(sample);
                    }
                }
                if held.len() > 2 {
                    held.drain(..).for_each(|sample| self.examine(&sample));
                }
            }
            let _ = subscriber.check();
            while subscriber.next_change().is_some() {}
        }
    }

    fn examine(&self, sample: &Sample<[u8]>) {
        let whole = std::hint::black_box(id_of(sample)).is_some();
        let key = self.directory.join(format!("key-{}", sample.publisher()));
        assert!(whole || !key.exists(), "{sample:?} of one that keeps the rules is torn");
    }
}
