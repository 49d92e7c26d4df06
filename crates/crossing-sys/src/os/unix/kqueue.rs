//! The end of a process, seen by kqueue(2): EVFILT_PROC with NOTE_EXIT. For macOS and FreeBSD.
//! Type-checked only: neither was at hand to run it on.
#![allow(unsafe_code)] // kevent

use rustix::event::Timespec;
use rustix::event::kqueue::{Event, EventFilter, EventFlags, ProcessEvents, kevent_timespec, kqueue};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct Watched {
    queue: OwnedFd,
    /// The kernel tells of the end once.
    ended: AtomicBool,
}

impl Watched {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let pid = super::process(pid)?;
        let queue = kqueue()?;
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        let filter = EventFilter::Proc { pid, flags: ProcessEvents::EXIT };
        let wanted = [Event::new(filter, EventFlags::ADD, ptr::null_mut())];
        let mut none: [Event; 0] = [];
        // SAFETY: the event names no descriptor that could be closed meanwhile.
        unsafe { kevent_timespec(&queue, &wanted, &mut none, None) }?;
        Ok(Self { queue, ended: AtomicBool::new(false) })
    }

    pub(crate) fn is_running(&self) -> bool {
        // Relaxed: once true for ever, and nothing else is read on the strength of it.
        if self.ended.load(Ordering::Relaxed) {
            return false;
        }
        let mut told: Vec<Event> = Vec::with_capacity(1);
        loop {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            let room = rustix::buffer::spare_capacity(&mut told);
            // SAFETY: no event is changed.
            match unsafe { kevent_timespec(&self.queue, &[], room, Some(&now)) } {
                Err(Errno::INTR) => {}
                Ok(0) => return !self.ended.load(Ordering::Relaxed), // another thread may have taken it
                _ => {
                    self.ended.store(true, Ordering::Relaxed);
                    return false;
                }
            }
        }
    }
}
