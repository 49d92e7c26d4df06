//! What Linux, macOS and FreeBSD do alike. Each of their backends takes from here what it does not do in its own way.

pub(crate) mod clock;
pub(crate) mod directory;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod memory;
pub(crate) mod process;
/// FreeBSD's locks (`freebsd/mod.rs`); elsewhere built for its tests alone, which run on any of these systems.
#[cfg(test)]
mod record_lock;
pub(crate) mod turns;
