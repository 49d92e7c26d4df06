//! The receiving side.
//!
//! A subscriber that sleeps first says so to each publisher (`Bell::want`), fences for those that do not fence themselves,
//! looks once more, and sleeps on its own bell.

use crate::changes::{Change, ChangeKind, Changes};
use crate::error::{RecvError, TryRecvError};
use crate::member::{self, Home, Role, Source};
use crate::options::{Terms, Waiting};
use crate::pace::Pace;
use crate::payload::Payload;
use crate::sample::Sample;
use crossing_ring::broadcast::{Cursors, Hold, Manner, Memory, Note, Outcome};
use crossing_sync::Until;
use crossing_sys::wait::WaitEnd;
use crossing_sys::{Error, ErrorKind, Result, asymmetric, crash};
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

#[path = "subscriber_poll.rs"]
mod poll;

/// How long a subscriber sleeps before it looks by itself who is there.
const SLICE: Duration = Duration::from_secs(1);
/// The same where a publisher may not see that it sleeps: this process may not fence it.
const BLIND: Duration = Duration::from_millis(2);
/// How often the newest message is looked for that is overwritten meanwhile.
const PATIENCE: u32 = 64;

/// So many messages ahead are brought near, if they are there.
const AHEAD: u64 = 4;

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
    pace: Pace,
    memory: Memory,
    changes: Changes,
    home: Home,
    payload: PhantomData<fn() -> Box<T>>,
}

/// The only length of a message, if there is but one.
fn fixed_len<T: Payload + ?Sized>() -> Option<usize> {
    (T::SIZE != u32::MAX).then_some(T::SIZE as usize)
}

/// The newest message, without becoming a member.
pub(crate) fn peek<T: Payload + ?Sized>(topic: &str, terms: &Terms) -> Result<Option<Sample<T>>> {
    let mut found = member::look(topic, |_| false)?;
    found.retain(|one| one.role == Role::Publisher);
    found.sort_by_key(|one| std::cmp::Reverse(one.number));
    let mut memory = Memory::default();
    let mut manner = Manner { hold: None, memory: &mut memory, len: fixed_len::<T>(), away: false };
    for one in found {
        let Some(mut source) = Source::open(topic, one.number, &terms.shape)? else { continue };
        for _ in 0..PATIENCE {
            let Some(position) = source.ring.tail().checked_sub(1) else { break };
            // Overwritten while it was read: there is a newer one.
            if let Ok(taken) = source.ring.take(position, &mut manner) {
                let publisher = source.ring.header().key();
                return Ok(Some(Sample::new(taken.body, Note { publisher, position, missed: 0 })));
            }
        }
    }
    Ok(None)
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
            pace: Pace::default(),
            memory: Memory::default(),
            changes: Changes::default(),
            home,
            payload: PhantomData,
        };
        subscriber.look(true)?;
        Ok(subscriber)
    }

    fn found(&self) -> Result<Vec<member::Found>> {
        let (home, sources) = (&self.home, &self.sources);
        let knows = |number| sources.iter().any(|one| one.number == number && one.is_alive());
        member::look(&home.topic, |number| home.is_me(number) || knows(number))
    }

    #[cold]
    fn look(&mut self, joining: bool) -> Result<()> {
        self.news = self.home.bell.news();
        self.looked = Instant::now();
        let found = self.found()?;
        let count = found.iter().filter(|one| one.role == Role::Subscriber && !one.stale).count();
        if joining && count > self.terms.figures.max_subscribers as usize {
            let max = self.terms.figures.max_subscribers;
            return Err(Error::new(
                ErrorKind::LimitReached,
                "subscribe to topic",
                format!("shm:{}", self.home.topic),
            )
            .detail(format!("{max} subscribers are there already"))
            .fix("open the topic with more max_subscribers, publishers too"));
        }
        // Those that left: done with when read to the end, and when no name leads to them any more.
        let named = |number| found.iter().any(|one| one.role == Role::Publisher && one.number == number);
        let (cursors, changes) = (&mut self.cursors, &mut self.changes);
        self.sources.retain_mut(|source| {
            let alive = source.is_alive();
            let left = source.ring.has_left();
            if !source.gone && (left || !alive) {
                source.gone = true;
                source.doubt();
                let header = source.ring.header();
                let kind = if left { ChangeKind::Left } else { ChangeKind::Died };
                changes.add(kind, header.key(), header.pid());
            }
            let keep = named(source.number) || alive || source.has_more();
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
                Ok(Some(source)) => {
                    let header = source.ring.header();
                    self.changes.add(ChangeKind::Joined, header.key(), header.pid());
                    self.begin(source, joining)?;
                }
                Err(error) if joining => return Err(error),
                _ => {}
            }
        }
        self.memory.forget();
        member::tidy(&self.home.topic, &found);
        Ok(())
    }

    /// Begins with a publisher: one that was there before at its present position, one that came later at its first.
    fn begin(&mut self, mut source: Source, before: bool) -> Result<()> {
        let position = if before { source.ring.tail() } else { 0 };
        // If the publisher has found us already, it counts on us since then: not since before, whatever its tail was.
        let counted = if before { source.ring.admitted_at(self.home.key) } else { None };
        let position = counted.unwrap_or(position);
        let Some(entry) = self.cursors.begin(source.ring.header().key(), position) else {
            return Err(Error::new(
                ErrorKind::LimitReached,
                "subscribe to topic",
                format!("shm:{}", self.home.topic),
            )
            .detail(format!("more than {} publishers", crossing_ring::broadcast::MAX_RINGS))
            .fix("use several topics"));
        };
        source.entry = entry;
        crash::point("topic.begin.entered");
        if let Some(bell) = &source.bell {
            bell.tell();
        }
        if before {
            // From here on the publisher knows of us, but for the one message that it may be publishing at this moment.
            // What came since the first look is ours, too: the publisher may count on us since it was told.
            let tail = source.ring.tail();
            let left = u64::from(source.ring.keeps()) - 1;
            let kept = self.terms.history.min(left);
            // One that has found us keeps everything since then; another one may be overwriting its oldest.
            let oldest = match counted.or_else(|| source.ring.admitted_at(self.home.key)) {
                Some(counted) => counted,
                None => tail.saturating_sub(left),
            };
            let whole = position.max(oldest);
            source.next = whole.min(tail.saturating_sub(kept));
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

    /// The next one of the changes among the publishers since the subscriber was made, those it found included; `None`
    /// if it knows of no more.
    #[must_use]
    pub fn next_change(&mut self) -> Option<Change> {
        self.changes.next()
    }

    /// How many changes were forgotten because nobody asked: 256 are kept.
    #[must_use]
    pub fn lost_changes(&self) -> u64 {
        self.changes.lost()
    }

    /// Looks who is there, and forgets the dead of whom everything is read. Some system calls for each member.
    ///
    /// # Errors
    /// The operating system's.
    pub fn check(&mut self) -> Result<()> {
        self.look(false)
    }

    /// Receives the next message, without waiting.
    ///
    /// # Errors
    /// `Empty`; `TooManyHeld`; `Os`.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Sample<T>, TryRecvError> {
        loop {
            let index = self.find().map_err(TryRecvError::Os)?.ok_or(TryRecvError::Empty)?;
            match self.take(index) {
                Ok(sample) => return Ok(sample),
                Err(outcome) => self.refused(index, outcome)?,
            }
        }
    }

    /// A publisher that has something new, the one after the last one first.
    #[inline]
    fn find(&mut self) -> Result<Option<usize>> {
        if self.home.bell.is_forked() {
            return Err(self.home.forked());
        }
        if self.home.bell.news() != self.news {
            self.look(false)?;
        }
        if self.turn >= self.sources.len() {
            // There were more.
            self.turn = 0;
        }
        match self.sources.get(self.turn) {
            Some(source) if source.has_known() => Ok(Some(self.turn)),
            _ => Ok(self.search()),
        }
    }

    /// As [`find`](Self::find), where it must look at what the publishers say.
    fn search(&mut self) -> Option<usize> {
        let count = self.sources.len();
        for step in 0..count {
            // Cheaper than a division.
            let at = self.turn + step;
            let index = if at >= count { at - count } else { at };
            let source = &mut self.sources[index];
            let is_ready = if self.pace.flows() { source.is_ready() } else { source.is_ready_now() };
            if is_ready {
                self.pace.found();
                return Some(index);
            }
            if source.owed {
                // Everything was read.
                source.settle();
            }
        }
        None
    }

    /// Takes the next message of a publisher.
    #[inline]
    fn take(&mut self, index: usize) -> Result<Sample<T>, Outcome> {
        let source = &mut self.sources[index];
        let hold = self.terms.in_place.then_some(Hold {
            cursors: &mut self.cursors,
            entry: source.entry,
            key: self.home.key,
        });
        let (len, away) = (fixed_len::<T>(), self.pace.sends_away());
        let mut manner = Manner { hold, memory: &mut self.memory, len, away };
        let position = source.next;
        if source.known_ahead() > AHEAD {
            source.ring.prefetch(position.wrapping_add(AHEAD));
        }
        let taken = source.ring.take(position, &mut manner)?;
        crash::point("topic.receive.taken");
        let missed = source.missed.saturating_add(taken.dropped);
        (source.missed, source.hurry) = (0, 0);
        source.next = position.wrapping_add(1);
        self.cursors.note(source.entry, source.next);
        source.owed = true;
        if source.is_eighth() {
            source.settle();
        }
        self.turn = index + 1;
        let note = Note { publisher: source.key, position, missed };
        if self.pace.took() {
            self.judge();
        }
        Ok(Sample::new(taken.body, note))
    }

    /// Which is faster: to send lines away, or not. Where others read them, too, they stay.
    #[cold]
    fn judge(&mut self) {
        let alone = self.sources.iter().all(|source| source.ring.admitted() <= 1);
        self.pace.judge(Instant::now(), alone && crossing_sys::copy::can_send_away());
    }

    /// What there seemed to be is none: goes on behind it.
    #[cold]
    fn refused(&mut self, index: usize, outcome: Outcome) -> Result<(), TryRecvError> {
        let source = &mut self.sources[index];
        match outcome {
            Outcome::Gone => source.pass(),
            Outcome::Damaged => {
                source.hurry += 1;
                source.miss(1);
                source.next = source.next.saturating_add(1);
            }
            Outcome::NotYet => source.doubt(),
            Outcome::AllHeld => {
                // There was one: who is overtaken again later has not hurried in vain before.
                source.hurry = 0;
                return Err(TryRecvError::TooManyHeld { max: self.terms.figures.max_borrowed });
            }
        }
        self.cursors.miss(source.entry, source.lost);
        self.cursors.note(source.entry, source.next);
        source.owed = true;
        if source.is_vain() {
            // The others have their turn, and whoever waits looks at the clock.
            self.turn = index + 1;
            return Err(TryRecvError::Empty);
        }
        Ok(())
    }

    /// Receives the newest message of each publisher's that came since the last one received, and of those one; older ones
    /// are passed over, and count as read. `None` if nothing came.
    ///
    /// # Errors
    /// `TooManyHeld`; `Os`.
    pub fn latest(&mut self) -> Result<Option<Sample<T>>, TryRecvError> {
        for source in &mut self.sources {
            let newest = source.ring.tail().saturating_sub(1);
            if newest > source.next {
                (source.next, source.missed) = (newest, 0);
                self.cursors.note(source.entry, newest);
                source.owed = true;
            }
        }
        match self.try_recv() {
            Ok(sample) => Ok(Some(sample)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The messages as they come, without end: each step waits. It ends by an error alone.
    pub fn iter(&mut self) -> impl Iterator<Item = Result<Sample<T>, RecvError>> {
        std::iter::from_fn(|| Some(self.recv()))
    }

    /// The messages that are there, without waiting for more.
    pub fn try_iter(&mut self) -> impl Iterator<Item = Sample<T>> {
        std::iter::from_fn(|| self.try_recv().ok())
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
            if let Some(index) = self.find().map_err(RecvError::Os)? {
                let outcome = match self.take(index) {
                    Ok(sample) => return Ok(sample),
                    Err(outcome) => outcome,
                };
                match self.refused(index, outcome) {
                    Err(TryRecvError::Empty) if !until.passed() => {}
                    refused => refused.map_err(RecvError::from_try)?,
                }
            } else if until.passed() {
                return Err(RecvError::TimedOut);
            } else {
                self.wait(until).map_err(RecvError::Os)?;
            }
        }
    }

    #[inline]
    fn has_something(&mut self) -> bool {
        self.home.bell.news() != self.news || self.sources.iter_mut().any(Source::is_ready_now)
    }

    #[inline]
    fn wait(&mut self, until: Until) -> Result<()> {
        match self.terms.waiting {
            Waiting::Sleep => self.sleep(until),
            Waiting::Spin => self.spin(until, SLICE),
            Waiting::Adaptive(time) => {
                self.spin(until, time.min(SLICE))?;
                if self.has_something() { Ok(()) } else { self.sleep(until) }
            }
        }
    }

    /// Looks again and again, at most for `time`; how says `pace.rs`.
    fn spin(&mut self, until: Until, time: Duration) -> Result<()> {
        while self.pace.rest() {
            let found = self
                .sources
                .iter_mut()
                .find_map(|one| one.is_ready().then(|| (one.known_ahead(), one.ring.depth())));
            let (count, depth) = found.unwrap_or((0, u32::MAX));
            self.pace.brought(count, depth);
            if found.is_some() {
                return Ok(());
            }
        }
        self.pace.try_waiting();
        // A look or two need no clock.
        if (0..256).any(|_| self.has_something()) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            for _ in 0..256 {
                if self.has_something() {
                    return Ok(());
                }
            }
            if until.passed() || began.elapsed() >= time {
                break;
            }
        }
        if self.looked.elapsed() >= SLICE { self.look(false) } else { Ok(()) }
    }

    /// Says to each publisher that this one will wait; gives for how long it may trust to be woken.
    fn announce(&self) -> Duration {
        let mut blind = false;
        for source in &self.sources {
            if let Some(bell) = &source.bell {
                bell.want();
                blind |= source.ring.header().is_asymmetric() && !source.ring.is_careful();
            }
        }
        crash::point("topic.sleep.wanted");
        // Those who do not fence now between a message and their look whether somebody sleeps are fenced here.
        if blind && !asymmetric::heavy() { BLIND } else { SLICE }
    }

    #[cold]
    fn sleep(&mut self, until: Until) -> Result<()> {
        let ticket = self.home.bell.prepare();
        let slice = self.announce();
        if self.has_something() {
            return Ok(());
        }
        // It is woken as late as it is to look by itself: the same moment for all sleeps until then, so no clock is read for
        // one that a message ends.
        let due = self.looked + SLICE;
        let due = if slice < SLICE { due.min(Instant::now() + slice) } else { due };
        let deadline = if let Until::At(at) = until { at.min(due) } else { due };
        let end = self.home.bell.wait(ticket, Some(deadline));
        if end == WaitEnd::TimedOut && self.looked.elapsed() >= SLICE { self.look(false) } else { Ok(()) }
    }
}

impl<T: Payload + ?Sized> Drop for Subscriber<T> {
    fn drop(&mut self) {
        if self.home.bell.is_forked() {
            return;
        }
        // It wants nothing any more: what dead publishers left may go, if it was the last to want it. What it holds in
        // place stays, until that is dropped.
        self.cursors.leave();
        crash::point("topic.leave.subscriber");
        for source in &self.sources {
            self.cursors.advance(source.entry, source.ring.tail().max(source.next));
            if let Some(bell) = &source.bell {
                bell.tell();
            }
        }
        if self.sources.iter().any(|source| !source.is_alive())
            && let Ok(found) = self.found()
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
