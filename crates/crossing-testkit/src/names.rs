//! Names and ports that no other test of this machine uses.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// `PREFIX-PID-N`: unique among the tests that run now.
#[must_use]
pub fn unique_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the number matters, nothing is published with it.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{number}", std::process::id())
}

/// A TCP port of 127.0.0.1 that is free now, outside the range from which the kernel serves outgoing connections, and
/// another one for each call and for each process that runs now.
///
/// # Panics
/// If no port can be bound.
#[must_use]
pub fn unique_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(41);
    for _ in 0..COUNT {
        // Relaxed: only the number matters, nothing is published with it.
        let number = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + number).expect("below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} to {}", FIRST + COUNT);
}
