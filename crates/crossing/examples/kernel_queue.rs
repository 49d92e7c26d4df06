//! Sends and receives through a POSIX message queue of the kernel, which any `mq_open` program can share.
//!
//! ```text
//! cargo run -p crossing --example kernel_queue
//! ```

use crossing::queue::{Priority, Queue};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = format!("mq:/crossing-example-{}", std::process::id());
    let queue = Queue::<[u8]>::options().capacity(10).max_len(1024).unlink_on_drop(true).create(&name)?;

    let sender = queue.sender()?;
    sender.send(b"when there is time")?;
    sender.send_with(b"at once", Priority(7))?;

    let receiver = queue.receiver()?;
    for _ in 0..2 {
        let delivery = receiver.recv()?;
        println!("priority {}: {}", delivery.priority().0, String::from_utf8_lossy(&delivery));
    }
    Ok(())
}
