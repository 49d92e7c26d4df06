//! Chooses the backend. The only place in the workspace where `cfg(target_os)` is written.

#[cfg(all(any(target_os = "linux", target_os = "macos", target_os = "freebsd"), not(crossing_os_stub)))]
mod unix;

#[cfg(all(target_os = "linux", not(crossing_os_stub)))]
mod linux;
#[cfg(all(target_os = "linux", not(crossing_os_stub)))]
pub(crate) use linux::*;

#[cfg(all(target_os = "windows", not(crossing_os_stub)))]
mod windows;
#[cfg(all(target_os = "windows", not(crossing_os_stub)))]
pub(crate) use windows::*;

#[cfg(all(target_os = "macos", not(crossing_os_stub)))]
mod macos;
#[cfg(all(target_os = "macos", not(crossing_os_stub)))]
pub(crate) use macos::*;

#[cfg(all(target_os = "freebsd", not(crossing_os_stub)))]
mod freebsd;
#[cfg(all(target_os = "freebsd", not(crossing_os_stub)))]
pub(crate) use freebsd::*;

#[cfg(any(
    not(any(target_os = "linux", target_os = "windows", target_os = "macos", target_os = "freebsd")),
    crossing_os_stub
))]
mod stub;
#[cfg(any(
    not(any(target_os = "linux", target_os = "windows", target_os = "macos", target_os = "freebsd")),
    crossing_os_stub
))]
pub(crate) use stub::*;
