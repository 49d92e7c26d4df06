//! Kernel objects that any Windows program can open by name: mutexes, semaphores, events, file mappings.
//!
//! They are what `CreateMutexW`, `CreateSemaphoreW`, `CreateEventW` and `CreateFileMappingW` make, and programs in any
//! language open them. An object is gone with its last handle, also that of a killed process: no name is ever left
//! behind.
//!
//! All kinds share one table of names. Creating is exclusive: an object that somebody made before is
//! [`ErrorKind::AlreadyExists`] and never silently taken for one's own, whoever made it and whatever its access.
//!
//! # Platform-specific behavior
//! Windows alone. Elsewhere every call that creates or opens is [`ErrorKind::Unsupported`]: the mechanisms that foreign
//! programs open there are [`crate::named_semaphore`], [`crate::memory`] (`posix:`) and [`crate::sysv`] (`sysv:`).
//!
//! Source: "Synchronization Objects", "File Mapping" and "Kernel object namespaces" of the Windows SDK.

mod event;
mod mapping;
mod mutex;
mod semaphore;

pub use event::{NamedEvent, Reset};
pub use mapping::{MappingOptions, NamedMapping};
pub use mutex::{Acquired, Held, NamedMutex};
pub use semaphore::NamedSemaphore;

use crate::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

/// The longest name, in UTF-16 units, without the namespace.
pub const MAX_NAME_LEN: usize = 240;

/// Who may see a name at all. Who of these may open the object is said by its [`Access`](crate::file::Access).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// Programs of the same login session: `Local\NAME`, or `NAME` alone as most programs write it.
    #[default]
    Local,
    /// Programs of all sessions, services among them: `Global\NAME`. To create a mapping there takes the privilege
    /// SeCreateGlobalPrivilege, which services and administrators have.
    Global,
}

impl Namespace {
    /// The name as the operating system takes it.
    #[must_use]
    pub fn qualify(self, name: &str) -> String {
        match self {
            Self::Local => format!("Local\\{name}"),
            Self::Global => format!("Global\\{name}"),
        }
    }
}

/// `name` with its namespace, if it is one that the system takes.
fn checked(operation: &'static str, namespace: Namespace, name: &str) -> Result<String> {
    let wrong = if name.is_empty() {
        "the name is empty"
    } else if name.contains('\\') {
        "the name has a backslash"
    } else if name.contains('\0') {
        "the name has a NUL character"
    } else if name.encode_utf16().count() > MAX_NAME_LEN {
        "the name is longer than 240 UTF-16 units"
    } else {
        return Ok(namespace.qualify(name));
    };
    Err(Error::new(ErrorKind::ApiMisuse, operation, name).detail(wrong).fix(
        "use at most 240 characters without a backslash, and give the namespace apart, as Namespace::Global",
    ))
}

/// The end of a wait of `timeout`; `None` if that is beyond what the clock counts.
fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

#[cfg(test)]
#[path = "kernel_object_tests.rs"]
mod tests;
