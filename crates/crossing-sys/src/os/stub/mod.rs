//! The stub backend.

pub(crate) mod asymmetric;
pub(crate) mod children;
pub(crate) mod directory;
pub(crate) mod doorbell;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod kernel_object;
pub(crate) mod local;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod mq;
pub(crate) mod named_semaphore;
pub(crate) mod packet;
pub(crate) mod process;
pub(crate) mod silence;
pub(crate) mod sysv;
pub(crate) mod tcp;
pub(crate) mod wait;
