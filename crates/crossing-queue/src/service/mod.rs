//! Requests and replies over shared memory: many clients, several servers, nothing copied on the way.
//!
//! # Protocol
//! Each server and each client has a random number N and two names, the second made before the first; who finds the first finds
//! both:
//!
//! | name | what | made by |
//! |---|---|---|
//! | `service/NAME/server-N` | a segment with the `Contract` | a server; it lives while the segment has its owner |
//! | `service/NAME/asked-N` | the queue of its requests | the same |
//! | `service/NAME/client-N` | a segment with a word for each call that may wait: up to which id its calls are cancelled | a client; as above |
//! | `service/NAME/heard-N` | the queue of its replies | the same |
//! | `service/NAME/parts-M` | a queue for the parts of one answer | a client, with a number M of its own |
//!
//! A request goes to the queue of one living server, by turns; its `Head` says whose it is, its id and until when it is
//! wanted. The server answers into the queue of that client, once. Short ones lie whole in the slots of these queues, whose lines
//! are all that changes hands.
//!
//! A client's calls have ids that grow, and each has one of the words while it waits. A call that is given up before its answer
//! came writes its id there, and nobody else writes: no call of this word up to that id is wanted, whichever the word has by
//! now. The server looks at it before it begins, before it answers, and whenever it is asked to; a call that is answered writes
//! nothing, so that these looks take no line from the client. The word is a hint with nothing behind it (relaxed): a server
//! that sees it late works and answers in vain, and the client drops what has not the id of a call that waits.
//!
//! An answer in parts goes through a queue that the client makes for it, or has from an earlier one, and which is named in the
//! request: so a client that does not take its parts stops nothing but this answer. The server takes the place for its last word
//! first, and keeps it, so that the end never waits. Parts are numbered. A queue is used again when all its places are free:
//! neither a server that was cancelled writes in it, nor the client reads.
//!
//! # Death
//! A server: its requests are lost with it. Whoever waits for it looks every 10 ms whether it lives, and is told that it died;
//! whether it had done what it was asked, nobody knows. Further calls go to other servers. A client: its requests are passed
//! over, its replies dropped, whether it wrote a word before or not (whether it lives is asked of its segment's owner); a server lets go of what it had open of dead clients when another one asks for the first time. What
//! the dead left is removed by the next client that looks for servers.
//!
//! A peer that breaks the rules can lose and invent requests and replies, for all who share its queue; lengths, ids and words
//! are checked, and it can make nobody wait for longer than his deadline.

mod client;
mod fault;
mod peers;
mod replies;
mod server;
mod stream;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
pub mod tokio;

pub use client::{Call, Client, Reply, RequestLoan};
pub use crossing_sys::{CallError, ServiceError};
pub use replies::Replies;
pub use server::{ReplyLoan, Request, Server};
pub use stream::{PartLoan, ReplyStream};

use crate::options::Waiting;
use crate::payload::Payload;
use crossing_shm::registry::{self, Glance};
use crossing_sys::file::Access;
use crossing_sys::{Error, ErrorKind, Result};
use std::marker::PhantomData;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How often who waits for a server looks whether it lives.
const SLICE: Duration = Duration::from_millis(10);
/// Messages of at most so many bytes lie whole in the slot that says whose they are.
const SHORT: u64 = 1024 + HEAD as u64;
/// The longest name of a service.
const MAX_NAME_LEN: usize = 56;
const SCHEMA: u64 = u64::from_le_bytes(*b"service\x02");

/// What a server says of itself; never changed.
// FORMAT: service-shm.md Contract size=64
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Contract {
    magic: [u8; 8],
    version: u32,
    pid: u32,
    schema: u64,
    /// Bytes of a request and of a reply; `u32::MAX`: any number.
    sizes: [u32; 2],
    aligns: [u32; 2],
    /// The longest request.
    max_request: u64,
    zero: [u64; 2],
}

const _: () = assert!(size_of::<Contract>() == 64);

/// What stands before the bytes of a request or a reply.
// FORMAT: service-shm.md Head size=32
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Head {
    what: u32,
    /// Requests: the client's number. Failures: why.
    who: u32,
    id: u64,
    /// Requests: until when the reply is wanted, on the machine's clock, in nanoseconds; 0: without end. Parts: how many came
    /// before, and so for the end of them. Failures of the application: its number.
    number: u64,
    /// Which of the client's words has the id.
    slot: u32,
    /// Requests: the number of the queue for the parts of the answer; 0: it is one reply.
    lane: u32,
}

const HEAD: usize = size_of::<Head>();
const _: () = assert!(HEAD == 32);

const REQUEST: u32 = 1;
const REPLY: u32 = 2;
const FAILURE: u32 = 3;
const PART: u32 = 4;
const END: u32 = 5;

/// Bytes that a server may say of a failure.
const TEXT: usize = ServiceError::MAX_TEXT_LEN;

/// Why a server did not answer.
const APPLICATION: u32 = 1;
const TOO_MANY: u32 = 2;
const TIMED_OUT: u32 = 3;
const DROPPED: u32 = 4;
const TOO_LARGE: u32 = 5;
const MISMATCH: u32 = 6;

impl Head {
    /// Takes it off the front.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        Some((Self::read_from_bytes(head).ok()?, rest))
    }
}

/// The value that was received as `bytes`, or what to read it from; `None`: they are none. For services over sockets.
#[doc(hidden)]
#[must_use]
pub fn read_aside<T: Payload + ?Sized>(bytes: &[u8]) -> Option<T::Aside> {
    if T::SHAPE.size.is_some_and(|size| size as usize != bytes.len()) {
        return None;
    }
    let mut aside = T::aside(bytes);
    if let Some(place) = T::aside_bytes_mut(&mut aside) {
        place.copy_from_slice(bytes);
    }
    Some(aside)
}

/// The name of a service's part.
fn part(service: &str, what: &str, number: u32) -> String {
    format!("service/{service}/{what}-{number:08x}")
}

fn random_number() -> Result<u32> {
    let random = crossing_sys::process::random_identity()
        .map_err(|cause| Error::os(cause, "open service", "shared memory"))?;
    // 0 is none.
    Ok(u32::from_le_bytes([random[0], random[1], random[2], random[3]]).max(1))
}

/// The numbers of the servers that live, but for those that are known to. What the dead left is removed; with `tidy` what dead
/// clients left, too.
fn look(service: &str, known: &[u32], tidy: bool) -> Result<Vec<u32>> {
    let group = format!("service/{service}");
    let mut living = Vec::new();
    for name in registry::names_in(&group)? {
        let Some((what, number)) = name.rsplit('/').next().and_then(|part| part.split_once('-')) else {
            continue;
        };
        let number = u32::from_str_radix(number, 16).ok().filter(|_| number.len() == 8);
        if number.is_some_and(|number| known.contains(&number))
            || (!tidy && ["client", "heard", "parts"].contains(&what))
        {
            continue;
        }
        // If it cannot be looked at: gone meanwhile, or not complete yet.
        let Ok(Glance { stale, schema }) = registry::glance(&name) else { continue };
        if stale {
            // What cannot be removed now is looked at again.
            let _ = registry::remove(&name);
        } else if what == "server"
            && schema == SCHEMA
            && let Some(number) = number
        {
            living.push(number);
        }
    }
    if tidy {
        // Who died while it made one of its names left it half made.
        let _ = registry::remove_unfinished(&group);
    }
    Ok(living)
}

/// A service over shared memory, of requests `Q` and replies `R`: bytes, or plain data of one type.
///
/// ```
/// use crossing_queue::service::Service;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let name = format!("doc-service-{}", std::process::id());
/// let server = Service::<u64, u64>::options().serve(&name)?; // in this process or any other
/// let client = Service::<u64, u64>::options().connect(&name)?;
/// let serving = std::thread::spawn(move || {
///     let request = server.recv()?;
///     let doubled = request.payload() * 2;
///     request.reply(&doubled)
/// });
/// assert_eq!(*client.call_timeout(&21, Duration::from_secs(5))?, 42);
/// serving.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Service<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]>(PhantomData<fn(&Q, &R)>);

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Service<Q, R> {
    /// Options, to be ended by [`serve`](ServiceOptions::serve) or [`connect`](ServiceOptions::connect).
    #[must_use]
    pub fn options() -> ServiceOptions<Q, R> {
        ServiceOptions { terms: Terms::default(), service: PhantomData }
    }
}

#[derive(Debug, Clone, Copy)]
struct Terms {
    max_in_flight: u32,
    max_parts: u32,
    capacity: u32,
    max_request_len: u64,
    max_reply_len: u64,
    schema: u64,
    access: Access,
    slow_client: Duration,
    waiting: Waiting,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            max_parts: 16,
            capacity: 1024,
            max_request_len: 8192,
            max_reply_len: 8192,
            schema: 0,
            access: Access::default(),
            slow_client: Duration::from_secs(5),
            waiting: Waiting::default(),
        }
    }
}

impl Terms {
    /// Bytes of a message to a client at most: of a short type too, with room for what a server says of a failure.
    fn longest_reply(&self) -> u64 {
        self.max_reply_len.max(TEXT as u64) + HEAD as u64
    }
}

/// Limits of a service. Reusable.
#[derive(Debug)]
pub struct ServiceOptions<Q: Payload + ?Sized = [u8], R: Payload + ?Sized = [u8]> {
    terms: Terms,
    service: PhantomData<fn(&Q, &R)>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Clone for ServiceOptions<Q, R> {
    fn clone(&self) -> Self {
        Self { terms: self.terms, service: PhantomData }
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> ServiceOptions<Q, R> {
    /// How many requests of one client may wait for their replies; 64 unless set, 1 to 4096. On the client's side a further
    /// call waits for its turn; a server refuses further ones.
    pub fn max_in_flight(&mut self, requests: usize) -> &mut Self {
        self.terms.max_in_flight = u32::try_from(requests).unwrap_or(u32::MAX).clamp(1, 4096);
        self
    }

    /// How many parts of one [streamed answer](Client::call_stream) lie at the client, until they are received and dropped; 16
    /// unless set, 1 to 1024. The server waits with further ones.
    pub fn max_parts(&mut self, parts: usize) -> &mut Self {
        self.terms.max_parts = u32::try_from(parts).unwrap_or(u32::MAX).clamp(1, 1024);
        self
    }

    /// How many requests of all clients wait at a server; 1024 unless set. Clients wait for room.
    pub fn capacity(&mut self, requests: usize) -> &mut Self {
        self.terms.capacity = u32::try_from(requests).unwrap_or(u32::MAX).max(1);
        self
    }

    /// The longest request that a server takes, in bytes; 8192 unless set, or the size of the type.
    pub fn max_request_len(&mut self, bytes: usize) -> &mut Self {
        self.terms.max_request_len = bytes as u64;
        self
    }

    /// The longest reply that a client takes, in bytes; 8192 unless set, or the size of the type.
    pub fn max_reply_len(&mut self, bytes: usize) -> &mut Self {
        self.terms.max_reply_len = bytes as u64;
        self
    }

    /// A number for the meaning of requests and replies, the same for all; who asks for another is refused.
    pub fn schema(&mut self, schema: u64) -> &mut Self {
        self.terms.schema = schema;
        self
    }

    /// Who may take part.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.terms.access = access;
        self
    }

    /// How long a server waits for a client that does not take its replies, before the reply is dropped; 5 s unless set.
    pub fn slow_client(&mut self, patience: Duration) -> &mut Self {
        self.terms.slow_client = patience;
        self
    }

    /// How this side waits, a server for requests and a client for replies.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.terms.waiting = waiting;
        self
    }

    /// Serves as `name`, beside other servers of that name.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] for a bad name; [`ErrorKind::NoSpace`]; the operating system's.
    pub fn serve(&self, name: &str) -> Result<Server<Q, R>> {
        check_name(name)?;
        Server::new(name, &self.fitted())
    }

    /// A client of the servers of `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if no server lives; [`ErrorKind::Incompatible`] if they serve other types, with both; as
    /// [`serve`](Self::serve).
    pub fn connect(&self, name: &str) -> Result<Client<Q, R>> {
        check_name(name)?;
        Client::new(name, &self.fitted())
    }

    /// With room for the types.
    fn fitted(&self) -> Terms {
        let mut terms = self.terms;
        terms.max_request_len = Q::SHAPE.size.map_or(terms.max_request_len, u64::from);
        terms.max_reply_len = R::SHAPE.size.map_or(terms.max_reply_len, u64::from);
        terms
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_LEN {
        return Err(Error::new(ErrorKind::ApiMisuse, "open service", name)
            .detail(format!("a name of {} bytes", name.len()))
            .fix(format!("use 1 to {MAX_NAME_LEN} bytes")));
    }
    Ok(())
}

fn contract<Q: Payload + ?Sized, R: Payload + ?Sized>(terms: &Terms) -> Contract {
    let size = |shape: crossing_ring::queue::Shape| shape.size.unwrap_or(u32::MAX);
    Contract {
        magic: *b"CROSSERV",
        version: 3,
        pid: std::process::id(),
        schema: terms.schema,
        sizes: [size(Q::SHAPE), size(R::SHAPE)],
        aligns: [Q::SHAPE.align, R::SHAPE.align],
        max_request: terms.max_request_len,
        zero: [0; 2],
    }
}

#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod tests;
