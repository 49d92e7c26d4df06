//! Topics and events in an event loop: what `epoll`, `poll`, `kqueue` or `WaitForMultipleObjects` wait on.

use crossing_ring::broadcast::BellDoorbell;
use crossing_sys::file::Handle;

/// What an event loop waits on for a [`Subscriber`](crate::Subscriber) or a [`Waiter`](crate::Waiter), which makes and arms
/// it: readable (Unix) or signalled (Windows) when there may be something.
///
/// The order of steps matters, since publishers ring nobody who does not wait, so as to make no system call:
///
/// 1. arm it (`subscriber.arm(&poller)`),
/// 2. then look: receive until there is nothing,
/// 3. and only then wait for the handle, and begin again.
///
/// What comes after the arming makes the handle ready; what came before is found by the look. The handle may become ready in
/// vain, and does so at least once a second, lest anybody wait for a process that died before it rang.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use crossing_bus::Topic;
/// let mut subscriber = Topic::<[u8]>::options().open("ticks")?.subscriber()?;
/// let poller = subscriber.poller()?;
/// // Once: epoll.add(poller.as_fd(), EPOLLIN)
/// loop {
///     subscriber.arm(&poller)?;
///     for sample in subscriber.try_iter() {
///         println!("{} bytes", sample.len());
///     }
///     // epoll.wait(...)
/// }
/// # }
/// ```
///
/// # Platform-specific behavior
/// Linux: an epoll instance over a FIFO and a timer; macOS, FreeBSD: a kqueue (type-checked only); Windows: an event, which a
/// successful wait resets.
#[derive(Debug)]
pub struct Poller(pub(crate) BellDoorbell);

impl Poller {
    /// What to wait on.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.0.handle()
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
