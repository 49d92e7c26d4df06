//! The macOS backend.
//! Type-checked only: no macOS was at hand to run it on.

#[path = "../stub/asymmetric.rs"]
pub(crate) mod asymmetric;
pub(crate) mod children;
pub(crate) mod directory;
#[path = "../unix/doorbell_kqueue.rs"]
pub(crate) mod doorbell;
#[path = "../stub/kernel_object.rs"]
pub(crate) mod kernel_object;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod message;
#[path = "../stub/mq.rs"]
pub(crate) mod mq;
#[path = "../stub/named_semaphore.rs"]
pub(crate) mod named_semaphore;
#[path = "../stub/silence.rs"]
pub(crate) mod silence;
pub(crate) mod sockets;
#[path = "../unix/sysv_bsd.rs"]
mod sysv_bsd;
pub(crate) mod sysv_system;
pub(crate) mod wait;

pub(crate) use super::unix::{file, fork, local, packet, process, sysv, tcp};
