//! The numbered frames that the peer has not acknowledged yet, as bytes ready to go.

use super::message::Message;
use std::collections::VecDeque;

/// What each frame costs in a window beyond its payload, in bytes, so that many small ones are bounded too.
pub(crate) const FRAME_COST: usize = 64;

/// What a payload costs in a window.
pub(crate) fn cost(payload_len: usize) -> usize {
    payload_len.saturating_add(FRAME_COST)
}

#[derive(Debug)]
struct Entry {
    /// Where the frame ends, counted from the first byte of the session.
    end: u64,
    cost: usize,
}

/// Frames `base..next`; those before the cursor have gone to the connection of now.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// Bytes of the frames, those before `start` are done with.
    bytes: Vec<u8>,
    start: usize,
    /// Position of `bytes[start]` in the session.
    start_at: u64,
    entries: VecDeque<Entry>,
    base: u64,
    cost: usize,
    /// How many frames from `base` on the peer's window lets go, and what they cost.
    allowed: usize,
    allowed_cost: usize,
    window: usize,
    /// Position in the session of the next byte to go, and the number of the frame that it is in.
    cursor: u64,
    cursor_seq: u64,
}

impl Outbound {
    /// The number that the next frame gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The first number that is not acknowledged.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// What is kept costs this.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// How many frames have gone whole to the connection of now or an earlier one and count as sent.
    pub(crate) fn sent_seq(&self) -> u64 {
        self.cursor_seq
    }

    pub(crate) fn push(&mut self, message: &Message<'_>, payload_len: usize) {
        // Room from the front is used before the buffer grows.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        message.encode(&mut self.bytes);
        let end = self.start_at + (self.bytes.len() - self.start) as u64;
        let cost = cost(payload_len);
        self.cost += cost;
        self.entries.push_back(Entry { end, cost });
        self.allow();
    }

    /// Takes the acknowledgement of all frames before `ack`; those that it names again are passed over. `false` when it
    /// names frames that have not gone.
    pub(crate) fn acknowledge(&mut self, ack: u64) -> bool {
        if ack > self.cursor_seq {
            return false;
        }
        while self.base < ack {
            let Some(entry) = self.entries.pop_front() else { return false };
            self.base += 1;
            self.cost -= entry.cost;
            // Whatever has gone was allowed.
            self.allowed = self.allowed.saturating_sub(1);
            self.allowed_cost = self.allowed_cost.saturating_sub(entry.cost);
            self.start += (entry.end - self.start_at) as usize;
            self.start_at = entry.end;
        }
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        self.allow();
        true
    }

    /// Goes on at frame `seq` on a new connection, whose peer lets `window` bytes wait. `false` when that frame is none
    /// that is kept or comes next.
    pub(crate) fn rewind(&mut self, seq: u64, window: usize) -> bool {
        let Some(index) = seq.checked_sub(self.base).and_then(|index| usize::try_from(index).ok()) else {
            return false;
        };
        if index > self.entries.len() {
            return false;
        }
        self.cursor_seq = seq;
        self.cursor = match index.checked_sub(1) {
            Some(before) => self.entries[before].end,
            None => self.start_at,
        };
        self.window = window;
        // What went already occupies the window of the peer, whatever it costs.
        self.allowed = index;
        self.allowed_cost = self.entries.iter().take(index).map(|entry| entry.cost).sum();
        self.allow();
        true
    }

    fn allow(&mut self) {
        while let Some(entry) = self.entries.get(self.allowed) {
            if self.allowed > 0 && self.allowed_cost + entry.cost > self.window {
                break;
            }
            self.allowed += 1;
            self.allowed_cost += entry.cost;
        }
    }

    /// Whether the cursor stands between two frames.
    pub(crate) fn at_boundary(&self) -> bool {
        let index = (self.cursor_seq - self.base) as usize;
        let begin = match index.checked_sub(1) {
            Some(before) => self.entries[before].end,
            None => self.start_at,
        };
        self.cursor == begin
    }

    /// The bytes to go: the rest of the frame under the cursor, or with `all` everything that the window lets go.
    pub(crate) fn pending(&self, all: bool) -> &[u8] {
        let index = (self.cursor_seq - self.base) as usize;
        if index >= self.allowed {
            return &[];
        }
        let last = if all { self.allowed - 1 } else { index };
        let from = self.start + (self.cursor - self.start_at) as usize;
        let to = self.start + (self.entries[last].end - self.start_at) as usize;
        &self.bytes[from..to]
    }

    /// Says that `len` bytes of [`pending`](Self::pending) went.
    pub(crate) fn consume(&mut self, len: usize) {
        self.cursor += len as u64;
        let mut index = (self.cursor_seq - self.base) as usize;
        while self.entries.get(index).is_some_and(|entry| entry.end <= self.cursor) {
            index += 1;
        }
        self.cursor_seq = self.base + index as u64;
    }
}
