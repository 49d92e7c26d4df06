//! What `send` and `recv` do with sockets: frames between two programs that use Crossing, raw bytes with others.

use super::source::Source;
use crate::args::{RecvArgs, SendArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{data_or_stdin, write_message};
use crossing::net::{RawStream, Session, SessionOptions, Stream};
use crossing::{Error, ErrorKind};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Bytes that a raw read takes at most.
const RAW_READ: usize = 64 << 10;

/// How long the peer of a session may take to take the tail, if no time was given.
const CLOSE: Duration = Duration::from_secs(60);

/// How many bytes of lines may be on their way to the system.
const GATHERED: usize = 256 << 10;

/// How long to wait before looking again for a listener that is not there yet.
const RETRY: Duration = Duration::from_millis(10);

fn refuse(given: bool, flag: &str, endpoint: &str) -> Result<(), Failure> {
    if given {
        return Err(Failure::usage(format!(
            "cannot use {flag} with \"{endpoint}\": {flag} is for mq: queues"
        )));
    }
    Ok(())
}

/// What is left until `deadline`; no deadline leaves time without end.
fn left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|at| at.saturating_duration_since(Instant::now()))
}

/// Connects; with a deadline, waits for a listener that is not there yet.
pub fn patiently<T>(deadline: Option<Instant>, connect: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match connect() {
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound)
                    && left(deadline).is_some_and(|left| !left.is_zero()) =>
            {
                std::thread::sleep(RETRY);
            }
            other => return other,
        }
    }
}

/// Sends over a socket.
pub fn send(args: &SendArgs) -> Outcome {
    let (source, deadline) = (source(args)?, end_of_patience(args.timeout));
    match (&source, args.session) {
        (Source::Repeated(data, _), _) if args.raw => send_raw(args, data, deadline),
        (_, true) => send_in_session(args, &source, deadline),
        _ => send_frames(args, &source, deadline),
    }
}

/// When `timeout` from now is over.
pub fn end_of_patience(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// What the arguments say is sent, which must be about sockets.
pub fn source(args: &SendArgs) -> Result<Source, Failure> {
    refuse(args.priority != 0, "--priority", &args.endpoint)?;
    refuse(args.queue.create, "--create", &args.endpoint)?;
    match args.message.batch {
        false => Ok(Source::Repeated(data_or_stdin(args.data.as_deref())?, args.count)),
        true if args.raw => Err(Failure::usage(format!(
            "cannot use --batch with --raw for \"{}\": each line of standard input is one message",
            args.endpoint
        ))),
        true => Source::lines(args.count),
    }
}

fn send_frames(args: &SendArgs, source: &Source, deadline: Option<Instant>) -> Outcome {
    let mut stream = patiently(deadline, || args.net.stream().connect_deadline(&args.endpoint, deadline))?;
    if matches!(source, Source::Lines) && !args.await_reply {
        return send_lines(stream, source, deadline);
    }
    source.each(|data| {
        stream.send_deadline(data, deadline)?;
        if args.await_reply {
            let reply = stream.recv_deadline(deadline)?;
            write_message(reply, args.shape, true, None, None)?;
        }
        Ok(())
    })?;
    stream.close()?;
    Ok(Exit::Success)
}

/// Sends lines as they come; those that come faster than they can go, go together.
fn send_lines(stream: Stream, source: &Source, deadline: Option<Instant>) -> Outcome {
    let (sending, receiving) = stream.split_deadline(deadline)?;
    let mut sending = sending.gathering(GATHERED)?;
    let sent = source.each(|data| Ok(sending.send_deadline(data, deadline)?));
    // Who gives up waits for nothing more.
    let rest = sending.into_inner(if sent.is_ok() { deadline } else { Some(Instant::now()) });
    sent?;
    rest?.close(receiving)?;
    Ok(Exit::Success)
}

fn send_in_session(args: &SendArgs, source: &Source, deadline: Option<Instant>) -> Outcome {
    let options = args.net.stream().session(&SessionOptions::default());
    let mut session = patiently(deadline, || options.connect(&args.endpoint))?;
    source.each(|data| {
        session.send_deadline(data, deadline)?;
        if args.await_reply {
            let reply = session.recv_deadline(deadline)?;
            write_message(reply, args.shape, true, None, None)?;
        }
        Ok(())
    })?;
    session.close(left(deadline).unwrap_or(CLOSE))?;
    Ok(Exit::Success)
}

fn send_raw(args: &SendArgs, data: &[u8], deadline: Option<Instant>) -> Outcome {
    let stream = patiently(deadline, || args.net.stream().raw().connect_deadline(&args.endpoint, deadline))?;
    let mut buffer = vec![0; RAW_READ];
    for _ in 0..args.count {
        stream.write_all_deadline(data, deadline)?;
        if args.await_reply {
            let len = stream.read_deadline(&mut buffer, deadline)?;
            if len == 0 {
                return Err(Failure::failed(format!(
                    "cannot await reply from \"{}\": it closed without one",
                    args.endpoint
                )));
            }
            write_message(&buffer[..len], args.shape, true, None, None)?;
        }
    }
    stream.shutdown_write()?;
    Ok(Exit::Success)
}

/// Counts what was received and knows when to stop.
pub struct Tally<'a> {
    pub args: &'a RecvArgs,
    received: u64,
}

impl<'a> Tally<'a> {
    /// Of nothing yet; the arguments must be about sockets.
    pub fn new(args: &'a RecvArgs) -> Result<Self, Failure> {
        refuse(args.unlink, "--unlink", &args.endpoint)?;
        refuse(args.queue.create, "--create", &args.endpoint)?;
        Ok(Self { args, received: 0 })
    }

    pub fn wants_more(&self) -> bool {
        self.args.follow || self.received < self.args.count
    }

    pub fn print(&mut self, bytes: &[u8], peer: Option<String>) -> Result<(), Failure> {
        self.received += 1;
        write_message(bytes, self.args.shape, !self.args.raw_output, None, peer)
    }

    /// The end of patience for the next message.
    pub fn deadline(&self) -> Option<Instant> {
        end_of_patience(self.args.timeout)
    }

    /// Fails when less came than was asked for.
    pub fn finish(&self) -> Outcome {
        if self.wants_more() && !self.args.follow {
            return Err(Failure::failed(format!(
                "cannot receive from \"{}\": it closed after {} of {} messages",
                self.args.endpoint, self.received, self.args.count
            )));
        }
        Ok(Exit::Success)
    }
}

/// Receives over a socket.
pub fn recv(args: &RecvArgs) -> Outcome {
    let mut tally = Tally::new(args)?;
    if args.listen {
        return serve(&mut tally);
    }
    let deadline = tally.deadline();
    if args.raw {
        let stream =
            patiently(deadline, || args.net.stream().raw().connect_deadline(&args.endpoint, deadline))?;
        take_raw(&mut tally, &stream, None)??;
    } else {
        let stream = patiently(deadline, || args.net.stream().connect_deadline(&args.endpoint, deadline))?;
        take_frames(&mut tally, stream, None)??;
    }
    tally.finish()
}

fn serve(tally: &mut Tally<'_>) -> Outcome {
    let endpoint = &tally.args.endpoint;
    if tally.args.session {
        return serve_sessions(tally);
    }
    let listener = tally.args.net.listener().bind(endpoint)?;
    // For people and scripts; whether it can be written changes nothing.
    let _ = writeln!(io::stderr(), "crossing: listening on {}", listener.endpoint());
    while tally.wants_more() {
        let deadline = tally.deadline();
        let taken = if tally.args.raw {
            let (stream, peer) = listener.accept_raw_deadline(deadline)?;
            take_raw(tally, &stream, Some(peer.to_string()))?
        } else {
            let (stream, peer) = listener.accept_deadline(deadline)?;
            take_frames(tally, stream, Some(peer.to_string()))?
        };
        match taken {
            // One bad peer does not end the service of the others.
            Err(error) if tally.args.follow => drop(writeln!(io::stderr(), "crossing: {error}")),
            taken => taken?,
        }
    }
    Ok(Exit::Success)
}

/// Takes sessions one after the other.
fn serve_sessions(tally: &mut Tally<'_>) -> Outcome {
    let options = tally.args.net.listener().session(&SessionOptions::default());
    let listener = options.bind(&tally.args.endpoint)?;
    let _ = writeln!(io::stderr(), "crossing: listening on {}", listener.endpoint());
    while tally.wants_more() {
        let deadline = tally.deadline();
        let (session, peer) = listener.accept_deadline(deadline)?;
        match take_session(tally, session, Some(peer.to_string()))? {
            Err(error) if tally.args.follow => drop(writeln!(io::stderr(), "crossing: {error}")),
            taken => taken?,
        }
    }
    Ok(Exit::Success)
}

fn take_session(tally: &mut Tally<'_>, mut session: Session, peer: Option<String>) -> Taken {
    while tally.wants_more() {
        let deadline = tally.deadline();
        let failed = match session.recv_deadline(deadline) {
            Ok(message) => tally.print(message, peer.clone()).map(|()| None)?,
            Err(error) => Some(error),
        };
        match failed {
            Some(_) if session.peer_ended() => break,
            Some(error) => return Ok(Err(error)),
            None => {}
        }
        if let Some(reply) = &tally.args.reply
            && let Err(error) = session.send_deadline(reply.as_encoded_bytes(), deadline)
        {
            return Ok(Err(error));
        }
    }
    // All that was asked for is here; a peer that is gone already has taken what it wanted.
    let _ = session.close(left(tally.deadline()).unwrap_or(CLOSE));
    Ok(Ok(()))
}

/// What became of one connection: nothing to tell, or what its peer or the network did. Failures of this program are
/// apart from it.
pub type Taken = Result<Result<(), Error>, Failure>;

/// Takes frames until the peer closes or enough have come.
fn take_frames(tally: &mut Tally<'_>, mut stream: Stream, peer: Option<String>) -> Taken {
    while tally.wants_more() {
        let deadline = tally.deadline();
        let failed = match stream.recv_deadline(deadline) {
            Ok(frame) => tally.print(frame, peer.clone()).map(|()| None)?,
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            let ended = error.kind() == ErrorKind::Disconnected && stream.peer_ended();
            return Ok(if ended { Ok(()) } else { Err(error) });
        }
        if let Some(reply) = &tally.args.reply
            && let Err(error) = stream.send_deadline(reply.as_encoded_bytes(), deadline)
        {
            return Ok(Err(error));
        }
    }
    // All that was asked for is here; a peer that is gone already has taken what it wanted.
    let _ = stream.close();
    Ok(Ok(()))
}

/// With a reply, answers what one read returns; without one, takes everything the peer sends.
fn take_raw(tally: &mut Tally<'_>, stream: &RawStream, peer: Option<String>) -> Taken {
    let mut buffer = vec![0; RAW_READ];
    let mut message = Vec::new();
    let deadline = tally.deadline();
    loop {
        let len = match stream.read_deadline(&mut buffer, deadline) {
            Ok(len) => len,
            Err(error) => return Ok(Err(error)),
        };
        message.extend_from_slice(&buffer[..len]);
        if len == 0 || tally.args.reply.is_some() {
            break;
        }
    }
    if message.is_empty() {
        return Ok(Ok(()));
    }
    tally.print(&message, peer)?;
    let Some(reply) = &tally.args.reply else { return Ok(Ok(())) };
    Ok(stream.write_all_deadline(reply.as_encoded_bytes(), deadline).and_then(|()| stream.shutdown_write()))
}
