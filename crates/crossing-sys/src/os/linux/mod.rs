//! The linux backend.

pub(crate) mod asymmetric;
pub(crate) mod children;
pub(crate) mod directory;
pub(crate) mod doorbell;
#[path = "../stub/kernel_object.rs"]
pub(crate) mod kernel_object;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod mq;
pub(crate) mod named_semaphore;
pub(crate) mod silence;
pub(crate) mod sockets;
pub(crate) mod sysv_system;
pub(crate) mod wait;

pub(crate) use super::unix::{file, fork, local, packet, process, sysv, tcp};
