//! A counter in shared memory that several processes raise under a mutex which survives the death of its owner.
//!
//! ```text
//! cargo run -p crossing --example shared_counter
//! ```

use crossing::shm::Segment;
use crossing::sync::{Acquired, MutexCell};
use std::process::Command;

const ROUNDS: u64 = 10_000;
const PROCESSES: u64 = 4;

fn count(name: &str) -> crossing::Result<()> {
    let segment = Segment::options().open(name)?;
    let counter = segment.attach::<MutexCell<u64>>(0)?;
    for _ in 0..ROUNDS {
        let mut guard = match counter.lock() {
            Acquired::Normal(guard) => guard,
            // The last owner died here; a counter is whole at every moment, so there is nothing to repair.
            Acquired::Recovered(guard) => guard,
        };
        let value = guard.get();
        guard.set(&(value + 1));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(name) = std::env::args().nth(1) {
        return Ok(count(&name)?);
    }
    let name = format!("example-counter-{}", std::process::id());
    let segment = Segment::options().size(4096).create(&name)?;
    let program = std::env::current_exe()?;
    let children: Vec<_> =
        (0..PROCESSES).map(|_| Command::new(&program).arg(&name).spawn()).collect::<Result<_, _>>()?;
    for mut child in children {
        assert!(child.wait()?.success(), "a child failed");
    }
    let total = segment.attach::<MutexCell<u64>>(0)?.lock().into_guard().get();
    println!("{PROCESSES} processes counted to {total}");
    assert_eq!(total, PROCESSES * ROUNDS);
    Ok(())
}
