//! `crossing pub`.

use crate::args::PubArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::data_or_stdin;
use crossing::bus::{Overflow, Topic};
use std::ffi::OsString;
use std::time::Instant;

/// Publishes one message, or the same one again and again.
pub fn run(args: &PubArgs) -> Outcome {
    let name = super::sub::topic_name(&args.endpoint)?;
    let data = match (args.size, args.data.as_deref()) {
        (Some(size), None) => {
            vec![b'x'; usize::try_from(size).map_err(|_| Failure::usage("--size is too large"))?]
        }
        (_, Some(data)) if data.as_encoded_bytes().starts_with(b"@") => file(data)?,
        (_, data) => data_or_stdin(data)?,
    };
    let longest = u32::try_from(data.len()).map_err(|_| Failure::usage("a message has at most 4 GiB"))?;
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
    let mut next = Instant::now();
    for number in 0..args.count {
        if let Some(pause) = args.rate.filter(|_| number > 0) {
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        let sent = match deadline {
            Some(deadline) => publisher.send_deadline(&data[..], deadline),
            None => publisher.send(&data[..]),
        };
        sent.map_err(|error| error.explain(&args.endpoint))?;
    }
    Ok(Exit::Success)
}

fn file(data: &std::ffi::OsStr) -> Result<Vec<u8>, Failure> {
    let path: OsString = match data.to_str() {
        Some(text) => text[1..].into(),
        None => return Err(Failure::usage("the path of the file is not UTF-8")),
    };
    std::fs::read(&path).map_err(|cause| Failure::failed(format!("cannot read {}: {cause}", path.display())))
}
