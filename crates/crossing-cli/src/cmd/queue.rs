//! `crossing queue`, and what `send` and `recv` do with queues.

use super::source::Source;
use crate::args::{MessageArgs, OverflowArg, QueueCommand, QueueShape, QueueSize, RecvArgs, SendArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{data_or_stdin, write_json, write_line, write_message};
use crossing::queue::{Direction, Message, Overflow, Priority, Properties, Queue, QueueOptions};
use crossing::{Error, ErrorKind};
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// How full a queue is, and how large.
#[derive(Serialize)]
pub struct StatJson {
    endpoint: String,
    len: u64,
    capacity: Option<u64>,
    max_len: u64,
    bytes: Option<u64>,
    max_bytes: Option<u64>,
    held: u64,
    delayed: u64,
    dead_letters: u64,
    sent: u64,
    dropped: u64,
    expired: u64,
    redelivered: u64,
    users: u64,
    priorities: Option<u32>,
    value_len: Option<u64>,
    schema: u64,
    #[serde(skip)]
    acknowledges: bool,
}

#[derive(Serialize)]
struct GlimpseJson<'a> {
    state: &'a str,
    priority: u32,
    deliveries: u32,
    len: usize,
    data: String,
}

/// How many bytes of a message `browse` shows.
const SHOWN: usize = 64;

/// `crossing queue`.
pub fn run(command: QueueCommand) -> Outcome {
    match command {
        QueueCommand::Create { endpoint, size } => drop(sized(&endpoint, size).create(&endpoint)?),
        QueueCommand::Stat { endpoint, json } => stat(&endpoint, json)?,
        QueueCommand::Browse { endpoint, count, json } => browse(&endpoint, count, json)?,
        QueueCommand::Purge { endpoint } => {
            let dropped = Queue::<[u8]>::options().direction(Direction::Receive).open(&endpoint)?.purge()?;
            write_line(&format!("{endpoint}: {dropped} messages dropped"))?;
        }
        QueueCommand::Rm { endpoint } => Queue::unlink(&endpoint)?,
    }
    Ok(Exit::Success)
}

/// Options with the limits that the endpoint can have: System V queues count bytes, by the system's own limit.
fn sized(endpoint: &str, size: QueueSize) -> QueueOptions {
    let mut options = Queue::<[u8]>::options();
    if !endpoint.starts_with("sysv:") {
        options.capacity(size.capacity).max_len(size.max_len);
    }
    if let Some(bytes) = size.max_bytes {
        options.max_bytes(bytes);
    }
    if let Some(priorities) = size.priorities {
        options.priorities(priorities);
    }
    if let Some(deliveries) = size.max_deliveries {
        options.max_deliveries(deliveries);
    }
    options
}

/// What `stat` says of a queue.
pub fn look(endpoint: &str) -> Result<StatJson, Failure> {
    let queue = Queue::<[u8]>::options().direction(Direction::Receive).open(endpoint)?;
    let stats = queue.stats()?;
    Ok(StatJson {
        endpoint: endpoint.to_owned(),
        len: stats.len,
        capacity: stats.capacity,
        max_len: stats.max_len,
        bytes: stats.bytes,
        max_bytes: stats.max_bytes,
        held: stats.held,
        delayed: stats.delayed,
        dead_letters: stats.dead_letters,
        sent: stats.sent,
        dropped: stats.dropped,
        expired: stats.expired,
        redelivered: stats.redelivered,
        // This command is one of them.
        users: stats.users.saturating_sub(1),
        priorities: stats.priorities,
        value_len: stats.value_len,
        schema: stats.schema,
        acknowledges: queue.capabilities().acknowledge,
    })
}

impl fmt::Display for StatJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} messages", self.endpoint, self.len)?;
        if let Some(capacity) = self.capacity {
            write!(f, " of at most {capacity}")?;
        }
        if let (Some(bytes), Some(max)) = (self.bytes, self.max_bytes) {
            write!(f, ", {bytes} bytes of at most {max}")?;
        }
        write!(f, ", each at most {} bytes", self.max_len)?;
        if let Some(priorities) = self.priorities {
            write!(f, ", {priorities} priorities")?;
        }
        if let Some(len) = self.value_len {
            write!(f, "\nvalues of {len} bytes, schema {:#x}", self.schema)?;
        }
        if self.acknowledges {
            write!(
                f,
                "\nheld by receivers {}, delayed {}, dead letters {}",
                self.held, self.delayed, self.dead_letters
            )?;
            write!(f, "; sent so far {}, dropped {}, expired {}", self.sent, self.dropped, self.expired)?;
            write!(f, ", delivered again {}; opened by {} other processes", self.redelivered, self.users)?;
        }
        Ok(())
    }
}

/// `crossing queue stat`.
pub fn stat(endpoint: &str, json: bool) -> Result<(), Failure> {
    let seen = look(endpoint)?;
    if json { write_json(&seen) } else { write_line(&seen.to_string()) }
}

fn browse(endpoint: &str, count: usize, json: bool) -> Result<(), Failure> {
    let queue = Queue::<[u8]>::options().direction(Direction::Receive).open(endpoint)?;
    for seen in queue.browse(count, SHOWN)? {
        let data = String::from_utf8_lossy(&seen.bytes);
        if json {
            write_json(&GlimpseJson {
                state: seen.state,
                priority: seen.priority,
                deliveries: seen.deliveries,
                len: seen.len,
                data: data.into_owned(),
            })?;
            continue;
        }
        let more = if seen.len > SHOWN { "..." } else { "" };
        write_line(&format!(
            "{:5}  priority {:2}  delivered {}  {:6} B  {}{more}",
            seen.state,
            seen.priority,
            seen.deliveries,
            seen.len,
            data.escape_debug()
        ))?;
    }
    Ok(())
}

fn open(options: &QueueOptions, endpoint: &str, shape: QueueShape) -> Result<Queue, Error> {
    match options.open(endpoint) {
        Err(error) if error.kind() == ErrorKind::NotFound && shape.create => {
            // What there may be of a queue's own is asked of the one that is made.
            drop(sized(endpoint, shape.size).open_or_create(endpoint)?);
            options.open(endpoint)
        }
        Err(error) if error.kind() == ErrorKind::NotFound && !endpoint.starts_with("sysv:") => {
            Err(error.fix("create it with --create, or start the program that creates it"))
        }
        other => other,
    }
}

/// Sends to a queue.
pub fn send(args: &SendArgs) -> Outcome {
    for (given, flag) in [(args.raw, "--raw"), (args.await_reply, "--await-reply")] {
        if given {
            return Err(Failure::usage(format!(
                "cannot use {flag} with \"{}\": {flag} is for sockets",
                args.endpoint
            )));
        }
    }
    let deadline = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let given = &args.message;
    let mut options = Queue::<[u8]>::options();
    options.direction(Direction::Send).overflow(match given.overflow {
        OverflowArg::Block => Overflow::Block,
        OverflowArg::DropOldest => Overflow::DropOldest,
        OverflowArg::Fail => Overflow::Fail,
    });
    let sender = open(&options, &args.endpoint, args.queue)?.sender()?;
    let properties = properties(given);
    let send = |data: &[u8]| {
        let mut message = Message::new(data).priority(Priority(args.priority)).properties(&properties);
        if let Some(ttl) = given.ttl {
            message = message.ttl(ttl);
        }
        if let Some(delay) = given.delay {
            message = message.delay(delay);
        }
        let sent = sender.send_message_deadline(&message, deadline);
        sent.map_err(|error| error.explain(&args.endpoint).into())
    };
    let source = match given.batch {
        true => Source::lines(args.count)?,
        false => Source::Repeated(data_or_stdin(args.data.as_deref())?, args.count),
    };
    source.each(send)?;
    Ok(Exit::Success)
}

fn properties(given: &MessageArgs) -> Properties {
    let mut properties = Properties::new();
    for (key, value) in &given.property {
        properties.set(key, value.as_bytes());
    }
    if let Some(endpoint) = &given.reply_to {
        properties.reply_to(endpoint);
    }
    if let Some(id) = given.correlation_id {
        properties.correlation_id(id);
    }
    properties
}

/// Receives from a queue.
pub fn recv(args: &RecvArgs) -> Outcome {
    for (given, flag) in [(args.raw, "--raw"), (args.listen, "--listen"), (args.reply.is_some(), "--reply")] {
        if given {
            return Err(Failure::usage(format!(
                "cannot use {flag} with \"{}\": {flag} is for sockets",
                args.endpoint
            )));
        }
    }
    let mut options = Queue::<[u8]>::options();
    options.direction(Direction::Receive).acknowledge(args.nack);
    let queue = open(&options, &args.endpoint, args.queue)?;
    let receiver = if args.dead { queue.dead_letters()? } else { queue.receiver()? };
    let mut received = 0;
    // Given back at the end, so that the same is not received over and over.
    let mut shown = Vec::new();
    while args.follow || received < args.count {
        let delivery = match args.timeout {
            Some(timeout) => receiver.recv_timeout(timeout),
            None => receiver.recv(),
        };
        let delivery = delivery.map_err(|error| error.explain(&args.endpoint))?;
        let priority = Some(delivery.priority().0);
        write_message(&delivery, args.shape, !args.raw_output, priority, None)?;
        received += 1;
        if args.nack {
            shown.push(delivery);
        }
    }
    drop(shown);
    if args.unlink {
        drop((receiver, queue));
        unlink(&args.endpoint)?;
    }
    Ok(Exit::Success)
}

/// Removes the queue. One in shared memory is not removed under its users: a sender that is just ending is waited for.
fn unlink(endpoint: &str) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match Queue::unlink(endpoint) {
            Err(error) if error.kind() == ErrorKind::Busy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}
