//! The side that asks.
//!
//! Of the tasks that wait for replies one waits for the queue and receives for all, and gives the place to another one when it has
//! its own, or is dropped.

use super::super::client::{Answer, Reply, Shared, lock};
use super::super::fault::Fault;
use super::super::peers::Peer;
use super::super::{self as blocking, HEAD};
use super::{Replies, before, room};
use crate::Loan;
use crate::error::TrySendError;
use crate::payload::Payload;
use crate::poll::Poller;
use crossing_sys::wakers::{Place, Wakers};
use crossing_sys::{CallError, Error, Result};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What the tasks of a client wait on.
#[derive(Debug)]
pub(super) struct Ear {
    poller: AsyncFd<Poller>,
    lead: Mutex<Lead>,
}

#[derive(Debug, Default)]
struct Lead {
    /// Some task receives for all.
    taken: bool,
    /// Those that would.
    others: Wakers,
}

/// A task's turn to receive for all.
struct Turn<'a> {
    ear: &'a Ear,
    mine: bool,
    place: Place,
}

impl Turn<'_> {
    /// Takes it, if nobody has it; if not, the task of `context` waits for it.
    fn take(&mut self, context: &Context<'_>) -> bool {
        let mut lead = lock(&self.ear.lead);
        lead.others.leave(&mut self.place);
        if !self.mine && lead.taken {
            lead.others.wait(&mut self.place, context.waker());
            return false;
        }
        (lead.taken, self.mine) = (true, true);
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut lead = lock(&self.ear.lead);
        let woken = lead.others.leave(&mut self.place);
        if self.mine {
            lead.taken = false;
        }
        if self.mine || woken {
            lead.others.wake_one();
        }
    }
}

/// Who waits until a call may go.
struct InLine<'a> {
    shared: &'a Shared,
    place: Place,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.shared.leave_place(&mut self.place);
    }
}

/// A [`Client`](blocking::Client) for tokio: any number of tasks may call at the same time, and each gets its own answer. Clones are
/// the same client. Once a second a call looks which servers there are, in files.
pub struct Client<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    inner: blocking::Client<Q, R>,
    ear: Arc<Ear>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Client<Q, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), ear: Arc::clone(&self.ear) }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Client<Q, R> {
    /// Makes one of a client.
    ///
    /// # Errors
    /// As [`crate::Receiver::poller`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn new(client: &blocking::Client<Q, R>) -> Result<Self> {
        let shared = &client.shared;
        // Deprecated, since a type may lie about its descriptor; the other way is unsafe. A poller owns its own as long as it
        // lives.
        #[allow(deprecated)]
        let poller = AsyncFd::with_interest(shared.replies.poller()?, Interest::READABLE);
        let about = |cause| Error::os(cause, "wait with tokio on", format!("shm:{}", shared.name));
        let ear = Ear { poller: poller.map_err(about)?, lead: Mutex::default() };
        Ok(Self { inner: client.clone(), ear: Arc::new(ear) })
    }

    /// The client that waits without tokio.
    #[must_use]
    pub fn blocking(&self) -> &blocking::Client<Q, R> {
        &self.inner
    }

    /// How many servers are known to live.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.inner.servers()
    }

    /// Sends a request and awaits the reply without end.
    ///
    /// # Cancel safety
    /// Safe: the request is not sent, or cancelled at the server.
    ///
    /// # Errors
    /// As [`blocking::Client::call`].
    pub async fn call(&self, request: &Q) -> Result<Reply<R>> {
        self.call_deadline(request, None).await
    }

    /// As [`call`](Self::call), waiting at most `timeout`; the server is told how much time there is, and when it is over.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`blocking::Client::call_timeout`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn call_timeout(&self, request: &Q, timeout: Duration) -> Result<Reply<R>> {
        self.call_deadline(request, Instant::now().checked_add(timeout)).await
    }

    /// As [`call_timeout`](Self::call_timeout), until `deadline` (`None`: without end).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`blocking::Client::call_timeout`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn call_deadline(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        let deadline = deadline.into();
        self.begin(request, deadline).await?.wait_deadline(deadline).await
    }

    /// Sends a request; the reply is awaited later. Dropping the [`Call`] cancels it. While as many requests wait as may, this
    /// waits too, at most until `deadline` (`None`: without end), which the server is told.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`blocking::Client::begin`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn begin(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Call<R>> {
        let (call, _, mut loan) = self.prepare(request.bytes().len(), deadline.into(), 0).await?;
        loan[HEAD..].copy_from_slice(request.bytes());
        Ok(Call { call: call.send(loan)?, ear: Arc::clone(&self.ear) })
    }

    /// Sends a request that may be answered in any number of parts. The whole of the answer is awaited at most until
    /// `deadline` (`None`: without end), which the server is told. Dropping the [`Replies`] cancels it.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`blocking::Client::call_stream`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn call_stream(&self, request: &Q, deadline: impl Into<Option<Instant>>) -> Result<Replies<R>> {
        let (deadline, shared) = (deadline.into(), &self.inner.shared);
        let lane = shared.lanes.lease()?;
        let (call, server, mut loan) = self.prepare(request.bytes().len(), deadline, lane.number()).await?;
        loan[HEAD..].copy_from_slice(request.bytes());
        // From here on dropping it cancels.
        let replies = blocking::Replies::new(call, lane.take(), server, deadline);
        loan.send().map_err(|error| shared.not_sent(error))?;
        Ok(Replies::new(replies))
    }

    /// A place in the table, and one in a server's queue.
    async fn prepare(
        &self,
        len: usize,
        deadline: Option<Instant>,
        lane: u32,
    ) -> Result<(blocking::Call<R>, Arc<Peer>, Loan)> {
        // A client whose server answers at once leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let shared = &self.inner.shared;
        loop {
            let mut line = InLine { shared, place: Place::default() };
            let entering = poll_fn(|context| {
                let entered = shared.enter_or_wait(lane != 0, &mut line.place, context.waker());
                entered.map_or(Poll::Pending, Poll::Ready)
            });
            let entered = before(deadline, entering).await.unwrap_or_else(|| Err(shared.crowded()));
            drop(line);
            let (id, slot, server) = entered?;
            // From here on dropping it leaves.
            let call = blocking::Call::new(Arc::clone(shared), id, slot);
            let lending = room(&server.sender, || match server.sender.try_loan_slice(len + HEAD) {
                Ok(loan) => Some(Ok(loan)),
                Err(TrySendError::Full) if !server.owner.is_alive() => Some(Err(shared.died(&server))),
                Err(TrySendError::Full) => None,
                Err(TrySendError::TooLarge { len, max }) => {
                    Some(Err(shared.not_sent(crate::SendError::TooLarge { len, max })))
                }
                Err(TrySendError::Os(error)) => Some(Err(error)),
            });
            let lent = before(deadline, lending).await;
            match lent.unwrap_or_else(|| Err(shared.not_sent(crate::SendError::TimedOut))) {
                Ok(mut loan) => {
                    shared.address(&mut loan, (id, slot), lane, deadline);
                    return Ok((call, server, loan));
                }
                // One that died is not chosen again.
                Err(error) if error.call() == Some(&CallError::NoServer) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Client<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A request whose reply is awaited. Dropping it tells the server that the reply is not wanted any more.
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<R: Payload + ?Sized = [u8]> {
    call: blocking::Call<R>,
    ear: Arc<Ear>,
}

impl<R: Payload + ?Sized> Call<R> {
    /// Awaits the reply without end.
    ///
    /// # Cancel safety
    /// Not safe: the request is cancelled at the server. A call that is not dropped is awaited by [`ready`](Self::ready).
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn wait(self) -> Result<Reply<R>> {
        self.wait_deadline(None).await
    }

    /// As [`wait`](Self::wait), until `deadline` (`None`: without end).
    ///
    /// # Cancel safety
    /// As [`wait`](Self::wait).
    ///
    /// # Errors
    /// As [`Client::call_timeout`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn wait_deadline(mut self, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        match before(deadline.into(), self.ready()).await {
            Some(answer) => answer,
            None => Err(Fault::late().error(&self.call.shared.name)),
        }
    }

    /// Awaits the reply, which is given once: after that this is ready no more.
    ///
    /// # Cancel safety
    /// Safe: the reply was not taken, and can be awaited again.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn ready(&mut self) -> Result<Reply<R>> {
        // Replies that are always there leave the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let mut turn = Turn { ear: &self.ear, mine: false, place: Place::default() };
        let (shared, slot, id) = (&self.call.shared, self.call.slot, self.call.id);
        let answer = poll_fn(|context| turn.poll(shared, slot, id, context)).await?;
        answer.and_then(Reply::read).map_err(|fault| fault.error(&shared.name))
    }
}

impl Turn<'_> {
    /// The answer of the call, if it has come; if not, it is received, for all, if nobody else does that.
    fn poll(
        &mut self,
        shared: &Shared,
        slot: u32,
        id: u64,
        context: &mut Context<'_>,
    ) -> Poll<Result<Answer>> {
        let look = |context: &Context<'_>| shared.take_or_wait(slot, id, context.waker());
        if let Some(answer) = look(context)? {
            return Poll::Ready(Ok(answer));
        }
        if !self.take(context) {
            return Poll::Pending;
        }
        loop {
            // The usual case costs no arming. Whatever was found for others, it is armed before this waits.
            if shared.hear()?
                && let Some(answer) = look(context)?
            {
                return Poll::Ready(Ok(answer));
            }
            self.ear.poller.get_ref().arm()?;
            shared.hear()?;
            if let Some(answer) = look(context)? {
                return Poll::Ready(Ok(answer));
            }
            let about = |cause| Error::os(cause, "wait with tokio on", format!("shm:{}", shared.name));
            match self.ear.poller.poll_read_ready(context) {
                Poll::Pending => return Poll::Pending,
                // What comes from here on is a new event; what came until now is found by the next look.
                Poll::Ready(ready) => ready.map_err(about)?.clear_ready(),
            }
            // Rung for nothing, as it is ten times a second.
            if !shared.hear()? {
                shared.look_who_died();
            }
        }
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}
