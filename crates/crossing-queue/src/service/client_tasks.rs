//! What tasks do where threads wait.

use super::super::peers::Peer;
use super::{Answer, Shared, State, lock};
use crossing_sys::wakers::Place;
use crossing_sys::{ErrorKind, Result};
use std::sync::Arc;
use std::task::Waker;

impl Shared {
    /// As [`enter`](Self::enter); if no word is free, the task of `waker` waits in `place`.
    pub(in super::super) fn enter_or_wait(
        &self,
        parts: bool,
        place: &mut Place,
        waker: &Waker,
    ) -> Option<Result<(u64, u32, Arc<Peer>)>> {
        let mut state = lock(&self.state);
        state.wakers.leave(place);
        let entered = self.enter_now(&mut state, parts).transpose();
        if entered.is_none() {
            state.wakers.wait(place, waker);
        }
        entered
    }

    /// The task waits for that no more. If it was woken, the next one is.
    pub(in super::super) fn leave_place(&self, place: &mut Place) {
        let mut state = lock(&self.state);
        if state.wakers.leave(place) {
            state.wakers.wake_one();
        }
    }

    /// The answer of the call with that word, if it has come; if not, the task of `waker` waits for it.
    pub(in super::super) fn take_or_wait(&self, slot: u32, id: u64, waker: &Waker) -> Result<Option<Answer>> {
        let mut state = lock(&self.state);
        let waiting = state.calls.get_mut(slot as usize).and_then(Option::as_mut);
        let Some(waiting) = waiting.filter(|waiting| waiting.id == id) else {
            return Err(self.fault(ErrorKind::ApiMisuse).detail("the call is over"));
        };
        let answer = waiting.answer.take();
        if answer.is_none() {
            waiting.waker = Some(waker.clone());
        }
        Ok(answer)
    }

    /// Receives for all what is there; whether something was.
    pub(in super::super) fn hear(&self) -> Result<bool> {
        let mut heard = false;
        loop {
            match self.replies.try_recv() {
                Ok(delivery) => {
                    heard = true;
                    let mut state: std::sync::MutexGuard<'_, State> = lock(&self.state);
                    Self::put(&mut state, delivery);
                }
                Err(crate::TryRecvError::Os(error)) => return Err(error),
                Err(_) => break,
            }
        }
        if heard {
            // It may be that of a thread.
            self.tell(&lock(&self.state));
        }
        Ok(heard)
    }

    /// Tells those whose server died.
    pub(in super::super) fn look_who_died(&self) {
        self.bury(&mut lock(&self.state));
    }
}
