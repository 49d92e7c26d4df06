//! Named events of the Windows kernel.

use super::{Namespace, after, checked};
use crate::Result;
use crate::file::Access;
use crate::os::kernel_object as os;
use std::fmt;
use std::time::{Duration, Instant};

/// What becomes of an event that somebody waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// It stays set, and lets everybody through, until it is reset.
    Manual,
    /// It is reset by letting one waiter through.
    Auto,
}

/// An event that other programs open by name.
///
/// # Platform-specific behavior
/// Windows: CreateEventW, OpenEventW, SetEvent, ResetEvent. Elsewhere: unsupported.
pub struct NamedEvent {
    name: String,
    object: os::Event,
}

impl NamedEvent {
    /// Creates the event `name`, `set` or not.
    ///
    /// # Errors
    /// As [`NamedMutex::create`](super::NamedMutex::create).
    pub fn create(name: &str, namespace: Namespace, reset: Reset, set: bool, access: Access) -> Result<Self> {
        let full = checked("create event", namespace, name)?;
        Ok(Self { object: os::Event::create(&full, reset, set, access)?, name: full })
    }

    /// Opens the event `name`, which somebody created. Whether a wait resets it was said then.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), and as [`NamedEvent::create`].
    pub fn open(name: &str, namespace: Namespace) -> Result<Self> {
        let full = checked("open event", namespace, name)?;
        Ok(Self { object: os::Event::open(&full)?, name: full })
    }

    /// The name, with its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets it, and wakes one waiter ([`Reset::Auto`]) or all ([`Reset::Manual`]). It stays set if nobody waits.
    ///
    /// # Errors
    /// Only if the system refuses.
    pub fn set(&self) -> Result<()> {
        self.object.set(&self.name)
    }

    /// Resets it.
    ///
    /// # Errors
    /// Only if the system refuses.
    pub fn reset(&self) -> Result<()> {
        self.object.reset(&self.name)
    }

    /// Whether it is set now; resets a [`Reset::Auto`] one.
    ///
    /// # Errors
    /// Only if the system refuses to wait.
    pub fn try_wait(&self) -> Result<bool> {
        self.wait_deadline(Some(Instant::now()))
    }

    /// Waits without end until it is set.
    ///
    /// # Errors
    /// As [`NamedEvent::try_wait`].
    pub fn wait(&self) -> Result<()> {
        while !self.wait_deadline(None)? {}
        Ok(())
    }

    /// Waits for at most `timeout` until it is set; says whether it was.
    ///
    /// # Errors
    /// As [`NamedEvent::try_wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_deadline(after(timeout))
    }

    /// Waits until it is set, or until `deadline` (`None`: without end); says whether it was set.
    ///
    /// # Errors
    /// As [`NamedEvent::try_wait`].
    pub fn wait_deadline(&self, deadline: Option<Instant>) -> Result<bool> {
        self.object.wait(&self.name, deadline)
    }
}

impl fmt::Debug for NamedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedEvent").field("name", &self.name).finish_non_exhaustive()
    }
}
