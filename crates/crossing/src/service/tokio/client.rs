//! The side that asks.

use super::super::client::Carrier as Blocking;
use super::super::{self as blocking, Reply, ServiceOptions};
use crate::net::tokio as socket;
use crate::queue::Payload;
use crate::queue::service::tokio as shared;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

enum Carrier<Q: Payload + ?Sized, R: Payload + ?Sized> {
    Shared(shared::Client<Q, R>),
    Socket(socket::Client, Arc<str>),
}

/// A [`Client`](blocking::Client) for tokio: any number of tasks may call at the same time, and each gets its own answer. Clones are
/// the same client. Dropping the future of a call cancels it at the server.
///
/// ```
/// use crossing::service::Service;
/// use crossing::tokio::{Client, Server};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let name = format!("shm:doc-facade-tokio-{}", std::process::id());
/// # let tcp = "tcp:127.0.0.1:0";
/// let options = Service::<u64, u64>::options();
/// for endpoint in [&*name, tcp] {
///     let server = Server::from_blocking(options.serve(endpoint)?)?; // in this process or any other
///     let client = Client::connect_with(&options, &server.endpoint()).await?;
///     let serving = tokio::spawn(async move {
///         let request = server.recv().await?;
///         let doubled = request.payload() * 2;
///         request.reply(&doubled).await
///     });
///     assert_eq!(*client.call(&21).await?, 42);
///     serving.await.unwrap()?;
/// }
/// # Ok::<(), crossing::Error>(())
/// # }).unwrap();
/// ```
pub struct Client<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(Carrier<Q, R>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for Client<Q, R> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Carrier::Shared(client) => Carrier::Shared(client.clone()),
            Carrier::Socket(client, endpoint) => Carrier::Socket(client.clone(), Arc::clone(endpoint)),
        })
    }
}

impl<Q: Payload + ?Sized + 'static, R: Payload + ?Sized + 'static> Client<Q, R> {
    /// Connects with the usual options.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`ServiceOptions::connect`].
    pub async fn connect(endpoint: &str) -> Result<Self> {
        Self::connect_with(&blocking::Service::options(), endpoint).await
    }

    /// Connects with these options, on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`ServiceOptions::connect`].
    pub async fn connect_with(options: &ServiceOptions<Q, R>, endpoint: &str) -> Result<Self> {
        let (options, name) = (options.clone(), endpoint.to_owned());
        Self::elsewhere(endpoint, move || options.connect(&name)).await
    }

    /// Connects to several servers, as [`ServiceOptions::connect_any`], on a thread for blocking work.
    ///
    /// # Cancel safety
    /// Safe: no connection comes about, or it is closed at once.
    ///
    /// # Errors
    /// As [`ServiceOptions::connect_any`].
    pub async fn connect_any(options: &ServiceOptions<Q, R>, endpoints: &[&str]) -> Result<Self> {
        let names: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        let options = options.clone();
        let connect = move || options.connect_any(&names.iter().map(String::as_str).collect::<Vec<_>>());
        Self::elsewhere(&endpoints.join(","), connect).await
    }

    async fn elsewhere(
        name: &str,
        connect: impl FnOnce() -> Result<blocking::Client<Q, R>> + Send + 'static,
    ) -> Result<Self> {
        match tokio::task::spawn_blocking(connect).await {
            Ok(client) => Self::from_blocking(client?),
            Err(_) => {
                Err(Error::new(ErrorKind::Disconnected, "connect to", name).detail("the runtime is ending"))
            }
        }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Client<Q, R> {
    /// Makes one of a client that was made otherwise.
    ///
    /// # Errors
    /// `shm:`: as [`Receiver::poller`](crate::queue::Receiver::poller).
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O enabled.
    pub fn from_blocking(client: blocking::Client<Q, R>) -> Result<Self> {
        Ok(Self(match client.0 {
            Blocking::Shared(client) => Carrier::Shared(shared::Client::new(&client)?),
            Blocking::Socket(client, endpoint) => {
                Carrier::Socket(socket::Client::from_blocking(client), endpoint.into())
            }
        }))
    }

    /// How many servers are known to live.
    #[must_use]
    pub fn servers(&self) -> usize {
        match &self.0 {
            Carrier::Shared(client) => client.servers(),
            Carrier::Socket(client, _) => client.servers(),
        }
    }

    /// Sends a request and awaits the reply without end.
    ///
    /// # Cancel safety
    /// Safe: the request is not sent, or cancelled at the server.
    ///
    /// # Errors
    /// As [`blocking::Client::call`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
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
        Ok(Call(match &self.0 {
            Carrier::Shared(client) => Waiting::Shared(client.begin(request, deadline).await?),
            Carrier::Socket(client, endpoint) => {
                let call = client.begin(request.bytes(), deadline).await?;
                Waiting::Socket(call, Arc::clone(endpoint), PhantomData)
            }
        }))
    }

    /// Sends a request that may be answered in any number of parts, as [`blocking::Client::call_stream`]. Dropping the
    /// [`Replies`] cancels it.
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
        Ok(Replies(match &self.0 {
            Carrier::Shared(client) => Coming::Shared(Box::new(client.call_stream(request, deadline).await?)),
            Carrier::Socket(client, endpoint) => {
                let replies = client.call_stream(request.bytes(), deadline).await?;
                Coming::Socket(replies, Arc::clone(endpoint), PhantomData)
            }
        }))
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Client<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Carrier::Shared(client) => client.fmt(f),
            Carrier::Socket(client, _) => client.fmt(f),
        }
    }
}

enum Waiting<R: Payload + ?Sized> {
    Shared(shared::Call<R>),
    Socket(socket::Call, Arc<str>, PhantomData<fn() -> Box<R>>),
}

/// A request whose reply is awaited. Dropping it tells the server that the reply is not wanted any more.
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<R: Payload + ?Sized = [u8]>(Waiting<R>);

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
    pub async fn wait_deadline(self, deadline: impl Into<Option<Instant>>) -> Result<Reply<R>> {
        match self.0 {
            Waiting::Shared(call) => call.wait_deadline(deadline).await.map(Reply::of_shared),
            Waiting::Socket(call, endpoint, _) => Reply::read(call.wait_deadline(deadline).await?, &endpoint),
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
        match &mut self.0 {
            Waiting::Shared(call) => call.ready().await.map(Reply::of_shared),
            Waiting::Socket(call, endpoint, _) => Reply::read(call.ready().await?, endpoint),
        }
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Waiting::Shared(call) => call.fmt(f),
            Waiting::Socket(call, ..) => call.fmt(f),
        }
    }
}

enum Coming<R: Payload + ?Sized> {
    Shared(Box<shared::Replies<R>>),
    Socket(socket::Replies, Arc<str>, PhantomData<fn() -> Box<R>>),
}

/// An answer that comes in parts, for tokio: each is received by itself, `None` is the end. Dropping it before tells the server that
/// no more is wanted. Otherwise as the blocking [`Replies`](blocking::Replies).
#[must_use = "an answer that is dropped is cancelled"]
pub struct Replies<R: Payload + ?Sized = [u8]>(Coming<R>);

impl<R: Payload + ?Sized> Replies<R> {
    /// Receives the next part, waiting for it until the deadline of the call; `None`: that was all.
    ///
    /// # Cancel safety
    /// Safe: no part was taken.
    ///
    /// # Errors
    /// As [`blocking::Replies::recv`].
    ///
    /// # Panics
    /// Outside of a runtime of tokio with I/O and time enabled.
    pub async fn recv(&mut self) -> Result<Option<Reply<R>>> {
        match &mut self.0 {
            Coming::Shared(replies) => Ok(replies.recv().await?.map(Reply::of_shared)),
            Coming::Socket(replies, endpoint, _) => {
                replies.recv().await?.map(|part| Reply::read(part, endpoint)).transpose()
            }
        }
    }

    /// Receives the next part if it is there.
    ///
    /// # Errors
    /// As [`blocking::Replies::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<Reply<R>>> {
        match &mut self.0 {
            Coming::Shared(replies) => Ok(replies.try_recv()?.map(Reply::of_shared)),
            Coming::Socket(replies, endpoint, _) => {
                replies.try_recv()?.map(|part| Reply::read(part, endpoint)).transpose()
            }
        }
    }
}

impl<R: Payload + ?Sized> fmt::Debug for Replies<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Coming::Shared(replies) => replies.fmt(f),
            Coming::Socket(replies, ..) => replies.fmt(f),
        }
    }
}
