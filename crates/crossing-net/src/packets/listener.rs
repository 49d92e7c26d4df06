//! Listening for connections that carry packets.

use super::{DEFAULT_MAX_PACKET_LEN, PacketStream, whole_name};
use crate::link::{Peer, until};
use crate::{Endpoint, ErrorKind, Listener, ListenerOptions, Result, ToEndpoint};
use crossing_sys::local::{LocalListener, Wait};
use crossing_sys::packet;
use std::time::{Duration, Instant};

/// Listener options whose connections carry packets.
#[derive(Debug, Clone)]
pub struct PacketListenerOptions {
    listener: ListenerOptions,
    max_packet_len: usize,
}

impl ListenerOptions {
    /// The same options (access, owner, who is allowed, limits of connections and handles) for connections that carry packets.
    /// On the endpoints `unix:PATH` and `unix:@NAME`.
    #[must_use]
    pub fn packets(&self) -> PacketListenerOptions {
        PacketListenerOptions { listener: self.clone(), max_packet_len: DEFAULT_MAX_PACKET_LEN }
    }
}

impl PacketListenerOptions {
    /// The longest packet that accepted streams receive, in bytes; 1 MiB unless set. A longer one is lost and told.
    pub fn max_packet_len(&mut self, bytes: usize) -> &mut Self {
        self.max_packet_len = bytes;
        self
    }

    /// How many handles of the operating system a peer may send with one packet; none unless set, at most 64.
    pub fn max_handles(&mut self, handles: usize) -> &mut Self {
        self.listener.max_handles(handles);
        self
    }

    /// Listens at `endpoint`. A stale socket file is replaced, a live one never.
    ///
    /// # Errors
    /// As [`ListenerOptions::bind`]; [`ErrorKind::Unsupported`] on other endpoints than `unix:` and on systems that have no such
    /// sockets.
    ///
    /// # Platform-specific behavior
    /// Linux and FreeBSD: unix(7). macOS and Windows: [`ErrorKind::Unsupported`].
    pub fn bind<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<PacketListener> {
        let endpoint = endpoint.to_endpoint()?;
        whole_name("listen on", &endpoint, packet::is_supported())?;
        let listener = self.listener.bind_kind(&endpoint, LocalListener::bind_packets)?;
        Ok(PacketListener {
            listener,
            max_packet_len: self.max_packet_len,
            max_handles: self.listener.settings().max_handles,
        })
    }
}

/// Waits for connections that carry packets. Dropping it stops that, and removes the socket's file.
#[derive(Debug)]
pub struct PacketListener {
    listener: Listener,
    max_packet_len: usize,
    max_handles: usize,
}

impl PacketListener {
    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.listener.endpoint()
    }

    /// As [`Listener::is_full`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.listener.is_full()
    }

    /// As [`Listener::refused_connections`].
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.listener.refused_connections()
    }

    /// Takes the next connection, waiting for it without end; also while there are too many open files.
    ///
    /// # Errors
    /// Those of the system.
    pub fn accept(&self) -> Result<(PacketStream, Peer)> {
        self.accept_deadline(None)
    }

    /// Takes the next connection if one waits already.
    ///
    /// # Errors
    /// [`ErrorKind::LimitReached`] when there are too many open files, and those of the system.
    pub fn try_accept(&self) -> Result<Option<(PacketStream, Peer)>> {
        match self.accept_wait(Wait::Never) {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the next connection, waiting at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and those of the system.
    pub fn accept_timeout(&self, timeout: Duration) -> Result<(PacketStream, Peer)> {
        self.accept_deadline(Instant::now().checked_add(timeout))
    }

    /// Takes the next connection, waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and those of the system.
    pub fn accept_deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<(PacketStream, Peer)> {
        self.accept_wait(until(deadline.into()))
    }

    fn accept_wait(&self, wait: Wait) -> Result<(PacketStream, Peer)> {
        let (link, peer) = self.listener.accept_link(wait)?;
        Ok((PacketStream::new(link, self.max_handles, self.max_packet_len), peer))
    }
}

/// For waiting: readable means that [`try_accept`](PacketListener::try_accept) may have a connection.
#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsFd for PacketListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.descriptor()
    }
}

#[cfg(all(unix, not(crossing_os_stub)))]
impl std::os::fd::AsRawFd for PacketListener {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsFd;
        self.as_fd().as_raw_fd()
    }
}
