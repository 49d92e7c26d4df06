//! The side that asks.

use super::super::client::{Awaited, Fault, Shared, Slot, late};
use super::super::replies::Parts;
use super::super::several::Servers;
use super::reading::Waits;
use super::{Replies, before, until_done};
use crate::tokio::elsewhere;
use crate::{Endpoint, Result, ServiceOptions, ToEndpoint};
use crossing_sys::CallError;
use crossing_sys::wakers::Place;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A request that was entered: dropped, it is not wanted any more.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    /// Some of it has gone to the server, or is next in line.
    sent: bool,
    runtime: Handle,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.sent {
            self.shared.forget(self.id);
        } else if self.shared.give_up(self.id) {
            // There is no room now: the server is told when there is, by this or by whoever sends next.
            let shared = Arc::clone(&self.shared);
            self.runtime.spawn(async move {
                // A connection that breaks tells the server as well.
                let _ = until_done(&shared.link, || shared.try_settle()).await;
            });
        }
    }
}

/// Who waits until a request may go.
struct InLine<'a> {
    shared: &'a Shared,
    place: Place,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.shared.leave_place(&mut self.place);
    }
}

/// Who waits for a server to be connected to.
struct Connecting<'a> {
    servers: &'a Servers,
    place: Place,
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.servers.leave_place(&mut self.place);
    }
}

/// A [`Client`](crate::Client) for tokio: any number of tasks may call at the same time, and each gets its own answer. Clones are
/// the same client.
///
/// ```
/// use crossing_net::tokio::{Client, Server};
/// use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let server = Server::bind("tcp:127.0.0.1:0")?;
/// let client = Client::connect(server.endpoint()).await?;
/// let serving = tokio::spawn(async move {
///     let request = server.recv().await?;
///     let answer = request.payload().to_ascii_uppercase();
///     request.reply(&answer).await
/// });
/// assert_eq!(client.call_timeout(b"hello", Duration::from_secs(5)).await?, b"HELLO");
/// serving.await.unwrap()?;
/// # Ok::<(), crossing_net::Error>(())
/// # }).unwrap();
/// ```
///
/// # Platform-specific behavior
/// As [`crate::Client`], whose thread it has: that reads while no task of the first runtime that called waits here, and all the time
/// once tasks of another one do as well, or over `tls:`. Dropping the last clone waits at most 100 ms for a server that does not read.
#[derive(Debug, Clone)]
pub struct Client {
    inner: crate::Client,
}

impl Client {
    /// Connects with the usual options.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`ServiceOptions::connect`].
    pub async fn connect<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::connect_with(&ServiceOptions::default(), endpoint).await
    }

    /// Connects with these options, on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`ServiceOptions::connect`].
    pub async fn connect_with<E: ToEndpoint + ?Sized>(
        options: &ServiceOptions,
        endpoint: &E,
    ) -> Result<Self> {
        let endpoint = endpoint.to_endpoint()?;
        let (name, options) = (endpoint.to_string(), options.clone());
        let connect = move || options.connect(&endpoint);
        Ok(Self { inner: elsewhere("connect to", name, connect).await? })
    }

    /// Connects to several servers, as [`ServiceOptions::connect_any`], on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`ServiceOptions::connect_any`].
    pub async fn connect_any<E: ToEndpoint + ?Sized>(
        options: &ServiceOptions,
        endpoints: &[&E],
    ) -> Result<Self> {
        let read = |endpoint: &&E| endpoint.to_endpoint();
        let endpoints = endpoints.iter().map(read).collect::<Result<Vec<Endpoint>>>()?;
        let name = endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let options = options.clone();
        let connect = move || options.connect_any(&endpoints.iter().collect::<Vec<_>>());
        Ok(Self { inner: elsewhere("connect to", name, connect).await? })
    }

    /// Makes one of a client that was made otherwise.
    #[must_use]
    pub fn from_blocking(client: crate::Client) -> Self {
        Self { inner: client }
    }

    /// The client that waits without tokio.
    #[must_use]
    pub fn blocking(&self) -> &crate::Client {
        &self.inner
    }

    /// How many servers it is connected to now.
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
    /// As [`crate::Client::call`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub async fn call(&self, request: &[u8]) -> Result<Vec<u8>> {
        self.call_deadline(request, None).await
    }

    /// As [`call`](Self::call), waiting at most `timeout`; the server is told how much time there is, and when it is over.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`crate::Client::call_timeout`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn call_timeout(&self, request: &[u8], timeout: Duration) -> Result<Vec<u8>> {
        self.call_deadline(request, Instant::now().checked_add(timeout)).await
    }

    /// As [`call_timeout`](Self::call_timeout), until `deadline` (`None`: without end).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`crate::Client::call_timeout`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn call_deadline(
        &self,
        request: &[u8],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<Vec<u8>> {
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
    /// As [`crate::Client::begin`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn begin(&self, request: &[u8], deadline: impl Into<Option<Instant>>) -> Result<Call> {
        let slot = Arc::new(Slot::default());
        let awaited = || Awaited::One(Arc::clone(&slot));
        let entered = self.send(request, 0, deadline.into(), awaited).await?;
        Ok(Call { entered, slot })
    }

    /// Sends a request that may be answered in any number of parts. The whole of the answer is awaited at most until
    /// `deadline` (`None`: without end), which the server is told. Dropping the [`Replies`] cancels it.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    ///
    /// # Errors
    /// As [`crate::Client::call_stream`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with time enabled.
    pub async fn call_stream(&self, request: &[u8], deadline: impl Into<Option<Instant>>) -> Result<Replies> {
        let (deadline, window) = (deadline.into(), self.inner.max_parts);
        let parts = Arc::new(Parts::new(window));
        let entered = self.send(request, window, deadline, || Awaited::Many(Arc::clone(&parts))).await?;
        Ok(Replies::new(entered, parts, window, deadline))
    }

    /// Sends a request to the server whose turn it is.
    async fn send(
        &self,
        request: &[u8],
        window: u16,
        deadline: Option<Instant>,
        awaited: impl Fn() -> Awaited,
    ) -> Result<Entered> {
        // A client whose server answers at once leaves the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let servers = &self.inner.servers;
        let mut tries = servers.tries();
        loop {
            let mut connecting = Connecting { servers, place: Place::default() };
            let choosing = poll_fn(|context| {
                let chosen = servers.choose_or_wait(&mut connecting.place, context.waker());
                chosen.map_or(Poll::Pending, Poll::Ready)
            });
            let shared = match before(deadline, choosing).await {
                Some(chosen) => chosen?,
                // It tells why.
                None => servers.choose(Some(Instant::now()))?,
            };
            drop(connecting);
            tries -= 1;
            match begin(&shared, request, window, deadline, &awaited).await {
                // It went nowhere: another one may have it.
                Err(error) if error.call() == Some(&CallError::NoServer) && tries > 0 => {}
                result => return result,
            }
        }
    }
}

/// Sends a request when it may go.
async fn begin(
    shared: &Arc<Shared>,
    request: &[u8],
    window: u16,
    deadline: Option<Instant>,
    awaited: impl Fn() -> Awaited,
) -> Result<Entered> {
    let mut line = InLine { shared, place: Place::default() };
    let mut waits = Waits::new(shared);
    let entering = poll_fn(|context| {
        let entered = shared.enter_or_wait(&mut line.place, context.waker(), &awaited);
        // Replies are to come in, though nobody may wait for them.
        entered.map_or_else(|| waits.pending(), Poll::Ready)
    });
    let id = before(deadline, entering).await.unwrap_or_else(|| Err(shared.crowded()))?;
    drop((line, waits));
    let mut entered = Entered { shared: Arc::clone(shared), id, sent: false, runtime: Handle::current() };
    let (head, payload) = Shared::message(id, window, deadline, request).split();
    let sending = async {
        until_done(&shared.link, || {
            entered.sent = shared.try_send((&head, payload))?;
            Ok(entered.sent)
        })
        .await?;
        until_done(&shared.link, || shared.try_settle()).await
    };
    match before(deadline, sending).await {
        Some(Err(error)) => Err(shared.not_sent(error)),
        Some(Ok(())) => Ok(entered),
        None => Err(shared.error(Fault(
            CallError::DeadlinePassed,
            Some("the server does not take the request".to_owned()),
        ))),
    }
}

/// A request whose reply is awaited. Dropping it tells the server that the reply is not wanted any more.
#[derive(Debug)]
#[must_use = "a call that is dropped is cancelled"]
pub struct Call {
    entered: Entered,
    slot: Arc<Slot>,
}

impl Call {
    /// Awaits the reply without end.
    ///
    /// # Cancel safety
    /// Not safe: the request is cancelled at the server. A call that is not dropped is awaited by [`ready`](Self::ready).
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn wait(self) -> Result<Vec<u8>> {
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
    pub async fn wait_deadline(mut self, deadline: impl Into<Option<Instant>>) -> Result<Vec<u8>> {
        match before(deadline.into(), self.ready()).await {
            Some(answer) => answer,
            None => Err(self.entered.shared.error(late())),
        }
    }

    /// Awaits the reply, which is given once: after that this is ready no more.
    ///
    /// # Cancel safety
    /// Safe: the reply was not taken, and can be awaited again.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn ready(&mut self) -> Result<Vec<u8>> {
        // Replies that are always there leave the other tasks their turn.
        tokio::task::coop::consume_budget().await;
        let mut waits = Waits::new(&self.entered.shared);
        let answer = poll_fn(|context| {
            self.slot.take_or_wait(context.waker()).map_or_else(|| waits.pending(), Poll::Ready)
        });
        answer.await.map_err(|fault| self.entered.shared.error(fault))
    }
}
