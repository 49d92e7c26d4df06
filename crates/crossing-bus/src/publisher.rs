//! The publishing side.
//!
//! The truth about the next position is the publisher's own; `limit` caches how far it may go before it must look at the
//! subscribers' cursors again, so that most messages look at none. Whether somebody sleeps is one word, however many
//! subscribers there are.

use crate::changes::{Change, ChangeKind, Changes};
use crate::error::{LoanError, SendError, TrySendError};
use crate::loan::Loan;
use crate::member::{self, Home, Reader, Role};
use crate::options::{Overflow, Terms};
use crate::payload::Payload;
use crossing_ring::broadcast::{self, Refusal, RingWriter};
use crossing_sync::Until;
use crossing_sys::{Error, ErrorKind, Result, crash};
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

#[path = "publisher_poll.rs"]
mod poll;

/// How long a publisher sleeps before it looks by itself who lives.
const SLICE: Duration = Duration::from_millis(100);

/// How often a publisher looks for room before it sleeps.
const LOOKS: u32 = 8;

/// Publishes to a topic. One thread at a time; each publisher has a ring of its own.
pub struct Publisher<T: Payload + ?Sized> {
    core: RefCell<Core>,
    payload: PhantomData<fn(&T)>,
}

/// What does not depend on the type.
struct Core {
    // Dropped before the home: the bells of others.
    readers: Vec<Reader>,
    ring: RingWriter,
    terms: Terms,
    news: u32,
    /// Positions below this may be written without another look.
    limit: u64,
    slowest: u32,
    /// Messages dropped since the last one that was published, and ever.
    dropped: (u64, u64),
    changes: Changes,
    home: Home,
}

impl Core {
    /// Looks who is there. At joining a member that disagrees is an error; one that comes later fails by itself.
    #[cold]
    fn look(&mut self, joining: bool) -> Result<()> {
        self.news = self.home.bell.news();
        let (home, readers) = (&self.home, &self.readers);
        let knows = |number| readers.iter().any(|one| one.number == number && one.bell.is_alive());
        let found = member::look(&home.topic, |number| home.is_me(number) || knows(number))?;
        member::tidy(&self.home.topic, &found);
        let (ring, changes) = (&self.ring, &mut self.changes);
        self.readers.retain_mut(|reader| {
            let (alive, left) = (reader.bell.is_alive(), reader.cursors.has_left());
            let (key, pid) = (reader.cursors.header().key(), reader.cursors.header().pid());
            if !reader.left && (left || !alive) {
                reader.left = true;
                changes.add(if left { ChangeKind::Left } else { ChangeKind::Died }, key, pid);
            }
            // One that has left may still hold messages, and lives until it has dropped them.
            if !alive {
                ring.expel(key);
            }
            alive
        });
        for one in found.iter().filter(|one| one.role == Role::Subscriber && !one.stale) {
            if self.readers.iter().any(|reader| reader.number == one.number) {
                continue;
            }
            match Reader::open(&self.home.topic, one.number, &self.terms.shape, self.ring.position()) {
                Ok(Some(reader)) => {
                    let header = reader.cursors.header();
                    self.changes.add(ChangeKind::Joined, header.key(), header.pid());
                    self.readers.push(reader);
                }
                Err(error) if joining => return Err(error),
                _ => {}
            }
        }
        // From here on their holds are looked at.
        for reader in self.readers.iter_mut().filter(|reader| !reader.admitted) {
            reader.admitted = self.ring.admit(reader.cursors.header().key());
        }
        self.limit = 0;
        Ok(())
    }

    #[inline]
    fn hear(&mut self) -> Result<()> {
        if self.home.bell.news() == self.news { Ok(()) } else { self.look(false) }
    }

    fn present(&self) -> impl Iterator<Item = &Reader> {
        self.readers.iter().filter(|reader| !reader.left)
    }

    /// The position of the slowest living subscriber, or the next one.
    #[cold]
    fn gate(&mut self) -> u64 {
        let mut least = self.ring.position();
        for reader in self.readers.iter_mut().filter(|reader| !reader.left) {
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
        if self.ring.position() < self.limit || self.terms.overflow == Overflow::DropOldest {
            return true;
        }
        self.limit = self.gate().saturating_add(u64::from(self.ring.keeps()));
        self.ring.position() < self.limit
    }

    /// Whether the next message may be published; `Ok(false)`: it is to be dropped.
    #[inline]
    fn ready(&mut self, until: Until) -> Result<bool, SendError> {
        if self.home.bell.is_forked() {
            return Err(SendError::Os(self.home.forked()));
        }
        self.hear().map_err(SendError::Os)?;
        if self.has_room() { Ok(true) } else { self.full(until) }
    }

    #[cold]
    fn full(&mut self, until: Until) -> Result<bool, SendError> {
        if !matches!(self.terms.overflow, Overflow::Block) {
            // One that is dead, or has left, holds up nobody.
            if self.readers.iter().any(|reader| !reader.bell.is_alive() || reader.cursors.has_left()) {
                self.look(false).map_err(SendError::Os)?;
                if self.has_room() {
                    return Ok(true);
                }
            }
            if self.terms.overflow == Overflow::Fail {
                return Err(SendError::Full { slowest: self.slowest });
            }
            self.dropped = (self.dropped.0.saturating_add(1), self.dropped.1.saturating_add(1));
            self.ring.note_dropped(self.dropped.1);
            return Ok(false);
        }
        // A moment is often enough, and costs less than sleeping. Each look takes the cursor's line away from its owner:
        // with doubling pauses.
        for doubling in 0..LOOKS {
            if until.passed() {
                break;
            }
            (0..1_u32 << doubling).for_each(|_| std::hint::spin_loop());
            if self.has_room() {
                return Ok(true);
            }
        }
        self.wait(until, Self::has_room).map_err(SendError::Os)?;
        if self.has_room() { Ok(true) } else { Err(SendError::TimedOut { slowest: self.slowest }) }
    }

    /// Looks which chunks nobody holds any more.
    #[cold]
    fn reclaim(&mut self) -> bool {
        let (key, readers) = (self.home.key, &mut self.readers);
        self.ring.reclaim(|held| {
            for reader in readers.iter_mut().filter(|reader| reader.admitted) {
                reader.cursors.holds(key, &mut reader.hint, &mut *held);
            }
        })
    }

    fn too_large(&self, len: usize) -> SendError {
        SendError::TooLarge { len: len as u64, max: self.ring.max_len() as u64 }
    }

    fn all_held(&self) -> Error {
        Error::new(ErrorKind::LimitReached, "publish to topic", format!("shm:{}", self.home.topic))
            .detail("every chunk of the ring is held")
            .fix("give the topic more max_subscribers or max_borrowed")
    }

    /// A loan, of which it is not told whether it may be published.
    #[inline]
    fn loan(&mut self, len: usize) -> Result<broadcast::Loan, LoanError> {
        if self.home.bell.is_forked() {
            return Err(LoanError::Os(self.home.forked()));
        }
        let mut again = true;
        loop {
            match self.ring.loan(len) {
                Ok(loan) => return Ok(loan),
                Err(Refusal::TooMany) => {
                    return Err(LoanError::TooMany { max: self.terms.figures.max_loans });
                }
                Err(Refusal::TooLarge) => {
                    let max = self.ring.max_len() as u64;
                    return Err(LoanError::TooLarge { len: len as u64, max });
                }
                Err(Refusal::AllHeld) if again && self.reclaim() => again = false,
                Err(Refusal::AllHeld) => return Err(LoanError::Os(self.all_held())),
            }
        }
    }

    #[inline(always)] // each call writes what it saves, and stores wait in line behind those to the ring
    fn send(&mut self, bytes: &[u8], until: Until) -> Result<(), SendError> {
        if bytes.len() <= self.ring.max_short() && self.is_plain() {
            self.ring.publish_short(bytes, 0);
            self.tell();
            return Ok(());
        }
        self.send_any(bytes, until)
    }

    /// Whether nothing stands in the way of the next message, and none was dropped before it.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        let has_room = self.ring.position() < self.limit || self.terms.overflow == Overflow::DropOldest;
        has_room && self.dropped.0 == 0 && self.home.bell.news() == self.news && !self.home.bell.is_forked()
    }

    #[inline(never)]
    fn send_any(&mut self, bytes: &[u8], until: Until) -> Result<(), SendError> {
        if bytes.len() > self.ring.max_len() {
            return Err(self.too_large(bytes.len()));
        }
        if !self.ready(until)? {
            return Ok(());
        }
        match self.ring.publish(bytes, self.dropped.0) {
            Ok(()) => {}
            Err(Refusal::TooLarge) => return Err(self.too_large(bytes.len())),
            Err(_) => {
                if !self.reclaim() || self.ring.publish(bytes, self.dropped.0).is_err() {
                    return Err(SendError::Os(self.all_held()));
                }
            }
        }
        self.published();
        Ok(())
    }

    #[inline]
    fn send_loan(&mut self, loan: &mut Option<broadcast::Loan>, until: Until) -> Result<(), SendError> {
        if !self.ready(until)? {
            loan.take().into_iter().for_each(|loan| self.ring.give_back(loan));
            return Ok(());
        }
        if let Some(loan) = loan.take() {
            self.ring.publish_loan(loan, self.dropped.0);
        }
        self.published();
        Ok(())
    }

    #[inline]
    fn published(&mut self) {
        self.dropped.0 = 0;
        self.tell();
    }

    /// Wakes who wants to be woken.
    #[inline]
    fn tell(&mut self) {
        if self.home.bell.is_wanted() {
            self.wake();
        }
    }

    #[cold]
    fn wake(&mut self) {
        self.home.bell.answer();
        self.ring.expect_sleepers();
        crash::point("topic.wake.answered");
        // Who came at this moment wants to be woken, too. A failure is told by the next message.
        let _ = self.hear();
        for reader in &self.readers {
            reader.bell.ring();
            crash::point("topic.wake.rang");
        }
    }

    /// Sleeps until `done` or `until`; subscribers ring when they have read an eighth of the ring, or everything. Who
    /// died is looked for at the end of each slice, and before the time is up.
    #[cold]
    fn wait(&mut self, until: Until, done: impl Fn(&mut Self) -> bool) -> Result<()> {
        let mut looked = Instant::now();
        loop {
            let ticket = self.home.bell.prepare();
            self.hear()?;
            crash::point("topic.wait.prepared");
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

    fn flush(&mut self, timeout: Duration) -> Result<bool> {
        let done = |core: &mut Self| core.gate() == core.ring.position();
        self.wait(Until::after(timeout), done)?;
        Ok(done(self))
    }
}

impl<T: Payload + ?Sized> Publisher<T> {
    pub(crate) fn join(topic: &str, terms: &Terms) -> Result<Self> {
        let (home, ring) = Home::publish(topic, terms)?;
        let mut core = Core {
            readers: Vec::new(),
            ring,
            terms: *terms,
            news: home.bell.news().wrapping_sub(1),
            limit: 0,
            slowest: 0,
            dropped: (0, 0),
            changes: Changes::default(),
            home,
        };
        core.look(true)?;
        for reader in &core.readers {
            crash::point("topic.join.before-tell");
            reader.bell.tell();
        }
        Ok(Self { core: RefCell::new(core), payload: PhantomData })
    }

    /// How many subscribers there are, as far as this publisher knows.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.core.borrow().present().count()
    }

    /// The next one of the changes among the subscribers since the publisher was made, those it found included; `None`
    /// if it knows of no more. A death is noticed within a tenth of a second by a publisher that waits, else by
    /// [`check`](Self::check).
    #[must_use]
    pub fn next_change(&self) -> Option<Change> {
        self.core.borrow_mut().changes.next()
    }

    /// How many changes were forgotten because nobody asked: 256 are kept.
    #[must_use]
    pub fn lost_changes(&self) -> u64 {
        self.core.borrow().changes.lost()
    }

    /// Looks who is there, and forgets the dead. Some system calls for each subscriber.
    ///
    /// # Errors
    /// The operating system's.
    pub fn check(&self) -> Result<()> {
        self.core.borrow_mut().look(false)
    }

    /// How many messages it has published.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.core.borrow().ring.position()
    }

    /// How many messages it has dropped: by [`Overflow::DropNewest`] alone.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.core.borrow().dropped.1
    }

    /// This publisher's number, which its samples show.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.core.borrow().home.key
    }

    /// Publishes a copy of `message`. What happens when a subscriber is too slow says the topic's
    /// [`Overflow`]: with `Block` it waits for the slowest living one.
    ///
    /// # Errors
    /// `TooLarge`, `Os`; `Full` with [`Overflow::Fail`].
    #[inline]
    pub fn send(&self, message: &T) -> Result<(), SendError> {
        self.core.borrow_mut().send(message.bytes(), Until::Never)
    }

    /// As [`send`](Self::send), waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut` with the slowest subscriber's process; else as [`send`](Self::send).
    #[inline]
    pub fn send_timeout(&self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.core.borrow_mut().send(message.bytes(), Until::after(timeout))
    }

    /// As [`send`](Self::send), waiting at most until `deadline`.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    #[inline]
    pub fn send_deadline(&self, message: &T, deadline: Instant) -> Result<(), SendError> {
        self.core.borrow_mut().send(message.bytes(), Until::At(deadline))
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    /// `Full` with the slowest subscriber's process; `TooLarge`, `Os`.
    #[inline]
    pub fn try_send(&self, message: &T) -> Result<(), TrySendError> {
        self.core.borrow_mut().send(message.bytes(), Until::Now).map_err(|error| match error {
            SendError::TimedOut { slowest } | SendError::Full { slowest } => TrySendError::Full { slowest },
            SendError::TooLarge { len, max } => TrySendError::TooLarge { len, max },
            SendError::Os(error) => TrySendError::Os(error),
        })
    }

    #[inline]
    pub(crate) fn send_loan(
        &self,
        loan: &mut Option<broadcast::Loan>,
        until: Until,
    ) -> Result<(), SendError> {
        self.core.borrow_mut().send_loan(loan, until)
    }

    pub(crate) fn give_back(&self, loan: broadcast::Loan) {
        self.core.borrow_mut().ring.give_back(loan);
    }

    /// Sleeps until a subscriber came or went, or until `deadline`; it may also end early. Nothing is published.
    ///
    /// # Errors
    /// The operating system's.
    pub fn await_news(&self, deadline: Option<Instant>) -> Result<()> {
        let before = self.subscribers();
        let until = deadline.map_or(Until::Never, Until::At);
        self.core.borrow_mut().wait(until, |core| core.present().count() != before)
    }

    /// Waits until all living subscribers have read everything, at most `timeout`; whether they have.
    ///
    /// # Errors
    /// The operating system's.
    pub fn flush(&self, timeout: Duration) -> Result<bool> {
        self.core.borrow_mut().flush(timeout)
    }
}

impl<T: Payload> Publisher<T> {
    /// A message to be written in place. Its value at first is not told: that of an old message, or zero.
    ///
    /// # Errors
    /// `TooMany` if `max_loans` are on loan; `Os`.
    #[inline]
    pub fn loan(&self) -> Result<Loan<'_, T>, LoanError> {
        Ok(Loan::new(self, self.core.borrow_mut().loan(size_of::<T>())?))
    }
}

impl Publisher<[u8]> {
    /// A message of `len` bytes to be written in place. What they are at first is not told.
    ///
    /// # Errors
    /// `TooMany` if `max_loans` are on loan; `TooLarge`, `Os`.
    #[inline]
    pub fn loan_slice(&self, len: usize) -> Result<Loan<'_, [u8]>, LoanError> {
        Ok(Loan::new(self, self.core.borrow_mut().loan(len)?))
    }
}

impl Drop for Core {
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
        crash::point("topic.leave.flushed");
        self.ring.leave();
        crash::point("topic.leave.publisher");
        for reader in &self.readers {
            reader.bell.tell();
            crash::point("topic.leave.told");
        }
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.core.borrow();
        f.debug_struct("Publisher")
            .field("topic", &core.home.topic)
            .field("position", &core.ring.position())
            .finish_non_exhaustive()
    }
}
