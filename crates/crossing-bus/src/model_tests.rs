//! Random steps of one publisher and two subscribers against a model that keeps everything in vectors.

use super::*;
use crossing_testkit::unique_name;
use proptest::prelude::*;
use std::collections::VecDeque;

const DEPTH: u64 = 16;
const BORROWED: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    /// Sends a copy of so many bytes.
    Send(usize),
    /// Lends, and sends or drops it.
    Loan(usize, bool),
    /// The subscriber receives, and keeps the sample or drops it.
    Recv(usize, bool),
    /// The subscriber drops the sample that it has kept longest.
    Drop(usize),
    /// The subscriber takes the newest.
    Latest(usize),
    /// The subscriber leaves, and another one comes in its place.
    Replace(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![0_usize..=112, 113_usize..=600];
    let step = prop_oneof![
        8 => len.clone().prop_map(Step::Send),
        2 => (len, any::<bool>()).prop_map(|(len, send)| Step::Loan(len, send)),
        5 => (0_usize..2, proptest::bool::weighted(0.2)).prop_map(|(who, keep)| Step::Recv(who, keep)),
        2 => (0_usize..2).prop_map(Step::Drop),
        1 => (0_usize..2).prop_map(Step::Latest),
        1 => (0_usize..2).prop_map(Step::Replace),
    ];
    proptest::collection::vec(step, 1..250)
}

/// A subscriber and what the model knows of it.
struct Reader {
    subscriber: Subscriber<[u8]>,
    /// The position that it reads next.
    next: u64,
    /// Samples that it keeps, and what they must hold.
    kept: VecDeque<(Sample<[u8]>, Vec<u8>)>,
}

impl Reader {
    fn new(topic: &Topic<[u8]>, next: u64) -> Self {
        Self { subscriber: topic.subscriber().expect("a subscriber"), next, kept: VecDeque::new() }
    }

    fn held(&self) -> usize {
        self.kept.iter().filter(|(sample, _)| sample.is_in_place()).count()
    }
}

fn message(position: usize, len: usize) -> Vec<u8> {
    (0..len).map(|index| (position * 31 + index) as u8).collect()
}

fn run(overflow: Overflow, steps: &[Step]) {
    let name = unique_name("model");
    let topic = Topic::<[u8]>::options()
        .depth(DEPTH as u32)
        .max_len(600)
        .max_borrowed(BORROWED as u32)
        .max_subscribers(3)
        .linger(std::time::Duration::ZERO)
        .overflow(overflow)
        .open(&name)
        .expect("the topic");
    let publisher = topic.publisher().expect("a publisher");
    // All that was ever published, in order, and how many were dropped before each.
    let mut published: Vec<(Vec<u8>, u64)> = Vec::new();
    let mut dropped = 0;
    // What those kept who have left.
    let mut orphans: Vec<(Sample<[u8]>, Vec<u8>)> = Vec::new();
    let mut readers = [0, 1].map(|_| Reader::new(&topic, 0));
    publisher.check().expect("looked");
    for step in steps {
        match *step {
            Step::Send(len) | Step::Loan(len, _) => {
                let bytes = message(published.len(), len);
                let slowest = readers.iter().map(|reader| reader.next).min().expect("readers");
                let full = published.len() as u64 - slowest >= DEPTH && overflow != Overflow::DropOldest;
                let sent = if let Step::Loan(_, send) = *step {
                    let mut loan = publisher.loan_slice(len).expect("a loan");
                    loan.copy_from_slice(&bytes);
                    if !send {
                        continue;
                    }
                    loan.try_send().map_err(|(_, error)| error)
                } else {
                    publisher.try_send(&bytes).map_err(|error| match error {
                        TrySendError::Full { slowest } => SendError::Full { slowest },
                        error => panic!("{error}"),
                    })
                };
                match (sent, full, overflow) {
                    (Ok(()), true, Overflow::DropNewest) => dropped += 1,
                    (Ok(()), false, _) => published.push((bytes, std::mem::take(&mut dropped))),
                    (Err(SendError::Full { .. } | SendError::TimedOut { .. }), true, _) => {
                        assert_ne!(overflow, Overflow::DropNewest);
                    }
                    (sent, full, _) => panic!("{sent:?}, full: {full}"),
                }
            }
            Step::Recv(who, keep) => {
                let reader = &mut readers[who];
                let oldest = (published.len() as u64).saturating_sub(DEPTH);
                let lost = oldest.saturating_sub(reader.next);
                match reader.subscriber.try_recv() {
                    Ok(sample) => {
                        let position = reader.next.max(oldest);
                        let (bytes, dropped) = &published[position as usize];
                        assert_eq!((sample.position(), sample.missed()), (position, lost + dropped));
                        assert_eq!(*sample, **bytes);
                        reader.next = position + 1;
                        if keep {
                            reader.kept.push_back((sample, bytes.clone()));
                        }
                    }
                    Err(TryRecvError::Empty) => assert_eq!(reader.next, published.len() as u64),
                    Err(TryRecvError::TooManyHeld { max }) => {
                        assert_eq!((max as usize, reader.held()), (BORROWED, BORROWED));
                        // One that was passed over on the way stays so.
                        let next = reader.kept.pop_front();
                        drop(next);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Drop(who) => drop(readers[who].kept.pop_front()),
            Step::Latest(who) => {
                let reader = &mut readers[who];
                if reader.held() == BORROWED {
                    continue;
                }
                let newest = published.len() as u64;
                match reader.subscriber.latest().expect("looked") {
                    Some(sample) => {
                        assert!(reader.next < newest);
                        assert_eq!(
                            (sample.position(), &*sample),
                            (newest - 1, &published[newest as usize - 1].0[..])
                        );
                        reader.next = newest;
                    }
                    None => assert_eq!(reader.next, newest),
                }
            }
            Step::Replace(who) => {
                orphans.extend(std::mem::take(&mut readers[who].kept));
                orphans.truncate(4);
                let next = published.len() as u64;
                let other = Reader::new(&topic, next);
                drop(std::mem::replace(&mut readers[who], other));
                publisher.check().expect("looked");
            }
        }
        for (sample, bytes) in readers.iter().flat_map(|reader| &reader.kept).chain(&orphans) {
            assert_eq!(**sample, **bytes, "what is kept has changed");
        }
    }
}

/// Overtaken, then held up by what it holds, then overtaken again: it goes on at the oldest each time.
#[test]
fn who_is_overtaken_twice_misses_no_more_than_was_overwritten() {
    let sends = |count| std::iter::repeat_n(Step::Send(300), count);
    let mut steps: Vec<_> = sends(BORROWED).collect();
    steps.extend((0..BORROWED).map(|_| Step::Recv(0, true)));
    steps.extend(sends(DEPTH as usize + 3));
    // Refused; then the next ones are overwritten, too.
    steps.push(Step::Recv(0, false));
    steps.extend(sends(5));
    steps.extend([Step::Recv(0, false), Step::Recv(0, false)]);
    run(Overflow::DropOldest, &steps);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(windows) { 4 } else { 64 }, ..ProptestConfig::default() })]

    #[test]
    fn every_policy_behaves_as_the_model(steps in steps()) {
        for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest, Overflow::Fail] {
            run(overflow, &steps);
        }
    }
}
