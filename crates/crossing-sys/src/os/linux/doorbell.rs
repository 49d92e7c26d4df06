//! A FIFO and a timer in an epoll instance, which is itself readable while one of them is: epoll(7), timerfd_create(2).

pub(crate) use crate::os::unix::fifo::{remove, ring, wait_any};

use crate::doorbell::Porch;
use crate::file::Handle;
use crate::os::unix::fifo;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(crate) const SUPPORTED: bool = true;

#[derive(Debug)]
pub(crate) struct Bell {
    fifo: OwnedFd,
    timer: OwnedFd,
    both: Handle,
}

impl Bell {
    pub(crate) fn hang(porch: &Porch, owner: u32, number: u32) -> io::Result<Self> {
        // First what may fail for lack of descriptors: so nothing of a failed one stays.
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let both = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&both, &timer, EventData::new_u64(1), EventFlags::IN)?;
        let fifo = fifo::hang(porch, owner, number)?;
        if let Err(error) = epoll::add(&both, &fifo, EventData::new_u64(0), EventFlags::IN) {
            remove(porch, owner, number);
            return Err(error.into());
        }
        Ok(Self { fifo, timer, both: both.into() })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.both
    }

    pub(crate) fn silence(&self) -> io::Result<()> {
        // The timer is silenced by setting it anew, or by this.
        let mut expired = [0; 8];
        match rustix::io::read(&self.timer, &mut expired) {
            Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        fifo::drain(&self.fifo)
    }

    pub(crate) fn set_alarm(&self, after: Duration) -> io::Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        let value = Timespec { tv_sec: seconds, tv_nsec: after.subsec_nanos().into() };
        let once = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}
