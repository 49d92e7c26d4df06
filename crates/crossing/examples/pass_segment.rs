//! Shared memory without a name: a server hands it to whom it lets in, over a local socket, and watches them die.
//!
//! ```text
//! cargo run -p crossing --example pass_segment
//! ```

use crossing::net::{Allow, Endpoint, Listener, Stream};
use crossing::shm::Segment;
use crossing::sync::MutexCell;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn client(endpoint: &str) -> crossing::Result<()> {
    let mut stream = Stream::options().max_handles(1).connect(endpoint)?;
    let (frame, mut handles) = stream.recv_with_handles_timeout(PATIENCE)?;
    println!("the client was sent: {}", String::from_utf8_lossy(frame));
    // What comes is whatever the peer sent: from_handle checks that it is a segment, sealed and whole.
    if let Some(handle) = handles.pop() {
        let segment = Segment::options().from_handle(handle)?;
        *segment.attach::<MutexCell<u64>>(0)?.lock().into_guard() += 42;
    }
    stream.send(b"done")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(endpoint) = std::env::args().nth(1) {
        return Ok(client(&endpoint)?);
    }
    let endpoint = Endpoint::local(&format!("example-{}", std::process::id()))?;
    let listener = Listener::options().allow(Allow::same_user()).bind(&endpoint)?;
    let mut child = Command::new(std::env::current_exe()?).arg(endpoint.to_string()).spawn()?;
    let (mut stream, peer) = listener.accept_timeout(PATIENCE)?;
    println!("{peer} is let in");

    let segment = Segment::options().size(4096).anonymous("example")?;
    let handle = segment.handle().ok_or("an anonymous segment has a handle")?;
    stream.send_with_handles(b"a counter", &[handle])?;
    stream.recv_timeout(PATIENCE)?;

    // A handle of the process itself: its id may go to another one, this does not.
    let process = stream.peer_process();
    child.wait()?;
    if let Ok(process) = process {
        process.wait_timeout(PATIENCE)?;
    }
    let count = segment.attach::<MutexCell<u64>>(0)?.lock().into_guard().get();
    println!("the client is gone and left {count}");
    assert_eq!(count, 42);
    Ok(())
}
