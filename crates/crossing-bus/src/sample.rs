//! Received messages.

use crate::payload::Payload;
use crossing_ring::broadcast::{Body, Note};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// A received message. Derefs to the data.
///
/// A long message (above 112 bytes) lies in its publisher's memory, where nothing is written as long as this lives; it may
/// outlive the subscriber and the publisher. As many may be held as the topic's `max_borrowed` says. A short one, and any
/// one of a topic opened with `in_place(false)`, is a copy.
pub struct Sample<T: Payload + ?Sized> {
    /// With its note: a sample is one pointer, which costs nothing to hand over.
    pub(crate) body: Body,
    pub(crate) payload: PhantomData<fn() -> Box<T>>,
}

impl<T: Payload + ?Sized> Sample<T> {
    #[inline]
    pub(crate) fn new(mut body: Body, note: Note) -> Self {
        body.set_note(note);
        Self { body, payload: PhantomData }
    }

    /// How many messages of the same publisher were lost to this subscriber before this one, since the last one that it
    /// received: overwritten before they were read, or dropped by the publisher.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.body.note().missed
    }

    /// The publisher's number: random, never 0.
    #[must_use]
    pub fn publisher(&self) -> u64 {
        self.body.note().publisher
    }

    /// Its number among the messages of its publisher, from 0.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.body.note().position
    }

    /// Whether it lies in its publisher's memory, and is no copy.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.body.is_in_place()
    }
}

impl<T: Payload + ?Sized> Deref for Sample<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match T::of_body(&self.body) {
            Some(data) => data,
            None => unreachable!("length and alignment were checked when it was taken"),
        }
    }
}

impl<T: Payload + fmt::Debug + ?Sized> fmt::Debug for Sample<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("data", &&**self)
            .field("position", &self.position())
            .field("missed", &self.missed())
            .finish_non_exhaustive()
    }
}
