//! The receiving side.

use crate::error::{RecvError, TryRecvError};
use crate::member::{self, Home, Role, Source};
use crate::options::Terms;
use crate::payload::Payload;
use crate::sample::{Pool, Sample};
use crossing_ring::broadcast::{Cursors, Outcome};
use crossing_sync::Until;
use crossing_sys::Result;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a subscriber sleeps before it looks by itself who is there.
const SLICE: Duration = Duration::from_secs(1);
/// How many messages of one publisher that are no messages are passed over at a time.
const PATIENCE: u32 = 64;

/// Receives what is published to a topic: the messages of each publisher in their order.
pub struct Subscriber<T: Payload + ?Sized> {
    // Dropped before the home: the bells of others.
    sources: Vec<Source>,
    cursors: Cursors,
    terms: Terms,
    news: u32,
    looked: Instant,
    /// The source to look at first.
    turn: usize,
    pool: Arc<Pool>,
    home: Home,
    payload: PhantomData<fn() -> Box<T>>,
}

impl<T: Payload + ?Sized> Subscriber<T> {
    pub(crate) fn join(topic: &str, terms: &Terms) -> Result<Self> {
        let (home, cursors) = Home::subscribe(topic, terms)?;
        let mut subscriber = Self {
            sources: Vec::new(),
            cursors,
            terms: *terms,
            news: 0,
            looked: Instant::now(),
            turn: 0,
            pool: Arc::default(),
            home,
            payload: PhantomData,
        };
        subscriber.look(true)?;
        Ok(subscriber)
    }

    #[cold]
    fn look(&mut self, joining: bool) -> Result<()> {
        self.news = self.home.bell.news();
        self.looked = Instant::now();
        let found = member::look(&self.home.topic)?;
        // Those that left: done with when read to the end, and when no name leads to them any more.
        let named = |number| found.iter().any(|one| one.role == Role::Publisher && one.number == number);
        let cursors = &mut self.cursors;
        self.sources.retain(|source| {
            let keep = named(source.number) || source.is_alive() || source.ring.has(source.next);
            if !keep {
                cursors.end(source.entry);
            }
            keep
        });
        for one in found.iter().filter(|one| one.role == Role::Publisher) {
            if self.sources.iter().any(|source| source.number == one.number) {
                continue;
            }
            match Source::open(&self.home.topic, one.number, &self.terms.shape) {
                Ok(Some(source)) => self.begin(source, joining)?,
                Err(error) if joining => return Err(error),
                _ => {}
            }
        }
        member::tidy(&self.home.topic, &found);
        Ok(())
    }

    /// Begins with a publisher: one that was there before at its present position, one that came later at its first.
    fn begin(&mut self, mut source: Source, before: bool) -> Result<()> {
        let position = if before { source.ring.tail() } else { 0 };
        let Some(entry) = self.cursors.begin(source.ring.header().key(), position) else {
            return Err(crossing_sys::Error::new(
                crossing_sys::ErrorKind::LimitReached,
                "subscribe to topic",
                format!("shm:{}", self.home.topic),
            )
            .detail(format!("more than {} publishers", crossing_ring::broadcast::MAX_RINGS))
            .fix("use several topics"));
        };
        source.entry = entry;
        if let Some(bell) = &source.bell {
            bell.tell();
        }
        if before {
            // From here on the publisher knows of us, but for the one message that it may be publishing at this moment.
            let tail = source.ring.tail();
            let kept = self.terms.history.min(u64::from(source.ring.depth()) - 1);
            source.next = tail.saturating_sub(kept);
        }
        self.cursors.advance(entry, source.next);
        self.sources.push(source);
        Ok(())
    }

    /// How many publishers there are, the dead whose messages are not all read included.
    #[must_use]
    pub fn publishers(&self) -> usize {
        self.sources.len()
    }

    /// Receives the next message, without waiting.
    ///
    /// # Errors
    /// `Empty`, `Os`.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Sample<T>, TryRecvError> {
        if let Some(error) = self.home.forked() {
            return Err(TryRecvError::Os(error));
        }
        if self.home.bell.news() != self.news {
            self.look(false).map_err(TryRecvError::Os)?;
        }
        self.take().ok_or(TryRecvError::Empty)
    }

    #[inline]
    fn take(&mut self) -> Option<Sample<T>> {
        let count = self.sources.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if let Some(sample) = self.take_from(index) {
                self.turn = index + 1;
                return Some(sample);
            }
        }
        None
    }

    #[inline]
    fn take_from(&mut self, index: usize) -> Option<Sample<T>> {
        let source = &mut self.sources[index];
        let before = source.next;
        let mut taken = None;
        for attempt in 0..PATIENCE {
            match T::receive(&source.ring, source.next, &self.pool) {
                Ok(data) => {
                    let missed = std::mem::take(&mut source.missed);
                    let (publisher, position) = (source.ring.header().key(), source.next);
                    source.next = position.wrapping_add(1);
                    taken = Some(Sample { data, publisher, position, missed });
                    break;
                }
                Err(Outcome::Gone) => {
                    // The oldest that is left; further on if that is overwritten as fast as we look.
                    let ahead = u64::from(source.ring.depth()) * u64::from(attempt) / u64::from(PATIENCE);
                    let next = source.ring.oldest().saturating_add(ahead).max(source.next.saturating_add(1));
                    source.missed = source.missed.saturating_add(next - source.next);
                    source.next = next;
                }
                Err(Outcome::Damaged) => {
                    source.missed = source.missed.saturating_add(1);
                    source.next = source.next.saturating_add(1);
                }
                Err(_) => break,
            }
        }
        if source.next != before {
            self.cursors.advance(source.entry, source.next);
            source.owed = true;
        }
        // A publisher that waits is woken for an eighth of its ring, not for each message; it also looks by itself.
        let eighth = u64::from((source.ring.depth() / 8).max(1));
        if source.owed && (taken.is_none() || source.next.is_multiple_of(eighth)) {
            source.owed = false;
            if let Some(bell) = &source.bell {
                bell.ring();
            }
        }
        taken
    }

    /// Receives the next message, waiting for it.
    ///
    /// # Errors
    /// `Os`.
    #[inline]
    pub fn recv(&mut self) -> Result<Sample<T>, RecvError> {
        self.recv_until(Until::Never)
    }

    /// Receives the next message, waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`, `Os`.
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Sample<T>, RecvError> {
        self.recv_until(Until::after(timeout))
    }

    /// Receives the next message, waiting at most until `deadline`.
    ///
    /// # Errors
    /// `TimedOut`, `Os`.
    #[inline]
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Sample<T>, RecvError> {
        self.recv_until(Until::At(deadline))
    }

    #[inline]
    fn recv_until(&mut self, until: Until) -> Result<Sample<T>, RecvError> {
        loop {
            match self.try_recv() {
                Ok(sample) => return Ok(sample),
                Err(TryRecvError::Os(error)) => return Err(RecvError::Os(error)),
                Err(TryRecvError::Empty) => {}
            }
            if until.passed() {
                return Err(RecvError::TimedOut);
            }
            self.sleep(until).map_err(RecvError::Os)?;
        }
    }

    #[cold]
    fn sleep(&mut self, until: Until) -> Result<()> {
        let ticket = self.home.bell.prepare();
        let something = self.home.bell.news() != self.news
            || self.sources.iter().any(|source| source.ring.has(source.next));
        if something {
            return Ok(());
        }
        let slice = Instant::now() + SLICE;
        let deadline = if let Until::At(at) = until { at.min(slice) } else { slice };
        self.home.bell.wait(ticket, Some(deadline));
        if self.looked.elapsed() >= SLICE { self.look(false) } else { Ok(()) }
    }
}

impl<T: Payload + ?Sized> Drop for Subscriber<T> {
    fn drop(&mut self) {
        if self.home.bell.is_forked() {
            return;
        }
        // It wants nothing any more: what dead publishers left may go, if it was the last to want it.
        for source in &self.sources {
            self.cursors.advance(source.entry, source.ring.tail().max(source.next));
            if let Some(bell) = &source.bell {
                bell.tell();
            }
        }
        if self.sources.iter().any(|source| !source.is_alive())
            && let Ok(found) = member::look(&self.home.topic)
        {
            member::tidy(&self.home.topic, &found);
        }
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("topic", &self.home.topic)
            .field("publishers", &self.sources.len())
            .finish_non_exhaustive()
    }
}
