//! Messages that have arrived in order and were not taken by the application yet.

use super::outbound::cost;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Inbound {
    bytes: Vec<u8>,
    start: usize,
    lens: VecDeque<usize>,
    cost: usize,
}

impl Inbound {
    /// Keeps a message; `false` when more wait than `window` lets. One alone may always wait.
    pub(crate) fn push(&mut self, payload: &[u8], window: usize) -> bool {
        let cost = cost(payload.len());
        if !self.lens.is_empty() && self.cost.saturating_add(cost) > window {
            return false;
        }
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(payload);
        self.lens.push_back(payload.len());
        self.cost += cost;
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    /// What the next message costs in the window; 0 when there is none.
    pub(crate) fn front_cost(&self) -> usize {
        self.lens.front().map_or(0, |len| cost(*len))
    }

    /// The next message; its bytes stay until the next call of a method that changes this.
    pub(crate) fn pop(&mut self) -> Option<&[u8]> {
        let len = self.lens.pop_front()?;
        self.cost -= cost(len);
        let from = self.start;
        self.start += len;
        Some(&self.bytes[from..from + len])
    }
}
