//! `crossing proxy FROM TO`: passes connections on, from any kind of stream socket to any other.

use crate::args::ProxyArgs;
use crate::exit::{Exit, Outcome};
use crossing::net::{RawStream, StreamOptions};
use crossing::{Error, ErrorKind};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes that are passed on at once at most.
const PIECE: usize = 64 << 10;
/// How long accepting rests when there are as many connections as may be, or the system has no more files.
const REST: Duration = Duration::from_millis(20);

/// Passes connections on until interrupted, or as many as asked for.
pub fn run(args: &ProxyArgs) -> Outcome {
    let listener = args.net.listener().bind(&args.from)?;
    let mut options = args.net.stream();
    options.connect_timeout(args.connect_timeout);
    // For people and scripts; whether it can be written changes nothing.
    let _ = writeln!(std::io::stderr(), "crossing: listening on {}", listener.endpoint());
    let mut left = args.count.unwrap_or(u64::MAX);
    let open = AtomicU64::new(0);
    thread::scope(|scope| {
        while left > 0 {
            if open.load(Ordering::Relaxed) >= args.max_connections {
                // Further clients wait in the system's queue.
                thread::sleep(REST);
                continue;
            }
            let (near, peer) = match listener.accept_raw() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::LimitReached => {
                    thread::sleep(REST);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            left -= 1;
            open.fetch_add(1, Ordering::Relaxed);
            let (options, open) = (&options, &open);
            scope.spawn(move || {
                if let Err(error) = pass(args, options, &near) {
                    let _ = writeln!(std::io::stderr(), "crossing: {peer}: {error}");
                }
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
        Ok(Exit::Success)
    })
}

fn pass(args: &ProxyArgs, options: &StreamOptions, near: &RawStream) -> Result<(), Error> {
    let far = options.raw().connect(&args.to)?;
    thread::scope(|scope| {
        let back = scope.spawn(|| copy(&far, near));
        let there = copy(near, &far);
        there.and(back.join().unwrap_or(Ok(())))
    })
}

/// Passes on what one side sends, and then its end.
fn copy(from: &RawStream, to: &RawStream) -> Result<(), Error> {
    let mut buffer = vec![0; PIECE];
    let result = loop {
        match from.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(len) => {
                if let Err(error) = to.write_all(&buffer[..len]) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    // Whether it came to an end or broke, nothing more comes; the other side may be gone already.
    let _ = to.shutdown_write();
    match result {
        Err(error) if error.kind() == ErrorKind::Disconnected => Ok(()),
        result => result,
    }
}
