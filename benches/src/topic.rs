//! Topics: ours against the raw limit of the machine and against iceoryx2 and Aeron, between processes on pinned cores. Each
//! role is a process of its own: this program again, or `benches/peers`, which is built on demand and apart.

use crate::table::{Row, Target, median};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

mod local;
mod raw;
mod worker;

pub use worker::{fill, pin, read, work};

/// What one worker process does; the peers' program has the same arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Worker {
    kind: String,
    role: String,
    name: String,
    count: u64,
    len: usize,
    core: usize,
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

    fn number(&mut self) -> f64 {
        self.line().parse().expect("a number")
    }

    fn end(&mut self) {
        assert!(self.child.wait().expect("its end").success());
    }
}

struct Ground {
    directory: PathBuf,
    peers: Option<PathBuf>,
    aeron: bool,
    turn: std::cell::Cell<u32>,
}

impl Ground {
    fn new() -> Self {
        let directory = Path::new("/dev/shm").join(format!("crossing-bench-topic-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("a directory of our own");
        let (peers, aeron) = peers();
        Self { directory, peers, aeron, turn: std::cell::Cell::new(0) }
    }

    fn kinds(&self) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        kinds.extend(self.peers.as_ref().map(|_| "iceoryx2"));
        kinds.extend(self.aeron.then_some("aeron"));
        kinds
    }

    fn start(&self, worker: &Worker) -> Running {
        let mut command = match (worker.kind.as_str(), &self.peers) {
            ("iceoryx2" | "aeron", Some(program)) => {
                let mut command = Command::new(program);
                command.arg(&worker.kind);
                command
            }
            _ => {
                let mut command = Command::new(std::env::current_exe().expect("this program's path"));
                command.args(["topic-worker", &worker.kind]);
                command
            }
        };
        command.args([&worker.role, &worker.name]);
        command.args([worker.count.to_string(), worker.len.to_string(), worker.core.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a worker");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut running = Running { child, lines };
        if matches!(worker.role.as_str(), "echo" | "sub" | "sleep-echo" | "driver" | "answer") {
            assert_eq!(running.line(), "ready", "{worker:?}");
        }
        running
    }

    /// A fresh name, and for kinds that need it their files.
    fn name(&self, kind: &str, len: usize) -> String {
        self.turn.set(self.turn.get() + 1);
        let name = format!("bench-{}-{}", std::process::id(), self.turn.get());
        if kind == "raw" || kind == "futex" {
            let path = self.directory.join(&name);
            raw::create(&path, len);
            return path.display().to_string();
        }
        if kind == "aeron" { self.directory.join(name).display().to_string() } else { name }
    }

    /// Aeron's driver, which its clients need.
    fn driver(&self, kind: &str, worker: &Worker) -> Option<Running> {
        (kind == "aeron").then(|| self.start(&Worker { role: "driver".into(), core: 1, ..worker.clone() }))
    }

    /// Nanoseconds one way: half of the median of the times there and back.
    fn ping_pong(&self, kind: &str, roles: [&str; 2], count: u64, len: usize, cores: [usize; 2]) -> f64 {
        let name = self.name(kind, len);
        let worker = |role: &str, core| Worker {
            kind: kind.to_owned(),
            role: role.to_owned(),
            name: name.clone(),
            count,
            len,
            core,
        };
        let mut driver = self.driver(kind, &worker("driver", 1));
        let mut echo = self.start(&worker(roles[1], cores[1]));
        let mut ping = self.start(&worker(roles[0], cores[0]));
        let nanos = ping.number();
        ping.end();
        echo.end();
        if let Some(driver) = &mut driver {
            driver.child.kill().expect("the driver ends");
            driver.child.wait().expect("ended");
        }
        nanos
    }

    /// Messages a second, each of them counted by the receiver.
    fn flow(&self, kind: &str, count: u64, len: usize) -> f64 {
        let name = self.name(kind, len);
        let worker = |role: &str, core| Worker {
            kind: kind.to_owned(),
            role: role.to_owned(),
            name: name.clone(),
            count,
            len,
            core,
        };
        let mut driver = self.driver(kind, &worker("driver", 1));
        let mut receiver = self.start(&worker("sub", 1));
        let mut sender = self.start(&worker("pub", 0));
        let (begun, ended) = (sender.number(), receiver.number());
        receiver.end();
        sender.end();
        if let Some(driver) = &mut driver {
            driver.child.kill().expect("the driver ends");
            driver.child.wait().expect("ended");
        }
        count as f64 / ((ended - begun) / 1e9)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The peers' program with these features, if it can be built.
pub fn built_peers(features: &[&str]) -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let target =
        std::env::current_exe().ok().and_then(|path| Some(path.parent()?.parent()?.join("peers")))?;
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--quiet", "--manifest-path"]).arg(&manifest);
    command.arg("--target-dir").arg(&target).args(features).stderr(Stdio::null());
    let built = command.status().is_ok_and(|status| status.success());
    built.then(|| target.join("release/crossing-bench-peers"))
}

/// The peers' program, built if it can be, and whether it has Aeron.
fn peers() -> (Option<PathBuf>, bool) {
    if let Some(program) = built_peers(&["--features", "aeron"]) {
        return (Some(program), true);
    }
    eprintln!(
        "note: no Aeron here (its driver needs cmake 3.30, libclang and a C++ compiler); its rows are left out"
    );
    let program = built_peers(&[]);
    if program.is_none() {
        eprintln!("note: no iceoryx2 here (benches/peers does not build); its rows are left out");
    }
    (program, false)
}

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
    let (ours, theirs) = (show(median(&mut ours)), show(median(&mut theirs)));
    Row { what, ours, theirs, ratio: median(&mut ratios), target }
}

fn nanos(nanos: f64) -> String {
    if nanos < 10_000.0 { format!("{nanos:.0} ns") } else { format!("{:.1} us", nanos / 1e3) }
}

fn rate(rate: f64) -> String {
    format!("{:.2} M/s", rate / 1e6)
}

fn label(len: usize) -> String {
    match len {
        0..1024 => format!("{len} B"),
        1024..1_048_576 => format!("{} KiB", len / 1024),
        _ => format!("{} MiB", len >> 20),
    }
}

/// Every comparison.
pub fn rows(rounds: usize, only: Option<&str>) -> Vec<Row> {
    let ground = Ground::new();
    let mut rows = Vec::new();
    let wanted = |what: &str| only.is_none_or(|only| what.contains(only));
    let spin = ["ping", "echo"];
    for (len, count) in
        [(8, 100_000), (48, 100_000), (64, 100_000), (1024, 50_000), (65_536, 5_000), (1 << 20, 500)]
    {
        let raw = if len <= 48 { Target::AtMost(1.5) } else { Target::None };
        let against = if len >= 1024 { Target::AtMost(1.3) } else { raw };
        let mut peers = vec![(
            "raw",
            if len >= 1024 { "raw memory, written and read" } else { "a raw cache line" },
            against,
        )];
        for kind in ground.kinds() {
            peers.push((kind, kind, Target::AtMost(if len < 1024 { 0.5 } else { 1.0 / 1.2 })));
        }
        for (kind, peer, target) in peers {
            let what = format!("latency one way, spinning, {}, against {peer}", label(len));
            if wanted(&what) {
                let figures = alternate(
                    rounds,
                    || ground.ping_pong("crossing", spin, count, len, [0, 1]),
                    || ground.ping_pong(kind, spin, count, len, [0, 1]),
                );
                rows.push(row(what, figures, nanos, target));
            }
        }
    }
    for (len, count) in [(64, 3_000_000), (65_536, 30_000), (1 << 20, 2_000)] {
        let mut peers = Vec::new();
        if len == 64 {
            peers.push(("raw", "a bare ring", Target::AtLeast(1.0 / 1.5)));
        }
        for kind in ground.kinds() {
            let least = if len > 64 {
                1.0
            } else if kind == "aeron" {
                1.5
            } else {
                10.0
            };
            peers.push((kind, kind, Target::AtLeast(least)));
        }
        for (kind, peer, target) in peers {
            let what = format!("one way, {}, against {peer}", label(len));
            if wanted(&what) {
                let fewer = if kind == "iceoryx2" && len == 64 { count / 6 } else { count };
                let figures = alternate(
                    rounds,
                    || ground.flow("crossing", count, len),
                    || ground.flow(kind, fewer, len),
                );
                rows.push(row(what, figures, rate, target));
            }
        }
    }
    for (what, cores) in [("one core", [0, 0]), ("two cores", [0, 1])] {
        let mut peers = vec![
            ("futex", Target::AtMost(1.15)),
            ("eventfd", Target::AtMost(1.0)),
            ("unix", Target::AtMost(1.0)),
        ];
        peers.extend(ground.peers.as_ref().map(|_| ("iceoryx2", Target::AtMost(1.0))));
        for (kind, target) in peers {
            let what = format!("latency one way, asleep, {what}, 64 B, against {kind}");
            if wanted(&what) {
                let sleep = ["sleep-ping", "sleep-echo"];
                let count = 10_000;
                let figures = alternate(
                    rounds,
                    || ground.ping_pong("crossing", sleep, count, 64, cores),
                    || ground.ping_pong(kind, sleep, count, 64, cores),
                );
                rows.push(row(what, figures, nanos, target));
            }
        }
    }
    for (len, count) in [(64, 50_000), (1024, 50_000), (65_536, 5_000)] {
        let what = format!("request and reply, half, {}, against iceoryx2", label(len));
        if ground.peers.is_some() && wanted(&what) {
            let roles = ["call", "answer"];
            let figures = alternate(
                rounds,
                || ground.ping_pong("crossing", roles, count, len, [0, 1]),
                || ground.ping_pong("iceoryx2", roles, count, len, [0, 1]),
            );
            rows.push(row(what, figures, nanos, Target::AtMost(1.0 / 1.5)));
        }
    }
    rows.extend(local::rows(rounds, &wanted));
    rows
}
