//! What `send` and `recv` do with sockets that keep messages whole, for any program at the other end.

use super::socket::{Taken, Tally, end_of_patience, patiently, source};
use super::source::Source;
use crate::args::{RecvArgs, SendArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::net_args::SocketType;
use crate::output::write_message;
use crossing::ErrorKind;
use crossing::net::{Datagram, Origin, PacketStream};
use std::io::{self, Write};
use std::time::Instant;

/// The failure of asking for a type of socket where there is none.
pub fn no_socket(endpoint: &str) -> Failure {
    Failure::usage(format!(
        "cannot use --type with \"{endpoint}\": it is a queue, which has no types of sockets"
    ))
}

fn refuse(endpoint: &str, raw: bool, session: bool) -> Result<(), Failure> {
    for (given, flag) in [(raw, "--raw"), (session, "--session")] {
        if given {
            return Err(Failure::usage(format!(
                "cannot use {flag} with --type for \"{endpoint}\": {flag} is for streams"
            )));
        }
    }
    Ok(())
}

/// Sends packets or datagrams.
pub fn send(args: &SendArgs) -> Outcome {
    refuse(&args.endpoint, args.raw, args.session)?;
    let (source, deadline) = (source(args)?, end_of_patience(args.timeout));
    match args.socket_type {
        SocketType::Datagram => send_datagrams(args, &source, deadline),
        _ => send_packets(args, &source, deadline),
    }
}

fn send_packets(args: &SendArgs, source: &Source, deadline: Option<Instant>) -> Outcome {
    let options = args.net.stream().packets();
    let mut stream = patiently(deadline, || options.connect_deadline(&args.endpoint, deadline))?;
    source.each(|data| {
        stream.send_deadline(data, deadline)?;
        if args.await_reply {
            write_message(stream.recv_deadline(deadline)?, args.shape, true, None, None)?;
        }
        Ok(())
    })?;
    stream.end_sending()?;
    Ok(Exit::Success)
}

fn send_datagrams(args: &SendArgs, source: &Source, deadline: Option<Instant>) -> Outcome {
    let mut socket = patiently(deadline, || Datagram::options().connect(&args.endpoint))?;
    source.each(|data| {
        socket.send_deadline(data, deadline)?;
        if args.await_reply {
            write_message(socket.recv_deadline(deadline)?, args.shape, true, None, None)?;
        }
        Ok(())
    })?;
    Ok(Exit::Success)
}

/// Receives packets or datagrams.
pub fn recv(args: &RecvArgs) -> Outcome {
    refuse(&args.endpoint, args.raw, args.session)?;
    let mut tally = Tally::new(args)?;
    match args.socket_type {
        SocketType::Datagram => recv_datagrams(&mut tally),
        _ if args.listen => serve_packets(&mut tally),
        _ => {
            let (deadline, options) = (tally.deadline(), args.net.stream().packets());
            let stream = patiently(deadline, || options.connect_deadline(&args.endpoint, deadline))?;
            take_packets(&mut tally, stream, None)??;
            tally.finish()
        }
    }
}

/// For people and scripts; whether it can be written changes nothing.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "crossing: {line}");
}

/// Takes connections one after the other.
fn serve_packets(tally: &mut Tally<'_>) -> Outcome {
    let listener = tally.args.net.listener().packets().bind(&tally.args.endpoint)?;
    say(format_args!("listening on {}", listener.endpoint()));
    while tally.wants_more() {
        let (stream, peer) = listener.accept_deadline(tally.deadline())?;
        match take_packets(tally, stream, Some(peer.to_string()))? {
            // One bad peer does not end the service of the others.
            Err(error) if tally.args.follow => say(error),
            taken => taken?,
        }
    }
    Ok(Exit::Success)
}

/// Takes packets until the peer ends or enough have come.
fn take_packets(tally: &mut Tally<'_>, mut stream: PacketStream, peer: Option<String>) -> Taken {
    while tally.wants_more() {
        let deadline = tally.deadline();
        match stream.recv_deadline(deadline) {
            Ok(packet) => tally.print(packet, peer.clone())?,
            Err(error) if error.kind() == ErrorKind::Disconnected => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
        if let Some(reply) = &tally.args.reply
            && let Err(error) = stream.send_deadline(reply.as_encoded_bytes(), deadline)
        {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Who sent a datagram, as people read it.
fn sender(origin: &Origin) -> Option<String> {
    match (&origin.credentials, &origin.endpoint) {
        (Some(who), _) => Some(who.to_string()),
        (None, endpoint) => endpoint.as_ref().map(ToString::to_string),
    }
}

/// Takes datagrams of everybody, with or without `--listen`: there is no other way.
fn recv_datagrams(tally: &mut Tally<'_>) -> Outcome {
    let mut socket = Datagram::options().bind(&tally.args.endpoint)?;
    say(format_args!("listening on {}", socket.endpoint()));
    while tally.wants_more() {
        let deadline = tally.deadline();
        let origin = match socket.recv_from_deadline(deadline) {
            Ok((datagram, origin)) => {
                tally.print(datagram, sender(&origin))?;
                origin
            }
            Err(error) if tally.args.follow && matches!(error.kind(), ErrorKind::TooLarge { .. }) => {
                say(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(reply) = &tally.args.reply else { continue };
        let Some(back) = origin.endpoint else {
            let failure = Failure::failed("cannot reply: the sender has no name");
            if !tally.args.follow {
                return Err(failure);
            }
            say(failure.message);
            continue;
        };
        match socket.send_to_deadline(&back, reply.as_encoded_bytes(), deadline) {
            Err(error) if tally.args.follow => say(error),
            sent => sent?,
        }
    }
    Ok(Exit::Success)
}
