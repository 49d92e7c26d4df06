//! What the operating system does for Crossing, behind one contract.
//!
//! Each module here is a contract (types, units, errors, guarantees); `os/linux` implements it, `os/stub` keeps every
//! other target compiling until it has a backend of its own. `cfg(target_os)` appears in `os/mod.rs` and nowhere else.

pub mod crash;
pub mod directory;
pub mod copy;
pub mod error;
pub mod file;
pub mod fork;
pub mod lock;
pub mod map;
pub mod mq;
pub mod named_semaphore;
pub mod local;

mod os;
pub mod process;
pub mod shared_file;
pub mod sysv;
pub mod wait;

pub use error::{Bytes, Error, ErrorKind, Result};
