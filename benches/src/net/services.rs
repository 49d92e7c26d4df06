//! Services against tonic and Cap'n Proto over a Unix socket, and against iceoryx2's requests and replies over shared memory.
//! Client and server are processes of their own on the same two cores or on one, whoever they are. Each asks as its library lets
//! it: ours by threads, or by tasks as tonic and Cap'n Proto.

use super::running::Running;
use crate::table::{Row, Target, compare_by, text};
use crate::topic::{built_peers, fill, pin, read};
use crossing_net::Service;
use crossing_queue::Waiting;
use crossing_queue::service as shm;
use crossing_sys::process::monotonic_nanos;
use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Requests before those that are measured.
const WARM: u64 = 500;
/// Requests in flight, where these are several.
const SEVERAL: usize = 16;

/// What one process does; the peers' program has the same arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Worker {
    /// `threads`, `tasks` or `pool`, which is tasks on two threads (these over a Unix socket), or `shm`.
    kind: String,
    /// `serve`, or `ask-N` with N requests in flight.
    role: String,
    name: String,
    count: u64,
    len: usize,
    core: usize,
}

impl Worker {
    fn in_flight(&self) -> usize {
        let number = self.role.strip_prefix("ask-").and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no role {}", self.role))
    }

    fn request(&self, number: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        fill(&mut bytes, number);
        bytes
    }

    fn check(&self, reply: &[u8], number: u64) {
        assert_eq!((read(reply), reply.len()), (number, self.len));
    }
}

/// One process of a measurement.
pub fn work(worker: &Worker) {
    // A pool is on both cores.
    if worker.kind != "pool" {
        pin(worker.core);
    }
    if worker.role == "serve" {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
    match (worker.kind.as_str(), worker.role.as_str()) {
        ("threads", "serve") => serve_threads(worker),
        ("threads", _) => ask_threads(worker),
        ("tasks" | "pool", role) => {
            let mut builder = match worker.kind.as_str() {
                "pool" => tokio::runtime::Builder::new_multi_thread(),
                _ => tokio::runtime::Builder::new_current_thread(),
            };
            let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
            // As a task: the thread that blocks on it is none of a pool's.
            let work = match role {
                "serve" => runtime.spawn(serve_tasks(worker.clone())),
                _ => runtime.spawn(ask_tasks(worker.clone())),
            };
            runtime.block_on(work).expect("the work of a task");
        }
        (_, "serve") => serve_shm(worker),
        _ => ask_shm(worker),
    }
}

fn endpoint(worker: &Worker) -> String {
    format!("unix:{}", worker.name)
}

fn reply(request: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; request.len()];
    fill(&mut bytes, read(request));
    bytes
}

fn serve_threads(worker: &Worker) {
    let server = Service::options().serve(&endpoint(worker)).expect("serve");
    println!("ready");
    while let Ok(request) = server.recv() {
        let payload = reply(request.payload());
        let _ = request.reply(&payload);
    }
}

/// As many requests in flight as the worker says, the oldest of them awaited.
fn ask<C>(worker: &Worker, mut begin: impl FnMut(u64) -> C, mut wait: impl FnMut(u64, C)) {
    let mut run = |count: u64| {
        let mut calls = VecDeque::new();
        for number in 0..count {
            if calls.len() == worker.in_flight() {
                let (number, call) = calls.pop_front().expect("a call");
                wait(number, call);
            }
            calls.push_back((number, begin(number)));
        }
        calls.into_iter().for_each(|(number, call)| wait(number, call));
    };
    run(WARM);
    let begun = monotonic_nanos();
    run(worker.count);
    println!("{}", (monotonic_nanos() - begun) as f64 / worker.count as f64);
}

fn ask_threads(worker: &Worker) {
    let client = Service::options().connect(&endpoint(worker)).expect("connect");
    ask(
        worker,
        |number| client.begin(&worker.request(number), None).expect("asked"),
        |number, call| worker.check(&call.wait().expect("a reply"), number),
    );
}

async fn serve_tasks(worker: Worker) {
    let server = crossing_net::tokio::Server::bind(&endpoint(&worker)).expect("serve");
    println!("ready");
    while let Ok(request) = server.recv().await {
        let payload = reply(request.payload());
        let _ = request.reply(&payload).await;
    }
}

/// Some of the requests, one after the other: from `first` on, one of so many as are in flight.
async fn ask_some(client: Arc<crossing_net::tokio::Client>, worker: Worker, first: u64, count: u64) {
    for number in (first..count).step_by(worker.in_flight()) {
        let back = client.call(&worker.request(number)).await.expect("a reply");
        worker.check(&back, number);
    }
}

async fn ask_tasks(worker: Worker) {
    let client = crossing_net::tokio::Client::connect(&endpoint(&worker)).await.expect("connect");
    let client = Arc::new(client);
    let run = async |count: u64| {
        let one = |first| tokio::spawn(ask_some(Arc::clone(&client), worker.clone(), first, count));
        let all: Vec<_> = (0..worker.in_flight() as u64).map(one).collect();
        for task in all {
            task.await.expect("a task that asks");
        }
    };
    run(WARM).await;
    let begun = monotonic_nanos();
    run(worker.count).await;
    println!("{}", (monotonic_nanos() - begun) as f64 / worker.count as f64);
}

fn shm_options(worker: &Worker) -> shm::ServiceOptions {
    let mut options = shm::Service::<[u8], [u8]>::options();
    options.waiting(Waiting::Spin).max_request_len(worker.len).max_reply_len(worker.len);
    options.max_in_flight(SEVERAL).capacity(4 * SEVERAL);
    options
}

fn serve_shm(worker: &Worker) {
    let server = shm_options(worker).serve(&worker.name).expect("serve");
    println!("ready");
    loop {
        let request = server.recv().expect("a request");
        let number = read(request.payload());
        let mut loan = request.loan_slice(worker.len).expect("lent").expect("wanted");
        fill(&mut loan, number);
        loan.send().expect("answered");
    }
}

fn ask_shm(worker: &Worker) {
    let client = shm_options(worker).connect(&worker.name).expect("connect");
    ask(
        worker,
        |number| {
            let mut loan = client.loan_slice(worker.len, None).expect("lent");
            fill(&mut loan, number);
            loan.send().expect("asked")
        },
        |number, call| worker.check(&call.wait().expect("a reply"), number),
    );
}

/// Where a measurement's processes are found, and their names.
struct Ground {
    directory: PathBuf,
    peers: Option<PathBuf>,
    turn: AtomicU32,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Shape {
    len: usize,
    in_flight: usize,
    count: u64,
    cores: [usize; 2],
}

impl Shape {
    fn name(&self) -> String {
        let len = super::size(self.len);
        let cores = if self.cores[0] == self.cores[1] { "one core" } else { "two cores" };
        match self.in_flight {
            1 => format!("{len}, one at a time, {cores}"),
            several => format!("{len}, {several} in flight, {cores}"),
        }
    }
}

impl Ground {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("crossing-bench-services-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("a directory of our own");
        let peers = built_peers(&[]);
        if peers.is_none() {
            eprintln!(
                "note: benches/peers does not build; the rows of services against its peers are left out"
            );
        }
        Self { directory, peers, turn: AtomicU32::new(0) }
    }

    fn worker(&self, kind: &str, role: &str, name: &str, shape: Shape, core: usize) -> Running {
        let mut command = match &self.peers {
            Some(program) if ["tonic", "capnp", "iceoryx2"].contains(&kind) => Command::new(program),
            _ => {
                let mut command = Command::new(std::env::current_exe().expect("this program's path"));
                command.arg("service-worker");
                command
            }
        };
        command.args([kind, role, name, &shape.count.to_string(), &shape.len.to_string(), &core.to_string()]);
        Running::start(&mut command)
    }

    /// Seconds for one request.
    fn run(&self, kind: &str, shape: Shape) -> f64 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let name = match kind {
            "shm" | "iceoryx2" => format!("bench-{}-{turn}", std::process::id()),
            _ => self.directory.join(turn.to_string()).display().to_string(),
        };
        let [near, far] = shape.cores;
        let mut server = self.worker(kind, "serve", &name, shape, far);
        assert_eq!(server.line(), "ready");
        let role = format!("ask-{}", shape.in_flight);
        let nanos: f64 = self.worker(kind, &role, &name, shape, near).line().parse().expect("nanoseconds");
        let _ = std::fs::remove_file(Path::new(&name));
        nanos / 1e9
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The rows whose description contains `only`.
pub fn rows(rounds: usize, only: Option<&str>) -> Vec<Row> {
    let ground = Ground::new();
    let mut rows = Vec::new();
    if ground.peers.is_none() {
        return rows;
    }
    let mut add = |what: String, target, ours: &str, theirs: &str, shape: Shape| {
        if only.is_none_or(|only| what.contains(only)) {
            eprintln!("{what}");
            let (mut a, mut b) = (|| ground.run(ours, shape), || ground.run(theirs, shape));
            rows.push(compare_by(rounds, what, target, text, &mut a, &mut b));
        }
    };
    let (one, two) = ([0, 0], [0, 1]);
    let shape = |len, in_flight, count, cores| Shape { len, in_flight, count, cores };
    for (peer, name) in [("tonic", "tonic"), ("capnp", "Cap'n Proto RPC")] {
        for (len, in_flight, count, cores) in [
            (64, 1, 4_000, one),
            (64, 1, 4_000, two),
            (64, SEVERAL, 20_000, one),
            (64, SEVERAL, 20_000, two),
            (1 << 10, 1, 4_000, one),
            (64 << 10, 1, 1_000, one),
        ] {
            let shape = shape(len, in_flight, count, cores);
            for ours in ["threads", "tasks"] {
                let what = format!("service over unix, {}, {ours}, against {name}", shape.name());
                add(what, Target::AtMost(0.5), ours, peer, shape);
            }
        }
    }
    for in_flight in [1, SEVERAL] {
        let shape = shape(64, in_flight, 4_000 * in_flight as u64, two);
        let what = format!("service over unix, {}, tasks on two threads, against tasks on one", shape.name());
        add(what, Target::None, "pool", "tasks", shape);
    }
    for (len, in_flight, count) in [
        (64, 1, 100_000),
        (64, SEVERAL, 200_000),
        (1 << 10, 1, 100_000),
        (1 << 10, SEVERAL, 200_000),
        (64 << 10, 1, 10_000),
    ] {
        let shape = shape(len, in_flight, count, two);
        let what = format!("service over shm, spinning, {}, against iceoryx2", shape.name());
        add(what, Target::AtMost(1.0 / 1.5), "shm", "iceoryx2", shape);
    }
    rows
}
