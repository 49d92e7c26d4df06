//! `crossing queue`, and what `send` and `recv` do with queues.

use crate::args::{QueueCommand, QueueShape, RecvArgs, SendArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{data_or_stdin, write_json, write_line, write_message};
use crossing::queue::{Direction, Priority, Queue, QueueOptions};
use crossing::{Error, ErrorKind};
use serde::Serialize;
use std::time::Instant;

#[derive(Serialize)]
struct StatJson<'a> {
    endpoint: &'a str,
    len: u64,
    capacity: Option<u64>,
    max_len: u64,
    bytes: Option<u64>,
    max_bytes: Option<u64>,
}

/// `crossing queue`.
pub fn run(command: QueueCommand) -> Outcome {
    match command {
        QueueCommand::Create { endpoint, capacity, max_len } => {
            sized(&endpoint, capacity, max_len).create(&endpoint)?;
        }
        QueueCommand::Stat { endpoint, json } => stat(&endpoint, json)?,
        QueueCommand::Rm { endpoint } => Queue::unlink(&endpoint)?,
    }
    Ok(Exit::Success)
}

/// Options with the limits that the endpoint can have: System V queues count bytes, by the system's own limit.
fn sized(endpoint: &str, capacity: u64, max_len: u64) -> QueueOptions {
    let mut options = Queue::options();
    if !endpoint.starts_with("sysv:") {
        options.capacity(capacity).max_len(max_len);
    }
    options
}

fn stat(endpoint: &str, json: bool) -> Result<(), Failure> {
    let stats = Queue::options().direction(Direction::Receive).open(endpoint)?.stats()?;
    if json {
        return write_json(&StatJson {
            endpoint,
            len: stats.len,
            capacity: stats.capacity,
            max_len: stats.max_len,
            bytes: stats.bytes,
            max_bytes: stats.max_bytes,
        });
    }
    let mut text = format!("{endpoint}: {} messages", stats.len);
    if let Some(capacity) = stats.capacity {
        text.push_str(&format!(" of at most {capacity}"));
    }
    if let (Some(bytes), Some(max)) = (stats.bytes, stats.max_bytes) {
        text.push_str(&format!(", {bytes} bytes of at most {max}"));
    }
    write_line(&format!("{text}, each at most {} bytes", stats.max_len))
}

fn open(endpoint: &str, shape: QueueShape, direction: Direction) -> Result<Queue, Error> {
    match Queue::options().direction(direction).open(endpoint) {
        Err(error) if error.kind() == ErrorKind::NotFound && shape.create => {
            sized(endpoint, shape.capacity, shape.max_len).open_or_create(endpoint)
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
    let sender = open(&args.endpoint, args.queue, Direction::Send)?.sender()?;
    let data = data_or_stdin(args.data.as_deref())?;
    for _ in 0..args.count {
        let sent = sender.send_deadline_with(&data, Priority(args.priority), deadline);
        sent.map_err(|error| error.explain(&args.endpoint))?;
    }
    Ok(Exit::Success)
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
    let queue = open(&args.endpoint, args.queue, Direction::Receive)?;
    let receiver = queue.receiver()?;
    let mut received = 0;
    while args.follow || received < args.count {
        let delivery = match args.timeout {
            Some(timeout) => receiver.recv_timeout(timeout),
            None => receiver.recv(),
        };
        let delivery = delivery.map_err(|error| error.explain(&args.endpoint))?;
        let priority = Some(delivery.priority().0);
        write_message(&delivery, args.shape, !args.raw_output, priority, None)?;
        received += 1;
    }
    if args.unlink {
        drop((receiver, queue));
        Queue::unlink(&args.endpoint)?;
    }
    Ok(Exit::Success)
}
