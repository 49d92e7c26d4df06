//! What every member notes, in a file that outlives it, and whether it all fits in the end.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Kinds of entries: the first byte of 16. Bytes 4 to 8: how many messages were missed. Bytes 8 to 16: the id, which is
/// the publisher's number among the processes (high half) and the message's number (low half).
const SENT: u8 = 1;
const RECEIVED: u8 = 2;

/// One member's.
pub struct Journal {
    file: File,
    directory: PathBuf,
    looked: Instant,
}

impl Journal {
    pub fn open(directory: &Path, number: u64) -> Self {
        let path = directory.join(number.to_string());
        let file = OpenOptions::new().append(true).create(true).open(path).expect("a journal");
        Self { file, directory: directory.to_owned(), looked: Instant::now() }
    }

    fn note(&mut self, kind: u8, missed: u64, id: u64) {
        let mut entry = [0; 16];
        entry[0] = kind;
        entry[4..8].copy_from_slice(&u32::try_from(missed).expect("few are missed").to_le_bytes());
        entry[8..].copy_from_slice(&id.to_le_bytes());
        // One write: whole or not at all, whenever this process dies.
        assert_eq!(self.file.write(&entry).expect("noted"), 16);
    }

    pub fn sent(&mut self, id: u64) {
        self.note(SENT, 0, id);
    }

    pub fn received(&mut self, id: u64, missed: u64) {
        self.note(RECEIVED, missed, id);
    }

    /// Whether the parent has announced `what`; looked for every few milliseconds.
    pub fn is_announced(&mut self, what: &str) -> bool {
        let due = self.looked.elapsed() > Duration::from_millis(5);
        if due {
            self.looked = Instant::now();
        }
        due && self.directory.join(what).exists()
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

    pub fn announce(&self, what: &str) {
        std::fs::write(self.directory.join(what), b"").expect("an announcement");
    }

    /// Forgets what was checked.
    pub fn clear(&mut self) {
        for what in ["stop", "drain"] {
            let _ = std::fs::remove_file(self.directory.join(what));
        }
        for number in self.cleared + 1..=self.count {
            let _ = std::fs::remove_file(self.directory.join(number.to_string()));
        }
        self.cleared = self.count;
    }

    fn entries(&self, number: u64) -> Vec<(u8, u64, u64)> {
        let bytes = std::fs::read(self.directory.join(number.to_string())).unwrap_or_default();
        let (entries, rest) = bytes.as_chunks::<16>();
        assert!(rest.is_empty(), "a torn journal");
        let entry = |entry: &[u8; 16]| {
            let missed = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            (entry[0], u64::from(missed), u64::from_le_bytes(*entry.last_chunk().expect("16 bytes")))
        };
        entries.iter().map(entry).collect()
    }

    /// What was sent and what was received fit. `survivors`: the subscribers that were there before all publishers that
    /// were started later, and that have received everything that there was in the end. How many messages these
    /// received.
    pub fn check(&self, survivors: &[u64], lossless: bool, about: &str) -> u64 {
        let all: Vec<_> =
            (self.cleared + 1..=self.count).map(|number| (number, self.entries(number))).collect();
        // After the last message of each publisher, as it noted itself, and as anybody received it.
        let (mut sent, mut seen) = (HashMap::<u64, u64>::new(), HashMap::<u64, u64>::new());
        for (_, entries) in &all {
            for (kind, _, id) in entries {
                let ends = if *kind == SENT { &mut sent } else { &mut seen };
                let end = ends.entry(id >> 32).or_default();
                *end = (*end).max((id & 0xffff_ffff) + 1);
            }
        }
        for (publisher, end) in &seen {
            // It may have been killed between the commit and its note.
            let noted = sent.get(publisher).copied().unwrap_or_default();
            assert!(*end <= noted + 1, "{about}: {end} of publisher {publisher}, who sent {noted}");
        }
        let mut total = 0;
        for (number, entries) in &all {
            let survived = survivors.contains(number);
            let mut next: HashMap<u64, u64> = HashMap::new();
            for (_, missed, id) in entries.iter().filter(|(kind, ..)| *kind == RECEIVED) {
                let (publisher, sequence) = (id >> 32, id & 0xffff_ffff);
                let known = next.insert(publisher, sequence + 1);
                let was_there = survived && publisher > *number;
                let expected = match known {
                    Some(next) => next,
                    None if was_there => 0,
                    None => sequence.saturating_sub(*missed),
                };
                let what = format!("{about}: subscriber {number}, message {sequence} of {publisher}");
                assert!(sequence >= expected, "{what} came after {expected}");
                assert_eq!(sequence - expected, *missed, "{what}: after {expected}");
                assert!(!lossless || *missed == 0, "{what}: {missed} were lost");
                total += u64::from(survived);
            }
            for (publisher, end) in sent.iter().filter(|(publisher, _)| survived && **publisher > *number) {
                // What anybody received was committed.
                let end = *end.max(seen.get(publisher).unwrap_or(end));
                let read = next.get(publisher).copied().unwrap_or_default();
                // Memory of a dead process that nobody else has opened yet is gone on Windows.
                let was_found = read > 0 || cfg!(unix);
                assert!(
                    read == end || !was_found,
                    "{about}: subscriber {number} got {read} messages of {publisher}, not {end}"
                );
            }
        }
        total
    }
}
