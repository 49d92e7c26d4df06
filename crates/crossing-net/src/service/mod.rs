//! Requests and replies over sockets.

mod client;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
mod now;
mod replies;
mod server;
mod several;
mod stream;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
pub(crate) mod tokio;
mod turn;

pub use client::{Call, Client};
pub use replies::Replies;
pub use server::{Request, Server};
pub use stream::ReplyStream;

use crate::{Endpoint, ListenerOptions, Result, StreamOptions, ToEndpoint};
use client::Connection;
use several::Servers;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A service over `unix:`, `pipe:`, `tcp:` or `tls:`: requests and their replies, many at a time, in any order.
///
/// ```
/// use crossing_net::Service;
/// use std::time::Duration;
///
/// let server = Service::options().serve("tcp:127.0.0.1:0")?;
/// let client = Service::options().connect(server.endpoint())?;
/// let serving = std::thread::spawn(move || {
///     let request = server.recv()?;
///     let answer = request.payload().to_ascii_uppercase();
///     request.reply(&answer)
/// });
/// assert_eq!(client.call_timeout(b"hello", Duration::from_secs(5))?, b"HELLO");
/// serving.join().unwrap()?;
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug)]
pub struct Service;

impl Service {
    /// Options, to be ended by [`serve`](ServiceOptions::serve) or [`connect`](ServiceOptions::connect).
    #[must_use]
    pub fn options() -> ServiceOptions {
        ServiceOptions::default()
    }
}

/// Limits of a service. Reusable.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    max_in_flight: usize,
    max_parts: u16,
    max_clients: usize,
    slow_client: Duration,
    stream: StreamOptions,
    listener: ListenerOptions,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            max_parts: 16,
            max_clients: 1024,
            slow_client: Duration::from_secs(5),
            stream: StreamOptions::default(),
            listener: ListenerOptions::default(),
        }
    }
}

impl ServiceOptions {
    /// How many requests of one client may wait for their replies; 64 unless set. On the client's side a further call
    /// waits for its turn; a server refuses further ones.
    pub fn max_in_flight(&mut self, requests: usize) -> &mut Self {
        self.max_in_flight = requests.max(1);
        self
    }

    /// How many parts of one [streamed answer](Client::call_stream) wait at the client for its user; 16 unless set, 1 to 65535.
    /// The server waits with further ones.
    pub fn max_parts(&mut self, parts: usize) -> &mut Self {
        self.max_parts = u16::try_from(parts).unwrap_or(u16::MAX).max(1);
        self
    }

    /// How many clients a server has at most; 1024 unless set. The connections of others are closed, so that their calls
    /// fail.
    pub fn max_clients(&mut self, clients: usize) -> &mut Self {
        self.max_clients = clients;
        self
    }

    /// How long a server waits for a client that does not read its replies, before it is cut off; 5 s unless set.
    pub fn slow_client(&mut self, patience: Duration) -> &mut Self {
        self.slow_client = patience;
        self
    }

    /// How the client's connection is made.
    pub fn stream(&mut self, options: &StreamOptions) -> &mut Self {
        self.stream = options.clone();
        self
    }

    /// How the server listens.
    pub fn listener(&mut self, options: &ListenerOptions) -> &mut Self {
        self.listener = options.clone();
        self
    }

    /// Serves at `endpoint`.
    ///
    /// # Errors
    /// As [`ListenerOptions::bind`].
    pub fn serve<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<Server> {
        Server::new(self.listener.bind(endpoint)?, self)
    }

    /// Connects to the server at `endpoint`.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`], and those of the introduction: [`Incompatible`](crate::ErrorKind::Incompatible),
    /// [`TimedOut`](crate::ErrorKind::TimedOut), [`Disconnected`](crate::ErrorKind::Disconnected).
    pub fn connect<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<Client> {
        let connection = self.link(&endpoint.to_endpoint()?, None)?;
        Ok(Client::new(Arc::new(Servers::one(connection, self)), self))
    }

    /// Connects to several servers, which the client asks by turns. One whose connection ends is left out, and connected to again
    /// in the background, with a back-off; one that is not there yet is, too. One living server is enough. The
    /// [limit of requests](Self::max_in_flight) is for each.
    ///
    /// Servers of one `tcp:` endpoint can share it by [`reuse_port`](ListenerOptions::reuse_port) instead: the system chooses one
    /// for each connection.
    ///
    /// # Errors
    /// If none lives, the first one's, as [`connect`](Self::connect); [`ApiMisuse`](crate::ErrorKind::ApiMisuse) for no endpoint.
    ///
    /// ```
    /// use crossing_net::Service;
    /// let servers = [0, 1].map(|_| Service::options().serve("tcp:127.0.0.1:0").unwrap());
    /// let client = Service::options().connect_any(&servers.each_ref().map(|server| server.endpoint()))?;
    /// let call = client.begin(b"one of you", None)?;
    /// # drop(call);
    /// # Ok::<(), crossing_net::Error>(())
    /// ```
    pub fn connect_any<E: ToEndpoint + ?Sized>(&self, endpoints: &[&E]) -> Result<Client> {
        Ok(Client::new(Servers::several(several::endpoints(endpoints)?, self)?, self))
    }

    fn link(&self, endpoint: &Endpoint, deadline: Option<Instant>) -> Result<Connection> {
        Connection::new(self.stream.connect_deadline(endpoint, deadline)?, endpoint.to_string(), self)
    }
}

#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod tests;
