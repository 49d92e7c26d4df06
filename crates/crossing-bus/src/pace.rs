//! Whether messages come one at a time, or in a flow.
//!
//! One that waits for single messages looks at the slot that is written next: that is the first place to show it. But each
//! look takes that line from the publisher, who then waits for it with each message. In a flow one rests first, and then
//! looks at the tail of the ring: so several messages are there at once, and the publisher is left alone meanwhile. How long it
//! rests follows from how many there were.
//!
//! Which of the two it is cannot be seen by one who always looks first: so it is found out by resting a moment once in
//! [`TRIAL`] messages, and by finding several in a row without having waited.
//!
//! A flow is also where it matters whose caches the ring's lines are in. What was read stays in the reader's caches, and who writes
//! it again must take it back from there, line by line; on some machines that takes several times as long as to fetch it from
//! memory, on others less. So the reader may send each line away once it has read it, and finds out which is faster: it times so
//! many messages one way and the other, goes the faster way for a while, and tries again.

use std::time::{Duration, Instant};

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
/// As many messages at once as a rest should bring, and part of the ring; twice as many are too many. Who reads closely behind the
/// publisher fetches lines that are not written yet, as processors do who see one line after the other being read.
const ENOUGH: u64 = 64;
const ENOUGH_OF_RING: u64 = 4;

/// How many messages are timed.
const WINDOW: u32 = 2048;
/// For how many of these the faster way is gone.
const CHOSEN: u32 = 64;

/// What is being found out about sending lines away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// How long it takes if they stay.
    #[default]
    Staying,
    /// How long it takes if they are sent away, against that.
    Away(Duration),
    /// Nothing: it is known.
    Known,
}

#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// How many pauses one rests; 0: it is no flow.
    rest: u32,
    streak: u32,
    waits: u32,
    /// Messages since `since`.
    count: u32,
    /// When this window began, if nothing interrupted it.
    since: Option<Instant>,
    /// Whether it rested in this window.
    rested: bool,
    stage: Stage,
    /// So many windows pass before the stage looks at one.
    pass: u32,
    away: bool,
}

impl Pace {
    /// Whether it is a flow.
    #[inline]
    pub(crate) fn flows(&self) -> bool {
        self.rest > 0
    }

    /// Whether the lines of what was read are to be sent away.
    #[inline]
    pub(crate) fn sends_away(&self) -> bool {
        self.away && self.flows()
    }

    /// A message was taken; whether it was the last of a window of which one [judges](Self::judge) then. Who did not rest in it is
    /// not held up by the publisher: there is nothing to gain, and no clock to be read.
    #[inline]
    pub(crate) fn took(&mut self) -> bool {
        self.count += 1;
        self.count >= WINDOW && self.ends_window()
    }

    #[cold]
    fn ends_window(&mut self) -> bool {
        self.count = 0;
        if !self.rested {
            self.since = None;
        }
        std::mem::take(&mut self.rested)
    }

    /// At the end of a window; `may`: lines can be sent away, and nobody else reads them.
    #[cold]
    pub(crate) fn judge(&mut self, now: Instant, may: bool) {
        let time = self.since.replace(now).map(|since| now.duration_since(since));
        if !may || !self.flows() {
            (self.away, self.stage, self.pass) = (false, Stage::default(), 0);
            return;
        }
        let Some(time) = time else { return };
        if self.pass > 0 {
            self.pass -= 1;
            return;
        }
        // After each change one window passes: what is in the ring yet was left by the other way.
        (self.stage, self.away, self.pass) = match self.stage {
            Stage::Staying => (Stage::Away(time), true, 1),
            Stage::Away(staying) => (Stage::Known, time < staying - staying / 8, CHOSEN),
            Stage::Known => (Stage::Staying, false, u32::from(self.away)),
        };
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

    /// After a rest there were so many, in a ring that keeps `depth`.
    pub(crate) fn brought(&mut self, count: u64, depth: u32) {
        self.rested = true;
        let enough = (u64::from(depth) / ENOUGH_OF_RING).clamp(1, ENOUGH);
        let rest = match count {
            _ if count < enough => self.rest * 2,
            _ if count > 2 * enough => self.rest / 2,
            _ => self.rest,
        };
        // Even the longest rest brings but one or two: they come one at a time.
        self.rest =
            if rest > *RESTS.end() && count <= 2 { 0 } else { rest.clamp(*RESTS.start(), *RESTS.end()) };
        self.streak = 0;
    }

    /// It is no flow, and there is nothing: waits a moment now and then, so that more may come.
    pub(crate) fn try_waiting(&mut self) {
        (self.streak, self.count, self.since) = (0, 0, None);
        self.waits = self.waits.wrapping_add(1);
        if self.waits.is_multiple_of(TRIAL) {
            (0..TRIAL_PAUSES).for_each(|_| std::hint::spin_loop());
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
