//! How long to wait before connecting again.

use std::time::Duration;

/// Waits that double from a least to a most, each shortened by chance by up to a half, so that many clients of a server
/// that came back do not come at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
    state: u64,
}

impl Backoff {
    /// Waits from `least` to `most`; `seed` decides the jitter.
    #[must_use]
    pub fn new(least: Duration, most: Duration, seed: u64) -> Self {
        Self { least, most: most.max(least), next: least, state: seed | 1 }
    }

    /// Begins again at the least wait.
    pub fn reset(&mut self) {
        self.next = self.least;
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.most);
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let chance = (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f64 / f64::from(1_u32 << 24);
        Some(whole.mul_f64(1.0 - chance / 2.0))
    }
}

#[cfg(test)]
#[path = "backoff_tests.rs"]
mod tests;
