//! Serves one foreign TCP client: what it sent, then a reply. `cargo run -p crossing-net --example reply_once`

#![forbid(unsafe_code)]

use crossing_net::{Listener, Result};
use std::time::Duration;

fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).unwrap_or_else(|| "tcp:127.0.0.1:8080".to_owned());
    let listener = Listener::options().bind(&endpoint)?;
    println!("listening on {}", listener.endpoint());
    let (stream, peer) = listener.accept_raw_timeout(Duration::from_secs(60))?;
    let mut buffer = [0; 64 << 10];
    let len = stream.read_timeout(&mut buffer, Duration::from_secs(60))?;
    println!("{peer} sent {:?}", String::from_utf8_lossy(&buffer[..len]));
    stream.write_all(b"Hello from server")?;
    stream.shutdown_write()
}
