//! A topic's name and terms.

use crate::payload::Payload;
use crate::publisher::Publisher;
use crate::sample::Sample;
use crate::subscriber::Subscriber;
use crossing_ring::broadcast::{Figures, RingHeader, Shape};
use crossing_sys::file::Access;
use crossing_sys::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// What happens when a subscriber has not read what the next message would overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The oldest message is overwritten; the subscriber is told how many it missed.
    #[default]
    DropOldest,
    /// The publisher waits for the slowest living subscriber: nothing is lost.
    Block,
    /// The new message is dropped; [`Publisher::dropped`] counts it, and so does the next sample's `missed`.
    DropNewest,
    /// Publishing is an error.
    Fail,
}

impl Overflow {
    fn code(self) -> u32 {
        match self {
            Self::DropOldest => 0,
            Self::Block => 1,
            Self::DropNewest => 2,
            Self::Fail => 3,
        }
    }

    pub(crate) fn word(code: u32) -> &'static str {
        ["drop-oldest", "block", "drop-newest", "fail"].get(code as usize).unwrap_or(&"unknown")
    }
}

/// How a subscriber waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Waiting {
    /// It sleeps: no processor time while nothing comes.
    #[default]
    Sleep,
    /// It looks again and again for so long, then sleeps.
    Adaptive(Duration),
    /// It looks again and again: the least delay, and a whole processor.
    Spin,
}

/// A topic by name. It exists where a publisher or a subscriber does; this only says how they meet.
pub struct Topic<T: Payload + ?Sized> {
    pub(crate) name: String,
    pub(crate) terms: Terms,
    payload: PhantomData<fn(&T)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) shape: Shape,
    pub(crate) figures: Figures,
    pub(crate) history: u64,
    pub(crate) linger: Duration,
    pub(crate) access: Access,
    pub(crate) overflow: Overflow,
    pub(crate) waiting: Waiting,
    pub(crate) in_place: bool,
}

/// How a topic is opened.
pub struct TopicOptions<T: Payload + ?Sized> {
    figures: Figures,
    overflow: Overflow,
    schema: u64,
    history: u64,
    linger: Duration,
    access: Access,
    waiting: Waiting,
    in_place: bool,
    payload: PhantomData<fn(&T)>,
}

/// The longest name of a topic, in bytes.
pub(crate) const MAX_NAME_LEN: usize = 60;

impl<T: Payload + ?Sized> Topic<T> {
    /// Options to open a topic with.
    #[must_use]
    pub fn options() -> TopicOptions<T> {
        TopicOptions {
            figures: Figures {
                depth: 64,
                max_len: if T::SIZE == u32::MAX { 8192 } else { T::SIZE },
                max_subscribers: 8,
                max_borrowed: 2,
                max_loans: 2,
            },
            overflow: Overflow::DropOldest,
            schema: 0,
            history: 0,
            linger: Duration::from_secs(1),
            access: Access::Private,
            waiting: Waiting::Sleep,
            in_place: true,
            payload: PhantomData,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new publisher, with a ring of its own.
    ///
    /// # Errors
    /// `Incompatible` if another member of the topic expects another type, schema or policy; the operating system's.
    pub fn publisher(&self) -> Result<Publisher<T>> {
        Publisher::join(&self.name, &self.terms)
    }

    /// A new subscriber, which receives what is published from now on, and as much before as `history` says.
    ///
    /// # Errors
    /// As [`publisher`](Self::publisher).
    pub fn subscriber(&self) -> Result<Subscriber<T>> {
        Subscriber::join(&self.name, &self.terms)
    }

    /// The newest message that a publisher's ring still has; of several publishers', that of the one whose number is
    /// highest. Nobody is told, and nobody waits. It looks for publishers each time: to look often, keep a subscriber and
    /// use [`Subscriber::latest`].
    ///
    /// # Errors
    /// `Incompatible` if a publisher sends another type; the operating system's.
    pub fn latest(&self) -> Result<Option<Sample<T>>> {
        crate::subscriber::peek(&self.name, &self.terms)
    }
}

impl<T: Payload + ?Sized> TopicOptions<T> {
    /// How many messages each publisher's ring has room for: a power of two, 64 unless said otherwise. From 64 on, 4 of them are
    /// always being made ready for the next messages: it keeps 60 of 64, and a publisher that blocks is at most 60 ahead.
    #[must_use]
    pub fn depth(mut self, messages: u32) -> Self {
        self.figures.depth = messages;
        self
    }

    /// The longest message in bytes, for topics of `[u8]`: 8192 unless said otherwise. Each publisher's ring takes
    /// `depth` times as much.
    #[must_use]
    pub fn max_len(mut self, bytes: u32) -> Self {
        self.figures.max_len = bytes;
        self
    }

    /// How many subscribers there may be: 8 unless said otherwise, 256 at most. For messages above 112 bytes each
    /// publisher's ring has room for `max_borrowed` more of them for each.
    #[must_use]
    pub fn max_subscribers(mut self, subscribers: u32) -> Self {
        self.figures.max_subscribers = subscribers;
        self
    }

    /// How many long samples a subscriber may hold at a time: 2 unless said otherwise, 64 at most.
    #[must_use]
    pub fn max_borrowed(mut self, samples: u32) -> Self {
        self.figures.max_borrowed = samples;
        self
    }

    /// How many messages a publisher may have on loan at a time: 2 unless said otherwise, 1024 at most.
    #[must_use]
    pub fn max_loans(mut self, loans: u32) -> Self {
        self.figures.max_loans = loans;
        self
    }

    /// How this process's subscribers wait: asleep unless said otherwise.
    #[must_use]
    pub fn waiting(mut self, waiting: Waiting) -> Self {
        self.waiting = waiting;
        self
    }

    /// Whether this process's subscribers read long messages where their publisher wrote them, which is so unless said
    /// otherwise. A publisher that breaks the rules can change them meanwhile: with `false` every sample is a copy, for
    /// publishers that are not trusted.
    #[must_use]
    pub fn in_place(mut self, in_place: bool) -> Self {
        self.in_place = in_place;
        self
    }

    /// What happens when a subscriber is too slow.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// A number for the meaning of the bytes, the same for all members.
    #[must_use]
    pub fn schema(mut self, schema: u64) -> Self {
        self.schema = schema;
        self
    }

    /// How many older messages of each publisher a new subscriber receives, as far as its ring still has them.
    #[must_use]
    pub fn history(mut self, messages: u64) -> Self {
        self.history = messages;
        self
    }

    /// How long a publisher that is dropped waits until all living subscribers have read its last messages: one second
    /// unless said otherwise.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// Who may join. Members of other users find each other only where the runtime directory is shared.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The topic `name`, which may or may not have members already.
    ///
    /// # Errors
    /// `ApiMisuse` for a bad name, or figures outside of their limits.
    pub fn open(self, name: &str) -> Result<Topic<T>> {
        let error = |kind, detail: String| Error::new(kind, "open topic", name).detail(detail);
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            return Err(error(ErrorKind::ApiMisuse, format!("a name of {} bytes", name.len()))
                .fix(format!("use 1 to {MAX_NAME_LEN} bytes")));
        }
        let depth = self.figures.depth;
        if !depth.is_power_of_two() {
            return Err(error(ErrorKind::ApiMisuse, format!("a depth of {depth}"))
                .fix(format!("use a power of two: {}", depth.saturating_add(1).next_power_of_two())));
        }
        let max_len = if T::SIZE == u32::MAX { self.figures.max_len } else { T::SIZE };
        let overflow = self.overflow.code();
        let shape = Shape { schema: self.schema, size: T::SIZE, align: T::ALIGN, overflow, zero: 0 };
        let figures = Figures { max_len, ..self.figures };
        // The limits, before anything is made.
        RingHeader::check_figures(&figures, &shape).map_err(|error| error.about(format!("shm:{name}")))?;
        let terms = Terms {
            shape,
            figures,
            history: self.history,
            linger: self.linger,
            access: self.access,
            overflow: self.overflow,
            waiting: self.waiting,
            in_place: self.in_place,
        };
        Ok(Topic { name: name.to_owned(), terms, payload: PhantomData })
    }
}

impl<T: Payload + ?Sized> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: Payload + ?Sized> fmt::Debug for TopicOptions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicOptions").field("depth", &self.figures.depth).finish_non_exhaustive()
    }
}
