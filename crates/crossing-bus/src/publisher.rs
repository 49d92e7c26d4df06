//! The publishing side.
//!
//! The truth about the next position is the publisher's own; `limit` caches how far it may go before it must look at the
//! subscribers' cursors again, so that most messages look at none.

use crate::error::{SendError, TrySendError};
use crate::member::{self, Home, Reader, Role};
use crate::options::Terms;
use crate::payload::Payload;
use crossing_ring::broadcast::RingWriter;
use crossing_sync::Until;
use crossing_sys::Result;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// How long a publisher sleeps before it looks by itself who lives.
const SLICE: Duration = Duration::from_millis(100);

/// Publishes to a topic. One thread at a time; each publisher has a ring of its own.
pub struct Publisher<T: Payload + ?Sized> {
    // Dropped before the home: the bells of others.
    readers: Vec<Reader>,
    ring: RingWriter,
    terms: Terms,
    news: u32,
    /// Positions below this may be written without another look.
    limit: u64,
    slowest: u32,
    home: Home,
    payload: PhantomData<fn(&T)>,
}

impl<T: Payload + ?Sized> Publisher<T> {
    pub(crate) fn join(topic: &str, terms: &Terms) -> Result<Self> {
        let (home, ring) = Home::publish(topic, terms)?;
        let mut publisher = Self {
            readers: Vec::new(),
            ring,
            terms: *terms,
            news: home.bell.news().wrapping_sub(1),
            limit: 0,
            slowest: 0,
            home,
            payload: PhantomData,
        };
        publisher.look(true)?;
        for reader in &publisher.readers {
            reader.bell.tell();
        }
        Ok(publisher)
    }

    /// Looks who is there. At joining a member that disagrees is an error; one that comes later fails by itself.
    #[cold]
    fn look(&mut self, joining: bool) -> Result<()> {
        self.news = self.home.bell.news();
        let found = member::look(&self.home.topic)?;
        member::tidy(&self.home.topic, &found);
        self.readers.retain(|reader| reader.bell.is_alive());
        for one in found.iter().filter(|one| one.role == Role::Subscriber && !one.stale) {
            if self.readers.iter().any(|reader| reader.number == one.number) {
                continue;
            }
            match Reader::open(&self.home.topic, one.number, &self.terms.shape, self.ring.position()) {
                Ok(reader) => self.readers.extend(reader),
                Err(error) if joining => return Err(error),
                Err(_) => {}
            }
        }
        self.limit = 0;
        Ok(())
    }

    #[inline]
    fn hear(&mut self) -> Result<()> {
        if self.home.bell.news() == self.news { Ok(()) } else { self.look(false) }
    }

    /// The position of the slowest living subscriber, or the next one.
    #[cold]
    fn gate(&mut self) -> u64 {
        let mut least = self.ring.position();
        for reader in &mut self.readers {
            let read = reader.cursors.position(self.home.key, &mut reader.hint);
            // A position that was not published yet is a lie, which holds up nobody.
            let position = read.unwrap_or(reader.found_at).min(self.ring.position());
            if position < least {
                (least, self.slowest) = (position, reader.cursors.header().pid());
            }
        }
        least
    }

    #[inline]
    fn has_room(&mut self) -> bool {
        if !self.terms.blocks || self.ring.position() < self.limit {
            return true;
        }
        self.limit = self.gate().saturating_add(u64::from(self.ring.depth()));
        self.ring.position() < self.limit
    }

    /// How many subscribers there are, as far as this publisher knows.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.readers.len()
    }

    /// How many messages it has published.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// This publisher's number, which its samples show.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.home.key
    }

    /// Publishes a copy of `message`. With [`Overflow::Block`](crate::Overflow::Block) it waits for the slowest living
    /// subscriber.
    ///
    /// # Errors
    /// `TooLarge`, `Os`.
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<(), SendError> {
        self.send_until(message, Until::Never)
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut` with the slowest subscriber's process; `TooLarge`, `Os`.
    #[inline]
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.send_until(message, Until::after(timeout))
    }

    /// As [`send`](Self::send), waiting at most until `deadline`.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    #[inline]
    pub fn send_deadline(&mut self, message: &T, deadline: Instant) -> Result<(), SendError> {
        self.send_until(message, Until::At(deadline))
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    /// `Full` with the slowest subscriber's process; `TooLarge`, `Os`.
    #[inline]
    pub fn try_send(&mut self, message: &T) -> Result<(), TrySendError> {
        self.send_until(message, Until::Now).map_err(|error| match error {
            SendError::TimedOut { slowest } => TrySendError::Full { slowest },
            SendError::TooLarge { len, max } => TrySendError::TooLarge { len, max },
            SendError::Os(error) => TrySendError::Os(error),
        })
    }

    #[inline]
    fn send_until(&mut self, message: &T, until: Until) -> Result<(), SendError> {
        let bytes = message.bytes();
        if bytes.len() > self.ring.max_len() {
            return Err(SendError::TooLarge { len: bytes.len() as u64, max: self.ring.max_len() as u64 });
        }
        if let Some(error) = self.home.forked() {
            return Err(SendError::Os(error));
        }
        self.hear().map_err(SendError::Os)?;
        if !self.has_room() {
            self.wait(until, |publisher| publisher.has_room()).map_err(SendError::Os)?;
            if !self.has_room() {
                return Err(SendError::TimedOut { slowest: self.slowest });
            }
        }
        self.ring.publish(bytes);
        for reader in &self.readers {
            reader.bell.ring();
        }
        Ok(())
    }

    /// Sleeps until `done` or `until`; subscribers ring when they have read an eighth of the ring, or everything. Who
    /// died is looked for at the end of each slice, and before the time is up.
    #[cold]
    fn wait(&mut self, until: Until, done: impl Fn(&mut Self) -> bool) -> Result<()> {
        let mut looked = Instant::now();
        loop {
            let ticket = self.home.bell.prepare();
            self.hear()?;
            if done(self) {
                return Ok(());
            }
            let over = until.passed();
            if over || looked.elapsed() >= SLICE {
                looked = Instant::now();
                if self.readers.iter().any(|reader| !reader.bell.is_alive()) {
                    // Forgets them, and removes what they left.
                    self.look(false)?;
                    continue;
                }
            }
            if over {
                return Ok(());
            }
            let slice = Instant::now() + SLICE;
            let deadline = if let Until::At(at) = until { at.min(slice) } else { slice };
            self.home.bell.wait(ticket, Some(deadline));
        }
    }

    /// Sleeps until a subscriber came or went, or until `deadline`; it may also end early. Nothing is published.
    ///
    /// # Errors
    /// The operating system's.
    pub fn await_news(&mut self, deadline: Option<Instant>) -> Result<()> {
        let before = self.readers.len();
        let until = deadline.map_or(Until::Never, Until::At);
        self.wait(until, |publisher| publisher.readers.len() != before)
    }

    /// Waits until all living subscribers have read everything, at most `timeout`; whether they have.
    ///
    /// # Errors
    /// The operating system's.
    pub fn flush(&mut self, timeout: Duration) -> Result<bool> {
        let done = |publisher: &mut Self| publisher.gate() == publisher.ring.position();
        self.wait(Until::after(timeout), done)?;
        Ok(done(self))
    }
}

impl<T: Payload + ?Sized> Drop for Publisher<T> {
    fn drop(&mut self) {
        if self.home.bell.is_forked() {
            return;
        }
        // Nobody can be told of a failure here.
        if self.ring.position() > 0 && !self.terms.linger.is_zero() {
            let _ = self.flush(self.terms.linger);
        }
        if self.readers.iter().any(|reader| !reader.bell.is_alive()) {
            let _ = self.look(false);
        }
        for reader in &self.readers {
            reader.bell.tell();
        }
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("topic", &self.home.topic)
            .field("position", &self.ring.position())
            .finish_non_exhaustive()
    }
}
