//! `crossing call ENDPOINT DATA`: requests to a server or to several, their answers, at once or in parts.

use crate::args::CallArgs;
use crate::exit::{Exit, Outcome};
use crate::output::{data_or_stdin, write_message};
use crossing::service::Service;
use std::time::Instant;

/// The longest answer that is taken from a raw peer, in bytes.
const RAW_LIMIT: usize = 1 << 30;

/// Asks, and prints the answer, or its parts as they come.
pub fn run(args: &CallArgs) -> Outcome {
    let deadline = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let data = data_or_stdin(args.data.as_deref())?;
    if args.raw { ask_raw(args, &data, deadline) } else { ask(args, &data, deadline) }
}

fn ask(args: &CallArgs, data: &[u8], deadline: Option<Instant>) -> Outcome {
    let mut options = Service::<[u8], [u8]>::options();
    options.max_in_flight(1).max_reply_len(super::serve::length(args.max_len)?);
    let mut stream = args.net.stream();
    if let Some(timeout) = args.timeout {
        stream.connect_timeout(timeout).handshake_timeout(timeout);
    }
    options.stream(&stream);
    let endpoints: Vec<&str> =
        std::iter::once(&args.endpoint).chain(&args.others).map(String::as_str).collect();
    let client = super::socket::patiently(deadline, || match endpoints[..] {
        [only] => options.connect(only),
        _ => options.connect_any(&endpoints),
    })?;
    for _ in 0..args.count {
        if args.stream {
            for part in client.call_stream(data, deadline)? {
                write_message(&part?, args.shape, true, None, None)?;
            }
        } else {
            write_message(&client.call_deadline(data, deadline)?, args.shape, true, None, None)?;
        }
    }
    Ok(Exit::Success)
}

fn ask_raw(args: &CallArgs, data: &[u8], deadline: Option<Instant>) -> Outcome {
    let options = args.net.stream().raw();
    for _ in 0..args.count {
        let stream =
            super::socket::patiently(deadline, || options.connect_deadline(&args.endpoint, deadline))?;
        stream.write_all_deadline(data, deadline)?;
        stream.shutdown_write()?;
        let answer = stream.read_to_end_deadline(RAW_LIMIT, deadline)?;
        write_message(&answer, args.shape, true, None, None)?;
    }
    Ok(Exit::Success)
}
