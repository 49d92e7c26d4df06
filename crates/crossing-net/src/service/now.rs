//! What tasks do where threads wait: each step is done at once, or not at all.

use super::client::{Shared, lock};
use crate::{SendHalf, Stream};
use crossing_sys::Result;
use crossing_wire::service::{CALL_LEN, Call as Message};
use std::sync::{Mutex, TryLockError};

/// Does something with what sends; `false` also while somebody else has it, maybe waiting for room.
pub(super) fn at_once(
    sender: &Mutex<SendHalf>,
    work: impl FnOnce(&mut Stream) -> Result<bool>,
) -> Result<bool> {
    match sender.try_lock() {
        Ok(mut sender) => work(&mut sender.0),
        Err(TryLockError::Poisoned(poisoned)) => work(&mut poisoned.into_inner().0),
        Err(TryLockError::WouldBlock) => Ok(false),
    }
}

impl Shared {
    /// Takes a request's frame, in two pieces, if there is room for its beginning. The rest is to be [settled](Self::try_settle).
    pub(super) fn try_send(&self, frame: (&[u8], &[u8])) -> Result<bool> {
        at_once(&self.sender, |sender| Ok(self.tell_owed(sender)? && sender.try_send_two(frame)?))
    }

    /// Passes on what is left of everything.
    pub(super) fn try_settle(&self) -> Result<bool> {
        at_once(&self.sender, |sender| Ok(self.tell_owed(sender)? && sender.try_flush()?))
    }

    /// The answer is not wanted any more, if it did not come; whether something is to be [settled](Self::try_settle).
    pub(super) fn give_up(&self, id: u64) -> bool {
        {
            // Until it is noted nobody else sends, who may have its place now: the server is to hear of this first, or that one
            // would be one too many.
            let mut owed = lock(&self.owed);
            if !self.forget(id) {
                return false;
            }
            owed.push(id);
        }
        // A connection that is broken is owed nothing.
        !self.try_settle().unwrap_or(true)
    }

    fn tell_owed(&self, sender: &mut Stream) -> Result<bool> {
        let mut owed = lock(&self.owed);
        while let Some(id) = owed.last() {
            let mut frame = Vec::with_capacity(CALL_LEN);
            Message::Cancel { id: *id }.encode(&mut frame);
            if !sender.try_send(&frame)? {
                return Ok(false);
            }
            owed.pop();
        }
        Ok(true)
    }
}
