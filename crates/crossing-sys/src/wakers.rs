//! Tasks that wait for something beside the threads that do: what a condition variable is for those.
//!
//! Whoever changes what is waited for does so under a lock, and wakes under it or after it; a task looks under the lock, and
//! leaves its waker before it lets go of that. So nothing is missed. A task that was woken alone and is dropped before it
//! looked hands the wake on: [`Wakers::leave`] tells it so.

use std::collections::VecDeque;
use std::task::Waker;

/// The tasks that wait, oldest first. As many as wait: whoever bounds the tasks bounds it.
#[derive(Debug, Default)]
pub struct Wakers {
    waiting: VecDeque<(u64, Waker)>,
    next: u64,
}

/// The place of one task among [`Wakers`]; at first it has none.
#[derive(Debug, Default)]
pub struct Place(Option<u64>);

impl Wakers {
    /// The task of `waker` waits from now on; it keeps its place if it has one.
    pub fn wait(&mut self, place: &mut Place, waker: &Waker) {
        let known = place.0.and_then(|id| self.waiting.iter_mut().find(|(known, _)| *known == id));
        if let Some((_, known)) = known {
            known.clone_from(waker);
            return;
        }
        place.0 = Some(self.next);
        self.waiting.push_back((self.next, waker.clone()));
        self.next += 1;
    }

    /// The task waits no more. Whether it was woken since it waited: if that was a wake for one and it did not look, the next
    /// one is to be woken.
    pub fn leave(&mut self, place: &mut Place) -> bool {
        let Some(id) = place.0.take() else { return false };
        match self.waiting.iter().position(|(known, _)| *known == id) {
            Some(at) => {
                self.waiting.remove(at);
                false
            }
            None => true,
        }
    }

    /// Wakes the one that has waited longest.
    pub fn wake_one(&mut self) {
        if let Some((_, waker)) = self.waiting.pop_front() {
            waker.wake();
        }
    }

    /// Wakes all.
    pub fn wake_all(&mut self) {
        self.waiting.drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
#[path = "wakers_tests.rs"]
mod tests;
