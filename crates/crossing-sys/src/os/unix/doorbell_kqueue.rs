//! A FIFO and a timer in a kqueue, which is itself readable while it has events. For macOS and FreeBSD.
//! Type-checked only: neither was at hand to run it on.
#![allow(unsafe_code)] // kevent

pub(crate) use crate::os::unix::fifo::{remove, ring, wait_any};

use crate::doorbell::Porch;
use crate::file::Handle;
use crate::os::unix::fifo;
use rustix::event::Timespec;
use rustix::event::kqueue::{Event, EventFilter, EventFlags, kevent_timespec, kqueue};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

pub(crate) const SUPPORTED: bool = true;

#[derive(Debug)]
pub(crate) struct Bell {
    fifo: OwnedFd,
    both: Handle,
}

fn change(queue: &Handle, event: Event) -> io::Result<()> {
    let mut none: [Event; 0] = [];
    // SAFETY: the event names a descriptor that the `Bell` keeps open beside the queue, or none.
    unsafe { kevent_timespec(queue, &[event], &mut none, None) }?;
    Ok(())
}

impl Bell {
    pub(crate) fn hang(porch: &Porch, owner: u32, number: u32) -> io::Result<Self> {
        let queue = kqueue()?;
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        let both = Handle::from(queue);
        let fifo = fifo::hang(porch, owner, number)?;
        // Level-triggered: the event is there as long as the FIFO has bytes.
        let filter = EventFilter::Read(fifo.as_raw_fd());
        if let Err(error) = change(&both, Event::new(filter, EventFlags::ADD, ptr::null_mut())) {
            remove(porch, owner, number);
            return Err(error);
        }
        Ok(Self { fifo, both })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.both
    }

    pub(crate) fn silence(&self) -> io::Result<()> {
        fifo::drain(&self.fifo)?;
        // Takes the timer's event, if it is there; a FIFO's that is gone is not told.
        let mut told: Vec<Event> = Vec::with_capacity(2);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let room = rustix::buffer::spare_capacity(&mut told);
        // SAFETY: no event is changed.
        match unsafe { kevent_timespec(&self.both, &[], room, Some(&now)) } {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn set_alarm(&self, after: Duration) -> io::Result<()> {
        let filter = EventFilter::Timer { ident: 1, timer: Some(after) };
        // Adding it again replaces it.
        change(&self.both, Event::new(filter, EventFlags::ADD | EventFlags::ONESHOT, ptr::null_mut()))
    }
}
