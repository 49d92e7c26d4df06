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

/// A TCP port of 127.0.0.1 that is free now. Ports handed out shortly before are not handed out again soon: the
/// kernel chooses them at random.
///
/// # Panics
/// If no port can be bound.
#[must_use]
pub fn unique_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    listener.local_addr().expect("address of the listener").port()
}
