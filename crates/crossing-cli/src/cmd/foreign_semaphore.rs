//! Semaphores of programs that know nothing of Crossing: POSIX named ones and System V sets (their first semaphore).

use crate::args::SemaphoreCommand;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::write_line;
use crossing::foreign::named_semaphore::{self, NamedSemaphore};
use crossing::foreign::sysv::{Key, SemaphoreSet, Undo};
use crossing::{Access, Error, ErrorKind};
use std::time::{Duration, Instant};

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|limit| Instant::now().checked_add(limit))
}

fn timed_out(name: &str, timeout: Option<Duration>) -> Failure {
    let after = timeout.unwrap_or_default();
    Failure::timed_out(format!("cannot wait for semaphore \"{name}\": timed out after {after:?}"))
}

fn advise(error: Error, name: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound if error.advice().is_none() => {
            error.fix(format!("crossing sync semaphore create {name}"))
        }
        _ => error,
    }
}

/// On the POSIX semaphore `name` (with its slash).
pub fn posix(name: &str, command: &SemaphoreCommand) -> Outcome {
    let shown = format!("posix:{name}");
    let open = || NamedSemaphore::open(name).map_err(|error| advise(error, &shown));
    match command {
        SemaphoreCommand::Create { value, .. } => {
            NamedSemaphore::create(name, *value, Access::Private)?;
        }
        SemaphoreCommand::Post { count, .. } => {
            let semaphore = open()?;
            for _ in 0..*count {
                semaphore.post()?;
            }
        }
        SemaphoreCommand::Wait { timeout, .. } => {
            if !open()?.wait_deadline(deadline(*timeout))? {
                return Err(timed_out(&shown, *timeout));
            }
        }
        SemaphoreCommand::Value { .. } => write_line(&open()?.value()?.to_string())?,
        SemaphoreCommand::Rm { .. } => named_semaphore::unlink(name)?,
    }
    Ok(Exit::Success)
}

/// On the first semaphore of the System V set that `key` names.
pub fn system_v(key: &str, command: &SemaphoreCommand) -> Outcome {
    let shown = format!("sysv:{key}");
    let key = Key::parse(key)?;
    let open = || SemaphoreSet::open(key).map_err(|error| advise(error, &shown));
    match command {
        SemaphoreCommand::Create { value, .. } => {
            let value = u16::try_from(*value).map_err(|_| {
                Failure::usage(format!("cannot create \"{shown}\": a System V semaphore counts to 32767"))
            })?;
            SemaphoreSet::create(key, &[value], Access::Private)?;
        }
        SemaphoreCommand::Post { count, .. } => {
            let set = open()?;
            for _ in 0..*count {
                set.post(0, Undo::Never)?;
            }
        }
        SemaphoreCommand::Wait { timeout, .. } => {
            if !open()?.wait_deadline(0, Undo::Never, deadline(*timeout))? {
                return Err(timed_out(&shown, *timeout));
            }
        }
        SemaphoreCommand::Value { .. } => write_line(&open()?.value(0)?.to_string())?,
        SemaphoreCommand::Rm { .. } => open()?.remove()?,
    }
    Ok(Exit::Success)
}
