//! `crossing ls`, `rm`.

use super::names::ObjectName;
use crate::args::{LsArgs, RmArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{table, write_bytes, write_json, write_line};
use crossing::Bytes;
use crossing::bus::inspect;
use crossing::foreign::remove_posix_memory;
use crossing::foreign::sysv::{Key, SharedMemory};
use crossing::queue::Queue;
use crossing::shm::registry::{self, Entry};
use serde::Serialize;

#[derive(Serialize)]
struct RowJson {
    name: String,
    kind: &'static str,
    size: u64,
    state: &'static str,
    creator_pid: Option<u32>,
    participants: usize,
}

/// Whether somebody living uses it, dead processes left it, or it was made to stay.
pub fn state_word(entry: &Entry) -> &'static str {
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

/// What lies in a segment of that schema.
pub fn kind_of(entry: &Entry) -> &'static str {
    if entry.schema == Queue::SEGMENT_SCHEMA { "queue" } else { "segment" }
}

impl From<&Entry> for RowJson {
    fn from(entry: &Entry) -> Self {
        Self {
            name: entry.name.clone(),
            kind: kind_of(entry),
            size: entry.size,
            state: state_word(entry),
            creator_pid: Some(entry.creator_pid).filter(|pid| *pid != 0),
            participants: entry.participants.iter().filter(|user| user.alive).count(),
        }
    }
}

/// One row for all segments of a topic or event; its creator is nobody, its users are its members.
fn gather(rows: Vec<Entry>) -> Vec<RowJson> {
    let mut all: Vec<RowJson> = Vec::new();
    for entry in rows {
        let Some((kind, name)) = inspect::member_of(&entry.name) else {
            all.push(RowJson::from(&entry));
            continue;
        };
        let kind = match kind {
            inspect::Kind::Topic => "topic",
            inspect::Kind::Event => "event",
        };
        // A member of a topic has two segments, of which one is its bell.
        let member = usize::from(entry.owned && !entry.name.contains("/bell-"));
        // Alive if anybody is; stale if there is nothing but what the dead left.
        let state = state_word(&entry);
        match all.last_mut().filter(|last| last.kind == kind && last.name == name) {
            Some(row) => {
                row.size = row.size.saturating_add(entry.memory);
                row.participants += member;
                if state == "damaged" || (row.state == "stale" && state != "stale") {
                    row.state = state;
                }
            }
            None => all.push(RowJson {
                name: name.to_owned(),
                kind,
                size: entry.memory,
                state,
                creator_pid: None,
                participants: member,
            }),
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// `crossing ls`.
pub fn ls(args: &LsArgs) -> Outcome {
    let mut rows = if args.all {
        registry::list()?.iter().map(RowJson::from).collect()
    } else {
        gather(registry::list()?)
    };
    let prefix = args.prefix.as_deref().unwrap_or_default();
    rows.retain(|row| row.name.starts_with(prefix));
    if args.json {
        write_json(&rows)?;
        return Ok(Exit::Success);
    }
    let heads = ["NAME", "KIND", "SIZE", "STATE", "CREATOR", "USERS"];
    let mut lines = vec![heads.map(str::to_owned).to_vec()];
    for row in rows {
        let creator = row.creator_pid.map_or("-".to_owned(), |pid| pid.to_string());
        let (size, users) = (Bytes(row.size).to_string(), row.participants.to_string());
        lines.push(vec![row.name, row.kind.to_owned(), size, row.state.to_owned(), creator, users]);
    }
    write_bytes(table(&lines).as_bytes())?;
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
