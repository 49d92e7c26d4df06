//! One process of a topic's measurement.
#![allow(unsafe_code)] // pinning

use super::{Worker, raw};
use crossing_bus::{Overflow, Publisher, Subscriber, Topic, Waiting};
use crossing_queue::service::{Service, ServiceOptions};
use crossing_sys::process::monotonic_nanos;
use std::hint::black_box;

/// The longest message that rides in its slot.
const SHORT: usize = 112;

/// To one core, and before others on this machine where that is allowed.
pub fn pin(core: usize) {
    // SAFETY: an all-zero set is a valid, empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is below CPU_SETSIZE on any machine with so few cores.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is initialised and of the size given. A machine with one core stays unpinned.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    // SAFETY: no memory is involved.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
}

/// Writes every byte.
pub fn fill(bytes: &mut [u8], number: u64) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    words.fill(number.to_ne_bytes());
    // glibc sets nothing at all by a masked store of 64 bytes: whoever loads what lies behind then waits for all stores before it.
    if !rest.is_empty() {
        rest.fill(number as u8);
    }
}

/// Reads every byte; the first 8.
pub fn read(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    black_box(words.iter().fold(0_u64, |sum, word| sum ^ u64::from_ne_bytes(*word)));
    words.first().map_or(0, |word| u64::from_ne_bytes(*word))
}

/// Half of the median of the round trips.
pub fn one_way(times: &mut [u64]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2] as f64 / 2.0
}

fn topic(worker: &Worker, way: &str) -> Topic<[u8]> {
    let waiting = if worker.role.starts_with("sleep") { Waiting::Sleep } else { Waiting::Spin };
    let depth = match worker.len {
        0..=4096 if worker.role == "pub" || worker.role == "sub" => 1024,
        0..=4096 => 64,
        _ => 16,
    };
    Topic::<[u8]>::options()
        .depth(depth)
        .max_len(worker.len as u32)
        .max_subscribers(1)
        .overflow(Overflow::Block)
        .waiting(waiting)
        .open(&format!("{}-{way}", worker.name))
        .expect("the topic")
}

/// With its subscriber.
fn publisher(worker: &Worker, way: &str) -> Publisher<[u8]> {
    let publisher = topic(worker, way).publisher().expect("a publisher");
    while publisher.subscribers() == 0 {
        publisher.await_news(None).expect("news");
    }
    publisher
}

fn subscriber(worker: &Worker, way: &str) -> Subscriber<[u8]> {
    topic(worker, way).subscriber().expect("a subscriber")
}

/// Publishes messages, every byte of which is written for each.
struct Writer {
    publisher: Publisher<[u8]>,
    len: usize,
    /// Short messages ride in their slots: a copy is all there is to it.
    short: [u8; SHORT],
}

impl Writer {
    fn new(worker: &Worker, way: &str) -> Self {
        Self { publisher: publisher(worker, way), len: worker.len, short: [0; SHORT] }
    }

    #[inline]
    fn send(&mut self, number: u64) {
        if let Some(message) = self.short.get_mut(..self.len) {
            fill(message, number);
            return self.publisher.send(message).expect("sent");
        }
        let mut loan = self.publisher.loan_slice(self.len).expect("a loan");
        fill(&mut loan, number);
        loan.send().expect("sent");
    }
}

fn services(worker: &Worker) -> ServiceOptions {
    let mut options = Service::<[u8], [u8]>::options();
    options
        .waiting(crossing_queue::Waiting::Spin)
        .max_request_len(worker.len)
        .max_reply_len(worker.len)
        .max_in_flight(4)
        .capacity(16);
    options
}

/// One process of a measurement.
pub fn work(worker: &Worker) {
    pin(worker.core);
    if worker.kind != "crossing" {
        return raw::work(worker);
    }
    match worker.role.as_str() {
        "sub" => {
            let mut subscriber = subscriber(worker, "there");
            println!("ready");
            for number in 0..worker.count {
                let sample = subscriber.recv().expect("received");
                assert_eq!((read(&sample), sample.missed()), (number, 0));
            }
            println!("{}", monotonic_nanos());
        }
        "pub" => {
            let mut writer = Writer::new(worker, "there");
            let begun = monotonic_nanos();
            for number in 0..worker.count {
                writer.send(number);
            }
            println!("{begun}");
        }
        "answer" => {
            let server = services(worker).serve(&worker.name).expect("serve");
            println!("ready");
            for _ in 0..worker.count {
                let request = server.recv().expect("a request");
                let number = read(request.payload());
                let mut loan = request.loan_slice(worker.len).expect("lent").expect("wanted");
                fill(&mut loan, number);
                loan.send().expect("answered");
            }
            // Its memory goes with it, the last answer included.
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        "call" => {
            let client = services(worker).connect(&worker.name).expect("connect");
            let mut times = Vec::with_capacity(worker.count as usize);
            for number in 0..worker.count {
                let begun = monotonic_nanos();
                let mut loan = client.loan_slice(worker.len, None).expect("lent");
                fill(&mut loan, number);
                let back = read(&loan.send().expect("asked").wait().expect("a reply"));
                times.push(monotonic_nanos() - begun);
                assert_eq!(back, number);
            }
            println!("{}", one_way(&mut times));
        }
        role if role.ends_with("echo") => {
            let mut subscriber = subscriber(worker, "there");
            println!("ready");
            let mut writer = Writer::new(worker, "back");
            for _ in 0..worker.count {
                let number = read(&subscriber.recv().expect("received"));
                writer.send(number);
            }
        }
        _ => {
            let mut subscriber = subscriber(worker, "back");
            let mut writer = Writer::new(worker, "there");
            let mut times = Vec::with_capacity(worker.count as usize);
            for number in 0..worker.count {
                let begun = monotonic_nanos();
                writer.send(number);
                let back = read(&subscriber.recv().expect("received"));
                times.push(monotonic_nanos() - begun);
                assert_eq!(back, number);
            }
            println!("{}", one_way(&mut times));
        }
    }
}
