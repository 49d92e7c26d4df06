//! Chooses the backend. The only place in the workspace where `cfg(target_os)` is written.

#[cfg(all(target_os = "linux", not(crossing_os_stub)))]
mod linux;
#[cfg(all(target_os = "linux", not(crossing_os_stub)))]
pub(crate) use linux::*;

#[cfg(any(not(target_os = "linux"), crossing_os_stub))]
mod stub;
#[cfg(any(not(target_os = "linux"), crossing_os_stub))]
pub(crate) use stub::*;
