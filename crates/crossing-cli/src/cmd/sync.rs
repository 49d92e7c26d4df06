//! `crossing sync`: named primitives for shell scripts and for programs that share nothing else.
//!
//! Each lives in a small segment of its own, named after its kind (`mutex.NAME`), which stays until `crossing rm`.

use super::foreign_semaphore;
use super::names::ObjectName;
use crate::args::{EventCommand, SemaphoreCommand, SyncCommand};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::write_line;
use crossing::shm::Segment;
use crossing::sync::{Acquired, BarrierBroken, BarrierCell, EventCell, MutexCell, SemaphoreCell, SharedCell};
use crossing::{Error, ErrorKind};
use std::ffi::OsString;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

/// Room for any one cell.
const SEGMENT_LEN: usize = 16 << 10;

/// `crossing sync`.
pub fn run(command: SyncCommand) -> Outcome {
    match command {
        SyncCommand::Mutex { name, timeout, command } => mutex(&name, timeout, &command),
        SyncCommand::Semaphore(command) => semaphore(command),
        SyncCommand::Event(command) => event(command),
        SyncCommand::Barrier { name, parties, timeout } => barrier(&name, parties, timeout),
    }
}

/// The cell named `kind.name`, created if it is missing and `create` allows it.
fn cell<C: SharedCell>(kind: &str, name: &str, create: bool) -> Result<(Segment, C::Handle), Error> {
    let full = format!("{kind}.{name}");
    let mut options = Segment::options();
    options.size(SEGMENT_LEN).persist(true);
    let segment = if create { options.open_or_create(&full)? } else { Segment::options().open(&full)? };
    let handle = segment.attach::<C>(0)?;
    Ok((segment, handle))
}

fn timed_out(what: &str, name: &str, timeout: Option<Duration>) -> Failure {
    Failure::timed_out(format!("cannot {what} \"{name}\": timed out after {:?}", timeout.unwrap_or_default()))
}

fn mutex(name: &str, timeout: Option<Duration>, command: &[OsString]) -> Outcome {
    let (_segment, mutex) = cell::<MutexCell<u64>>("mutex", name, true)?;
    let locked = match timeout {
        Some(limit) => mutex.lock_timeout(limit).map_err(|_| timed_out("lock mutex", name, timeout))?,
        None => mutex.lock(),
    };
    if matches!(locked, Acquired::Recovered(_)) {
        // A note for people: whether it can be written changes nothing.
        let _ = writeln!(
            std::io::stderr(),
            "crossing: note: the last process that locked \"{name}\" died holding it"
        );
    }
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("cannot run nothing; give a command after --"));
    };
    let status = Command::new(program).args(arguments).status();
    drop(locked);
    let status = status
        .map_err(|cause| Failure::failed(format!("cannot run \"{}\": {cause}", program.to_string_lossy())))?;
    match status.code() {
        Some(code) => Ok(Exit::Passed(u8::try_from(code).unwrap_or(1))),
        None => Err(Failure::failed(format!("\"{}\" was killed: {status}", program.to_string_lossy()))),
    }
}

fn semaphore(command: SemaphoreCommand) -> Outcome {
    let name = match &command {
        SemaphoreCommand::Create { name, .. }
        | SemaphoreCommand::Post { name, .. }
        | SemaphoreCommand::Wait { name, .. }
        | SemaphoreCommand::Value { name }
        | SemaphoreCommand::Rm { name } => name.clone(),
    };
    match ObjectName::parse(&name)? {
        ObjectName::Native(name) => native_semaphore(&name, &command),
        ObjectName::Posix(name) => foreign_semaphore::posix(&name, &command),
        ObjectName::SystemV(key) => foreign_semaphore::system_v(&key, &command),
        ObjectName::Queue(_) => Err(Failure::usage(format!("\"{name}\" is a queue, not a semaphore"))),
    }
}

fn native_semaphore(name: &str, command: &SemaphoreCommand) -> Outcome {
    if let SemaphoreCommand::Create { value, .. } = command {
        let segment =
            Segment::options().size(SEGMENT_LEN).persist(true).create(&format!("semaphore.{name}"))?;
        let semaphore = segment.attach::<SemaphoreCell>(0)?;
        if *value > 0 {
            semaphore.post(*value).map_err(Failure::failed)?;
        }
        return Ok(Exit::Success);
    }
    if matches!(command, SemaphoreCommand::Rm { .. }) {
        crossing::shm::registry::remove(&format!("semaphore.{name}"))?;
        return Ok(Exit::Success);
    }
    let missing = |error: Error| match error.kind() {
        ErrorKind::NotFound => error.fix(format!("crossing sync semaphore create {name}")),
        _ => error,
    };
    let (_segment, semaphore) = cell::<SemaphoreCell>("semaphore", name, false).map_err(missing)?;
    match command {
        SemaphoreCommand::Post { count, .. } => semaphore.post(*count).map_err(Failure::failed)?,
        SemaphoreCommand::Wait { timeout: Some(limit), .. } => {
            semaphore
                .wait_timeout(*limit)
                .map_err(|_| timed_out("wait for semaphore", name, Some(*limit)))?;
        }
        SemaphoreCommand::Wait { timeout: None, .. } => semaphore.wait(),
        _ => write_line(&semaphore.count().to_string())?,
    }
    Ok(Exit::Success)
}

fn event(command: EventCommand) -> Outcome {
    let (EventCommand::Set { name } | EventCommand::Reset { name } | EventCommand::Wait { name, .. }) =
        &command;
    let (_segment, event) = cell::<EventCell>("event", name, true)?;
    match &command {
        EventCommand::Set { .. } => event.set(),
        EventCommand::Reset { .. } => event.reset(),
        EventCommand::Wait { timeout: Some(limit), .. } => {
            event.wait_timeout(*limit).map_err(|_| timed_out("wait for event", name, Some(*limit)))?;
        }
        EventCommand::Wait { timeout: None, .. } => event.wait(),
    }
    Ok(Exit::Success)
}

fn barrier(name: &str, parties: u32, timeout: Option<Duration>) -> Outcome {
    let (_segment, barrier) = cell::<BarrierCell>("barrier", name, true)?;
    let mut member = barrier.join(parties)?;
    let passed = match timeout {
        Some(limit) => member.wait_timeout(limit),
        None => member.wait(),
    };
    match passed {
        Ok(_) => Ok(Exit::Success),
        Err(BarrierBroken::TimedOut) => Err(timed_out("pass barrier", name, timeout)),
        Err(error) => {
            Err(Failure::failed(format!("cannot pass barrier \"{name}\": {error}; start them all again")))
        }
    }
}
