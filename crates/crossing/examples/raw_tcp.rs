//! Serves a client that knows nothing of Crossing: bare bytes over TCP, one question, one answer.
//!
//! ```text
//! cargo run -p crossing --example raw_tcp
//! ```

use crossing::net::Listener;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = Listener::bind("tcp:127.0.0.1:0")?;
    let address = listener.endpoint().to_string().replacen("tcp:", "", 1);
    println!("listening on {address}");

    let client = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"Hello from client")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    });

    let (stream, peer) = listener.accept_raw_timeout(Duration::from_secs(5))?;
    let mut buffer = [0; 1024];
    let len = stream.read_timeout(&mut buffer, Duration::from_secs(5))?;
    println!("{peer} sent: {}", String::from_utf8_lossy(&buffer[..len]));
    stream.write_all(b"Hello from server")?;
    drop(stream);

    let answer = client.join().map_err(|_| "the client panicked")??;
    println!("the client read: {}", String::from_utf8_lossy(&answer));
    Ok(())
}
