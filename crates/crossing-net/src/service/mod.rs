//! Requests and replies over sockets.

mod client;
mod server;

pub use client::{Call, Client};
pub use server::{Request, Server};

use crate::{ListenerOptions, Result, StreamOptions, ToEndpoint};
use std::time::Duration;

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
    max_clients: usize,
    slow_client: Duration,
    stream: StreamOptions,
    listener: ListenerOptions,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
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
        let endpoint = endpoint.to_endpoint()?;
        Client::new(self.stream.connect(&endpoint)?, endpoint.to_string(), self)
    }
}

#[cfg(test)]
mod tests;
