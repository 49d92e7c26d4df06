//! Whether messages come one at a time, or in a flow.
//!
//! One that waits for single messages looks at the slot that is written next: that is the first place to show it. But each
//! look takes that line from the publisher, who then waits for it with each message. In a flow one rests first, and then
//! looks at the tail of the ring: so several messages are there at once, and the publisher is left alone meanwhile. How long it
//! rests follows from how many there were.
//!
//! Which of the two it is cannot be seen by one who always looks first: so it is found out by resting a moment once in
//! [`TRIAL`] messages, and by finding several in a row without having waited.

/// How many messages in a row without a wait are a flow.
const STREAK: u32 = 3;
/// One in so many waits is a trial.
const TRIAL: u32 = 256;
/// How many pauses a trial lasts: enough for a few messages between cores that are far apart.
const TRIAL_PAUSES: u32 = 128;
/// How many pauses one rests at first in a flow.
const FIRST: u32 = 32;
/// How many pauses one rests at least and at most in a flow.
const RESTS: std::ops::RangeInclusive<u32> = 8..=256;
/// As many messages at once as a rest should bring; twice as many are too many.
const ENOUGH: u64 = 16;

#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// How many pauses one rests; 0: it is no flow.
    rest: u32,
    streak: u32,
    waits: u32,
}

impl Pace {
    /// Whether it is a flow.
    #[inline]
    pub(crate) fn flows(&self) -> bool {
        self.rest > 0
    }

    /// A look found something without a wait.
    pub(crate) fn found(&mut self) {
        self.streak += 1;
        if self.streak >= STREAK && !self.flows() {
            self.rest = FIRST;
        }
    }

    /// Rests, if it is a flow; whether to look then.
    pub(crate) fn rest(&self) -> bool {
        (0..self.rest).for_each(|_| std::hint::spin_loop());
        self.flows()
    }

    /// After a rest there were so many.
    pub(crate) fn brought(&mut self, count: u64) {
        let rest = match count {
            0..ENOUGH => self.rest * 2,
            _ if count > 2 * ENOUGH => self.rest / 2,
            _ => self.rest,
        };
        // Even the longest rest brings but one or two: they come one at a time.
        self.rest =
            if rest > *RESTS.end() && count <= 2 { 0 } else { rest.clamp(*RESTS.start(), *RESTS.end()) };
        self.streak = 0;
    }

    /// It is no flow, and there is nothing: waits a moment now and then, so that more may come.
    pub(crate) fn try_waiting(&mut self) {
        self.streak = 0;
        self.waits = self.waits.wrapping_add(1);
        if self.waits.is_multiple_of(TRIAL) {
            (0..TRIAL_PAUSES).for_each(|_| std::hint::spin_loop());
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
