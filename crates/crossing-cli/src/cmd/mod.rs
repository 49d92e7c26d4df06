//! One module per command.

pub mod call;
pub mod foreign_semaphore;
pub mod inspect;
pub mod names;
pub mod packets;
pub mod proxy;
pub mod r#pub;
pub mod queue;
pub mod recv;
pub mod registry;
pub mod send;
pub mod serve;
pub mod shm;
pub mod socket;
mod source;
pub mod sub;
pub mod sync;
pub mod target;
#[cfg(feature = "tls")]
pub mod tls;
