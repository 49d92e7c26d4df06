//! What Linux, macOS and FreeBSD do alike. Each of their backends takes from here what it does not do in its own way.

pub(crate) mod children;
#[allow(dead_code)] // macOS waits for lengths of time
pub(crate) mod clock;
pub(crate) mod directory;
pub(crate) mod fifo;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod local;
pub(crate) mod memory;
pub(crate) mod packet;
pub(crate) mod process;
/// The locks of FreeBSD and of a macOS without those of openings; on Linux its tests run.
#[allow(dead_code)] // Linux has it for its tests
pub(crate) mod record_lock;
pub(crate) mod sysv;
pub(crate) mod tcp;
pub(crate) mod turns;
