//! Signals to processes, and waiting until one has stopped: kill(2), waitid(2).

use crate::os::unix::local::poll;
use rustix::event::PollFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io;
use std::os::fd::BorrowedFd;
use std::process::Child;
use std::time::Instant;

pub(crate) fn stop(child: &Child) -> io::Result<()> {
    signal(child, Signal::STOP)?;
    let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(Pid::from_child(child)), options)? {
        Some(state) if state.stopped() => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "it ended instead of stopping")),
    }
}

pub(crate) fn resume(child: &Child) -> io::Result<()> {
    signal(child, Signal::CONT)
}

pub(crate) fn terminate(child: &Child) -> io::Result<()> {
    signal(child, Signal::TERM)
}

pub(crate) fn interrupt(child: &Child) -> io::Result<()> {
    signal(child, Signal::INT)
}

pub(crate) fn kill(pid: u32) -> io::Result<()> {
    Ok(kill_process(process(pid)?, Signal::KILL)?)
}

fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    Ok(kill_process(Pid::from_child(child), signal)?)
}

pub(crate) fn process(pid: u32) -> io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no process has such an id"))
}

/// Whether a descriptor that becomes readable when its process ends does so before `deadline` (`None`: without end).
pub(crate) fn has_ended(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    poll(fd, PollFlags::IN, deadline).map(|found| !found.is_empty())
}
