//! One module per command.

pub mod foreign_semaphore;
pub mod names;
pub mod queue;
pub mod recv;
pub mod registry;
pub mod send;
pub mod shm;
pub mod socket;
pub mod sync;
pub mod target;
