//! Queues: ours against POSIX message queues and Boost.Interprocess, between processes on pinned cores. Each role is a
//! process of its own (this program again, or `queue/boost.cpp`); every message's id is counted.
#![allow(unsafe_code)] // pinning; a bare futex

use crate::table::{Row, Target, median};
use crossing_queue::{Delivery, Message, Priority, Queue, QueueOptions, Receiver};
use crossing_sys::process::monotonic_nanos;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

mod futex;

/// What one worker process does; the arguments of `boost.cpp`, too.
#[derive(Debug, Clone, clap::Args)]
pub struct Worker {
    kind: String,
    role: String,
    name: String,
    count: u64,
    len: usize,
    priorities: u64,
    first: u64,
    file: PathBuf,
    core: usize,
}

const CAPACITY: u64 = 1024;

fn endpoint(kind: &str, name: &str) -> String {
    match kind {
        "mq" => format!("mq:/{name}"),
        _ => format!("shm:{name}"),
    }
}

fn options(kind: &str, len: usize, capacity: u64) -> QueueOptions {
    let mut options = Queue::<[u8]>::options();
    options.capacity(capacity).max_len(len as u64);
    if kind == "crossing" {
        options.max_bytes(64 << 20);
    }
    options
}

fn pin(core: usize) {
    // SAFETY: an all-zero set is a valid, empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is below CPU_SETSIZE on any machine with so few cores.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is initialised and of the size given. A machine with one core stays unpinned.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    // Before others on this machine, where that is allowed: niceness does not reach beyond a control group.
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters live through the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const first) };
}

fn sum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

fn id(delivery: &Delivery) -> u64 {
    delivery.first_chunk::<8>().map_or(u64::MAX, |bytes| u64::from_ne_bytes(*bytes))
}

/// One process of a measurement.
pub fn work(worker: &Worker) {
    pin(worker.core);
    if worker.kind == "futex" {
        return futex::work(worker);
    }
    let open = |name: &str| Queue::<[u8]>::options().open(&endpoint(&worker.kind, name)).expect("the queue");
    let queue = open(&worker.name);
    let mut buffer = vec![0_u8; worker.len];
    match worker.role.as_str() {
        "send" => {
            let sender = queue.sender().expect("a sender");
            let begun = monotonic_nanos();
            for number in 0..worker.count {
                buffer[..8].copy_from_slice(&(worker.first + number).to_ne_bytes());
                let priority = Priority((number % worker.priorities) as u32);
                sender.send_message(&Message::new(&buffer).priority(priority)).expect("sent");
            }
            println!("{begun}");
        }
        "stop" => {
            let sender = queue.sender().expect("a sender");
            buffer[..8].copy_from_slice(&u64::MAX.to_ne_bytes());
            for _ in 0..worker.count {
                sender.send(&buffer).expect("sent");
            }
        }
        "recv" => receive(worker, &queue.receiver().expect("a receiver")),
        role => {
            let ping = role == "ping";
            let back = open(&format!("{}-back", worker.name));
            let (requests, replies) = if ping { (&back, &queue) } else { (&queue, &back) };
            let receiver = requests.receiver().expect("a receiver");
            let sender = replies.sender().expect("a sender");
            if !ping {
                println!("ready");
            }
            let begun = monotonic_nanos();
            for _ in 0..worker.count {
                if ping {
                    sender.send(&buffer).expect("sent");
                }
                drop(receiver.recv().expect("received"));
                if !ping {
                    sender.send(&buffer).expect("sent");
                }
            }
            if ping {
                println!("{}", (monotonic_nanos() - begun) / worker.count / 2);
            }
        }
    }
}

fn receive(worker: &Worker, receiver: &Receiver) {
    println!("ready");
    let mut ids = Vec::with_capacity(worker.count as usize);
    let mut total = 0_u64;
    loop {
        let delivery = receiver.recv().expect("received");
        let id = id(&delivery);
        if id == u64::MAX {
            break;
        }
        total = total.wrapping_add(sum(&delivery));
        ids.push(id);
        if ids.len() as u64 == worker.count {
            break;
        }
    }
    let last = monotonic_nanos();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_ne_bytes()).collect();
    std::fs::write(&worker.file, bytes).expect("the ids");
    println!("{last} {total}");
}

struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// The first number of its next line.
    fn number(&mut self) -> u64 {
        self.line().split(' ').next().unwrap_or_default().parse().expect("a number")
    }

    fn end(&mut self) {
        assert!(self.child.wait().expect("its end").success());
    }
}

/// A one-way measurement.
#[derive(Debug, Clone, Copy)]
struct Flow {
    pairs: u64,
    count: u64,
    len: usize,
    priorities: u64,
    capacity: u64,
}

/// A comparison's ground: programs, a directory for the ids, a name of its own.
struct Ground {
    directory: PathBuf,
    boost: Option<PathBuf>,
    name: String,
}

impl Ground {
    fn new() -> Self {
        let process = std::process::id();
        let directory = Path::new("/dev/shm").join(format!("crossing-bench-files-{process}"));
        std::fs::create_dir(&directory).expect("a directory of our own");
        let program = directory.join("boost");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/queue/boost.cpp");
        let built = Command::new("c++")
            .args(["-O2", "-o"])
            .args([&program, &source])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !built {
            eprintln!("note: no Boost here (Debian: libboost-dev and g++); its rows are left out");
        }
        Self { directory, boost: built.then_some(program), name: format!("crossing-bench-{process}") }
    }

    fn kinds(&self) -> Vec<&'static str> {
        let mut kinds = vec!["crossing", "mq"];
        if self.boost.is_some() {
            kinds.push("boost");
        }
        kinds
    }

    fn command(&self, worker: &Worker) -> Command {
        let numbers = |worker: &Worker| {
            [
                worker.count.to_string(),
                worker.len.to_string(),
                worker.priorities.to_string(),
                worker.first.to_string(),
            ]
        };
        let mut command;
        if worker.kind == "boost" {
            command = Command::new("chrt");
            command
                .args(["--rr", "1", "taskset", "-c"])
                .arg(worker.core.to_string())
                .arg(self.boost.as_ref().expect("built"));
            command.args([&worker.role, &worker.name]).args(numbers(worker)).arg(&worker.file);
        } else {
            command = Command::new(std::env::current_exe().expect("this program's path"));
            command.args(["queue-worker", &worker.kind, &worker.role, &worker.name]).args(numbers(worker));
            command.arg(&worker.file).arg(worker.core.to_string());
        }
        command
    }

    fn start(&self, worker: &Worker) -> Running {
        let mut child = self.command(worker).stdout(Stdio::piped()).spawn().expect("a worker");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut running = Running { child, lines };
        if matches!(worker.role.as_str(), "recv" | "echo") {
            assert_eq!(running.line(), "ready");
        }
        running
    }

    fn create(&self, kind: &str, name: &str, len: usize, capacity: u64) {
        if kind == "boost" {
            let worker = self.worker(kind, "create", name, capacity, len, 1);
            assert!(self.command(&worker).status().expect("boost").success());
            return;
        }
        let endpoint = endpoint(kind, name);
        let _ = Queue::unlink(&endpoint);
        // The kernel's limits, where we may not exceed them: as many messages as it allows.
        let mut capacity = capacity;
        while let Err(error) = options(kind, len, capacity).create(&endpoint) {
            assert!(kind == "mq" && capacity > 1, "{error}");
            capacity /= 2;
        }
    }

    fn remove(&self, kind: &str, name: &str) {
        if kind == "boost" {
            let worker = self.worker(kind, "remove", name, 0, 8, 1);
            assert!(self.command(&worker).status().expect("boost").success());
        } else {
            Queue::unlink(&endpoint(kind, name)).expect("removed");
        }
    }

    fn worker(&self, kind: &str, role: &str, name: &str, count: u64, len: usize, priorities: u64) -> Worker {
        Worker {
            kind: kind.to_owned(),
            role: role.to_owned(),
            name: name.to_owned(),
            count,
            len,
            priorities,
            first: 0,
            file: self.directory.join("ids"),
            core: 0,
        }
    }

    /// Messages a second from `senders` to `receivers` processes.
    fn throughput(&self, kind: &str, flow: &Flow) -> f64 {
        let name = &self.name;
        self.create(kind, name, flow.len, flow.capacity);
        let each = flow.count / flow.pairs;
        let one = flow.pairs == 1;
        let mut receivers: Vec<Running> = (0..flow.pairs)
            .map(|number| {
                let mut worker = self.worker(kind, "recv", name, flow.count, flow.len, flow.priorities);
                worker.file = self.directory.join(format!("ids-{number}"));
                worker.core = 1 - (number % 2) as usize;
                self.start(&worker)
            })
            .collect();
        let mut senders: Vec<Running> = (0..flow.pairs)
            .map(|number| {
                let mut worker = self.worker(kind, "send", name, each, flow.len, flow.priorities);
                worker.first = number * each;
                worker.core = (number % 2) as usize;
                self.start(&worker)
            })
            .collect();
        let begun = senders.iter_mut().map(Running::number).min().expect("a sender");
        for sender in &mut senders {
            sender.end();
        }
        if !one {
            let mut stop = self.start(&self.worker(kind, "stop", name, flow.pairs, flow.len, 1));
            stop.end();
        }
        let ended = receivers.iter_mut().map(Running::number).max().expect("a receiver");
        let mut seen = vec![false; flow.count as usize];
        for (number, receiver) in receivers.iter_mut().enumerate() {
            receiver.end();
            let bytes = std::fs::read(self.directory.join(format!("ids-{number}"))).expect("the ids");
            for id in bytes.as_chunks::<8>().0 {
                let id = u64::from_ne_bytes(*id) as usize;
                assert!(!std::mem::replace(&mut seen[id], true), "{kind}: {id} came twice");
            }
        }
        assert!(seen.iter().all(|seen| *seen), "{kind}: a message is missing");
        self.remove(kind, name);
        flow.count as f64 / ((ended - begun) as f64 / 1e9)
    }

    /// Nanoseconds one way, there and back.
    fn ping_pong(&self, kind: &str, count: u64, len: usize, cores: [usize; 2]) -> f64 {
        let back = format!("{}-back", self.name);
        let queues = [self.name.as_str(), &back];
        if kind == "futex" {
            futex::create(&self.directory);
        } else {
            queues.iter().for_each(|name| self.create(kind, name, len, 16));
        }
        let mut echo = self.worker(kind, "echo", &self.name, count, len, 1);
        echo.core = cores[1];
        let mut echo = self.start(&echo);
        let mut ping = self.worker(kind, "ping", &self.name, count, len, 1);
        ping.core = cores[0];
        let mut ping = self.start(&ping);
        let nanos = ping.number();
        ping.end();
        echo.end();
        if kind != "futex" {
            queues.iter().for_each(|name| self.remove(kind, name));
        }
        nanos as f64
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// `ours` and `theirs`, measured alternately.
fn alternate(rounds: usize, mut ours: impl FnMut() -> f64, mut theirs: impl FnMut() -> f64) -> [Vec<f64>; 2] {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        figures[0].push(ours());
        figures[1].push(theirs());
    }
    figures
}

fn row(what: String, [mut ours, mut theirs]: [Vec<f64>; 2], show: fn(f64) -> String, target: Target) -> Row {
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    Row {
        what,
        ours: show(median(&mut ours)),
        theirs: show(median(&mut theirs)),
        ratio: median(&mut ratios),
        target,
    }
}

fn rate(rate: f64) -> String {
    format!("{:.2} M/s", rate / 1e6)
}

fn nanos(nanos: f64) -> String {
    format!("{:.2} us", nanos / 1e3)
}

/// Every comparison.
pub fn rows(rounds: usize, only: Option<&str>) -> Vec<Row> {
    let ground = Ground::new();
    let mut rows = Vec::new();
    let wanted = |what: &str| only.is_none_or(|only| what.contains(only));
    let small = Flow { pairs: 1, count: 300_000, len: 64, priorities: 1, capacity: CAPACITY };
    let flows = [
        ("1 to 1, 64 B", small, 10.0, 3.0),
        ("4 to 4 processes, 64 B", Flow { pairs: 4, ..small }, 5.0, 3.0),
        ("1 to 1, 64 KiB", Flow { count: 10_000, len: 65_536, capacity: 64, ..small }, 1.0, 1.0),
        ("1 to 1, 1 MiB", Flow { count: 1000, len: 1 << 20, capacity: 16, ..small }, 1.0, 1.0),
    ];
    for (what, flow, over_mq, over_boost) in flows {
        for kind in &ground.kinds()[1..] {
            let what = format!("{what}, against {kind}");
            // The longest message that the kernel takes unless root says otherwise.
            if !wanted(&what) || (*kind == "mq" && flow.len > 8192) {
                continue;
            }
            let least = if *kind == "mq" { over_mq } else { over_boost };
            let theirs =
                Flow { count: if flow.len == 64 { flow.count / 3 / 4 * 4 } else { flow.count / 4 }, ..flow };
            let figures = alternate(
                rounds,
                || ground.throughput("crossing", &flow),
                || ground.throughput(kind, &theirs),
            );
            rows.push(row(what, figures, rate, Target::AtLeast(least)));
        }
    }
    let what = "1 to 1, 64 B, 32 priorities, against 1 priority (time)";
    if wanted(what) {
        let many = Flow { priorities: 32, ..small };
        let time = |flow: &Flow| 1e9 / ground.throughput("crossing", flow);
        let figures = alternate(rounds, || time(&many), || time(&small));
        rows.push(row(what.to_owned(), figures, nanos, Target::AtMost(1.3)));
    }
    for (what, cores) in [("asleep, one core", [0, 0]), ("two cores", [0, 1])] {
        for (kind, target) in [("futex", Target::AtMost(1.2)), ("mq", Target::None), ("boost", Target::None)]
        {
            let what = format!("ping-pong 64 B, {what}, against {kind}");
            if !wanted(&what) || (kind == "boost" && ground.boost.is_none()) {
                continue;
            }
            let figures = alternate(
                rounds,
                || ground.ping_pong("crossing", 20_000, 64, cores),
                || ground.ping_pong(kind, 20_000, 64, cores),
            );
            rows.push(row(what, figures, nanos, target));
        }
    }
    let what = "1 message at a time, 1,000,000 queued, against 1 queued (time)";
    if wanted(what) {
        let figures = alternate(rounds, || depth(1_000_000), || depth(1));
        rows.push(row(what.to_owned(), figures, nanos, Target::AtMost(1.3)));
    }
    rows
}

/// Nanoseconds to send and receive one message with `queued` others in the queue.
fn depth(queued: u64) -> f64 {
    const TURNS: u64 = 300_000;
    let name = format!("shm:crossing-bench-depth-{}", std::process::id());
    let mut options = Queue::<[u8]>::options();
    options.capacity(1 << 20).max_len(64).priorities(1).unlink_on_drop(true);
    let queue = options.create(&name).expect("a queue");
    let (sender, receiver) = (queue.sender().expect("a sender"), queue.receiver().expect("a receiver"));
    // Everything touched once, so that no page is new.
    for _ in 0..1 << 20 {
        sender.send(&[1; 64]).expect("sent");
    }
    for _ in queued..1 << 20 {
        drop(receiver.recv().expect("received"));
    }
    let begun = monotonic_nanos();
    for _ in 0..TURNS {
        drop(receiver.recv().expect("received"));
        sender.send(&[1; 64]).expect("sent");
    }
    (monotonic_nanos() - begun) as f64 / TURNS as f64
}
