//! Crossing: every way across a process boundary behind one API.
//!
//! | module | what is in it |
//! |---|---|
//! | [`shm`] | shared memory: segments, regions, pools, the registry of names |
//! | [`sync`] | mutexes, semaphores, events and more that live in shared memory and survive their owners |
//! | [`net`] | endpoints, listeners and streams over TCP and Unix sockets, framed or raw |
//! | [`bus`] | topics and events: publish and subscribe, and wake-ups, over shared memory |
//! | [`queue`] | message queues: ours over shared memory, and those of the kernel |
//! | [`WaitSet`] | one wait for many topics, events, queues, timers and handles |
//! | [`foreign`] | what programs that know nothing of Crossing use: System V and POSIX objects, kernel objects of Windows |
//! | [`process`] | clocks and life of processes |
//!
//! ```
//! use crossing::shm::Segment;
//! use crossing::sync::MutexCell;
//!
//! let name = format!("doc-facade-{}", std::process::id());
//! let segment = Segment::options().size(64 << 10).create(&name)?;
//! let counter = segment.attach::<MutexCell<u64>>(0)?; // any process that opens the segment attaches the same
//! *counter.lock().into_guard() += 1;
//! # Ok::<(), crossing::Error>(())
//! ```
#![forbid(unsafe_code)]

mod wait_set;

pub use crossing_sys::file::Handle;
pub use crossing_sys::{Bytes, Error, ErrorKind, Result};
pub use wait_set::{Ready, WaitSet};

/// Shared memory: segments, regions, pools and the registry of names.
pub mod shm {
    pub use crossing_shm::*;
}

/// Synchronisation that lives in shared memory and survives its owners.
pub mod sync {
    pub use crossing_sync::*;
}

/// Endpoints, listeners and streams over TCP and Unix sockets.
pub mod net {
    pub use crossing_net::*;
}

/// What waits, for tokio: streams, listeners, raw streams and sessions, senders and receivers of queues, publishers and
/// subscribers of topics, waiters of events, clients and servers of services, with the nouns of [`net`], [`queue`], [`bus`] and
/// [`service`]. Each is made of the blocking one, or as that is, and has its engine below.
///
/// # Platform-specific behavior
/// Unix alone: elsewhere this is empty.
#[cfg(feature = "tokio")]
pub mod tokio {
    // Those of services are named by themselves, since they are behind one type here, whatever carries them.
    #[cfg(all(unix, not(crossing_os_stub)))]
    pub use crate::service::tokio::{Call, Client, Replies, ReplyStream, Request, Server};
    #[cfg(all(unix, not(crossing_os_stub)))]
    pub use crossing_bus::tokio::*;
    #[cfg(all(unix, not(crossing_os_stub)))]
    pub use crossing_net::tokio::*;
    #[cfg(all(unix, not(crossing_os_stub)))]
    pub use crossing_queue::tokio::*;
}

pub mod service;

/// Topics: publish and subscribe over shared memory.
pub mod bus {
    pub use crossing_bus::*;
}

/// Queues behind one API: those of the kernel.
pub mod queue {
    pub use crossing_queue::*;
}

/// System V and POSIX objects, and the kernel objects of Windows, for exchanging data with programs that know nothing of
/// Crossing.
///
/// # Platform-specific behavior
/// [`kernel_object`](foreign::kernel_object) is Windows alone, the rest Unix alone; everywhere all of it compiles, and what
/// the system has not is [`Unsupported`](ErrorKind::Unsupported).
pub mod foreign {
    pub use crossing_sys::{kernel_object, named_semaphore, sysv};

    /// Removes the name of a POSIX shared memory object; processes that have it mapped keep their memory.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    ///
    /// # Platform-specific behavior
    /// Unix: shm_unlink(3). Elsewhere: [`Unsupported`](crate::ErrorKind::Unsupported).
    pub fn remove_posix_memory(name: &str) -> crate::Result<()> {
        crossing_sys::memory::MemoryFile::unlink_posix(name)
    }
}

/// Clocks and life of processes.
pub mod process {
    pub use crossing_sys::process::*;
}

/// Who may open a named object.
pub use crossing_sys::file::Access;
