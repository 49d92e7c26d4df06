//! Publishers and subscribers of topics and waiters of events for tokio.
//!
//! Every method says what happens if its future is dropped before it is ready (`select!`, a timeout). A runtime with I/O
//! enabled must be there.
//!
//! ```
//! use crossing_bus::{Topic, tokio::{Publisher, Subscriber}};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let topic = Topic::<[u8]>::options().open(&format!("tokio-doc-{}", std::process::id()))?;
//! let mut subscriber = Subscriber::new(topic.subscriber()?)?;
//! let mut publisher = Publisher::new(topic.publisher()?)?;
//! publisher.send(b"hello").await?;
//! assert_eq!(*subscriber.recv().await?, *b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use crate::poll::Poller;
use crate::{EventSet, Payload, RecvError, Sample, SendError, TryRecvError, TrySendError};
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

    /// As [`crate::Subscriber::try_recv`].
    ///
    /// # Errors
    /// As [`crate::Subscriber::try_recv`].
    pub fn try_recv(&mut self) -> Result<Sample<T>, TryRecvError> {
        self.inner.try_recv()
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

fn for_good(error: TrySendError) -> SendError {
    match error {
        TrySendError::Full { slowest } => SendError::Full { slowest },
        TrySendError::TooLarge { len, max } => SendError::TooLarge { len, max },
        TrySendError::Os(error) => SendError::Os(error),
    }
}

/// A [`Publisher`](crate::Publisher) for tokio: what waits for slow subscribers where the topic
/// [blocks](crate::Overflow::Block) lets other tasks run. Dropping it waits as long as the topic's
/// [linger](crate::TopicOptions::linger) says: [`flush`](Self::flush) it before.
///
/// To write in place, await [`room`](Self::room), and then use [`blocking`](Self::blocking) for a loan, whose sending waits
/// for nothing then.
#[derive(Debug)]
pub struct Publisher<T: Payload + ?Sized> {
    // Dropped first.
    poller: AsyncFd<Poller>,
    inner: crate::Publisher<T>,
}

impl<T: Payload + ?Sized> Publisher<T> {
    /// Makes one of a publisher.
    ///
    /// # Errors
    /// As [`crate::Publisher::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn new(publisher: crate::Publisher<T>) -> Result<Self> {
        Ok(Self { poller: register(publisher.poller()?)?, inner: publisher })
    }

    /// The publisher that waits without tokio.
    pub fn blocking(&mut self) -> &mut crate::Publisher<T> {
        &mut self.inner
    }

    /// Publishes a copy of `message`. What happens when a subscriber is too slow says the topic's
    /// [`Overflow`](crate::Overflow): with `Block` it waits for the slowest living one.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing was published.
    ///
    /// # Errors
    /// As [`crate::Publisher::send`].
    pub async fn send(&mut self, message: &T) -> Result<(), SendError> {
        // A topic that always has room leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        loop {
            match self.inner.try_send(message) {
                Err(TrySendError::Full { .. }) if self.inner.blocks() => {
                    self.room().await.map_err(SendError::Os)?;
                }
                result => return result.map_err(for_good),
            }
        }
    }

    /// As [`crate::Publisher::try_send`].
    ///
    /// # Errors
    /// As [`crate::Publisher::try_send`].
    pub fn try_send(&mut self, message: &T) -> Result<(), TrySendError> {
        self.inner.try_send(message)
    }

    /// Waits until a message can be published without waiting.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn room(&mut self) -> Result<()> {
        self.until(crate::Publisher::has_room).await
    }

    /// Waits until all living subscribers have read everything.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn flush(&mut self) -> Result<()> {
        self.until(crate::Publisher::is_read).await
    }

    async fn until(&mut self, done: impl Fn(&crate::Publisher<T>) -> Result<bool>) -> Result<()> {
        while !done(&self.inner)? {
            self.inner.arm(self.poller.get_ref())?;
            if done(&self.inner)? {
                break;
            }
            rung(&self.poller).await?;
        }
        Ok(())
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
