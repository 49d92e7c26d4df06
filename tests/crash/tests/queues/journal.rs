//! What every process notes, in a file that outlives it, and whether it all fits in the end.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Kinds of entries: the first byte of 16. Bytes 1 and 2: priority, redelivered. Bytes 8 to 16: the id.
const SENT: u8 = 1;
const RECEIVED: u8 = 2;
const DISORDER: u8 = 3;
/// Received, whatever became of it: for the order.
const SEEN: u8 = 4;

/// One process's.
pub struct Journal {
    file: File,
    stop: PathBuf,
    looked: Instant,
    stopped: bool,
}

impl Journal {
    pub fn open(directory: &Path, number: u64) -> Self {
        let path = directory.join(number.to_string());
        let file = OpenOptions::new().append(true).create(true).open(path).expect("a journal");
        Self { file, stop: directory.join("stop"), looked: Instant::now(), stopped: false }
    }

    fn note(&mut self, kind: u8, priority: u32, redelivered: bool, id: u64) {
        let mut entry = [0; 16];
        entry[..3].copy_from_slice(&[kind, priority as u8, u8::from(redelivered)]);
        entry[8..].copy_from_slice(&id.to_le_bytes());
        // One write: whole or not at all, whenever this process dies.
        assert_eq!(self.file.write(&entry).expect("noted"), 16);
    }

    pub fn sent(&mut self, id: u64) {
        self.note(SENT, 0, false, id);
    }

    pub fn disorder(&mut self, id: u64) {
        self.note(DISORDER, 0, false, id);
    }

    pub fn seen(&mut self, id: u64, priority: u32, redelivered: bool) {
        self.note(SEEN, priority, redelivered, id);
    }

    pub fn received(&mut self, id: u64, priority: u32, redelivered: bool) {
        self.note(RECEIVED, priority, redelivered, id);
    }

    /// Whether the parent wants an end; asked every few milliseconds.
    pub fn stopped(&mut self) -> bool {
        if !self.stopped && self.looked.elapsed() > Duration::from_millis(5) {
            self.looked = Instant::now();
            self.stopped = self.stop.exists();
        }
        self.stopped
    }
}

/// Everybody's.
pub struct Journals {
    directory: PathBuf,
    count: u64,
    cleared: u64,
}

impl Journals {
    pub fn new(directory: &Path) -> Self {
        std::fs::create_dir(directory).expect("a directory for journals");
        // Number 0 is nobody's.
        Self { directory: directory.to_owned(), count: 0, cleared: 0 }
    }

    /// A number for the next process.
    pub fn enter(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub fn stop(&self) {
        std::fs::write(self.directory.join("stop"), b"").expect("the end announced");
    }

    /// Forgets what was checked.
    pub fn clear(&mut self) {
        let _ = std::fs::remove_file(self.directory.join("stop"));
        for number in self.cleared + 1..=self.count {
            let _ = std::fs::remove_file(self.directory.join(number.to_string()));
        }
        self.cleared = self.count;
    }

    fn entries(&self, number: u64) -> Vec<(u8, u8, bool, u64)> {
        let bytes = std::fs::read(self.directory.join(number.to_string())).unwrap_or_default();
        let (entries, rest) = bytes.as_chunks::<16>();
        assert!(rest.is_empty(), "a torn journal");
        entries
            .iter()
            .map(|entry| {
                let id = u64::from_le_bytes(*entry.last_chunk().expect("16 bytes"));
                (entry[0], entry[1], entry[2] != 0, id)
            })
            .collect()
    }

    /// Sent and received fit.
    pub fn check(&self, stats: &str) {
        let mut sent: HashMap<u64, u32> = HashMap::new();
        let mut disorder: HashMap<u64, ()> = HashMap::new();
        let mut last: HashMap<u64, u64> = HashMap::new();
        let all: Vec<_> =
            (self.cleared + 1..=self.count).map(|number| (number, self.entries(number))).collect();
        for (number, entries) in &all {
            for (kind, _, _, id) in entries {
                match *kind {
                    SENT => {
                        sent.insert(*id, 0);
                        last.insert(*number, *id);
                    }
                    DISORDER => drop(disorder.insert(*id, ())),
                    _ => {}
                }
            }
        }
        let mut firsts: HashMap<u64, u32> = HashMap::new();
        for (_, entries) in &all {
            let mut order: HashMap<(u64, u8), u64> = HashMap::new();
            for (kind, priority, redelivered, id) in entries {
                if *kind == SEEN && !redelivered && !disorder.contains_key(id) {
                    let before = order.insert((id >> 32, *priority), *id);
                    assert!(
                        before.is_none_or(|before| before < *id),
                        "message {id:#x} came after {before:x?}"
                    );
                }
                if *kind != RECEIVED {
                    continue;
                }
                // A sender may have been killed between the commit and its note: one message beyond the last.
                let beyond = last.get(&(id >> 32)).map_or(id & 0xffff_ffff == 0, |last| *id == last + 1);
                match sent.get_mut(id) {
                    Some(count) => *count += 1,
                    None => assert!(beyond, "message {id:#x} was never sent"),
                }
                if !*redelivered {
                    let count = firsts.entry(*id).or_default();
                    *count += 1;
                    assert_eq!(*count, 1, "message {id:#x} came twice unmarked");
                }
            }
        }
        let lost: Vec<_> =
            sent.iter().filter(|(_, count)| **count == 0).map(|(id, _)| format!("{id:#x}")).collect();
        assert!(
            lost.is_empty(),
            "{} of {} messages lost: {:?}; {stats}",
            lost.len(),
            sent.len(),
            &lost[..lost.len().min(9)]
        );
    }
}
