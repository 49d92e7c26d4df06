//! Publishes so many messages of 8 bytes to so many subscribers in this process: `publish SUBSCRIBERS MESSAGES`.
//! `cargo xtask bench topic --only instructions` runs it under callgrind.

use crossing_bus::{Overflow, Topic};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("two arguments: SUBSCRIBERS MESSAGES");
    let (subscribers, messages): (u32, u64) = (next()?.parse()?, next()?.parse()?);
    let topic = Topic::<u64>::options()
        .depth(64)
        .max_subscribers(64)
        .overflow(Overflow::DropOldest)
        .linger(std::time::Duration::ZERO)
        .open(&format!("example-publish-{}", std::process::id()))?;
    let publisher = topic.publisher()?;
    let subscribers = (0..subscribers).map(|_| topic.subscriber()).collect::<Result<Vec<_>, _>>()?;
    publisher.check()?;
    assert_eq!(publisher.subscribers(), subscribers.len());
    for number in 0..messages {
        publisher.send(&number)?;
    }
    Ok(())
}
