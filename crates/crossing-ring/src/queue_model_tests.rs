//! Any sequence of calls against a model in memory: priorities, expiry, delay, acknowledging, giving back, dead letters,
//! dropping, purging. Time is the test's own.

use super::{DEAD, Held, Message, PutError, QueueHeader, SlotQueue, SlotStats, Wishes};
use crossing_shm::Segment;
use crossing_sync::Until;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use zerocopy::IntoBytes;

const CAPACITY: u32 = 6;
const PRIORITIES: u32 = 4;
const START: u64 = 1_000_000_000;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(START) };
}

fn now() -> u64 {
    NOW.get()
}

fn pass(time: Duration) {
    NOW.set(now() + nanos(time));
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// Where the model has a message. Numbers are positions, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Waiting(u64),
    Aside { due: u64 },
    Held,
    Dead(u64),
}

#[derive(Debug, Clone)]
struct Item {
    at: At,
    priority: u32,
    len: usize,
    expires: u64,
    /// By which it goes among those that were given back.
    position: u64,
    deliveries: u32,
}

/// What the queue should hold, by number.
#[derive(Debug, Default)]
struct Model {
    items: HashMap<u32, Item>,
    written: HashMap<u32, u64>,
    max_deliveries: u32,
    sent: u64,
    dropped: u64,
    expired: u64,
    redelivered: u64,
    buried: u64,
}

impl Model {
    fn end(&mut self, lane: u32) -> u64 {
        let end = self.written.entry(lane).or_default();
        *end += 1;
        *end - 1
    }

    fn send(&mut self, number: u32, len: usize, priority: u32, ttl: Option<Duration>, delay: Duration) {
        let (at, position) = if delay.is_zero() {
            (At::Waiting(self.end(priority)), 0)
        } else {
            let due = now() + nanos(delay);
            (At::Aside { due }, due)
        };
        let expires = ttl.map_or(0, |ttl| now() + nanos(ttl));
        self.items.insert(number, Item { at, priority, len, expires, position, deliveries: 0 });
        self.sent += 1;
    }

    /// The one that must be received next, expired or not.
    fn next(&self, dead: bool) -> Option<u32> {
        let rank = |item: &Item| match item.at {
            At::Dead(place) if dead => Some((0, 0, place)),
            At::Waiting(place) if !dead => Some((PRIORITIES - item.priority, 1, place)),
            At::Aside { due } if !dead && due <= now() => {
                Some((PRIORITIES - item.priority, 0, item.position))
            }
            _ => None,
        };
        self.items
            .iter()
            .filter_map(|(number, item)| Some((rank(item)?, *number)))
            .min()
            .map(|(_, number)| number)
    }

    fn is_expired(&self, number: u32) -> bool {
        let expires = self.items[&number].expires;
        expires != 0 && expires <= now()
    }

    /// The next delivery, once what has expired before it is gone.
    fn expect(&mut self, dead: bool) -> Option<u32> {
        loop {
            let number = self.next(dead)?;
            if !self.is_expired(number) {
                return Some(number);
            }
            self.items.remove(&number);
            self.expired += 1;
        }
    }

    fn take(&mut self, number: u32) {
        let item = self.items.get_mut(&number).unwrap();
        if let At::Waiting(place) | At::Dead(place) = item.at {
            item.position = place;
        }
        item.at = At::Held;
        item.deliveries += 1;
        self.redelivered += u64::from(item.deliveries > 1);
    }

    fn give_back(&mut self, number: u32, delay: Duration) {
        let (priority, deliveries) = (self.items[&number].priority, self.items[&number].deliveries);
        let at = if priority == DEAD || (self.max_deliveries != 0 && deliveries >= self.max_deliveries) {
            self.buried += u64::from(priority != DEAD);
            At::Dead(self.end(DEAD))
        } else {
            At::Aside { due: if delay.is_zero() { 0 } else { now() + nanos(delay) } }
        };
        let item = self.items.get_mut(&number).unwrap();
        item.at = at;
        if let At::Dead(_) = at {
            item.priority = DEAD;
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let rank = |item: &Item| match item.at {
            At::Waiting(place) => Some((item.priority, place)),
            _ => None,
        };
        let oldest = self.items.iter().filter_map(|(number, item)| Some((rank(item)?, *number))).min();
        if let Some((_, number)) = oldest {
            self.items.remove(&number);
            self.dropped += 1;
        }
        oldest.is_some()
    }

    fn purge(&mut self, dead: bool) -> u64 {
        let mut gone = 0;
        while let Some(number) = self.expect(dead) {
            self.items.remove(&number);
            gone += 1;
        }
        let before = self.items.len();
        self.items.retain(|_, item| dead || !matches!(item.at, At::Aside { .. }));
        gone + (before - self.items.len()) as u64
    }

    fn check(&self, stats: &SlotStats) {
        let count = |of: fn(&At) -> bool| self.items.values().filter(|item| of(&item.at)).count() as u64;
        assert_eq!(stats.ready, count(|at| matches!(at, At::Waiting(_))));
        assert_eq!(stats.aside, count(|at| matches!(at, At::Aside { .. })));
        assert_eq!(stats.taken, count(|at| matches!(at, At::Held)));
        assert_eq!(stats.dead, count(|at| matches!(at, At::Dead(_))));
        assert_eq!(stats.writing, 0);
        assert_eq!(stats.bytes, self.items.values().map(|item| item.len as u64).sum::<u64>());
        let counted = (stats.sent, stats.dropped, stats.expired, stats.redelivered, stats.buried);
        assert_eq!(counted, (self.sent, self.dropped, self.expired, self.redelivered, self.buried));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send { len: usize, priority: u32, ttl: Option<u64>, delay: u64 },
    Take { dead: bool },
    Acknowledge(usize),
    GiveBack(usize, u64),
    Drop(usize),
    DropOldest,
    Purge { dead: bool },
    Pass(u64),
}

/// Milliseconds; short, so that delays and lives end in the same run.
fn step() -> impl Strategy<Value = Step> {
    let delay = || prop_oneof![2 => Just(0), 1 => 1..20_u64];
    let send = (4..200_usize, 0..PRIORITIES, prop::option::weighted(0.3, 1..30_u64), delay());
    prop_oneof![
        8 => send.prop_map(|(len, priority, ttl, delay)| Step::Send { len, priority, ttl, delay }),
        6 => Just(Step::Take { dead: false }),
        1 => Just(Step::Take { dead: true }),
        3 => any::<usize>().prop_map(Step::Acknowledge),
        3 => (any::<usize>(), delay()).prop_map(|(which, delay)| Step::GiveBack(which, delay)),
        2 => any::<usize>().prop_map(Step::Drop),
        1 => Just(Step::DropOldest),
        1 => prop::bool::weighted(0.3).prop_map(|dead| Step::Purge { dead }),
        3 => (0..15_u64).prop_map(Step::Pass),
    ]
}

fn body(number: u32, len: usize) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend((4..len).map(|at| (at as u32 ^ number) as u8));
    body
}

fn number_of(held: &Held) -> u32 {
    u32::from_le_bytes(held[..4].try_into().unwrap())
}

struct Run {
    model: Model,
    held: Vec<(u32, Held)>,
    queue: SlotQueue,
    number: u32,
    /// Those sent without properties.
    plain: HashSet<u32>,
}

impl Run {
    fn send(&mut self, len: usize, priority: u32, ttl: Option<u64>, delay: u64) {
        let (ttl, delay) = (ttl.map(Duration::from_millis), Duration::from_millis(delay));
        let body = body(self.number, len);
        let properties = [7; 9];
        let message = Message { body: &body, properties: &properties, priority, ttl, delay };
        // Every second one of those that can go as a body alone does.
        let sent = if self.is_plain(self.number, ttl, delay) {
            self.queue.put_body(&body, priority, Until::Now)
        } else {
            self.queue.put(&message, Until::Now)
        };
        match sent {
            Ok(()) => {
                assert!(self.model.items.len() < CAPACITY as usize, "more than fits");
                self.model.send(self.number, len, priority, ttl, delay);
            }
            Err(PutError::Full) => assert_eq!(self.model.items.len(), CAPACITY as usize, "there was room"),
            Err(error) => panic!("{error}"),
        }
        self.number += 1;
    }

    fn is_plain(&mut self, number: u32, ttl: Option<Duration>, delay: Duration) -> bool {
        let plain = number.is_multiple_of(2) && ttl.is_none() && delay.is_zero();
        if plain {
            self.plain.insert(number);
        }
        plain
    }

    fn take(&mut self, dead: bool) {
        let held = if dead { self.queue.take_dead(Until::Now) } else { self.queue.take(Until::Now) };
        let expected = self.model.expect(dead);
        assert_eq!(held.as_ref().map(number_of), expected);
        let (Some(held), Some(number)) = (held, expected) else { return };
        self.model.take(number);
        let item = &self.model.items[&number];
        assert_eq!((held.priority(), held.deliveries()), (item.priority, item.deliveries));
        assert_eq!(&*held, &body(number, item.len)[..]);
        assert_eq!(held.properties(), if self.plain.contains(&number) { &[][..] } else { &[7; 9] });
        self.held.push((number, held));
    }

    fn chosen(&mut self, which: usize) -> Option<(u32, Held)> {
        (!self.held.is_empty()).then(|| self.held.swap_remove(which % self.held.len()))
    }

    fn go(&mut self, step: &Step) {
        // So that no two moments are the same, which nothing would order.
        pass(Duration::from_nanos(1));
        match *step {
            Step::Send { len, priority, ttl, delay } => self.send(len, priority, ttl, delay),
            Step::Take { dead } => self.take(dead),
            Step::Acknowledge(which) => {
                if let Some((number, held)) = self.chosen(which) {
                    assert!(held.acknowledge());
                    self.model.items.remove(&number);
                }
            }
            Step::GiveBack(which, delay) => {
                if let Some((number, held)) = self.chosen(which) {
                    let delay = Duration::from_millis(delay);
                    assert!(held.give_back(delay));
                    self.model.give_back(number, delay);
                }
            }
            Step::Drop(which) => {
                if let Some((number, held)) = self.chosen(which) {
                    drop(held);
                    self.model.give_back(number, Duration::ZERO);
                }
            }
            Step::DropOldest => assert_eq!(self.queue.drop_oldest(), self.model.drop_oldest()),
            Step::Purge { dead } => assert_eq!(self.queue.purge(dead), self.model.purge(dead)),
            Step::Pass(millis) => pass(Duration::from_millis(millis)),
        }
        self.model.check(&self.queue.stats());
    }
}

fn check(steps: &[Step], max_deliveries: u32) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the number matters.
    let name = format!("ring-model-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let wishes = Wishes {
        capacity: CAPACITY,
        max_len: 300,
        max_bytes: None,
        priorities: PRIORITIES,
        max_deliveries,
        inline: 64,
    };
    let header = QueueHeader::new(&wishes).unwrap();
    let mut options = Segment::options();
    options.size(usize::try_from(header.total_len()).unwrap()).content(header.as_bytes());
    let segment = options.create(&name).unwrap();
    NOW.set(START);
    let queue = SlotQueue::open_with(&segment, now).unwrap();
    let model = Model { max_deliveries, ..Model::default() };
    let mut run = Run { model, held: Vec::new(), queue, number: 0, plain: HashSet::new() };
    for step in steps {
        run.go(step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_behaves_as_the_model(steps in prop::collection::vec(step(), 0..120), max in 0..4_u32) {
        check(&steps, max);
    }
}
