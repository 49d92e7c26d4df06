//! System V shared memory, semaphores and message queues: for talking to programs that use `shmget`, `semget`, `msgget`.
//!
//! Everything here has a [`Key`] for a name, an owner and a mode, and lives until it is removed or the machine restarts.
//! Nothing recognises what a dead process left: for Crossing's own purposes the named segments and locks are better.
//!
//! # Platform-specific behavior
//! Linux: sysvipc(7). FreeBSD and macOS (type-checked only): the same, but the lists of all objects are
//! [`crate::ErrorKind::Unsupported`], a wait for a semaphore that has a deadline looks again every 4 ms at most, and a queue holds
//! 2 KiB where the system's limit was not raised (macOS has no way to). Windows: [`crate::ErrorKind::Unsupported`].

mod key;
mod memory;
mod queue;
mod semaphore;

pub use key::Key;
pub use memory::{Mapping, MemoryStat, SharedMemory, list_memory};
pub use queue::{Message, MessageQueue, QueueStat, Select, list_queues};
pub use semaphore::{SemaphoreSet, SemaphoreStat, Undo, list_semaphores};

#[cfg(all(test, unix, not(crossing_os_stub)))]
mod tests;
