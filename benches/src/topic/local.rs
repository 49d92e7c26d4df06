//! What is measured in one process: the publisher's cost by the number of subscribers, loans that are not touched, many
//! topics.

use super::{alternate, nanos, row};
use crate::table::{Row, Target};
use crossing_bus::Topic;
use crossing_sys::process::monotonic_nanos;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn name(what: &str) -> String {
    format!("bench-local-{}-{what}", std::process::id())
}

/// Nanoseconds of a message with so many subscribers that do not sleep: here, that do nothing at all.
fn to_many(subscribers: u32) -> f64 {
    const COUNT: u64 = 2_000_000;
    let topic = Topic::<u64>::options()
        .depth(64)
        .max_subscribers(64)
        .linger(std::time::Duration::ZERO)
        .open(&name(&subscribers.to_string()))
        .expect("the topic");
    let publisher = topic.publisher().expect("a publisher");
    let subscribers: Vec<_> = (0..subscribers).map(|_| topic.subscriber().expect("a subscriber")).collect();
    publisher.check().expect("looked");
    assert_eq!(publisher.subscribers(), subscribers.len());
    let begun = monotonic_nanos();
    for number in 0..COUNT {
        publisher.send(&number).expect("sent");
    }
    (monotonic_nanos() - begun) as f64 / COUNT as f64
}

/// The program whose instructions are counted, if it can be built and valgrind is there.
fn counted() -> Option<PathBuf> {
    let there =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let target = std::env::current_exe().ok()?.parent()?.parent()?.join("callgrind");
    let built = there.is_ok_and(|status| status.success()).then(|| {
        let mut command = Command::new("cargo");
        command.args(["build", "--release", "--quiet", "--package", "crossing-bus", "--example", "publish"]);
        // Valgrind knows the system calls of the C library, not those that rustix makes by itself.
        command.env("RUSTFLAGS", "--cfg rustix_use_libc").arg("--target-dir").arg(&target);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).status()
    });
    let Some(Ok(true)) = built.map(|status| status.map(|status| status.success())) else {
        eprintln!(
            "note: no valgrind here, or it could not be built for it; rows of instructions are left out"
        );
        return None;
    };
    Some(target.join("release/examples/publish"))
}

/// Instructions of the whole program that publishes so many messages.
fn instructions(program: &Path, subscribers: u32, messages: u32) -> f64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let output =
        command.args([subscribers.to_string(), messages.to_string()]).output().expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let count = text.lines().find_map(|line| line.split_once("Collected : ")).expect("a count").1;
    count.trim().parse().expect("a number")
}

/// Instructions of a message with so many subscribers that do not sleep: what it takes to join and leave is not counted.
fn instructions_to_many(program: &Path, subscribers: u32) -> f64 {
    const MORE: u32 = 100_000;
    let base = instructions(program, subscribers, 1000);
    (instructions(program, subscribers, 1000 + MORE) - base) / f64::from(MORE)
}

fn whole(count: f64) -> String {
    format!("{count:.1}")
}

/// Nanoseconds of a message of `len` bytes that nobody touches, to one subscriber that reads its first byte.
fn untouched(len: usize) -> f64 {
    const COUNT: u64 = 200_000;
    let topic =
        Topic::<[u8]>::options().depth(8).max_len(len as u32).open(&name("loans")).expect("the topic");
    let publisher = topic.publisher().expect("a publisher");
    let mut subscriber = topic.subscriber().expect("a subscriber");
    let begun = monotonic_nanos();
    for number in 0..COUNT {
        let mut loan = publisher.loan_slice(len).expect("a loan");
        loan[0] = number as u8;
        loan.send().expect("sent");
        assert_eq!(subscriber.recv().expect("received")[0], number as u8);
    }
    (monotonic_nanos() - begun) as f64 / COUNT as f64
}

/// Kilobytes of this process.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or_default() * 4.0
}

/// 10,000 topics with a publisher each: said, not compared.
fn many() {
    const COUNT: u32 = 10_000;
    let before = (resident(), monotonic_nanos());
    let mut members = Vec::new();
    for number in 0..COUNT {
        let topic =
            Topic::<u64>::options().depth(8).open(&name(&format!("many-{number}"))).expect("the topic");
        match topic.publisher() {
            Ok(publisher) => members.push(publisher),
            Err(error) => {
                println!("note: {number} topics opened, then: {error}");
                break;
            }
        }
    }
    let count = members.len() as f64;
    let time = (monotonic_nanos() - before.1) as f64 / 1e9;
    let memory = (resident() - before.0) / count;
    println!(
        "note: {count} topics with a publisher each in one process: {time:.1} s, {memory:.1} KiB resident each"
    );
}

pub fn rows(rounds: usize, wanted: &dyn Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for count in [2, 8, 32] {
        let what = format!("publishing to {count} subscribers that are awake, against 1 (time)");
        if wanted(&what) {
            let figures = alternate(rounds, || to_many(count), || to_many(1));
            rows.push(row(what, figures, nanos, Target::AtMost(1.1)));
        }
    }
    // A count, the same each time: one round.
    let mut program = None;
    for count in [2, 8, 32] {
        let what =
            format!("publishing to {count} subscribers that are awake, against 1 (instructions, callgrind)");
        if wanted(&what)
            && let Some(program) = program.get_or_insert_with(counted)
        {
            let figures = [count, 1].map(|count| vec![instructions_to_many(program, count)]);
            rows.push(row(what, figures, whole, Target::AtMost(1.1)));
        }
    }
    let what = "loans not touched, 1 MiB, against 4 KiB (time)";
    if wanted(what) {
        let figures = alternate(rounds, || untouched(1 << 20), || untouched(4096));
        rows.push(row(what.to_owned(), figures, nanos, Target::AtMost(1.1)));
    }
    if wanted("10,000 topics") {
        many();
    }
    rows
}
