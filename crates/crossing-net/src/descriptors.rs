//! What can be given to epoll, kqueue and event loops of others.

use crate::{Listener, RawStream, Stream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// For waiting only: whoever reads or writes it breaks the stream of frames. Readable means that
/// [`try_recv`](Stream::try_recv) may have something: call it until it gives `None`, since a frame may be in memory
/// already.
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link().descriptor()
    }
}

/// For waiting only over TLS; without it also for what the system can do with a descriptor.
impl AsFd for RawStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link().descriptor()
    }
}

/// For waiting: readable means that [`try_accept`](Listener::try_accept) may have a connection.
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsRawFd for RawStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
