//! One wait for many things.

use crate::Result;
use crossing_sys::doorbell::wait_any;
use crossing_sys::file::Handle;
use std::time::{Duration, Instant};

/// What became ready: the number that adding it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ready(usize);

/// Waits for many topics, events, queues, timers and foreign handles at once, asleep in the kernel: for programs without an
/// event loop of their own. It takes turns: what is always ready does not hide the others.
///
/// Pollers ring only who waits; so arm each, then look what is there, and only then wait:
///
/// ```
/// use crossing::WaitSet;
/// use crossing::bus::{Event, Topic};
/// use std::time::Duration;
/// # fn main() -> Result<(), crossing::Error> {
/// # let name = format!("doc-wait-set-{}", std::process::id());
/// let topic = Topic::<u64>::options().open(&name)?;
/// let event = Event::options().open(&name)?;
/// let (mut subscriber, mut waiter) = (topic.subscriber()?, event.waiter()?);
/// let pollers = (subscriber.poller()?, waiter.poller()?);
/// let mut set = WaitSet::new();
/// set.add(pollers.0.handle());
/// set.add(pollers.1.handle());
/// let tick = set.add_timer(Duration::from_millis(10));
/// # let publisher = topic.publisher()?;
/// # publisher.send(&7).map_err(|error| error.explain(&name))?;
/// # event.notifier()?.notify(3)?;
/// let (mut seen, mut notified) = (None, false);
/// while seen.is_none() || !notified {
///     subscriber.arm(&pollers.0)?;
///     waiter.arm(&pollers.1)?;
///     seen = subscriber.try_iter().map(|sample| *sample).last().or(seen);
///     notified |= waiter.try_wait()?.is_some_and(|ids| ids.contains(3));
///     if set.wait_timeout(Duration::from_secs(60))? == Some(tick) {
///         // Every 10 milliseconds.
///     }
/// }
/// assert_eq!(seen, Some(7));
/// # Ok(())
/// # }
/// ```
///
/// # Platform-specific behavior
/// Unix: poll(2); a foreign handle is ready when it can be read. Windows: `WaitForMultipleObjects`, of at most 64 handles,
/// which resets the one that it gives.
#[derive(Debug, Default)]
pub struct WaitSet<'a> {
    handles: Vec<(Ready, &'a Handle)>,
    timers: Vec<Timer>,
    added: usize,
    /// Which handle is looked at first.
    turn: usize,
}

#[derive(Debug)]
struct Timer {
    ready: Ready,
    next: Instant,
    every: Duration,
}

impl<'a> WaitSet<'a> {
    /// An empty one, for which waiting only ends in time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn number(&mut self) -> Ready {
        self.added += 1;
        Ready(self.added)
    }

    /// Adds a poller's handle, or any other that can be waited for.
    pub fn add(&mut self, handle: &'a Handle) -> Ready {
        let ready = self.number();
        self.handles.push((ready, handle));
        ready
    }

    /// Adds a timer that is ready every so often, the first time after `every`. Times that were missed are not made up for.
    pub fn add_timer(&mut self, every: Duration) -> Ready {
        let ready = self.number();
        let next = Instant::now() + every;
        self.timers.push(Timer { ready, next, every });
        ready
    }

    /// Forgets what was added as `ready`.
    pub fn remove(&mut self, ready: Ready) {
        self.handles.retain(|(other, _)| *other != ready);
        self.timers.retain(|timer| timer.ready != ready);
    }

    /// Waits until something is ready.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(&mut self) -> Result<Ready> {
        loop {
            if let Some(ready) = self.wait_until(None)? {
                return Ok(ready);
            }
        }
    }

    /// What is ready at this moment.
    ///
    /// # Errors
    /// The operating system's.
    pub fn try_wait(&mut self) -> Result<Option<Ready>> {
        self.wait_until(Some(Instant::now()))
    }

    /// Waits until something is ready, at most `timeout`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Ready>> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// Waits until something is ready, at most until `deadline`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<Option<Ready>> {
        self.wait_until(Some(deadline))
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Result<Option<Ready>> {
        if let Some(ready) = self.timer() {
            return Ok(Some(ready));
        }
        let alarm = self.timers.iter().map(|timer| timer.next).min();
        let until = match (deadline, alarm) {
            (Some(deadline), Some(alarm)) => Some(deadline.min(alarm)),
            (deadline, alarm) => deadline.or(alarm),
        };
        let count = self.handles.len();
        let turn = if count == 0 { 0 } else { self.turn % count };
        let (behind, before) = self.handles.split_at(turn);
        let in_turn: Vec<&(Ready, &Handle)> = before.iter().chain(behind).collect();
        let handles: Vec<&Handle> = in_turn.iter().map(|(_, handle)| *handle).collect();
        match wait_any(&handles, until)?.and_then(|index| Some((index, in_turn.get(index)?.0))) {
            Some((index, ready)) => {
                self.turn = turn + index + 1;
                Ok(Some(ready))
            }
            None => Ok(self.timer()),
        }
    }

    /// The timer that has been due for longest.
    fn timer(&mut self) -> Option<Ready> {
        let now = Instant::now();
        let due = self.timers.iter_mut().filter(|timer| timer.next <= now).min_by_key(|timer| timer.next)?;
        due.next = now + due.every;
        Some(due.ready)
    }
}

#[cfg(test)]
#[path = "wait_set_tests.rs"]
mod tests;
