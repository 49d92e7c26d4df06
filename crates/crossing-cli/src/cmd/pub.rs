//! `crossing pub`.

use super::source::Source;
use crate::args::PubArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::data_or_stdin;
use crossing::bus::{Overflow, Topic};
use std::ffi::OsString;
use std::time::Instant;

/// The longest line, unless it is said.
const MAX_LINE: u64 = 64 << 10;

/// Publishes one message, the same one again and again, or lines.
pub fn run(args: &PubArgs) -> Outcome {
    let name = super::sub::topic_name(&args.endpoint)?;
    let source = source(args)?;
    let longest = match &source {
        Source::Repeated(data, _) => data.len() as u64,
        Source::Lines => args.max_len.unwrap_or(MAX_LINE),
    };
    let longest = u32::try_from(longest).map_err(|_| Failure::usage("a message has at most 4 GiB"))?;
    let publisher = Topic::<[u8]>::options()
        .depth(args.depth)
        .max_len(longest.max(1))
        .overflow(if args.terms.block { Overflow::Block } else { Overflow::DropOldest })
        .open(name)?
        .publisher()?;
    let deadline = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    while publisher.subscribers() < args.wait {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Failure::timed_out(format!(
                "{} subscribers of {} came in time",
                publisher.subscribers(),
                args.wait
            )));
        }
        publisher.await_news(deadline)?;
    }
    let (mut next, mut first) = (Instant::now(), true);
    source.each(|data| {
        if let Some(pause) = args.rate.filter(|_| !first) {
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        first = false;
        let sent = match deadline {
            Some(deadline) => publisher.send_deadline(data, deadline),
            None => publisher.send(data),
        };
        sent.map_err(|error| error.explain(&args.endpoint).into())
    })?;
    Ok(Exit::Success)
}

fn source(args: &PubArgs) -> Result<Source, Failure> {
    let data = match (args.size, args.data.as_deref()) {
        _ if args.batch => return Source::lines(args.count),
        _ if args.max_len.is_some() => {
            return Err(Failure::usage("--max-len is for --batch: a message of its own has its length"));
        }
        (Some(size), None) => {
            vec![b'x'; usize::try_from(size).map_err(|_| Failure::usage("--size is too large"))?]
        }
        (_, Some(data)) if data.as_encoded_bytes().starts_with(b"@") => file(data)?,
        (_, data) => data_or_stdin(data)?,
    };
    Ok(Source::Repeated(data, args.count))
}

fn file(data: &std::ffi::OsStr) -> Result<Vec<u8>, Failure> {
    let path: OsString = match data.to_str() {
        Some(text) => text[1..].into(),
        None => return Err(Failure::usage("the path of the file is not UTF-8")),
    };
    std::fs::read(&path).map_err(|cause| Failure::failed(format!("cannot read {}: {cause}", path.display())))
}
