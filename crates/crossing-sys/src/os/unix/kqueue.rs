//! The end of a process, seen by kqueue(2): EVFILT_PROC with NOTE_EXIT. For macOS and FreeBSD.
//! Type-checked only: neither was at hand to run it on.
#![allow(unsafe_code)] // kevent

use crate::file::Handle;
use rustix::event::kqueue::{Event, EventFilter, EventFlags, ProcessEvents, kevent_timespec, kqueue};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::time::Instant;

/// Its queue becomes readable when the process ends, and stays so: the event is not taken from it.
#[derive(Debug)]
pub(crate) struct Watched(OwnedFd);

impl Watched {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let pid = super::process(pid)?;
        let queue = kqueue()?;
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        let filter = EventFilter::Proc { pid, flags: ProcessEvents::EXIT };
        let wanted = [Event::new(filter, EventFlags::ADD, ptr::null_mut())];
        let mut none: [Event; 0] = [];
        // SAFETY: the event names no descriptor that could be closed meanwhile.
        match unsafe { kevent_timespec(&queue, &wanted, &mut none, None) } {
            // The standard library has no kind for it.
            Err(Errno::SRCH) => Err(io::ErrorKind::NotFound.into()),
            Err(cause) => Err(cause.into()),
            Ok(_) => Ok(Self(queue)),
        }
    }

    /// The process that the kernel noted when the connection of `socket` was made.
    pub(crate) fn of_peer(socket: &Handle) -> io::Result<Self> {
        let peer = crate::os::sockets::credentials(socket)?;
        Self::open(peer.process_id().ok_or(io::ErrorKind::NotFound)?)
    }

    pub(crate) fn is_running(&self) -> bool {
        !super::has_ended(self.as_fd(), Some(Instant::now())).unwrap_or(true)
    }

    /// Whether it ends before `deadline`.
    pub(crate) fn has_ended(&self, deadline: Option<Instant>) -> io::Result<bool> {
        super::has_ended(self.as_fd(), deadline)
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
