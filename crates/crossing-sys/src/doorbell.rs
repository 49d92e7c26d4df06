//! Doorbells: what an event loop waits on, rung by other processes that find it by a number.
//!
//! A waiter hangs a [`Doorbell`] on the [`Porch`] of some shared memory and gives its handle to `epoll`, `poll`, `kqueue`,
//! tokio or `WaitForMultipleObjects`. Whoever made what it waits for rings by number. Being rung is a hint: rung twice is
//! rung once, and a doorbell may be rung for no reason. So that a ringer who dies before it rings delays nobody for long,
//! a doorbell also has an [alarm](Doorbell::set_alarm): its handle becomes ready by itself at a given time.
//!
//! Source: fifo(7), epoll(7), timerfd_create(2), kqueue(2), `CreateEventW`, `CreateThreadpoolTimer`.
//!
//! # Platform-specific behavior
//! Linux: a FIFO `bell-...` in the directory of the memory's name, together with a timer in an epoll instance, which is the
//! handle. macOS, FreeBSD: the same with kqueue; type-checked only. Windows: an auto-reset event, and a timer of the
//! thread pool that sets it. Elsewhere: unsupported.
//!
//! # Death
//! A FIFO stays when its owner dies. Its name says whose it was ([`owner_of`]), so whoever proves that one dead removes it.

use crate::file::{Access, Handle};
use crate::os::doorbell as os;
use crate::{Error, ErrorKind, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Whether there are doorbells on this system.
pub const SUPPORTED: bool = os::SUPPORTED;

/// Where the doorbells of one piece of shared memory hang.
#[derive(Debug, Clone)]
#[allow(dead_code)] // not every system reads all of it
pub struct Porch {
    pub(crate) directory: PathBuf,
    /// The memory's identity, and what begins the name of each doorbell.
    pub(crate) stem: String,
    pub(crate) access: Access,
}

impl Porch {
    /// The porch of the memory with this identity, which whoever `access` admits may ring at. `directory` is where the
    /// memory's name lives.
    #[must_use]
    pub fn new(directory: &Path, identity: [u8; 16], access: Access) -> Self {
        let stem = identity.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { directory: directory.to_owned(), stem, access }
    }

    /// Hangs up doorbell `number` of `owner`, who has no other of this number.
    ///
    /// # Errors
    /// `PermissionDenied` where this user may make no names: see there; `LimitReached` for too many open handles;
    /// `NotFound` if the memory's name was removed; `Unsupported` on systems without a backend.
    ///
    /// # Platform-specific behavior
    /// Unix: only the user whose runtime directory it is can make names in it; another user, whom a wider
    /// [`Access`] admits, rings but is not rung.
    pub fn hang(&self, owner: u32, number: u32) -> Result<Doorbell> {
        let bell = os::Bell::hang(self, owner, number)
            .map_err(|cause| explained(cause, self.directory.display().to_string()))?;
        let born = crate::fork::generation();
        Ok(Doorbell { bell, porch: self.clone(), owner, number, born, alarm: Mutex::new(None) })
    }

    /// Rings doorbell `number` of `owner`; says whether there is one. One that was rung already stays rung.
    #[must_use]
    pub fn ring(&self, owner: u32, number: u32) -> bool {
        os::ring(self, owner, number)
    }

    /// Removes doorbell `number` of `owner`, who is proven dead.
    pub fn remove(&self, owner: u32, number: u32) {
        os::remove(self, owner, number);
    }

    /// The file name of a doorbell; on Windows the end of its event's name.
    pub(crate) fn name(&self, owner: u32, number: u32) -> String {
        format!("bell-{}-{owner:08x}-{number}", self.stem)
    }
}

fn explained(cause: std::io::Error, subject: String) -> Error {
    let error = Error::os(cause, "hang up doorbell", subject);
    match error.kind() {
        ErrorKind::PermissionDenied => error
            .detail("only the user who owns the directory can be rung there")
            .fix("wait in a thread of its own (recv_timeout), or run as that user"),
        ErrorKind::NotFound => error
            .detail("the name was removed")
            .fix("open the name again; or wait in a thread of its own (recv_timeout)"),
        ErrorKind::Unsupported => error.fix("wait in a thread of its own (recv_timeout)"),
        _ => error,
    }
}

/// Whose doorbell a file of a name's directory is; `None`: it is no doorbell.
#[must_use]
pub fn owner_of(file_name: &OsStr) -> Option<u32> {
    let rest = file_name.to_str()?.strip_prefix("bell-")?;
    let mut parts = rest.split('-');
    let (stem, owner, number) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = stem.len() == 32 && parts.next().is_none() && number.parse::<u32>().is_ok();
    plain.then(|| u32::from_str_radix(owner, 16).ok()).flatten()
}

/// One doorbell, hung up. Dropping it takes it down.
#[derive(Debug)]
pub struct Doorbell {
    bell: os::Bell,
    porch: Porch,
    owner: u32,
    number: u32,
    /// How often the program had forked.
    born: u32,
    /// For when the alarm is set.
    alarm: Mutex<Option<Instant>>,
}

impl Doorbell {
    /// What an event loop waits on: readable (Unix) or signalled (Windows) while it is rung.
    ///
    /// # Platform-specific behavior
    /// Windows: a wait for it, once satisfied, has silenced it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.bell.handle()
    }

    /// Silences it: its handle is no longer ready, unless it is rung again.
    ///
    /// # Errors
    /// The operating system's.
    pub fn silence(&self) -> Result<()> {
        self.bell.silence().map_err(|cause| self.error(cause, "silence doorbell"))
    }

    /// Lets it ring by itself at `at` at the latest. It may ring earlier, at the time of an alarm set before.
    ///
    /// # Errors
    /// The operating system's.
    pub fn set_alarm(&self, at: Instant) -> Result<()> {
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // One that is about to ring anyway stays: mostly there is no call of the system to be made.
        if alarm.is_some_and(|set| set > now && set <= at) {
            return Ok(());
        }
        // Zero would mean "never" to some systems.
        let after = at.saturating_duration_since(now).max(std::time::Duration::from_micros(1));
        self.bell.set_alarm(after).map_err(|cause| self.error(cause, "set alarm of doorbell"))?;
        *alarm = Some(now + after);
        Ok(())
    }

    /// Whether the alarm that was set last has rung, or none was ever set.
    #[must_use]
    pub fn alarm_passed(&self) -> bool {
        let alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        alarm.is_none_or(|set| set <= Instant::now())
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    fn error(&self, cause: std::io::Error, operation: &'static str) -> Error {
        Error::os(cause, operation, self.porch.name(self.owner, self.number))
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        // A forked child is not the one who hung it up.
        if crate::fork::generation() == self.born {
            os::remove(&self.porch, self.owner, self.number);
        }
    }
}

/// Waits until one of `handles` is ready to be read (Unix) or signalled (Windows), or until `deadline` (`None`: without end);
/// gives the place of one that is. For programs without an event loop of their own.
///
/// # Errors
/// The operating system's; `LimitReached` for more handles than it takes at once.
///
/// # Platform-specific behavior
/// Unix: poll(2). Windows: `WaitForMultipleObjects`, of at most 64, which silences the one it gives.
pub fn wait_any(handles: &[&Handle], deadline: Option<Instant>) -> Result<Option<usize>> {
    os::wait_any(handles, deadline).map_err(|cause| Error::os(cause, "wait for", "doorbells"))
}

#[cfg(test)]
#[path = "doorbell_tests.rs"]
mod tests;
