//! Subscribers of topics and waiters of events for tokio.
//!
//! Every method says what happens if its future is dropped before it is ready (`select!`, a timeout). A runtime with I/O
//! enabled must be there.
//!
//! ```
//! use crossing_bus::{Topic, tokio::Subscriber};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let topic = Topic::<[u8]>::options().open(&format!("tokio-doc-{}", std::process::id()))?;
//! let mut subscriber = Subscriber::new(topic.subscriber()?)?;
//! let publisher = topic.publisher()?;
//! publisher.send(b"hello")?;
//! assert_eq!(*subscriber.recv().await?, *b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use crate::poll::Poller;
use crate::{EventSet, Payload, RecvError, Sample, TryRecvError};
use crossing_sys::{Error, Result};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

fn failed(cause: std::io::Error) -> Error {
    Error::os(cause, "wait with tokio on", "shared memory")
}

/// Lets tokio's reactor watch it.
fn register(poller: Poller) -> Result<AsyncFd<Poller>> {
    // Deprecated, since a type may lie about its descriptor; the other way is unsafe. A poller owns its own as long as it lives.
    #[allow(deprecated)]
    AsyncFd::with_interest(poller, Interest::READABLE).map_err(failed)
}

/// Until it is rung, after it was armed and nothing was found.
async fn rung(poller: &AsyncFd<Poller>) -> Result<()> {
    // What comes from here on is a new event; what came until now is found by the next look.
    poller.readable().await.map_err(failed)?.clear_ready();
    Ok(())
}

/// A [`Subscriber`](crate::Subscriber) for tokio.
#[derive(Debug)]
pub struct Subscriber<T: Payload + ?Sized> {
    // Dropped first.
    poller: AsyncFd<Poller>,
    inner: crate::Subscriber<T>,
}

impl<T: Payload + ?Sized> Subscriber<T> {
    /// Makes one of a subscriber.
    ///
    /// # Errors
    /// As [`crate::Subscriber::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn new(subscriber: crate::Subscriber<T>) -> Result<Self> {
        Ok(Self { poller: register(subscriber.poller()?)?, inner: subscriber })
    }

    /// The subscriber that waits without tokio.
    pub fn blocking(&mut self) -> &mut crate::Subscriber<T> {
        &mut self.inner
    }

    /// Receives the next message, waiting without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, no message was taken.
    ///
    /// # Errors
    /// [`RecvError::TooManyHeld`], [`RecvError::Os`].
    pub async fn recv(&mut self) -> Result<Sample<T>, RecvError> {
        // A topic that never rests leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let mut armed = false;
        loop {
            match self.inner.try_recv() {
                Ok(sample) => return Ok(sample),
                Err(TryRecvError::Empty) if armed => {
                    rung(&self.poller).await.map_err(RecvError::Os)?;
                    armed = false;
                }
                Err(TryRecvError::Empty) => {
                    self.inner.arm(self.poller.get_ref()).map_err(RecvError::Os)?;
                    armed = true;
                }
                Err(error) => return Err(RecvError::from_try(error)),
            }
        }
    }
}

/// A [`Waiter`](crate::Waiter) for tokio.
#[derive(Debug)]
pub struct Waiter {
    // Dropped first.
    poller: AsyncFd<Poller>,
    inner: crate::Waiter,
}

impl Waiter {
    /// Makes one of a waiter.
    ///
    /// # Errors
    /// As [`crate::Waiter::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn new(waiter: crate::Waiter) -> Result<Self> {
        Ok(Self { poller: register(waiter.poller()?)?, inner: waiter })
    }

    /// The waiter that waits without tokio.
    pub fn blocking(&mut self) -> &mut crate::Waiter {
        &mut self.inner
    }

    /// Waits for ids, without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, no id was taken.
    ///
    /// # Errors
    /// As [`crate::Waiter::try_wait`].
    pub async fn wait(&mut self) -> Result<EventSet> {
        tokio::task::coop::consume_budget().await;
        loop {
            if let Some(ids) = self.inner.try_wait()? {
                return Ok(ids);
            }
            self.inner.arm(self.poller.get_ref())?;
            if let Some(ids) = self.inner.try_wait()? {
                return Ok(ids);
            }
            rung(&self.poller).await?;
        }
    }
}
