//! `crossing sub`.

use crate::args::SubArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{DataJson, write_json, write_line, write_message};
use crossing::bus::{Overflow, RecvError, Topic};
use serde::Serialize;
use std::io::Write;
use std::time::{Duration, Instant};

#[derive(Serialize)]
struct SampleJson {
    publisher: String,
    position: u64,
    missed: u64,
    #[serde(flatten)]
    data: DataJson,
}

/// The name of the topic that an endpoint means.
pub fn topic_name(endpoint: &str) -> Result<&str, Failure> {
    match endpoint.split_once(':') {
        Some(("shm", name)) => Ok(name),
        None => Ok(endpoint),
        Some(_) => Err(Failure::usage(format!(
            "cannot use \"{endpoint}\": topics are in shared memory; write shm:NAME"
        ))),
    }
}

/// Prints what is published.
pub fn run(args: &SubArgs) -> Outcome {
    let mut subscriber = Topic::<[u8]>::options()
        .history(args.history)
        .overflow(if args.terms.block { Overflow::Block } else { Overflow::DropOldest })
        .open(topic_name(&args.endpoint)?)?
        .subscriber()?;
    let mut received = 0;
    let (mut second, mut messages, mut bytes, mut missed) = (Instant::now(), 0_u64, 0_u64, 0_u64);
    let mut last = second;
    while args.count.is_none_or(|count| received < count) {
        // To print each second, whether messages come or not.
        let limit = if args.rate { Some(Duration::from_secs(1)) } else { None };
        let sample = match args.timeout.into_iter().chain(limit).min() {
            Some(timeout) => subscriber.recv_timeout(timeout),
            None => subscriber.recv(),
        };
        let in_time = || args.timeout.is_none_or(|timeout| last.elapsed() < timeout);
        let sample = match sample {
            Ok(sample) => Some(sample),
            Err(RecvError::TimedOut) if args.rate && in_time() => None,
            Err(error) => return Err(error.explain(&args.endpoint).into()),
        };
        if sample.is_some() {
            (received, last) = (received + 1, Instant::now());
        }
        if args.rate {
            if let Some(sample) = &sample {
                messages += 1;
                bytes += sample.len() as u64;
                missed += sample.missed();
            }
            let time = second.elapsed().as_secs_f64();
            if time >= 1.0 {
                write_line(&format!(
                    "{:.0} messages/s, {:.1} MB/s, {missed} missed",
                    messages as f64 / time,
                    bytes as f64 / time / 1e6
                ))?;
                (second, messages, bytes, missed) = (Instant::now(), 0, 0, 0);
            }
        } else if let Some(sample) = sample {
            if args.shape.json {
                write_json(&SampleJson {
                    publisher: format!("{:08x}", sample.publisher() as u32),
                    position: sample.position(),
                    missed: sample.missed(),
                    data: DataJson::new(&sample, None, None),
                })?;
                continue;
            }
            if sample.missed() > 0 {
                // Standard error may be closed: the messages still come.
                let _ = writeln!(std::io::stderr(), "crossing: {} messages missed", sample.missed());
            }
            write_message(&sample, args.shape, !args.raw_output, None, None)?;
        }
    }
    Ok(Exit::Success)
}
