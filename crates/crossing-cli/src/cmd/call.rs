//! `crossing call ENDPOINT DATA`: one request, its answer, at once or in parts.

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
    let answer = if args.raw {
        let options = args.net.stream().raw();
        let stream =
            super::socket::patiently(deadline, || options.connect_deadline(&args.endpoint, deadline))?;
        stream.write_all_deadline(&data, deadline)?;
        stream.shutdown_write()?;
        stream.read_to_end_deadline(RAW_LIMIT, deadline)?
    } else {
        let mut options = Service::<[u8], [u8]>::options();
        options.max_in_flight(1).max_reply_len(super::serve::length(args.max_len)?);
        let mut stream = args.net.stream();
        if let Some(timeout) = args.timeout {
            stream.connect_timeout(timeout).handshake_timeout(timeout);
        }
        options.stream(&stream);
        let client = super::socket::patiently(deadline, || options.connect(&args.endpoint))?;
        if args.stream {
            for part in client.call_stream(&data, deadline)? {
                write_message(&part?, args.shape, true, None, None)?;
            }
            return Ok(Exit::Success);
        }
        client.call_deadline(&data, deadline)?.to_vec()
    };
    write_message(&answer, args.shape, true, None, None)?;
    Ok(Exit::Success)
}
