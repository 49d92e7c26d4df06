//! A topic's name and terms.

use crate::payload::Payload;
use crate::publisher::Publisher;
use crate::subscriber::Subscriber;
use crossing_ring::broadcast::Shape;
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
    /// The new message is dropped. Not supported by topics yet: opening says so.
    DropNewest,
    /// Publishing is an error. Not supported by topics yet: use `Block` with `try_send`.
    Fail,
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
    pub(crate) depth: u32,
    pub(crate) max_len: u32,
    pub(crate) history: u64,
    pub(crate) linger: Duration,
    pub(crate) access: Access,
    pub(crate) blocks: bool,
}

/// How a topic is opened.
pub struct TopicOptions<T: Payload + ?Sized> {
    depth: u32,
    max_len: u32,
    overflow: Overflow,
    schema: u64,
    history: u64,
    linger: Duration,
    access: Access,
    payload: PhantomData<fn(&T)>,
}

/// The longest name of a topic, in bytes.
pub(crate) const MAX_NAME_LEN: usize = 60;

impl<T: Payload + ?Sized> Topic<T> {
    /// Options to open a topic with.
    #[must_use]
    pub fn options() -> TopicOptions<T> {
        TopicOptions {
            depth: 64,
            max_len: if T::SIZE == u32::MAX { 8192 } else { T::SIZE },
            overflow: Overflow::DropOldest,
            schema: 0,
            history: 0,
            linger: Duration::from_secs(1),
            access: Access::Private,
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
}

impl<T: Payload + ?Sized> TopicOptions<T> {
    /// How many messages each publisher's ring keeps: a power of two, 64 unless said otherwise.
    #[must_use]
    pub fn depth(mut self, messages: u32) -> Self {
        self.depth = messages;
        self
    }

    /// The longest message in bytes, for topics of `[u8]`: 8192 unless said otherwise. Each publisher's ring takes
    /// `depth` times as much.
    #[must_use]
    pub fn max_len(mut self, bytes: u32) -> Self {
        self.max_len = bytes;
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
    /// `ApiMisuse` for a bad name or figures; `Unsupported` for a policy that topics do not have.
    pub fn open(self, name: &str) -> Result<Topic<T>> {
        let error = |kind, detail: String| Error::new(kind, "open topic", name).detail(detail);
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            return Err(error(ErrorKind::ApiMisuse, format!("a name of {} bytes", name.len()))
                .fix(format!("use 1 to {MAX_NAME_LEN} bytes")));
        }
        let overflow = match self.overflow {
            Overflow::DropOldest => 0,
            Overflow::Block => 1,
            other => {
                return Err(error(ErrorKind::Unsupported, format!("{other:?} is no policy of topics yet"))
                    .fix("use Overflow::Block with try_send, or Overflow::DropOldest"));
            }
        };
        if !self.depth.is_power_of_two() {
            return Err(error(ErrorKind::ApiMisuse, format!("a depth of {}", self.depth))
                .fix(format!("use a power of two: {}", self.depth.saturating_add(1).next_power_of_two())));
        }
        let max_len = if T::SIZE == u32::MAX { self.max_len } else { T::SIZE };
        let shape = Shape { schema: self.schema, size: T::SIZE, align: T::ALIGN, overflow, zero: 0 };
        let terms = Terms {
            shape,
            depth: self.depth,
            max_len,
            history: self.history,
            linger: self.linger,
            access: self.access,
            blocks: overflow == 1,
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
        f.debug_struct("TopicOptions").field("depth", &self.depth).finish_non_exhaustive()
    }
}
