//! clock_gettime(2), geteuid(2), kill(2), random(4).

use rustix::process::{Signal, getpid, kill_process};
use std::io::{self, Read};

pub(crate) fn monotonic_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

pub(crate) fn user_number() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) const KILL_NAME: &str = "SIGKILL";

pub(crate) fn looks_killed(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(Signal::KILL.as_raw())
}

pub(crate) fn kill_self() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park(); // until the signal is delivered
    }
}

pub(crate) fn random_identity() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
