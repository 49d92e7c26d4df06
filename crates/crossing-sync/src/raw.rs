//! The protocols: fixed layouts in shared memory and what every party may do to them. Model-checked by loom.

pub mod barrier;
pub mod bell;
pub mod condvar;
pub mod doorbell;
pub mod event;
pub mod mutex;
pub mod once;
pub mod rwlock;
pub mod semaphore;

use std::time::Duration;

/// How long a sleeper trusts that the kernel wakes it when the owner dies, before it looks itself.
pub(crate) const TRUSTING: Duration = Duration::from_millis(100);

/// How long a sleeper waits before it looks whether the owner died, when no bell is armed.
pub(crate) const WATCHFUL: Duration = Duration::from_millis(4);
