//! What is measured in one process: the publisher's cost by the number of subscribers, loans that are not touched, many
//! topics.

use super::{alternate, nanos, row};
use crate::table::{Row, Target};
use crossing_bus::Topic;
use crossing_sys::process::monotonic_nanos;

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
