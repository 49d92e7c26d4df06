//! The same short critical section entered by several processes at once: how often in all.

use crate::pthread::{Robust, Room};
use crate::table::{Row, Target, median};
use crossing_shm::Segment;
use crossing_sync::{Event, EventCell, Mutex, MutexCell};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NAME: &str = "contended";
const MILLISECONDS: u64 = 200;

struct Ground {
    mutex: Mutex<u64>,
    start: Event,
    segment: Segment,
}

impl Ground {
    fn of(segment: Segment) -> Self {
        let mutex = segment.attach::<MutexCell<u64>>(0).expect("the mutex");
        let start = segment.attach::<EventCell>(128).expect("the start");
        Self { mutex, start, segment }
    }

    fn room(&self) -> &Room {
        self.segment.shared::<Room>(256).expect("room for a pthread mutex")
    }

    /// Counted up by a plain load and store: right in the end only if nobody else was inside.
    fn counter(&self) -> &AtomicU64 {
        self.segment.shared::<AtomicU64>(512).expect("the counter")
    }
}

fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// One process: enters as often as it can, and prints how often it did.
pub fn work(kind: &str, directory: &Path, milliseconds: u64) {
    let ground = Ground::of(Segment::options().directory(directory).open(NAME).expect("the segment"));
    let (counter, robust) = (ground.counter(), Robust::open(ground.room()));
    println!("ready");
    ground.start.wait();
    let end = Instant::now() + Duration::from_millis(milliseconds);
    let mut times = 0_u64;
    while Instant::now() < end {
        for _ in 0..64 {
            if kind == "crossing" {
                let _guard = ground.mutex.lock();
                count(counter);
            } else {
                robust.lock();
                count(counter);
                robust.unlock();
            }
            times += 1;
        }
    }
    println!("{times}");
}

/// Entries a second by `processes` processes.
fn round(kind: &str, directory: &Path, processes: usize) -> f64 {
    let ground =
        Ground::of(Segment::options().size(4096).directory(directory).create(NAME).expect("a segment"));
    Robust::create(ground.room());
    let program = std::env::current_exe().expect("this program's path");
    let mut children: Vec<_> = (0..processes)
        .map(|_| {
            let mut command = Command::new(&program);
            command
                .arg("worker")
                .arg(kind)
                .arg(directory)
                .arg(MILLISECONDS.to_string())
                .stdout(Stdio::piped());
            let mut child = command.spawn().expect("a worker");
            let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
            assert_eq!(lines.next().expect("a line").expect("text"), "ready");
            (child, lines)
        })
        .collect();
    ground.start.set();
    let mut times = 0_u64;
    for (child, lines) in &mut children {
        times += lines.next().expect("a line").expect("text").parse::<u64>().expect("a number");
        assert!(child.wait().expect("its end").success());
    }
    assert_eq!(times, ground.counter().load(Ordering::Relaxed), "{kind}: two were inside at once");
    times as f64 / (MILLISECONDS as f64 / 1000.0)
}

pub fn rows(rounds: usize) -> Vec<Row> {
    let directory: PathBuf = Path::new("/dev/shm").join(format!("crossing-bench-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory of our own");
    let rows = [2, 8].map(|processes| {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(round("crossing", &directory, processes));
            theirs.push(round("pthread", &directory, processes));
        }
        let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
        Row {
            what: format!("contended by {processes} processes, against pthread robust, process-shared"),
            ours: format!("{:.2} M/s", median(&mut ours) / 1e6),
            theirs: format!("{:.2} M/s", median(&mut theirs) / 1e6),
            ratio: median(&mut ratios),
            target: Target::AtLeast(1.0),
        }
    });
    std::fs::remove_dir(&directory).expect("nothing left in the directory");
    rows.into()
}
