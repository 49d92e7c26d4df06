//! What the peers of services have in common: tasks on one thread, each asking one request after the other.

use crate::{fill, nanos, read};
use std::io::Read;

/// Requests before those that are measured.
pub const WARM: u64 = 500;

/// How many requests are in flight, by the role `ask-N`.
pub fn in_flight(role: &str) -> usize {
    let number = role.strip_prefix("ask-").and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no role {role}"))
}

/// A request's bytes.
pub fn request(len: usize, number: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(&mut bytes, number);
    bytes
}

/// The reply to `request`.
pub fn reply(request: &[u8]) -> Vec<u8> {
    self::request(request.len(), read(request))
}

/// Ends this process with its standard input: so servers end.
pub fn end_with_input() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// Runs `count` calls by as many tasks as are in flight, and prints the nanoseconds for one. The tasks run on the thread of a
/// `LocalSet`.
pub async fn measure<F>(
    in_flight: usize,
    count: u64,
    len: usize,
    call: impl Fn(Vec<u8>) -> F + Clone + 'static,
) where
    F: Future<Output = Vec<u8>> + 'static,
{
    let run = async |count: u64| {
        let tasks: Vec<_> = (0..in_flight as u64)
            .map(|task| {
                let call = call.clone();
                tokio::task::spawn_local(async move {
                    for number in (task..count).step_by(in_flight) {
                        let back = call(request(len, number)).await;
                        assert_eq!((read(&back), back.len()), (number, len));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task that asks");
        }
    };
    run(WARM).await;
    let begun = nanos();
    run(count).await;
    println!("{}", (nanos() - begun) as f64 / count as f64);
}
