//! What the operating system does for Crossing, behind one contract.
//!
//! Each module here is a contract (types, units, errors, guarantees); `os/linux` implements it, `os/stub` keeps every
//! other target compiling until it has a backend of its own. `cfg(target_os)` appears in `os/mod.rs` and nowhere else.

pub mod asymmetric;
pub mod call;
pub mod children;
pub mod copy;
pub mod crash;
pub mod directory;
pub mod doorbell;
pub mod error;
pub mod file;
pub mod fork;
pub mod kernel_object;
pub mod local;
pub mod lock;
pub mod memory;
pub mod mq;
pub mod named_semaphore;
mod os;
pub mod packet;
pub mod peer;
pub mod process;
pub mod silence;
pub mod sysv;
pub mod tcp;
#[cfg(test)]
mod testing;
pub mod wait;
pub mod wakers;

pub use call::{CallError, ServiceError};
pub use error::{Bytes, Error, ErrorKind, Result};
