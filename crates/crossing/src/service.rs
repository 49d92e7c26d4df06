//! Requests and replies behind one API, whatever carries them.
//!
//! | endpoint | how |
//! |---|---|
//! | `shm:NAME` | shared memory: several servers of a name, nothing copied on the way |
//! | `unix:PATH`, `pipe:NAME` | local sockets |
//! | `tcp:HOST:PORT`, `tls:HOST:PORT` | the network |
//!
//! A request is answered at most once, by one reply or by parts and their end. If its server dies, its client is told so; whether
//! it had been done, nobody knows. [`CallError`] tells why there is no reply.
//!
//! # Answers in parts
//! [`Client::call_stream`] asks, [`Request::stream`] answers. The client keeps at most [`max_parts`](ServiceOptions::max_parts)
//! parts that its user did not take; then the server's [`send`](ReplyStream::send) waits, or says that it cannot send now. So a
//! client that is slow stops its own answer alone. The deadline of the call is that of the last part. The parts that came before a
//! failure, or the server's death, are received first.
//!
//! # Several servers
//! Over `shm:` any number of servers share a name, and a client asks those that live by turns. Over sockets a client is given the
//! endpoints of several: [`connect_any`](ServiceOptions::connect_any). In one process threads share a [`Server`].

mod client;
mod loan;
mod replies;
mod server;
mod stream;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
pub(crate) mod tokio;

pub use crate::queue::service::{CallError, ServiceError};
pub use client::{Call, Client, Reply};
pub use loan::{PartLoan, ReplyLoan, RequestLoan};
pub use replies::Replies;
pub use server::{Request, Server};
pub use stream::ReplyStream;

use crate::net::{self, ListenerOptions, StreamOptions};
use crate::queue::service as shared;
use crate::queue::{Payload, Waiting};
use crate::{Access, Error, ErrorKind, Result};
use std::marker::PhantomData;
use std::time::Duration;

/// A service of requests `Q` and replies `R`: bytes, or plain data of one type.
///
/// ```
/// use crossing::service::Service;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("shm:doc-facade-service-{}", std::process::id());
/// # let tcp = "tcp:127.0.0.1:0";
/// for endpoint in [&*name, tcp] {
///     let server = Service::<[u8], [u8]>::options().serve(endpoint)?; // in this process or any other
///     let client = Service::<[u8], [u8]>::options().connect(&server.endpoint())?;
///     let serving = std::thread::spawn(move || {
///         let request = server.recv()?;
///         let answer = request.payload().to_ascii_uppercase();
///         request.reply(&answer)
///     });
///     assert_eq!(*client.call_timeout(b"hello", Duration::from_secs(5))?, *b"HELLO");
///     serving.join().unwrap()?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Service<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(PhantomData<fn(&Q, &R)>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Service<Q, R> {
    /// Options, to be ended by [`serve`](ServiceOptions::serve) or [`connect`](ServiceOptions::connect).
    #[must_use]
    pub fn options() -> ServiceOptions<Q, R> {
        ServiceOptions {
            shared: shared::Service::<Q, R>::options(),
            socket: net::Service::options(),
            schema: 0,
        }
    }
}

/// Limits of a service. Reusable.
#[derive(Debug)]
pub struct ServiceOptions<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    shared: shared::ServiceOptions<Q, R>,
    socket: net::ServiceOptions,
    schema: u64,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for ServiceOptions<Q, R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), socket: self.socket.clone(), schema: self.schema }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> ServiceOptions<Q, R> {
    /// How many requests of one client may wait for their replies; 64 unless set. On the client's side a further call
    /// waits for its turn; a server refuses further ones.
    pub fn max_in_flight(&mut self, requests: usize) -> &mut Self {
        self.shared.max_in_flight(requests);
        self.socket.max_in_flight(requests);
        self
    }

    /// How many parts of one [streamed answer](Client::call_stream) wait at the client for its user; 16 unless set, 1 to 65535, over
    /// `shm:` to 1024. The server waits with further ones.
    pub fn max_parts(&mut self, parts: usize) -> &mut Self {
        self.shared.max_parts(parts);
        self.socket.max_parts(parts);
        self
    }

    /// How long a server waits for a client that does not take its replies; 5 s unless set.
    pub fn slow_client(&mut self, patience: Duration) -> &mut Self {
        self.shared.slow_client(patience);
        self.socket.slow_client(patience);
        self
    }

    /// `shm:`: the longest request that a server takes, in bytes; 8192 unless set, or the size of the type. Over sockets
    /// [`ListenerOptions::max_frame_len`] says it.
    pub fn max_request_len(&mut self, bytes: usize) -> &mut Self {
        self.shared.max_request_len(bytes);
        self
    }

    /// `shm:`: the longest reply that a client takes, in bytes; 8192 unless set, or the size of the type. Over sockets
    /// [`StreamOptions::max_frame_len`] says it.
    pub fn max_reply_len(&mut self, bytes: usize) -> &mut Self {
        self.shared.max_reply_len(bytes);
        self
    }

    /// `shm:`: how many requests of all clients wait at a server; 1024 unless set.
    pub fn capacity(&mut self, requests: usize) -> &mut Self {
        self.shared.capacity(requests);
        self
    }

    /// `shm:`: how this side waits, a server for requests and a client for replies.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.shared.waiting(waiting);
        self
    }

    /// `shm:`: who may take part. Elsewhere the [listener](Self::listener) says it.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.shared.access(access);
        self
    }

    /// `shm:`: a number for the meaning of requests and replies, the same for all; who asks for another is refused.
    pub fn schema(&mut self, schema: u64) -> &mut Self {
        self.shared.schema(schema);
        self.schema = schema;
        self
    }

    /// Sockets: how many clients a server has at most; 1024 unless set.
    pub fn max_clients(&mut self, clients: usize) -> &mut Self {
        self.socket.max_clients(clients);
        self
    }

    /// Sockets: how the client's connection is made.
    pub fn stream(&mut self, options: &StreamOptions) -> &mut Self {
        self.socket.stream(options);
        self
    }

    /// Sockets: how the server listens.
    pub fn listener(&mut self, options: &ListenerOptions) -> &mut Self {
        self.socket.listener(options);
        self
    }

    /// Serves at `endpoint`: over `shm:` beside other servers of that name.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] for a bad endpoint; [`ErrorKind::Unsupported`] for a [schema](Self::schema) over sockets; as
    /// [`net::ServiceOptions::serve`] and [`shared::ServiceOptions::serve`].
    pub fn serve(&self, endpoint: &str) -> Result<Server<Q, R>> {
        Ok(match endpoint.strip_prefix("shm:") {
            Some(name) => Server::of_shared(self.shared.serve(name)?),
            None => Server::of_socket(self.sockets("serve at", endpoint)?.serve(endpoint)?),
        })
    }

    /// Connects to the server at `endpoint`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::ConnectionRefused`] if there is none; [`ErrorKind::Incompatible`] for one of other
    /// types, where that is known; as [`serve`](Self::serve), [`net::ServiceOptions::connect`] and
    /// [`shared::ServiceOptions::connect`].
    pub fn connect(&self, endpoint: &str) -> Result<Client<Q, R>> {
        Ok(match endpoint.strip_prefix("shm:") {
            Some(name) => Client::of_shared(self.shared.connect(name)?),
            None => Client::of_socket(self.sockets("connect to", endpoint)?.connect(endpoint)?, endpoint),
        })
    }

    /// Connects to several servers, each at a socket of its own, which the client asks by turns. One that dies is left out, and
    /// connected to again in the background, with a back-off. One living server is enough.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for `shm:`, whose servers share a name; as [`net::ServiceOptions::connect_any`].
    pub fn connect_any(&self, endpoints: &[&str]) -> Result<Client<Q, R>> {
        let name = endpoints.join(",");
        if let Some(shared) = endpoints.iter().find(|endpoint| endpoint.starts_with("shm:")) {
            return Err(Error::new(ErrorKind::Unsupported, "connect to", *shared)
                .detail("it is several servers by itself")
                .fix("connect to it alone"));
        }
        Ok(Client::of_socket(self.sockets("connect to", &name)?.connect_any(endpoints)?, &name))
    }

    fn sockets(&self, operation: &'static str, endpoint: &str) -> Result<&net::ServiceOptions> {
        if self.schema == 0 {
            return Ok(&self.socket);
        }
        Err(Error::new(ErrorKind::Unsupported, operation, endpoint)
            .detail("sockets do not know a schema")
            .fix("use shm:, or say it in the requests"))
    }
}
