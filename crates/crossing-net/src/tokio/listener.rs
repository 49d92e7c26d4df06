//! Listening and accepting.

use super::{RawStream, Stream, failed, register};
use crate::{Endpoint, ErrorKind, Peer, Result, ToEndpoint};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long accepting rests when the system has no more files or memory.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);

/// How long accepting rests while as many connections are open as may.
const FULL_REST: Duration = Duration::from_millis(5);

/// A [`Listener`](crate::Listener) for tokio.
#[derive(Debug)]
pub struct Listener {
    inner: AsyncFd<crate::Listener>,
}

impl Listener {
    /// Listens with the usual options.
    ///
    /// # Errors
    /// As [`crate::Listener::bind`].
    pub fn bind<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::from_blocking(crate::Listener::bind(endpoint)?)
    }

    /// Makes one of a listener that was made with other options.
    ///
    /// # Errors
    /// Those of the system.
    pub fn from_blocking(listener: crate::Listener) -> Result<Self> {
        let name = listener.endpoint().to_string();
        match register(listener, Interest::READABLE) {
            Ok(inner) => Ok(Self { inner }),
            Err(cause) => Err(failed(cause, &name)),
        }
    }

    /// Where it listens; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.inner.get_ref().endpoint()
    }

    /// The listener that waits without tokio.
    #[must_use]
    pub fn into_blocking(self) -> crate::Listener {
        self.inner.into_inner()
    }

    /// As [`crate::Listener::is_full`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.get_ref().is_full()
    }

    /// As [`crate::Listener::refused_connections`].
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.inner.get_ref().refused_connections()
    }

    /// As [`crate::Listener::reload_certificates`]; it reads files.
    ///
    /// # Errors
    /// As [`crate::Listener::reload_certificates`].
    #[cfg(feature = "tls")]
    pub fn reload_certificates(&self) -> Result<()> {
        self.inner.get_ref().reload_certificates()
    }

    /// Takes the next connection. When the system has no more files or memory, it rests and tries again.
    ///
    /// # Cancel safety
    /// Safe: no connection is lost.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn accept(&self) -> Result<(Stream, Peer)> {
        let (stream, peer) = self.take(crate::Listener::try_accept).await?;
        Ok((Stream::new(stream, self.name(&peer))?, peer))
    }

    /// Takes the next connection, which carries bare bytes. When the system has no more files or memory, it rests and tries
    /// again.
    ///
    /// # Cancel safety
    /// Safe: no connection is lost.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn accept_raw(&self) -> Result<(RawStream, Peer)> {
        let (stream, peer) = self.take(crate::Listener::try_accept_raw).await?;
        Ok((RawStream::new(stream, self.name(&peer))?, peer))
    }

    fn name(&self, peer: &Peer) -> String {
        format!("{} ({peer})", self.endpoint())
    }

    async fn take<T>(
        &self,
        try_accept: impl Fn(&crate::Listener) -> Result<Option<(T, Peer)>>,
    ) -> Result<(T, Peer)> {
        accept(&self.inner, self.endpoint(), crate::Listener::is_full, try_accept).await
    }
}

/// Tries until there is a connection; nothing is awaited after it was taken.
pub(super) async fn accept<L: AsRawFd, T>(
    listener: &AsyncFd<L>,
    endpoint: &Endpoint,
    is_full: impl Fn(&L) -> bool,
    try_accept: impl Fn(&L) -> Result<Option<T>>,
) -> Result<T> {
    loop {
        let waited = listener.readable().await;
        let mut guard = waited.map_err(|cause| failed(cause, &endpoint.to_string()))?;
        match try_accept(listener.get_ref()) {
            Ok(Some(taken)) => return Ok(taken),
            // A client may wait: what tokio knows of it must stay.
            Ok(None) if is_full(listener.get_ref()) => {
                tokio::time::sleep_until((Instant::now() + FULL_REST).into()).await;
            }
            Ok(None) => guard.clear_ready(),
            Err(error) if error.kind() == ErrorKind::LimitReached => {
                tokio::time::sleep_until((Instant::now() + EXHAUSTED_REST).into()).await;
            }
            Err(error) => return Err(error),
        }
    }
}
