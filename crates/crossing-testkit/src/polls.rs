//! Futures that are dropped before they are ready, as `select!` and timeouts do.

use crate::proxy::Random;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Polls `future` at most `polls` times, each but the first when it was woken, and drops it unless it is ready by then.
pub async fn at_most<T>(polls: u64, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            // The last one: whoever asks goes on, and the future is dropped.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls `future` one to three times, by chance, and drops it unless it is ready by then.
pub async fn a_few<T>(random: &mut Random, future: impl Future<Output = T>) -> Option<T> {
    at_most(random.below(3) + 1, future).await
}
