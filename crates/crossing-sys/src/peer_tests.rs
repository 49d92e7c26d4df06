use super::*;
use std::time::{Duration, Instant};

/// Long enough to see that somebody waits.
const SHORT: Duration = Duration::from_millis(20);

#[test]
fn this_process_is_its_own_peer_and_runs() {
    let (left, _right) = LocalStream::pair().unwrap();
    let peer = left.peer_process().unwrap();
    assert!(peer.is_running());
    assert_eq!(peer.wait_end(Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let start = Instant::now();
    assert_eq!(peer.wait_end(Wait::at_most(SHORT)).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= SHORT);
}
