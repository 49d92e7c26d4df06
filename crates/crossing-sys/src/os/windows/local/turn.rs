//! A value that one thread at a time has, where waiting for one's turn ends with the caller's time.

use super::overlapped::waited;
use crate::local::Wait;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A mutex with a deadline.
#[derive(Debug)]
pub(super) struct Turn<T> {
    value: Mutex<Option<T>>,
    back: Condvar,
}

/// The value, given back on drop.
#[derive(Debug)]
pub(super) struct Taken<'a, T> {
    turn: &'a Turn<T>,
    value: Option<T>,
}

impl<T> Turn<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(Some(value)), back: Condvar::new() }
    }

    pub(super) fn take(&self, wait: Wait) -> io::Result<Taken<'_, T>> {
        let mut place = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(value) = place.take() {
                return Ok(Taken { turn: self, value: Some(value) });
            }
            place = match wait {
                Wait::Never => return Err(waited(wait)),
                Wait::Forever => self.back.wait(place).unwrap_or_else(PoisonError::into_inner),
                Wait::Until(at) => match at.saturating_duration_since(Instant::now()) {
                    left if left.is_zero() => return Err(waited(wait)),
                    left => self.back.wait_timeout(place, left).unwrap_or_else(PoisonError::into_inner).0,
                },
            };
        }
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("given back on drop only"),
        }
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("given back on drop only"),
        }
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        *self.turn.value.lock().unwrap_or_else(PoisonError::into_inner) = self.value.take();
        self.turn.back.notify_one();
    }
}
