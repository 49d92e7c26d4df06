//! Local sockets that keep messages whole: of packets (connected, in order) and of datagrams (to whoever has a name).
//!
//! A connection of packets is a [`LocalStream`] like any other, made by [`LocalListener::bind_packets`],
//! [`LocalStream::connect_packets`] or [`LocalStream::packet_pair`]; [`send`] and [`recv`] here keep its messages whole.
//!
//! # Platform-specific behavior
//! Linux: unix(7), SOCK_SEQPACKET and SOCK_DGRAM; the kernel delivers all messages in order, and makes the sender wait
//! when the receiver is behind (`net.unix.max_dgram_qlen` datagrams). It says with each message who sent it (SO_PASSCRED).
//!
//! macOS and FreeBSD (type-checked only): a message's sender is known by its name alone. macOS has no sockets of packets.
//! A datagram's file has its final rights only a moment after it was made; what came in between is dropped.
//!
//! Windows: neither ([`ErrorKind::Unsupported`]).

use crate::file::{Access, Handle};
use crate::local::{Credentials, LocalListener, LocalName, LocalStream, MAX_HANDLES, Owner, Socket, Wait};
use crate::os::packet as os;
use crate::{Error, ErrorKind, Result};
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What [`recv`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// A message; the buffer has it.
    Message,
    /// A message of more bytes than allowed, which is lost; the next one can be received.
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// The peer has ended its direction.
    End,
}

/// Whether this system has local sockets of packets.
#[must_use]
pub fn is_supported() -> bool {
    os::PACKETS
}

/// Whether this system has local sockets of datagrams.
#[must_use]
pub fn has_datagrams() -> bool {
    os::DATAGRAMS
}

/// Whether the system tells when a receiver of datagrams that was behind has room again, so that an event loop can wait for
/// a connected socket to become writable. Where it does not, sending must be tried again after a while.
#[must_use]
pub fn tells_room() -> bool {
    os::TELLS_ROOM
}

fn unsupported(operation: &'static str, name: &LocalName) -> Error {
    Error::new(ErrorKind::Unsupported, operation, name.to_string())
        .detail("this system has no local sockets that keep messages whole")
        .fix("use unix:PATH, or pipe:NAME on Windows, where messages travel in frames")
}

/// Refuses what the system has not, and names that are of another kind of socket.
pub(crate) fn check(operation: &'static str, name: &LocalName, is_there: bool) -> Result<()> {
    match name {
        LocalName::Path(_) | LocalName::Abstract(_) if is_there => Ok(()),
        _ => Err(unsupported(operation, name)),
    }
}

/// Sends one message and copies of `handles` with it.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for more than [`MAX_HANDLES`] handles; [`is_too_long`] tells whether it was longer
/// than the socket sends; otherwise as [`crate::local::send`]. Nothing was sent then.
pub fn send(stream: &LocalStream, parts: &[IoSlice<'_>], handles: &[&Handle], wait: Wait) -> io::Result<()> {
    if handles.len() > MAX_HANDLES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("at most {MAX_HANDLES} handles go together"),
        ));
    }
    os::send(&stream.0, parts, handles, wait)
}

/// Receives one message of at most `max_len` bytes into `buffer`, which becomes exactly as long, and appends the handles
/// that came with it; none stays open in programs started later. Only one thread may receive at a time.
///
/// What came is whatever the peer sent: check what it is before relying on it.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when it came with more than `max_handles` (or [`MAX_HANDLES`]) handles: they are closed
/// and the message is lost. Otherwise as [`crate::local::recv`].
pub fn recv(
    stream: &LocalStream,
    buffer: &mut Vec<u8>,
    max_len: usize,
    handles: &mut Vec<Handle>,
    max_handles: usize,
    wait: Wait,
) -> io::Result<Packet> {
    os::recv(&stream.0, buffer, max_len, handles, max_handles.min(MAX_HANDLES), wait)
}

/// Whether `cause`, an error of [`send`], says that the message is longer than the socket sends.
#[must_use]
pub fn is_too_long(cause: &io::Error) -> bool {
    os::is_too_long(cause)
}

/// The longest message that `stream` sends, in bytes. A larger send buffer raises it.
#[must_use]
pub fn longest(stream: &LocalStream) -> usize {
    os::longest(&stream.0)
}

/// Who sent a datagram, as the kernel saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its socket's name, to answer to; `None` when it has none.
    pub name: Option<LocalName>,
    /// The process that sent it, where the system says that of a datagram.
    pub credentials: Option<Credentials>,
}

/// A socket that sends to names and receives from anybody who is let in. Dropping it removes its socket file.
#[derive(Debug)]
pub struct LocalDatagrams {
    pub(crate) inner: os::Datagrams,
    name: Option<LocalName>,
    /// The only one it sends to and receives from.
    peer: Option<LocalName>,
    access: Access,
    refused: AtomicU64,
}

impl Socket for LocalDatagrams {}

impl LocalDatagrams {
    /// Receives at `name`. The file of a socket that died is replaced; a live one, or a file that is no socket, never.
    ///
    /// Where the system says who sent a datagram, those of processes that `access` does not include are dropped if the
    /// name has no file to guard it.
    ///
    /// # Errors
    /// As [`LocalListener::bind_owned`].
    pub fn bind(name: &LocalName, access: Access, owner: Owner) -> Result<Self> {
        const OPERATION: &str = "listen on";
        check(OPERATION, name, os::DATAGRAMS)?;
        owner.check(name)?;
        let inner = os::bind(name, access, owner)?;
        Ok(Self { inner, name: Some(name.clone()), peer: None, access, refused: AtomicU64::new(0) })
    }

    /// A socket without a name of its own, to send from.
    ///
    /// # Platform-specific behavior
    /// Linux: the kernel gives it an abstract name when it first sends, so that receivers can answer. Elsewhere they
    /// cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], [`ErrorKind::LimitReached`], and those of the system.
    pub fn unbound() -> Result<Self> {
        if !os::DATAGRAMS {
            return Err(unsupported("make", &LocalName::Path("a socket of datagrams".into())));
        }
        let refused = AtomicU64::new(0);
        Ok(Self { inner: os::unbound()?, name: None, peer: None, access: Access::Private, refused })
    }

    /// As [`unbound`](Self::unbound), but connected: [`send`](Self::send) goes to the socket at `name`, and nobody else
    /// can send here. It stays with that socket: when another one takes the name, it must connect again.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to).
    pub fn connect(name: &LocalName) -> Result<Self> {
        check("connect to", name, os::DATAGRAMS)?;
        Ok(Self {
            inner: os::connected(name)?,
            name: None,
            peer: Some(name.clone()),
            access: Access::World, // the kernel lets nobody else in
            refused: AtomicU64::new(0),
        })
    }

    /// What it receives at, if it was given a name.
    #[must_use]
    pub fn name(&self) -> Option<&LocalName> {
        self.name.as_ref()
    }

    /// The only one it sends to, if it is connected.
    #[must_use]
    pub fn peer(&self) -> Option<&LocalName> {
        self.peer.as_ref()
    }

    /// Sends one datagram to whom it is connected to, waiting for room in its queue as `wait` says.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] when it is not connected; otherwise as [`send_to`](Self::send_to).
    pub fn send(&self, bytes: &[u8], wait: Wait) -> Result<()> {
        match &self.peer {
            Some(peer) => os::send_connected(&self.inner, peer, bytes, wait),
            None => Err(Error::new(ErrorKind::ApiMisuse, "send to", "nobody")
                .detail("this socket of datagrams is not connected")
                .fix("connect it, or say to whom each datagram goes")),
        }
    }

    /// Sends one datagram to the socket at `name`, waiting for room in its queue as `wait` says.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::ConnectionRefused`] when nobody receives there,
    /// [`ErrorKind::TooLarge`] when it is longer than this socket sends, [`ErrorKind::WouldBlock`] and
    /// [`ErrorKind::TimedOut`] according to `wait`, [`ErrorKind::PermissionDenied`], [`ErrorKind::Incompatible`] when
    /// the socket there is of another type, and those of the system. Nothing was sent then.
    pub fn send_to(&self, name: &LocalName, bytes: &[u8], wait: Wait) -> Result<()> {
        check("send to", name, os::DATAGRAMS)?;
        os::send_to(&self.inner, name, bytes, wait)
    }

    /// How many datagrams were dropped because the access does not include their sender. Where a file has that access, the
    /// system refuses them before they are seen here.
    #[must_use]
    pub fn refused(&self) -> u64 {
        // Relaxed: a number to look at, nothing is published by it.
        self.refused.load(Ordering::Relaxed)
    }

    /// Receives one datagram into `buffer`; gives its length, which is more than the buffer has room for if it was cut.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] and [`io::ErrorKind::TimedOut`] according to `wait`, and those of the system.
    pub fn recv_from(&self, buffer: &mut [u8], wait: Wait) -> io::Result<(usize, Origin)> {
        loop {
            let (len, origin) = os::recv_from(&self.inner, buffer, wait)?;
            let is_guarded = matches!(self.name, Some(LocalName::Path(_)));
            if is_guarded || origin.credentials.is_none_or(|who| who.is_allowed(self.access)) {
                return Ok((len, origin));
            }
            // Relaxed: as in `refused`.
            self.refused.fetch_add(1, Ordering::Relaxed);
            // Strangers must not keep the caller here beyond its time.
            if let Wait::Until(at) = wait
                && Instant::now() >= at
            {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

impl LocalListener {
    /// As [`bind_owned`](Self::bind_owned), for connections that keep messages whole.
    ///
    /// # Errors
    /// As [`bind_owned`](Self::bind_owned), and [`ErrorKind::Unsupported`] where there are no such sockets.
    pub fn bind_packets(name: &LocalName, access: Access, owner: Owner, backlog: u32) -> Result<Self> {
        check("listen on", name, os::PACKETS)?;
        Self::bind_kind(name, true, access, owner, backlog)
    }
}

impl LocalStream {
    /// As [`connect`](Self::connect), to a listener of [`LocalListener::bind_packets`] or another program's
    /// SOCK_SEQPACKET.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and [`ErrorKind::Unsupported`] where there are no such sockets.
    pub fn connect_packets(name: &LocalName, wait: Wait) -> Result<Self> {
        check("connect to", name, os::PACKETS)?;
        os::connect(name, wait).map(Self)
    }

    /// Two connected ends that keep messages whole, for a parent and its child.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where there are none, and those of the system.
    pub fn packet_pair() -> io::Result<(Self, Self)> {
        let (left, right) = os::pair()?;
        Ok((Self(left), Self(right)))
    }
}

#[cfg(all(test, any(unix, windows), not(crossing_os_stub)))]
#[path = "packet_tests.rs"]
mod tests;
