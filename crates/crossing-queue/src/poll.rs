//! Queues in an event loop: what `epoll`, `poll`, `kqueue` or `WaitForMultipleObjects` wait on.

use crate::payload::Payload;
use crate::queue::{Receiver, Sender};
use crossing_ring::queue::QueueDoorbell;
use crossing_sys::file::Handle;
use crossing_sys::{Error, ErrorKind, Result};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Receive,
    Send,
}

/// What to ask the event loop for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interest {
    /// That the handle is readable (`POLLIN`); on Windows, that it is signalled.
    Readable,
    /// That it is writable (`POLLOUT`): senders of `mq:` queues.
    Writable,
}

/// One waiter of a queue in an event loop: [`Receiver::poller`], [`Sender::poller`].
///
/// Its handle is ready when there may be something to receive, or room to send. The order of steps matters, since senders
/// ring nobody who does not wait, so as to make no system call:
///
/// 1. [`arm`](Self::arm) it,
/// 2. then look: receive until [`TryRecvError::Empty`](crate::TryRecvError::Empty), or try to send,
/// 3. and only then wait for the handle, and begin again.
///
/// What comes after the arming makes the handle ready; what came before is found by the look. The handle may become ready in
/// vain, and does so at least ten times a second for a `shm:` queue, lest anybody wait for a process that died before it rang.
/// A poller is for one waiter: who waits in several places takes one for each. All that are armed are told of a message; one
/// gets it.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use crossing_queue::{Queue, TryRecvError};
/// let receiver = Queue::<[u8]>::options().open("shm:jobs")?.receiver()?;
/// let poller = receiver.poller()?;
/// // Once: epoll.add(poller.as_fd(), EPOLLIN)
/// loop {
///     poller.arm()?;
///     loop {
///         match receiver.try_recv() {
///             Ok(delivery) => println!("{} bytes", delivery.len()),
///             Err(TryRecvError::Empty) => break,
///             Err(error) => return Err(error.into()),
///         }
///     }
///     // epoll.wait(...)
/// }
/// # }
/// ```
///
/// # Platform-specific behavior
/// `shm:`: a doorbell, see `crossing_sys::doorbell`: on Linux an epoll instance over a FIFO and a timer, elsewhere on Unix a
/// kqueue, on Windows an event, which a successful wait resets. `mq:` (Linux): the queue's own descriptor.
#[derive(Debug)]
pub struct Poller(Kind);

#[derive(Debug)]
enum Kind {
    Kernel { handle: Handle, interest: Interest },
    Shared(QueueDoorbell),
}

impl Poller {
    pub(crate) fn of_kernel(handle: Handle, purpose: Purpose) -> Self {
        let interest = match purpose {
            Purpose::Receive => Interest::Readable,
            Purpose::Send => Interest::Writable,
        };
        Self(Kind::Kernel { handle, interest })
    }

    pub(crate) fn of_shared(doorbell: QueueDoorbell) -> Self {
        Self(Kind::Shared(doorbell))
    }

    /// What to wait on.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        match &self.0 {
            Kind::Kernel { handle, .. } => handle,
            Kind::Shared(doorbell) => doorbell.handle(),
        }
    }

    /// What to ask the event loop for.
    #[must_use]
    pub fn interest(&self) -> Interest {
        match &self.0 {
            Kind::Kernel { interest, .. } => *interest,
            Kind::Shared(_) => Interest::Readable,
        }
    }

    /// Arms it: from now on the handle becomes ready by what comes. Look once more after this, before you wait. Costs two
    /// system calls at most.
    ///
    /// # Errors
    /// `ApiMisuse` in a child of a fork, which has to open the queue itself; the operating system's.
    pub fn arm(&self) -> Result<()> {
        match &self.0 {
            // Ready as long as there is something, whoever asks.
            Kind::Kernel { .. } => Ok(()),
            Kind::Shared(doorbell) => doorbell.arm(),
        }
    }
}

#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsFd for Poller {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.handle().as_fd()
    }
}

#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsRawFd for Poller {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsFd::as_fd(self).as_raw_fd()
    }
}

#[cfg(all(windows, not(crossing_os_stub)))]
impl std::os::windows::io::AsHandle for Poller {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.handle().as_handle()
    }
}

fn lacks(endpoint: &str) -> Error {
    let scheme = endpoint.split(':').next().unwrap_or_default();
    Error::new(ErrorKind::Unsupported, "poll queue", endpoint)
        .detail(format!("a {scheme}: queue has nothing that an event loop could wait on"))
        .fix("wait in a thread of its own (recv_timeout), or use a shm: or mq: queue")
}

fn about(error: Error, endpoint: &str) -> Error {
    error.about(endpoint.to_owned())
}

impl<T: Payload + ?Sized> Receiver<T> {
    /// For an event loop to wait until something may be received.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::pollable`](crate::Capabilities::pollable) is false;
    /// [`ErrorKind::LimitReached`] for more than 64 at a time that wait for messages of one `shm:` queue, or too many open
    /// handles; [`ErrorKind::PermissionDenied`] if the queue lies in another user's runtime directory.
    pub fn poller(&self) -> Result<Poller> {
        match self.backend().poller(Purpose::Receive) {
            Some(poller) => poller.map_err(|error| about(error, self.endpoint())),
            None => Err(lacks(self.endpoint())),
        }
    }
}

impl<T: Payload + ?Sized> Sender<T> {
    /// For an event loop to wait until there may be room.
    ///
    /// # Errors
    /// As [`Receiver::poller`].
    pub fn poller(&self) -> Result<Poller> {
        match self.backend().poller(Purpose::Send) {
            Some(poller) => poller.map_err(|error| about(error, self.endpoint())),
            None => Err(lacks(self.endpoint())),
        }
    }
}
