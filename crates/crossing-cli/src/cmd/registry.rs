//! `crossing ls`, `inspect`, `rm`.

use super::names::ObjectName;
use super::target;
use crate::args::{InspectArgs, LsArgs, RmArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{table, write_bytes, write_json, write_line};
use crossing::Bytes;
use crossing::foreign::remove_posix_memory;
use crossing::foreign::sysv::{Key, SharedMemory};
use crossing::queue::Queue;
use crossing::shm::registry::{self, Entry};
use serde::Serialize;

#[derive(Serialize)]
struct EntryJson {
    name: String,
    size: u64,
    state: &'static str,
    creator_pid: Option<u32>,
    participants: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
}

/// Whether somebody living uses it, dead processes left it, or it was made to stay.
fn state_word(entry: &Entry) -> &'static str {
    if entry.problem.is_some() {
        "damaged"
    } else if entry.stale {
        "stale"
    } else if entry.owned || entry.participants.iter().any(|user| user.alive) {
        "live"
    } else {
        "kept"
    }
}

impl From<&Entry> for EntryJson {
    fn from(entry: &Entry) -> Self {
        Self {
            name: entry.name.clone(),
            size: entry.size,
            state: state_word(entry),
            creator_pid: Some(entry.creator_pid).filter(|pid| *pid != 0),
            participants: entry.participants.iter().filter(|user| user.alive).count(),
            mode: None,
        }
    }
}

/// `crossing ls`.
pub fn ls(args: &LsArgs) -> Outcome {
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let entries: Vec<EntryJson> = registry::list()?
        .iter()
        .filter(|entry| entry.name.starts_with(prefix))
        .map(EntryJson::from)
        .collect();
    if args.json {
        write_json(&entries)?;
        return Ok(Exit::Success);
    }
    let mut rows = vec![["NAME", "SIZE", "STATE", "CREATOR", "USERS"].map(str::to_owned).to_vec()];
    for entry in entries {
        let creator = entry.creator_pid.map_or("-".to_owned(), |pid| pid.to_string());
        let size = Bytes(entry.size).to_string();
        rows.push(vec![entry.name, size, entry.state.to_owned(), creator, entry.participants.to_string()]);
    }
    write_bytes(table(&rows).as_bytes())?;
    Ok(Exit::Success)
}

/// `crossing inspect`.
pub fn inspect(args: &InspectArgs) -> Outcome {
    let entry = match ObjectName::parse(&args.name)? {
        ObjectName::Native(name) => EntryJson::from(&registry::inspect(&name)?),
        ObjectName::SystemV(key) => {
            let stat = SharedMemory::open(Key::parse(&key)?)?.stat()?;
            EntryJson {
                name: args.name.clone(),
                size: stat.size,
                state: if stat.attaches > 0 { "attached" } else { "not attached" },
                creator_pid: Some(stat.creator_pid).filter(|pid| *pid != 0),
                participants: usize::try_from(stat.attaches).unwrap_or(usize::MAX),
                mode: Some(format!("{:04o}", stat.mode)),
            }
        }
        ObjectName::Posix(_) => {
            let size = target::open(&args.name, true)?.len() as u64;
            // The system does not say who uses a POSIX segment.
            EntryJson {
                name: args.name.clone(),
                size,
                state: "exists",
                creator_pid: None,
                participants: 0,
                mode: None,
            }
        }
        ObjectName::Queue(name) => return Err(target::not_a_segment(&name)),
    };
    if args.json {
        write_json(&entry)?;
        return Ok(Exit::Success);
    }
    let pid = entry.creator_pid.map_or("none known".to_owned(), |pid| pid.to_string());
    write_line(&format!("name    {}", entry.name))?;
    write_line(&format!("size    {} ({} bytes)", Bytes(entry.size), entry.size))?;
    write_line(&format!("state   {}", entry.state))?;
    write_line(&format!("creator {pid}"))?;
    write_line(&format!("users   {}", entry.participants))?;
    if let Some(mode) = entry.mode {
        write_line(&format!("mode    {mode}"))?;
    }
    Ok(Exit::Success)
}

/// `crossing rm`.
pub fn rm(args: &RmArgs) -> Outcome {
    if args.stale {
        let removed = registry::remove_stale()?;
        for name in &removed {
            write_line(&format!("removed {name}"))?;
        }
        if removed.is_empty() {
            write_line("nothing is stale")?;
        }
        return Ok(Exit::Success);
    }
    let name = args.name.as_deref().ok_or_else(|| Failure::usage("give a name, or --stale"))?;
    match ObjectName::parse(name)? {
        ObjectName::Native(name) => registry::remove(&name)?,
        ObjectName::Posix(name) => remove_posix_memory(&name)?,
        ObjectName::SystemV(key) => SharedMemory::open(Key::parse(&key)?)?.remove()?,
        ObjectName::Queue(endpoint) => Queue::unlink(&endpoint)?,
    }
    Ok(Exit::Success)
}
