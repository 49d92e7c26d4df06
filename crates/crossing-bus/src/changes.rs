//! Who came and went.

use std::collections::VecDeque;

/// What another member did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It came, or was there already.
    Joined,
    /// It went by its own will.
    Left,
    /// It died.
    Died,
}

/// A member of the other side came or went: a subscriber for a publisher, a publisher for a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What it did.
    pub kind: ChangeKind,
    /// Its number: random, never 0.
    pub member: u64,
    /// Its process, as it says.
    pub pid: u32,
}

/// The last changes that nobody has asked for yet.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    last: VecDeque<Change>,
    lost: u64,
}

/// As many are kept.
const KEPT: usize = 256;

impl Changes {
    pub(crate) fn add(&mut self, kind: ChangeKind, member: u64, pid: u32) {
        if self.last.len() == KEPT {
            self.last.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.last.push_back(Change { kind, member, pid });
    }

    pub(crate) fn next(&mut self) -> Option<Change> {
        self.last.pop_front()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}
