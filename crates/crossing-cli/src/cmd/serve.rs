//! `crossing serve ENDPOINT --echo|--exec CMD`: answers requests, or with `--raw` connections of any program.

use crate::args::ServeArgs;
use crate::exit::{Exit, Failure, Outcome};
use crossing::net::RawStream;
use crossing::service::{ReplyStream, Request, Server, Service};
use crossing::{Error, ErrorKind};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Bytes that a raw read takes at most.
const RAW_READ: usize = 64 << 10;
/// Requests that wait over `shm:`.
const WAITING: usize = 64;
/// How often a command that runs is looked after.
const LOOK: Duration = Duration::from_millis(5);
/// The longest line that is sent by itself, in bytes; the rest of a longer one follows.
const MAX_LINE_LEN: u64 = 1 << 20;
/// Lines that wait for a client at most, beside those that the client keeps itself.
const WAITING_LINES: usize = 16;

/// Serves until interrupted, or as many requests as asked for.
pub fn run(args: &ServeArgs) -> Outcome {
    if args.raw { serve_raw(args) } else { serve(args) }
}

fn announce(endpoint: &str) {
    // For people and scripts; whether it can be written changes nothing.
    let _ = writeln!(std::io::stderr(), "crossing: listening on {endpoint}");
}

/// A length in memory.
pub fn length(bytes: u64) -> Result<usize, Failure> {
    usize::try_from(bytes)
        .map_err(|_| Failure::usage(format!("{bytes} bytes are more than this machine addresses")))
}

fn serve(args: &ServeArgs) -> Outcome {
    let mut options = Service::<[u8], [u8]>::options();
    options.listener(&args.net.listener()).capacity(WAITING).max_request_len(length(args.max_len)?);
    let server = options.serve(&args.endpoint)?;
    announce(&server.endpoint());
    let left = AtomicU64::new(args.count.unwrap_or(u64::MAX));
    let mut first = Ok(Exit::Success);
    thread::scope(|scope| {
        let work = || answer_while_wanted(args, &server, &left);
        let workers: Vec<_> = (0..args.workers.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Ok(Err(failure)) = worker.join() {
                first = Err(failure);
            }
        }
    });
    first
}

fn answer_while_wanted(args: &ServeArgs, server: &Server, left: &AtomicU64) -> Result<(), Failure> {
    let take = |left: u64| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let request = match args.timeout {
            None => server.recv(),
            Some(timeout) => server.recv_timeout(timeout),
        }?;
        // A client that is gone or does not read is its own loss; the others are served on.
        let _ = match &args.exec[..] {
            [] => echo(request),
            command if args.lines && request.takes_parts() => execute_lines(command, request),
            command => execute(command, request),
        };
    }
    Ok(())
}

fn echo(request: Request) -> Result<(), Error> {
    let payload = request.payload().to_vec();
    request.reply(&payload)
}

/// Who asks, as far as it is known.
fn peer(request: &Request) -> String {
    request.peer().map_or_else(|| "local".to_owned(), |peer| peer.to_string())
}

/// Runs a command with the payload on its standard input; its standard output is the answer.
fn execute(command: &[OsString], request: Request) -> Result<(), Error> {
    let mut child = match spawn(command, &peer(&request), Stdio::piped()) {
        Ok(child) => child,
        Err(text) => return request.fail(&text),
    };
    // A command may close its input early, may write more than a pipe holds, and may leave its output to others that
    // outlive it: nobody waits for these threads when its time is over.
    let (said, heard) = mpsc::channel();
    feed(child.stdin.take(), request.payload());
    for (complaint, pipe) in [
        (false, child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
        (true, child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
    ] {
        let said = said.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            let _ = said.send((complaint, bytes));
        });
    }
    let [mut output, mut complaint] = [Vec::new(), Vec::new()];
    let mut left = 2;
    let status = loop {
        match heard.recv_timeout(LOOK) {
            Ok((true, bytes)) => (complaint, left) = (bytes, left - 1),
            Ok((false, bytes)) => (output, left) = (bytes, left - 1),
            Err(_) => {}
        }
        if left == 0 {
            break child.wait().ok();
        }
        let late = request.time_left().is_some_and(|left| left.is_zero());
        if late || request.is_cancelled() {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
    };
    match status {
        Some(status) if status.success() => request.reply(&output),
        Some(status) => request.fail_with(code(status), &ended(status, &complaint)),
        None => request.fail(TOO_LONG),
    }
}

const TOO_LONG: &str = "the command took longer than the client waits";

/// Gives a command its input.
fn feed(stdin: Option<ChildStdin>, payload: &[u8]) {
    if let Some(mut stdin) = stdin {
        let payload = payload.to_vec();
        thread::spawn(move || stdin.write_all(&payload));
    }
}

/// The number of a command's failure; 0: it has none.
fn code(status: ExitStatus) -> u32 {
    status.code().map_or(0, i32::cast_unsigned)
}

fn ended(status: ExitStatus, complaint: &[u8]) -> String {
    let said = String::from_utf8_lossy(complaint);
    let text = format!("the command ended with {status}: {}", said.trim());
    text.trim_end_matches([':', ' ']).to_owned()
}

/// Runs a command as [`execute`] does; each line of its output is a part of the answer.
fn execute_lines(command: &[OsString], request: Request) -> Result<(), Error> {
    let mut child = match spawn(command, &peer(&request), Stdio::piped()) {
        Ok(child) => child,
        Err(text) => return request.fail(&text),
    };
    let (said, lines) = mpsc::sync_channel(WAITING_LINES);
    let (complains, complained) = mpsc::channel();
    feed(child.stdin.take(), request.payload());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::spawn(move || {
        let mut stdout = stdout.map(BufReader::new);
        loop {
            let mut line = Vec::new();
            let read = stdout.as_mut().map(|pipe| pipe.take(MAX_LINE_LEN).read_until(b'\n', &mut line));
            // Who takes no more lines drops the other end.
            if !matches!(read, Some(Ok(1..))) || said.send(line).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.map(|mut pipe| pipe.read_to_end(&mut bytes));
        let _ = complains.send(bytes);
    });
    let mut stream = request.stream()?;
    match pass_lines(&mut child, &mut stream, &lines) {
        Ok(Some(status)) if status.success() => stream.finish(),
        Ok(Some(status)) => {
            // Others may keep it open that outlive the command.
            let complaint = complained.recv_timeout(200 * LOOK).unwrap_or_default();
            stream.fail_with(code(status), &ended(status, &complaint))
        }
        Ok(None) => stream.fail(TOO_LONG),
        Err(error) => stream.fail(&error.to_string()),
    }
}

/// Sends lines until the command ends; `None`: the client wants no more, and the command was ended.
fn pass_lines(
    child: &mut Child,
    stream: &mut ReplyStream,
    lines: &mpsc::Receiver<Vec<u8>>,
) -> Result<Option<ExitStatus>, Error> {
    let mut open = true;
    let mut pass = || {
        while open {
            match lines.recv_timeout(LOOK) {
                Ok(line) => stream.send(line.strip_suffix(b"\n").unwrap_or(&line))?,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => open = false,
            }
            let late = stream.time_left().is_some_and(|left| left.is_zero());
            if late || stream.is_cancelled() {
                return Ok(None);
            }
        }
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Ok(Some(status));
            }
            let late = stream.time_left().is_some_and(|left| left.is_zero());
            if late || stream.is_cancelled() {
                return Ok(None);
            }
            thread::sleep(LOOK);
        }
    };
    let passed = pass();
    if !matches!(passed, Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
    passed
}

fn spawn(command: &[OsString], peer: &str, stderr: Stdio) -> Result<Child, String> {
    let [program, arguments @ ..] = command else { return Err("no command".into()) };
    let mut command = Command::new(program);
    command.args(arguments).env("CROSSING_PEER", peer);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    command.spawn().map_err(|cause| format!("cannot run {}: {cause}", program.display()))
}

fn serve_raw(args: &ServeArgs) -> Outcome {
    let listener = args.net.listener().bind(&args.endpoint)?;
    announce(&listener.endpoint().to_string());
    let mut left = args.count.unwrap_or(u64::MAX);
    thread::scope(|scope| {
        while left > 0 {
            left -= 1;
            let (stream, peer) = match args.timeout {
                None => listener.accept_raw(),
                Some(timeout) => listener.accept_raw_timeout(timeout),
            }?;
            scope.spawn(move || {
                let done = match &args.exec[..] {
                    [] => echo_raw(&stream),
                    command => execute_raw(command, &stream, &peer.to_string()),
                };
                if let Err(text) = done {
                    let _ = writeln!(std::io::stderr(), "crossing: {peer}: {text}");
                }
            });
        }
        Ok(Exit::Success)
    })
}

fn echo_raw(stream: &RawStream) -> Result<(), String> {
    copy(stream, |bytes| stream.write_all(bytes).map_err(|error| error.to_string()))?;
    stream.shutdown_write().map_err(|error| error.to_string())
}

/// Gives what arrives to `take` until the peer ends.
fn copy(stream: &RawStream, mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let mut buffer = vec![0; RAW_READ];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => take(&buffer[..len])?,
            Err(error) if error.kind() == ErrorKind::Disconnected => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Connects a command's standard input and output to a connection.
fn execute_raw(command: &[OsString], stream: &RawStream, peer: &str) -> Result<(), String> {
    let mut child = spawn(command, peer, Stdio::inherit())?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stdin = stdin;
            // A command that closed its input lets the rest pass.
            copy(stream, |bytes| {
                let _ = stdin.as_mut().map(|stdin| stdin.write_all(bytes).and_then(|()| stdin.flush()));
                Ok(())
            })
        });
        let mut buffer = vec![0; RAW_READ];
        if let Some(mut stdout) = stdout {
            while let Ok(len @ 1..) = stdout.read(&mut buffer) {
                if stream.write_all(&buffer[..len]).is_err() {
                    let _ = child.kill();
                    break;
                }
            }
        }
        let _ = stream.shutdown_write();
    });
    child.wait().map(drop).map_err(|cause| cause.to_string())
}
