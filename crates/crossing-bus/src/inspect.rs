//! Topics and events seen from outside: who is there and who died, how far each is, what it costs. Needs nobody's cooperation,
//! disturbs nobody, and joins nothing: segments are opened for reading alone.
//!
//! Each figure is true at the moment it is read, not all at the same one. What members say of themselves (process ids,
//! figures for people) is taken as said; who lives is asked of the kernel.

use crate::event;
use crate::member::{self, Role};
use crate::options::Overflow;
use crossing_ring::broadcast::{EventBell, EventSet, PeerCursors, Reading, RingReader, Shape};
use crossing_shm::registry::{self, Entry};
use crossing_sys::{Error, ErrorKind, Result};

/// What a topic carries, as a member says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Carries {
    /// The user's number for the meaning of the messages; 0: none.
    pub schema: u64,
    /// Bytes of each message; `None`: any number.
    pub size: Option<u32>,
    /// The alignment of the type, in bytes.
    pub align: u32,
    /// What a publisher does when a subscriber is too slow: `drop-oldest`, `block`, `drop-newest`, `fail`.
    pub overflow: &'static str,
}

impl Carries {
    fn of(shape: Shape) -> Self {
        Self {
            schema: shape.schema,
            size: (shape.size != u32::MAX).then_some(shape.size),
            align: shape.align,
            overflow: Overflow::word(shape.overflow),
        }
    }
}

/// A publisher of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherReport {
    /// Its number.
    pub key: u64,
    /// Its process, as it says.
    pub pid: u32,
    /// Whether it lives. The ring of a dead one stays until all subscribers have read it.
    pub alive: bool,
    /// Whether it left by its own will.
    pub left: bool,
    /// What it carries.
    pub carries: Carries,
    /// Messages that its ring keeps.
    pub depth: u32,
    /// The longest message, in bytes.
    pub max_len: u32,
    /// Subscribers that may read in place at a time.
    pub max_subscribers: u32,
    /// Those that do now.
    pub admitted: usize,
    /// Messages that it may have on loan.
    pub max_loans: u32,
    /// Messages published so far.
    pub published: u64,
    /// Messages that it dropped so far, by its policy.
    pub dropped: u64,
    /// Bytes of memory.
    pub memory: u64,
}

/// How far a subscriber is with one publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadingReport {
    /// The publisher's number.
    pub publisher: u64,
    /// Messages published that it has not taken yet; `None`: there is no such publisher any more.
    pub behind: Option<u64>,
    /// Messages that were lost to it so far, as far as it knows.
    pub missed: u64,
}

/// A subscriber of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberReport {
    /// Its number.
    pub key: u64,
    /// Its process, as it says.
    pub pid: u32,
    /// Whether it lives.
    pub alive: bool,
    /// Whether it left by its own will, and some of its messages are still held.
    pub left: bool,
    /// What it expects.
    pub carries: Carries,
    /// Messages that it holds in place.
    pub held: usize,
    /// Messages that it may hold.
    pub max_borrowed: u32,
    /// The publishers that it reads.
    pub reads: Vec<ReadingReport>,
    /// Bytes of memory.
    pub memory: u64,
}

/// A topic, as [`topic`] found it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicReport {
    /// Its name.
    pub name: String,
    /// The publishers, and the dead of whom something is left.
    pub publishers: Vec<PublisherReport>,
    /// The subscribers, and the dead of whom something is left.
    pub subscribers: Vec<SubscriberReport>,
    /// Segments that say that they are a member's and are damaged, or that belong to another version: their names.
    pub damaged: Vec<String>,
    /// Segments of the dead whose memory went with them: their names, which whoever looks next removes.
    ///
    /// # Platform-specific behavior
    /// Windows alone: elsewhere the memory stays until it is removed.
    pub remains: Vec<String>,
    /// Bytes of memory in all, bells included.
    pub memory: u64,
}

/// A member of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventMemberReport {
    /// Its process, as it says.
    pub pid: u32,
    /// Whether it lives.
    pub alive: bool,
    /// Waiters: the ids that it was notified of and has not taken yet.
    pub pending: Option<EventSet>,
}

/// An event, as [`event`](fn@event) found it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventReport {
    /// Its name.
    pub name: String,
    /// The notifiers, and the dead of whom something is left.
    pub notifiers: Vec<EventMemberReport>,
    /// The waiters, and the dead of whom something is left.
    pub waiters: Vec<EventMemberReport>,
    /// Bytes of memory in all.
    pub memory: u64,
}

/// Which thing of several segments a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A topic.
    Topic,
    /// An event.
    Event,
}

/// The topic or event that the segment of that name belongs to, by its name.
#[must_use]
pub fn member_of(segment: &str) -> Option<(Kind, &str)> {
    let (of, member) = segment.rsplit_once('/')?;
    let (word, number) = member.split_once('-')?;
    if number.len() != 8 || !number.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    match of.split_once('/')? {
        ("topic", name) if Role::of(word).is_some() => Some((Kind::Topic, name)),
        ("event", name) if [event::WAITER, event::NOTIFIER].contains(&word) => Some((Kind::Event, name)),
        _ => None,
    }
}

fn not_found(operation: &'static str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("shm:{name}"))
        .detail("it has no members")
        .fix("`crossing ls` lists what there is; it exists while it has members")
}

/// What can be seen of topic `name`.
///
/// # Errors
/// `NotFound` if nobody is there, nor anything left of the dead; the operating system's.
///
/// ```
/// use crossing_bus::{Topic, inspect};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-inspect-{}", std::process::id());
/// let topic = Topic::<[u8]>::options().depth(64).max_len(32).open(&name)?;
/// let subscriber = topic.subscriber()?;
/// let publisher = topic.publisher()?;
/// publisher.send(b"hello")?;
/// let report = inspect::topic(&name)?;
/// assert_eq!((report.publishers[0].published, report.publishers[0].depth), (1, 64));
/// assert!(report.subscribers[0].alive);
/// # drop(subscriber);
/// # Ok(())
/// # }
/// ```
pub fn topic(name: &str) -> Result<TopicReport> {
    let mut report = TopicReport {
        name: name.to_owned(),
        publishers: Vec::new(),
        subscribers: Vec::new(),
        damaged: Vec::new(),
        remains: Vec::new(),
        memory: 0,
    };
    let mut tails: Vec<(u64, u64)> = Vec::new();
    let mut readings: Vec<Vec<Reading>> = Vec::new();
    let mut bells = 0;
    for entry in registry::list_in(&member::group(name))? {
        let Some((role, number)) = member::parse(name, &entry.name) else { continue };
        report.memory = report.memory.saturating_add(entry.memory);
        let seen = match role {
            Role::Publisher => publisher(name, number, &entry).map(|publisher| {
                tails.push((publisher.key, publisher.published));
                report.publishers.push(publisher);
            }),
            Role::Subscriber => subscriber(name, number, &entry).map(|(subscriber, reads)| {
                readings.push(reads);
                report.subscribers.push(subscriber);
            }),
            Role::Bell => {
                bells += 1;
                Ok(())
            }
        };
        match seen {
            Err(_) if entry.stale => report.remains.push(entry.name),
            // It left meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => report.damaged.push(entry.name),
            Ok(()) => {}
        }
    }
    for (subscriber, reads) in report.subscribers.iter_mut().zip(readings) {
        subscriber.reads = reads.iter().map(|reading| place(*reading, &tails)).collect();
    }
    let members = report.publishers.len()
        + report.subscribers.len()
        + report.damaged.len()
        + report.remains.len()
        + bells;
    if members == 0 { Err(not_found("inspect topic", name)) } else { Ok(report) }
}

fn place(reading: Reading, tails: &[(u64, u64)]) -> ReadingReport {
    let tail = tails.iter().find(|(key, _)| *key == reading.key).map(|(_, tail)| *tail);
    let behind = tail.map(|tail| tail.saturating_sub(reading.position));
    ReadingReport { publisher: reading.key, behind, missed: reading.missed }
}

fn publisher(topic: &str, number: u32, entry: &Entry) -> Result<PublisherReport> {
    let segment = member::open_data(topic, Role::Publisher, number)?;
    let ring = RingReader::open(&segment)?;
    let header = ring.header();
    Ok(PublisherReport {
        key: header.key(),
        pid: header.pid(),
        alive: entry.owned,
        left: ring.has_left(),
        carries: Carries::of(header.shape()),
        depth: header.depth(),
        max_len: header.max_len(),
        max_subscribers: header.max_subscribers(),
        admitted: ring.admitted(),
        max_loans: header.max_loans(),
        published: ring.tail(),
        dropped: ring.dropped(),
        memory: entry.memory,
    })
}

fn subscriber(topic: &str, number: u32, entry: &Entry) -> Result<(SubscriberReport, Vec<Reading>)> {
    let segment = member::open_data(topic, Role::Subscriber, number)?;
    let cursors = PeerCursors::open(&segment)?;
    let header = cursors.header();
    let report = SubscriberReport {
        key: header.key(),
        pid: header.pid(),
        alive: entry.owned,
        left: cursors.has_left(),
        carries: Carries::of(header.shape()),
        held: cursors.held(),
        max_borrowed: header.borrowed(),
        reads: Vec::new(),
        memory: entry.memory,
    };
    Ok((report, cursors.readings()))
}

/// What can be seen of event `name`.
///
/// # Errors
/// `NotFound` if nobody is there, nor anything left of the dead; the operating system's.
pub fn event(name: &str) -> Result<EventReport> {
    let (mut waiters, mut notifiers, mut memory) = (Vec::new(), Vec::new(), 0_u64);
    for entry in registry::list_in(&event::group(name))? {
        if member_of(&entry.name) != Some((Kind::Event, name)) {
            continue;
        }
        memory = memory.saturating_add(entry.memory);
        let waits = entry.name.rsplit('/').next().is_some_and(|member| member.starts_with(event::WAITER));
        let pending = if waits { event::open_read_only(&entry.name).ok() } else { None };
        let pending = pending.and_then(|segment| EventBell::peek(&segment).ok());
        let member = EventMemberReport { pid: entry.creator_pid, alive: entry.owned, pending };
        if waits { &mut waiters } else { &mut notifiers }.push(member);
    }
    if waiters.is_empty() && notifiers.is_empty() {
        return Err(not_found("inspect event", name));
    }
    Ok(EventReport { name: name.to_owned(), notifiers, waiters, memory })
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
