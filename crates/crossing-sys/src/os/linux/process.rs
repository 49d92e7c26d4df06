//! kill(2), clock_gettime(2), getrandom(2).
#![allow(unsafe_code)] // getrandom

use std::io;

pub(crate) fn kill_self() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal is delivered before the call returns to user space; this line is for the compiler.
    std::process::abort()
}

pub(crate) fn monotonic_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

pub(crate) fn random_identity() -> io::Result<[u8; 16]> {
    let mut bytes = [0_u8; 16];
    loop {
        // SAFETY: the buffer is writable for its length; up to 256 bytes come whole once the kernel's pool is ready.
        let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        if count == 16 {
            return Ok(bytes);
        }
        let error = io::Error::last_os_error();
        if count < 0 && error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(crate) fn user_number() -> u64 {
    u64::from(rustix::process::geteuid().as_raw())
}
