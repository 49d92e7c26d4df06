//! `crossing inspect`: what lies under a name, who uses it and who died, what it costs. Names of several things are all shown.

use super::names::ObjectName;
use super::queue::{self, StatJson};
use super::registry::{kind_of, state_word};
use super::target;
use crate::args::InspectArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{table, write_bytes, write_json, write_line};
use crossing::Bytes;
use crossing::ErrorKind;
use crossing::bus::inspect::{self, EventReport, PublisherReport, SubscriberReport, TopicReport};
use crossing::foreign::sysv::{Key, SharedMemory};
use crossing::shm::registry::{self, Entry};
use serde::Serialize;

#[derive(Serialize)]
struct UserJson {
    pid: u32,
    alive: bool,
}

#[derive(Serialize)]
struct SegmentJson {
    name: String,
    kind: &'static str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    state: &'static str,
    creator_pid: Option<u32>,
    participants: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<UserJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<StatJson>,
}

impl SegmentJson {
    fn bare(name: &str, size: u64, state: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            kind: "segment",
            size,
            memory: None,
            state,
            creator_pid: None,
            participants: 0,
            users: Vec::new(),
            mode: None,
            problem: None,
            queue: None,
        }
    }
}

impl From<&Entry> for SegmentJson {
    fn from(entry: &Entry) -> Self {
        let users = entry.participants.iter().map(|user| UserJson { pid: user.pid, alive: user.alive });
        Self {
            kind: kind_of(entry),
            memory: Some(entry.memory),
            creator_pid: Some(entry.creator_pid).filter(|pid| *pid != 0),
            participants: entry.participants.iter().filter(|user| user.alive).count(),
            users: users.collect(),
            problem: entry.problem.clone(),
            ..Self::bare(&entry.name, entry.size, state_word(entry))
        }
    }
}

/// `crossing inspect`.
pub fn run(args: &InspectArgs) -> Outcome {
    match ObjectName::parse(&args.name)? {
        ObjectName::Native(name) => native(&name, args.json)?,
        ObjectName::SystemV(key) => system_v(&args.name, &key, args.json)?,
        ObjectName::Posix(_) => {
            let size = target::open(&args.name, true)?.len() as u64;
            // The system does not say who uses a POSIX segment.
            show(&SegmentJson::bare(&args.name, size, "exists"), args.json)?;
        }
        ObjectName::Queue(endpoint) => queue::stat(&endpoint, args.json)?,
    }
    Ok(Exit::Success)
}

/// Everything of that name: a segment or queue, a topic, an event.
fn native(name: &str, json: bool) -> Result<(), Failure> {
    let found = [segment(name, json), topic(name, json), event(name, json)];
    let mut missing = None;
    let mut shown = false;
    for one in found {
        match one {
            Ok(()) => shown = true,
            Err(failure) if failure.exit == Exit::NotFound => {
                missing.get_or_insert(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    missing.filter(|_| !shown).map_or(Ok(()), Err)
}

fn segment(name: &str, json: bool) -> Result<(), Failure> {
    let entry = registry::inspect(name)?;
    let mut seen = SegmentJson::from(&entry);
    // Opening what the dead left would remove it.
    if kind_of(&entry) == "queue" && entry.problem.is_none() && !entry.stale {
        seen.queue = Some(queue::look(&format!("shm:{name}"))?);
    }
    show(&seen, json)
}

fn system_v(name: &str, key: &str, json: bool) -> Result<(), Failure> {
    let memory = match SharedMemory::open(Key::parse(key)?) {
        // Queues have keys of their own.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return queue::stat(name, json).map_err(|_| error.into());
        }
        memory => memory?,
    };
    let stat = memory.stat()?;
    let state = if stat.attaches > 0 { "attached" } else { "not attached" };
    let seen = SegmentJson {
        creator_pid: Some(stat.creator_pid).filter(|pid| *pid != 0),
        participants: usize::try_from(stat.attaches).unwrap_or(usize::MAX),
        mode: Some(format!("{:04o}", stat.mode)),
        ..SegmentJson::bare(name, stat.size, state)
    };
    show(&seen, json)
}

fn show(seen: &SegmentJson, json: bool) -> Result<(), Failure> {
    if json {
        return write_json(seen);
    }
    let pid = seen.creator_pid.map_or("none known".to_owned(), |pid| pid.to_string());
    let mut rows = vec![("name", seen.name.clone()), ("kind", seen.kind.to_owned())];
    rows.push(("size", format!("{} ({} bytes)", Bytes(seen.size), seen.size)));
    if let Some(memory) = seen.memory {
        rows.push(("memory", format!("{} ({memory} bytes)", Bytes(memory))));
    }
    rows.extend([("state", seen.state.to_owned()), ("creator", pid)]);
    rows.push(("users", format!("{}{}", seen.participants, pids(&seen.users))));
    rows.extend(seen.mode.clone().map(|mode| ("mode", mode)));
    rows.extend(seen.problem.clone().map(|problem| ("problem", problem)));
    write_pairs(rows)?;
    seen.queue.as_ref().map_or(Ok(()), |queue| write_line(&queue.to_string()))
}

/// Who uses it, and who did until it died.
fn pids(users: &[UserJson]) -> String {
    let of = |alive: bool, word: &str| {
        let pids: Vec<String> =
            users.iter().filter(|user| user.alive == alive).map(|user| user.pid.to_string()).collect();
        if pids.is_empty() { String::new() } else { format!(", {word}: {}", pids.join(" ")) }
    };
    format!("{}{}", of(true, "living"), of(false, "dead"))
}

fn write_pairs(rows: Vec<(&str, String)>) -> Result<(), Failure> {
    let rows: Vec<_> = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    write_bytes(table(&rows).as_bytes())
}

#[derive(Serialize)]
struct TopicJson<'a> {
    name: &'a str,
    kind: &'static str,
    memory: u64,
    publishers: Vec<PublisherJson>,
    subscribers: Vec<SubscriberJson>,
    damaged: &'a [String],
    remains: &'a [String],
}

#[derive(Serialize)]
struct PublisherJson {
    key: String,
    pid: u32,
    state: &'static str,
    published: u64,
    dropped: u64,
    depth: u32,
    max_len: u32,
    schema: u64,
    size: Option<u32>,
    align: u32,
    overflow: &'static str,
    max_subscribers: u32,
    in_place: usize,
    max_loans: u32,
    memory: u64,
}

#[derive(Serialize)]
struct SubscriberJson {
    key: String,
    pid: u32,
    state: &'static str,
    held: usize,
    max_borrowed: u32,
    memory: u64,
    reads: Vec<ReadingJson>,
}

#[derive(Serialize)]
struct ReadingJson {
    publisher: String,
    behind: Option<u64>,
    missed: u64,
}

/// Numbers of members as segments' names have them.
fn number(key: u64) -> String {
    format!("{:08x}", key & 0xffff_ffff)
}

fn life(alive: bool, left: bool) -> &'static str {
    match (alive, left) {
        (true, false) => "live",
        (true, true) => "left",
        (false, _) => "dead",
    }
}

impl From<&PublisherReport> for PublisherJson {
    fn from(seen: &PublisherReport) -> Self {
        Self {
            key: number(seen.key),
            pid: seen.pid,
            state: life(seen.alive, seen.left),
            published: seen.published,
            dropped: seen.dropped,
            depth: seen.depth,
            max_len: seen.max_len,
            schema: seen.carries.schema,
            size: seen.carries.size,
            align: seen.carries.align,
            overflow: seen.carries.overflow,
            max_subscribers: seen.max_subscribers,
            in_place: seen.admitted,
            max_loans: seen.max_loans,
            memory: seen.memory,
        }
    }
}

impl From<&SubscriberReport> for SubscriberJson {
    fn from(seen: &SubscriberReport) -> Self {
        let reading = |one: &inspect::ReadingReport| ReadingJson {
            publisher: number(one.publisher),
            behind: one.behind,
            missed: one.missed,
        };
        Self {
            key: number(seen.key),
            pid: seen.pid,
            state: life(seen.alive, seen.left),
            held: seen.held,
            max_borrowed: seen.max_borrowed,
            memory: seen.memory,
            reads: seen.reads.iter().map(reading).collect(),
        }
    }
}

fn topic(name: &str, json: bool) -> Result<(), Failure> {
    let report = inspect::topic(name)?;
    let publishers: Vec<_> = report.publishers.iter().map(PublisherJson::from).collect();
    let subscribers: Vec<_> = report.subscribers.iter().map(SubscriberJson::from).collect();
    let TopicReport { name, memory, damaged, remains, .. } = &report;
    if json {
        let kind = "topic";
        return write_json(&TopicJson {
            name,
            kind,
            memory: *memory,
            publishers,
            subscribers,
            damaged,
            remains,
        });
    }
    let mut rows = vec![("name", name.clone()), ("kind", "topic".to_owned())];
    rows.push(("memory", format!("{} ({memory} bytes)", Bytes(*memory))));
    let first = report.publishers.first().map(|seen| seen.carries);
    if let Some(it) = first.or(report.subscribers.first().map(|seen| seen.carries)) {
        let size = it.size.map_or("bytes".to_owned(), |size| format!("values of {size} bytes"));
        let carries = format!("{size}, schema {:#x}, alignment {}", it.schema, it.align);
        rows.extend([("carries", carries), ("overflow", it.overflow.to_owned())]);
    }
    rows.extend(damaged.iter().map(|name| ("damaged", name.clone())));
    rows.extend(remains.iter().map(|name| ("of the dead", name.clone())));
    write_pairs(rows)?;
    write_line("")?;
    write_bytes(publisher_table(&publishers).as_bytes())?;
    write_line("")?;
    write_bytes(subscriber_table(&subscribers).as_bytes())
}

fn publisher_table(publishers: &[PublisherJson]) -> String {
    let heads =
        ["PUBLISHER", "PID", "STATE", "PUBLISHED", "DROPPED", "DEPTH", "MAX LEN", "IN PLACE", "MEMORY"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for one in publishers {
        rows.push(vec![
            one.key.clone(),
            one.pid.to_string(),
            one.state.to_owned(),
            one.published.to_string(),
            one.dropped.to_string(),
            one.depth.to_string(),
            Bytes(u64::from(one.max_len)).to_string(),
            format!("{} of {}", one.in_place, one.max_subscribers),
            Bytes(one.memory).to_string(),
        ]);
    }
    table(&rows)
}

/// A row for each publisher that a subscriber reads.
fn subscriber_table(subscribers: &[SubscriberJson]) -> String {
    let heads = ["SUBSCRIBER", "PID", "STATE", "HELD", "MEMORY", "READS", "BEHIND", "MISSED"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for one in subscribers {
        let mut head = vec![
            one.key.clone(),
            one.pid.to_string(),
            one.state.to_owned(),
            format!("{} of {}", one.held, one.max_borrowed),
            Bytes(one.memory).to_string(),
        ];
        if one.reads.is_empty() {
            head.push("nobody".to_owned());
            rows.push(head);
            continue;
        }
        for reading in &one.reads {
            let mut row = std::mem::replace(&mut head, vec![String::new(); 5]);
            let behind = reading.behind.map_or("gone".to_owned(), |behind| behind.to_string());
            row.extend([reading.publisher.clone(), behind, reading.missed.to_string()]);
            rows.push(row);
        }
    }
    table(&rows)
}

#[derive(Serialize)]
struct EventJson<'a> {
    name: &'a str,
    kind: &'static str,
    memory: u64,
    notifiers: Vec<EventMemberJson>,
    waiters: Vec<EventMemberJson>,
}

#[derive(Serialize)]
struct EventMemberJson {
    pid: u32,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Vec<u32>>,
}

fn event(name: &str, json: bool) -> Result<(), Failure> {
    let EventReport { name, notifiers, waiters, memory, .. } = inspect::event(name)?;
    let members = |all: &[inspect::EventMemberReport]| -> Vec<EventMemberJson> {
        let member = |one: &inspect::EventMemberReport| EventMemberJson {
            pid: one.pid,
            state: life(one.alive, false),
            pending: one.pending.map(|ids| ids.iter().collect()),
        };
        all.iter().map(member).collect()
    };
    let (notifiers, waiters) = (members(&notifiers), members(&waiters));
    if json {
        return write_json(&EventJson { name: &name, kind: "event", memory, notifiers, waiters });
    }
    let memory = format!("{} ({memory} bytes)", Bytes(memory));
    write_pairs(vec![("name", name), ("kind", "event".to_owned()), ("memory", memory)])?;
    write_line("")?;
    let mut rows = vec![["MEMBER", "PID", "STATE", "PENDING"].map(str::to_owned).to_vec()];
    for (word, member) in
        notifiers.iter().map(|one| ("notifier", one)).chain(waiters.iter().map(|one| ("waiter", one)))
    {
        let pending = member.pending.as_ref().map_or("-".to_owned(), |ids| {
            let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
            if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
        });
        rows.push(vec![word.to_owned(), member.pid.to_string(), member.state.to_owned(), pending]);
    }
    write_bytes(table(&rows).as_bytes())
}
