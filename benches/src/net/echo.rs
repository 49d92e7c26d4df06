//! Echo servers with many connections, `crossing::tokio` streams against bare tokio: one process serves, on one thread of its
//! own core; another asks on all connections by turns, by the same plain calls whoever serves.

use super::running::Running;
use super::{LEN, per};
use crate::table::{Row, Target, compare_by, text};
use crossing_wire::{DEFAULT_MAX_FRAME_LEN, Encoder, FRAME_HEADER_LEN, Kind};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Requests in one measurement, over all connections.
const REQUESTS: u32 = 40_000;
/// Descriptors that a process has besides its connections.
const SPARE: u64 = 64;

/// One process of this measurement.
#[derive(Debug, Clone, clap::Args)]
pub struct Worker {
    /// `crossing` or `tokio`.
    kind: String,
    /// `serve` or `ask`.
    role: String,
    /// How many connections.
    connections: u32,
    /// Where the server is.
    #[arg(default_value = "")]
    address: String,
}

/// Does the role of one process, by the words on standard input.
pub fn work(worker: &Worker) {
    files(u64::from(worker.connections)).expect("the limit of open files");
    crate::topic::pin(usize::from(worker.role == "serve"));
    match worker.role.as_str() {
        "serve" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            // Answers go by a thread of their own: this one serves.
            std::thread::spawn(answer_the_parent);
            match worker.kind.as_str() {
                "crossing" => runtime.block_on(serve_streams()),
                _ => runtime.block_on(serve_bare()),
            }
        }
        _ => ask(worker),
    }
}

/// Lets this process open so many connections; the error says what the limit is.
fn files(connections: u64) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let (wanted, now) = (connections + SPARE, getrlimit(Resource::Nofile));
    if now.current.is_none_or(|limit| limit >= wanted) {
        return Ok(());
    }
    // The hard limit too, where that is allowed.
    let maximum = now.maximum.map(|limit| limit.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .map_err(|cause| format!("{:?} open files allowed, {wanted} needed: {cause}", now.maximum))
}

/// What it uses: resident memory in bytes, and seconds of the processor.
fn usage() -> (u64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("KiB");
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    (kib * 1024, time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// Each line asks for the usage; the end of the lines ends the process.
fn answer_the_parent() {
    for _ in std::io::stdin().lines() {
        let (memory, seconds) = usage();
        println!("{memory} {seconds}");
    }
    std::process::exit(0);
}

async fn serve_streams() {
    let listener = crossing::tokio::Listener::bind("tcp:127.0.0.1:0").expect("listen");
    println!("{}", listener.endpoint().to_string().trim_start_matches("tcp:"));
    loop {
        let (mut stream, _) = listener.accept().await.expect("accept");
        tokio::spawn(async move {
            let mut buffer = [0; LEN];
            while let Ok(frame) = stream.recv().await {
                buffer.copy_from_slice(frame);
                if stream.send(&buffer).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn serve_bare() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
    println!("{}", listener.local_addr().expect("address"));
    loop {
        let (mut stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..len]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Connects, and for each line on standard input asks on all connections by turns.
fn ask(worker: &Worker) {
    let encoder = Encoder::new(DEFAULT_MAX_FRAME_LEN);
    let framed = worker.kind == "crossing";
    let mut request = Vec::new();
    if framed {
        encoder.encode(Kind::Data, &[1; LEN], &mut request).expect("a short frame");
        assert_eq!(request.len(), FRAME_HEADER_LEN + LEN);
    } else {
        request.resize(LEN, 1);
    }
    let mut streams: Vec<TcpStream> = (0..worker.connections)
        .map(|_| {
            let mut stream = TcpStream::connect(&worker.address).expect("connect");
            stream.set_nodelay(true).expect("nodelay");
            if framed {
                let mut preamble = encoder.preamble();
                stream
                    .write_all(&preamble)
                    .and_then(|()| stream.read_exact(&mut preamble))
                    .expect("preamble");
            }
            stream
        })
        .collect();
    let mut reply = vec![0; request.len()];
    let mut round = |streams: &mut [TcpStream]| {
        streams.iter_mut().for_each(|stream| stream.write_all(&request).expect("write"));
        for stream in streams {
            stream.read_exact(&mut reply).expect("read");
            assert_eq!(reply, request);
        }
    };
    round(&mut streams);
    println!("ready");
    for _ in std::io::stdin().lines() {
        let rounds = (REQUESTS / worker.connections).max(1);
        let time = per(rounds * worker.connections, || (0..rounds).for_each(|_| round(&mut streams)));
        println!("{time}");
    }
}

/// This program again, as one process.
fn start(kind: &str, role: &str, connections: u32, address: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().expect("this program's path"));
    Running::start(command.args(["echo-worker", kind, role, &connections.to_string(), address]))
}

/// A server with its client.
struct Pair {
    client: Running,
    server: Running,
    connections: u32,
    /// Bytes for each connection that was used once and is idle now.
    memory: u64,
}

impl Pair {
    fn start(kind: &str, connections: u32) -> Self {
        let mut server = start(kind, "serve", connections, "");
        let address = server.line();
        let before = used(&mut server).0;
        let mut client = start(kind, "ask", connections, &address);
        assert_eq!(client.line(), "ready");
        let memory = (used(&mut server).0 - before) / u64::from(connections);
        Self { client, server, connections, memory }
    }

    /// Seconds for a request, and of them those of the server's processor.
    fn measure(&mut self) -> (f64, f64) {
        let before = used(&mut self.server).1;
        let time = self.client.ask().parse().expect("seconds");
        let requests = (REQUESTS / self.connections).max(1) * self.connections;
        (time, (used(&mut self.server).1 - before) / f64::from(requests))
    }
}

fn used(server: &mut Running) -> (u64, f64) {
    let line = server.ask();
    let (memory, seconds) = line.split_once(' ').expect("two figures");
    (memory.parse().expect("bytes"), seconds.parse().expect("seconds"))
}

/// The rows of these servers whose description contains `only`.
pub fn rows(rounds: usize, only: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in [1_000, 10_000] {
        let what = |what| format!("echo server, {connections} connections: {what}, against bare tokio");
        if only.is_some_and(|only| !what("time for a request of 64 B").contains(only)) {
            continue;
        }
        if let Err(limit) = files(u64::from(connections)) {
            eprintln!("note: no echo server with {connections} connections: {limit}");
            continue;
        }
        eprintln!("{}", what("time for a request of 64 B"));
        let (mut ours, mut theirs) =
            (Pair::start("crossing", connections), Pair::start("tokio", connections));
        let mut processor = (Vec::new(), Vec::new());
        rows.push(compare_by(
            rounds,
            what("time for a request of 64 B"),
            Target::AtMost(1.0),
            text,
            &mut || {
                let (time, busy) = ours.measure();
                processor.0.push(busy);
                time
            },
            &mut || {
                let (time, busy) = theirs.measure();
                processor.1.push(busy);
                time
            },
        ));
        let (mut a, mut b) = (processor.0.into_iter(), processor.1.into_iter());
        rows.push(compare_by(
            rounds,
            what("the server's processor time for it"),
            Target::None,
            text,
            &mut || a.next().expect("measured"),
            &mut || b.next().expect("measured"),
        ));
        rows.push(Row {
            what: what("memory of the process for an idle connection"),
            ours: format!("{} B", ours.memory),
            theirs: format!("{} B", theirs.memory),
            ratio: ours.memory as f64 / theirs.memory as f64,
            target: Target::None,
        });
    }
    rows
}
