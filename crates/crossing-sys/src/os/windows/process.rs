//! QueryPerformanceCounter, TerminateProcess, the user's relative identifier, BCryptGenRandom.
#![allow(unsafe_code)] // calls of the system with out-pointers

use std::io;
use std::sync::OnceLock;
use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// How a process killed by [`kill_self`] ends; 128 + SIGKILL, as shells show it.
const KILLED: u32 = 137;

pub(crate) fn monotonic_nanos() -> u64 {
    static FREQUENCY: OnceLock<u64> = OnceLock::new();
    let frequency = *FREQUENCY.get_or_init(|| {
        let mut value = 0;
        // SAFETY: a place for the result; it never fails on the systems that Rust runs on.
        unsafe { QueryPerformanceFrequency(&raw mut value) };
        (value as u64).max(1)
    });
    let mut ticks = 0;
    // SAFETY: a place for the result.
    unsafe { QueryPerformanceCounter(&raw mut ticks) };
    let nanos = u128::from(ticks as u64) * 1_000_000_000 / u128::from(frequency);
    nanos as u64
}

/// The last part of the user's security identifier, which tells the users of one machine or domain apart.
pub(crate) fn user_number() -> u32 {
    let sid = super::security::current_user_sid().unwrap_or_default();
    sid.rsplit('-').next().and_then(|last| last.parse().ok()).unwrap_or(0)
}

pub(crate) const KILL_NAME: &str = "TerminateProcess";

/// The exit code that `std` gives to TerminateProcess.
pub(crate) fn looks_killed(status: std::process::ExitStatus) -> bool {
    status.code() == Some(1)
}

pub(crate) fn kill_self() -> ! {
    loop {
        // SAFETY: no arguments; the pseudo handle needs no closing.
        let process = unsafe { GetCurrentProcess() };
        // SAFETY: the pseudo handle of this process, with the right to end it.
        unsafe { TerminateProcess(process, KILLED) };
    }
}

pub(crate) fn random_identity() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: no algorithm is named, as the flag demands; a buffer with its length.
    let status = unsafe {
        BCryptGenRandom(std::ptr::null_mut(), bytes.as_mut_ptr(), 16, BCRYPT_USE_SYSTEM_PREFERRED_RNG)
    };
    if status < 0 {
        return Err(io::Error::other(format!("BCryptGenRandom failed with status {status:#x}")));
    }
    Ok(bytes)
}
