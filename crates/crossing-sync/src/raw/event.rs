//! The event: set or not, with sleepers.
//!
//! # Protocol
//! `word`: bit 0 = SET, bit 31 = SLEEPERS (somebody may sleep on the word while it is exactly SLEEPERS).
//!
//! | step | by | word |
//! |---|---|---|
//! | set (`ORD: event-set (release) <-> event-seen`) | anybody | SET; if SLEEPERS was set: wakes all (manual) or one (auto) |
//! | reset | anybody | SET cleared, SLEEPERS kept |
//! | wait, manual | waiter | sees SET (`ORD: event-seen (acquire) <-> event-set`) and leaves it |
//! | wait, auto | waiter | takes SET by compare-exchange; leaves SLEEPERS if it slept itself, since others may sleep |
//!
//! # Death
//! A setter that dies before waking, or a woken waiter that dies before taking: sleepers look by themselves within
//! 100 ms. Nobody holds an event, so nothing else can be left behind.

use super::TRUSTING;
use crate::atomic::{AtomicU32, Ordering};
use crate::participant::Participant;
use crate::{TimedOut, Until};
use crossing_sys::crash;

/// The words of an event. All zero: not set, manual reset.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawEvent {
    word: AtomicU32,
    /// 0: manual reset, anything else: auto reset.
    auto: AtomicU32,
}

const SET: u32 = 1;
const SLEEPERS: u32 = 1 << 31;

impl RawEvent {
    /// An event that is not set, with manual reset.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0), auto: AtomicU32::new(0) }
    }

    /// Chooses between manual and auto reset; for the creator, before others use it.
    pub fn set_auto(&self, auto: bool) {
        // Relaxed: whoever publishes the segment's name orders it.
        self.auto.store(u32::from(auto), Ordering::Relaxed);
    }

    /// Whether a wait takes the event away again.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        self.auto.load(Ordering::Relaxed) != 0
    }

    /// Whether it is set at this moment.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // ORD: event-seen (acquire) <-> event-set
        self.word.load(Ordering::Acquire) & SET != 0
    }

    /// Sets it and wakes who waits: everybody, or one for auto reset.
    pub fn set(&self, me: &Participant) {
        // ORD: event-set (release) <-> event-seen
        let before = self.word.swap(SET, Ordering::AcqRel);
        crash::point("event.set.swapped");
        if before & SLEEPERS != 0 {
            me.wake(&self.word, if self.is_auto() { 1 } else { u32::MAX });
        }
    }

    /// Takes it back.
    pub fn reset(&self) {
        self.word.fetch_and(!SET, Ordering::AcqRel);
    }

    /// Waits until it is set.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait(&self, me: &Participant, until: Until) -> Result<(), TimedOut> {
        let mut slept = false;
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word & SET != 0 {
                if !self.is_auto() {
                    return Ok(());
                }
                let left = if slept { SLEEPERS } else { word & SLEEPERS };
                crash::point("event.wait.before-take");
                // ORD: event-seen (acquire) <-> event-set
                if self.word.compare_exchange(word, left, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return Ok(());
                }
                continue;
            }
            if until.passed() {
                if slept && self.is_auto() {
                    // A wake that came just as the time ran out belongs to the next sleeper.
                    me.wake(&self.word, 1);
                }
                return Err(TimedOut);
            }
            // Relaxed: a mark for the setter; the sleep compares it again inside the kernel.
            if word != SLEEPERS
                && self.word.compare_exchange(word, SLEEPERS, Ordering::Relaxed, Ordering::Relaxed).is_err()
            {
                continue;
            }
            slept = true;
            me.wait(&self.word, SLEEPERS, until.slice(TRUSTING));
            crash::point("event.wait.woken");
        }
    }
}
