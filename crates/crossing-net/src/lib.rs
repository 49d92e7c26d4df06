//! Sockets: endpoints, listeners, framed streams and raw byte streams over TCP, Unix sockets and named pipes.
//!
//! The address is a string; the rest of a program does not change with it:
//!
//! ```
//! use crossing_net::{Listener, Stream};
//! use std::time::Duration;
//!
//! let listener = Listener::options().max_frame_len(1 << 20).bind("tcp:127.0.0.1:0")?;
//! let mut client = Stream::options().connect_timeout(Duration::from_secs(5)).connect(listener.endpoint())?;
//! let (mut server, peer) = listener.accept()?;
//! client.send(b"hello")?;
//! assert_eq!(server.recv()?, b"hello");
//! assert!(peer.to_string().starts_with("127.0.0.1:"));
//! # Ok::<(), crossing_net::Error>(())
//! ```
//!
//! A [`Stream`] carries frames between programs that use Crossing (the layout is in `docs/format/frame.md`). A
//! [`RawStream`] carries bytes to and from any program: `Stream::options().raw()`, [`Listener::accept_raw`].
//!
//! A [`Session`] carries messages through the loss of connections: `Stream::options().session(..)`,
//! `Listener::options().session(..)`.
//!
//! On local sockets, packets and datagrams keep messages whole without frames, for any program
//! (`Stream::options().packets()`, `Listener::options().packets()`, [`Datagram`]); handles of the system go with frames and
//! packets ([`Stream::send_with_handles`]); [`Allow`] says who may connect, and [`PeerProcess`] tells when a peer dies.
//!
//! Each blocking call exists as itself, `try_`, `_timeout` and `_deadline`; the deadline of `None` is no end. Waiting
//! is done by the kernel. A peer that is gone is an error, never a signal.

#![forbid(unsafe_code)]

mod allow;
mod datagram;
#[cfg(all(unix, not(crossing_os_stub)))] // descriptors are Unix's
mod descriptors;
mod endpoint;
mod gate;
mod halves;
mod link;
mod listener;
mod packets;
mod peer_process;
mod raw;
mod service;
mod session;
mod slow;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))] // tokio waits on descriptors there alone
pub mod tokio;

pub use allow::Allow;
pub use crossing_sys::file::{Access, Handle};
pub use crossing_sys::local::{Credentials, LocalName};
pub use crossing_sys::{CallError, Error, ErrorKind, Result, ServiceError};
pub use datagram::{Datagram, DatagramOptions, DatagramSender, Origin};
pub use endpoint::{Endpoint, SysvAddress, ToEndpoint};
pub use halves::{RecvHalf, SendHalf};
pub use link::Peer;
pub use listener::{Listener, ListenerOptions};
pub use packets::{PacketListener, PacketListenerOptions, PacketOptions, PacketSender, PacketStream};
pub use peer_process::PeerProcess;
pub use raw::{RawOptions, RawStream};
pub use service::{Call, Client, Replies, ReplyStream, Request, Server, Service, ServiceOptions};
pub use session::{
    Session, SessionCause, SessionConnector, SessionEvent, SessionListener, SessionListenerOptions,
    SessionLoss, SessionOptions, SessionRefusal, SessionSender,
};
pub use stream::{GatheringSender, Stream, StreamOptions};

#[cfg(feature = "tls")]
pub use tls::TlsOptions;
#[cfg(feature = "dev-cert")]
pub use tls::{DevAuthority, DevCertificate};

#[cfg(test)]
mod option_tests;
#[cfg(test)]
mod tests;
