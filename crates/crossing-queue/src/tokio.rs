//! Queues for tokio: the same messages, the same deliveries, waited for by tokio's reactor.
//!
//! Every method says what happens if its future is dropped before it is ready (`select!`, a timeout). A runtime with I/O
//! enabled must be there. Queues that have nothing to wait on (`sysv:`) are refused.
//!
//! ```
//! use crossing_queue::{Queue, tokio::{Receiver, Sender}};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let name = format!("shm:crossing-tokio-doc-{}", std::process::id());
//! let queue = Queue::<[u8]>::options().capacity(8).unlink_on_drop(true).create(&name)?;
//! let (mut sender, mut receiver) = (Sender::new(&queue.sender()?)?, Receiver::new(&queue.receiver()?)?);
//! let (delivery, sent) = tokio::join!(receiver.recv(), sender.send(b"hello"));
//! sent?;
//! assert_eq!(*delivery?, *b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use crate::poll::{Interest, Poller};
use crate::{
    Delivery, Loan, Message, Overflow, Payload, Priority, Properties, RecvError, SendError, TryRecvError,
    TrySendError,
};
use crossing_sync::Plain;
use crossing_sys::{Error, Result};
use tokio::io::unix::AsyncFd;

/// A poller that tokio's reactor watches.
#[derive(Debug)]
pub(crate) struct Watched {
    poller: AsyncFd<Poller>,
    interest: Interest,
}

impl Watched {
    pub(crate) fn new(poller: Poller, endpoint: &str) -> Result<Self> {
        let interest = poller.interest();
        let wanted = match interest {
            Interest::Readable => tokio::io::Interest::READABLE,
            Interest::Writable => tokio::io::Interest::WRITABLE,
        };
        // Deprecated, since a type may lie about its descriptor; the other way is unsafe. A poller owns its own as long as it
        // lives.
        #[allow(deprecated)]
        let poller = AsyncFd::with_interest(poller, wanted);
        let poller = poller.map_err(|cause| Error::os(cause, "wait with tokio on", endpoint.to_owned()))?;
        Ok(Self { poller, interest })
    }

    /// Tries until it gives something, asleep in between. Nothing is awaited after it gave something, so whoever drops the
    /// future drops nothing else.
    pub(crate) async fn until<T>(&self, mut attempt: impl FnMut() -> Option<Result<T>>) -> Result<T> {
        // A queue that is never empty leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        loop {
            // The usual case costs no arming.
            if let Some(outcome) = attempt() {
                return outcome;
            }
            self.poller.get_ref().arm()?;
            if let Some(outcome) = attempt() {
                return outcome;
            }
            let failed = |cause| Error::os(cause, "wait with tokio on", "queue");
            let mut ready = match self.interest {
                Interest::Readable => self.poller.readable().await.map_err(failed)?,
                Interest::Writable => self.poller.writable().await.map_err(failed)?,
            };
            // What comes from here on is a new event; what came until now is found by the attempt.
            ready.clear_ready();
        }
    }
}

/// The receiving end of a queue, for tokio. For several tasks, make one for each: each message goes to one of them.
#[derive(Debug)]
pub struct Receiver<T: Payload + ?Sized = [u8]> {
    inner: crate::Receiver<T>,
    watched: Watched,
}

impl<T: Payload + ?Sized> Receiver<T> {
    /// Makes one of a receiver.
    ///
    /// # Errors
    /// As [`crate::Receiver::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn new(receiver: &crate::Receiver<T>) -> Result<Self> {
        let watched = Watched::new(receiver.poller()?, receiver.endpoint())?;
        Ok(Self { inner: receiver.clone(), watched })
    }

    /// The receiver that waits without tokio.
    #[must_use]
    pub fn blocking(&self) -> &crate::Receiver<T> {
        &self.inner
    }

    /// Receives, waiting without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, no message was taken.
    ///
    /// # Errors
    /// [`RecvError::Os`].
    pub async fn recv(&mut self) -> Result<Delivery<T>, RecvError> {
        let attempt = || match self.inner.try_recv() {
            Ok(delivery) => Some(Ok(Ok(delivery))),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Mismatch(mismatch)) => Some(Ok(Err(mismatch.into()))),
            Err(TryRecvError::Os(error)) => Some(Err(error)),
        };
        self.watched.until(attempt).await.map_err(RecvError::Os)?
    }

    /// As [`crate::Receiver::try_recv`].
    ///
    /// # Errors
    /// As [`crate::Receiver::try_recv`].
    pub fn try_recv(&mut self) -> Result<Delivery<T>, TryRecvError> {
        self.inner.try_recv()
    }

    /// Receives at most `max` messages that are there, waiting for the first.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, no message was taken.
    ///
    /// # Errors
    /// [`RecvError::Os`], if there is not even one.
    pub async fn recv_many(&mut self, max: usize) -> Result<Vec<Delivery<T>>, RecvError> {
        let mut all = Vec::new();
        if max > 0 {
            all.push(self.recv().await?);
            // What went wrong will go wrong again, with nothing in hand.
            while all.len() < max
                && let Ok(delivery) = self.inner.try_recv()
            {
                all.push(delivery);
            }
        }
        Ok(all)
    }
}

/// The sending end of a queue, for tokio. For several tasks, make one for each.
#[derive(Debug)]
pub struct Sender<T: Payload + ?Sized = [u8]> {
    inner: crate::Sender<T>,
    watched: Watched,
}

impl<T: Payload + ?Sized> Sender<T> {
    /// Makes one of a sender.
    ///
    /// # Errors
    /// As [`crate::Sender::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn new(sender: &crate::Sender<T>) -> Result<Self> {
        let watched = Watched::new(sender.poller()?, sender.endpoint())?;
        Ok(Self { inner: sender.clone(), watched })
    }

    /// The sender that waits without tokio.
    #[must_use]
    pub fn blocking(&self) -> &crate::Sender<T> {
        &self.inner
    }

    /// Sends with the lowest priority, waiting for room without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Sender::send`].
    pub async fn send(&mut self, message: &T) -> Result<(), SendError> {
        self.send_message(&Message::of(message)).await
    }

    /// Sends a message with its priority, time to live, delay and properties, waiting for room without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Sender::send_message`].
    pub async fn send_message(&mut self, message: &Message<'_, T>) -> Result<(), SendError> {
        self.until_room(|sender| sender.try_send_message(message)).await
    }

    /// Sends with `priority`, waiting for room without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Sender::send_with`].
    pub async fn send_with(&mut self, message: &T, priority: Priority) -> Result<(), SendError> {
        self.send_message(&Message::of(message).priority(priority)).await
    }

    /// As [`crate::Sender::try_send`].
    ///
    /// # Errors
    /// As [`crate::Sender::try_send`].
    pub fn try_send(&mut self, message: &T) -> Result<(), TrySendError> {
        self.inner.try_send(message)
    }

    /// As [`crate::Sender::try_send_message`].
    ///
    /// # Errors
    /// As [`crate::Sender::try_send_message`].
    pub fn try_send_message(&mut self, message: &Message<'_, T>) -> Result<(), TrySendError> {
        self.inner.try_send_message(message)
    }

    /// Sends several messages with the lowest priority, in order, waiting for room; says how many were sent.
    ///
    /// # Cancel safety
    /// Safe as far as it goes: the first so many of the messages were sent, but not how many is told. Use
    /// [`send_some`](Self::send_some) to know.
    ///
    /// # Errors
    /// As [`crate::Sender::send_many`], if not even the first was sent.
    pub async fn send_many(&mut self, messages: &[&T]) -> Result<usize, SendError> {
        for (sent, message) in messages.iter().enumerate() {
            match self.send(message).await {
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
                Ok(()) => {}
            }
        }
        Ok(messages.len())
    }

    /// Sends as many of the messages as there is room for, in order, with the lowest priority; waits for the first. Says how
    /// many were sent: one at least, unless there are none.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// As [`crate::Sender::send_many`], if not even the first was sent.
    pub async fn send_some(&mut self, messages: &[&T]) -> Result<usize, SendError> {
        let Some((first, rest)) = messages.split_first() else { return Ok(0) };
        self.send(first).await?;
        // What went wrong will go wrong again, with nothing sent.
        Ok(1 + rest.iter().take_while(|message| self.inner.try_send(message).is_ok()).count())
    }

    /// Sends a loan of this sender. On a `shm:` queue it has its place already and this waits for nothing; elsewhere it waits for
    /// room.
    ///
    /// # Cancel safety
    /// Not safe: the loan is dropped then, and nothing was sent.
    ///
    /// # Errors
    /// As [`Loan::send`].
    pub async fn send_loan(&mut self, loan: Loan<T>) -> Result<(), SendError> {
        if loan.is_in_place() {
            return loan.send();
        }
        self.until_room(|_| loan.try_send_copy()).await
    }

    /// Tries until there is room, if the queue waits for that.
    async fn until_room<R>(
        &mut self,
        attempt: impl Fn(&crate::Sender<T>) -> Result<R, TrySendError>,
    ) -> Result<R, SendError> {
        let waits = self.inner.overflow() != Overflow::Fail;
        let attempt = || match attempt(&self.inner) {
            Ok(done) => Some(Ok(Ok(done))),
            Err(TrySendError::Full) if waits => None,
            Err(TrySendError::Full) => Some(Ok(Err(SendError::Full))),
            Err(TrySendError::TooLarge { len, max }) => Some(Ok(Err(SendError::TooLarge { len, max }))),
            Err(TrySendError::Os(error)) => Some(Err(error)),
        };
        self.watched.until(attempt).await.map_err(SendError::Os)?
    }
}

impl<T: Plain> Sender<T> {
    /// A value to be written in place, waiting for room without end; [`send_loan`](Self::send_loan) sends it.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing is on loan.
    ///
    /// # Errors
    /// As [`crate::Sender::loan`].
    pub async fn loan(&mut self) -> Result<Loan<T>, SendError> {
        self.until_room(crate::Sender::try_loan).await
    }

    /// A value to be written in place, with these properties, waiting for room without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing is on loan.
    ///
    /// # Errors
    /// As [`crate::Sender::loan_with`].
    pub async fn loan_with(&mut self, properties: &Properties) -> Result<Loan<T>, SendError> {
        self.until_room(|sender| sender.try_lend(size_of::<T>(), Some(properties))).await
    }
}

impl Sender {
    /// `len` bytes to be written in place, waiting for room without end; [`send_loan`](Self::send_loan) sends them.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing is on loan.
    ///
    /// # Errors
    /// As [`crate::Sender::loan_slice`].
    pub async fn loan_slice(&mut self, len: usize) -> Result<Loan, SendError> {
        self.until_room(|sender| sender.try_loan_slice(len)).await
    }

    /// `len` bytes to be written in place, with these properties, waiting for room without end.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, nothing is on loan.
    ///
    /// # Errors
    /// As [`crate::Sender::loan_slice_with`].
    pub async fn loan_slice_with(&mut self, len: usize, properties: &Properties) -> Result<Loan, SendError> {
        self.until_room(|sender| sender.try_lend(len, Some(properties))).await
    }
}
