//! Received messages, copied out of the ring.

use crate::payload::Payload;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// A received message. Derefs to the data, which is the receiver's own: publishers cannot change it any more.
pub struct Sample<T: Payload + ?Sized> {
    pub(crate) data: T::Owned,
    pub(crate) publisher: u64,
    pub(crate) position: u64,
    pub(crate) missed: u64,
}

impl<T: Payload + ?Sized> Sample<T> {
    /// How many messages of the same publisher were overwritten before this subscriber read them, since the last one
    /// that it received.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The publisher's number: random, never 0.
    #[must_use]
    pub fn publisher(&self) -> u64 {
        self.publisher
    }

    /// Its number among the messages of its publisher, from 0.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl<T: Payload + ?Sized> Deref for Sample<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: Payload + fmt::Debug + ?Sized> fmt::Debug for Sample<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("data", &&*self.data)
            .field("position", &self.position)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

/// A received value.
#[derive(Debug)]
pub struct Value<T>(pub(crate) T);

impl<T> Deref for Value<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Received bytes, whose memory goes back to the subscriber.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    pool: Arc<Pool>,
}

impl Buffer {
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        self.len = len;
        &mut self.bytes[..len]
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}

/// Memory for samples, used again: no allocation once there are as many as the user holds at a time.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Vec<Vec<u8>>>);

/// As many buffers are kept; beyond, they are given back to the system.
const KEPT: usize = 64;

impl Pool {
    pub(crate) fn take(pool: &Arc<Self>) -> Buffer {
        let bytes = pool.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Buffer { bytes, len: 0, pool: Arc::clone(pool) }
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(bytes);
        }
    }
}
