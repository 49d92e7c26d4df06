//! Signals and pidfds.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;

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

fn process(pid: u32) -> io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no process has such an id"))
}

#[derive(Debug)]
pub(crate) struct Watched(OwnedFd);

impl Watched {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        Ok(Self(pidfd_open(process(pid)?, PidfdFlags::empty())?))
    }

    /// A pidfd becomes readable when its process ends.
    pub(crate) fn is_running(&self) -> bool {
        let mut watched = [PollFd::new(&self.0, PollFlags::IN)];
        loop {
            match poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => return outcome == Ok(0),
            }
        }
    }
}
