//! Pidfds; the signals are the same on every Unix.

pub(crate) use crate::os::unix::children::*;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::OwnedFd;

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
