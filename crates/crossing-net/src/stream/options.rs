//! How to connect, and what both sides of a stream may be told.

use super::Stream;
#[allow(unused_imports)] // for links of the documentation
use crate::ErrorKind;
use crate::link::{Link, until};
use crate::raw::RawOptions;
use crate::{Endpoint, Result, ToEndpoint};
use crossing_sys::local::{Tuning, Wait};
use crossing_wire::DEFAULT_MAX_FRAME_LEN;
use std::time::{Duration, Instant};

/// What streams and listeners are told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_frame_len: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) nodelay: bool,
    pub(crate) tuning: Tuning,
    /// The most that a frame or packet may bring.
    pub(crate) max_handles: usize,
    /// How long a peer may take nothing.
    pub(crate) slow: Option<Duration>,
    /// The network device to connect by.
    pub(crate) device: Option<String>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::TlsOptions>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_frame_len: DEFAULT_MAX_FRAME_LEN,
            handshake_timeout: Duration::from_secs(10),
            nodelay: true,
            tuning: Tuning::default(),
            max_handles: 0,
            slow: None,
            device: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// How to connect. Reusable.
#[derive(Debug, Clone, Default)]
pub struct StreamOptions {
    pub(super) settings: Settings,
    connect_timeout: Option<Duration>,
}

impl StreamOptions {
    /// The longest frame to receive, in bytes; 16 MiB unless set.
    pub fn max_frame_len(&mut self, bytes: usize) -> &mut Self {
        self.settings.max_frame_len = bytes;
        self
    }

    /// How long the peer may take to introduce itself; 10 s unless set.
    pub fn handshake_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.settings.handshake_timeout = timeout;
        self
    }

    /// Whether small messages leave at once over TCP instead of being gathered by the system; true unless set.
    pub fn nodelay(&mut self, yes: bool) -> &mut Self {
        self.settings.nodelay = yes;
        self
    }

    /// Over TCP: an idle connection is probed after this long, and given up when a few probes, a tenth of it apart, are
    /// not answered. Unset, an idle connection to a machine that is gone stays.
    pub fn keepalive(&mut self, idle: Duration) -> &mut Self {
        self.settings.tuning.keepalive = Some(idle);
        self
    }

    /// How much the system holds that was sent and not delivered, in bytes; as much as it chooses unless set.
    ///
    /// # Platform-specific behavior
    /// Linux: twice as much, at most what `net.core.wmem_max` allows. Windows: not on pipes.
    pub fn send_buffer(&mut self, bytes: usize) -> &mut Self {
        self.settings.tuning.send_buffer = Some(bytes);
        self
    }

    /// How much the system holds that arrived and was not received, in bytes; as much as it chooses unless set.
    ///
    /// # Platform-specific behavior
    /// As [`send_buffer`](Self::send_buffer), with `net.core.rmem_max`.
    pub fn recv_buffer(&mut self, bytes: usize) -> &mut Self {
        self.settings.tuning.recv_buffer = Some(bytes);
        self
    }

    /// Over TCP: connects by the network device of this name alone, for example `eth0`, whatever the routes say.
    /// Connecting is [`ErrorKind::NotFound`] when there is none, [`ErrorKind::PermissionDenied`] when this process may
    /// not, and [`ErrorKind::Unsupported`] on local sockets.
    ///
    /// # Platform-specific behavior
    /// Linux: SO_BINDTODEVICE of socket(7); it needs CAP_NET_RAW before Linux 5.7. Elsewhere: [`ErrorKind::Unsupported`].
    pub fn device(&mut self, name: impl Into<String>) -> &mut Self {
        self.settings.device = Some(name.into());
        self
    }

    /// How long connecting may take; as long as the system lets it unless set. The resolver of host names has its own
    /// limits.
    pub fn connect_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Whom to trust and who to be on `tls:` endpoints; the platform's authorities and nobody unless set.
    #[cfg(feature = "tls")]
    pub fn tls(&mut self, tls: &crate::TlsOptions) -> &mut Self {
        self.settings.tls = Some(tls.clone());
        self
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same options for a connection that carries bare bytes, to and from any program.
    #[must_use]
    pub fn raw(&self) -> RawOptions {
        RawOptions(self.clone())
    }

    /// Connects to `endpoint`. The peer's introduction is awaited by the first send or receive.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionRefused`], [`ErrorKind::NotFound`] (socket file, host name), [`ErrorKind::TimedOut`],
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::Unsupported`] for endpoints that streams do not carry,
    /// [`ErrorKind::ApiMisuse`] for text that is no endpoint.
    pub fn connect<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<Stream> {
        self.link(endpoint, None).map(|link| Stream::new(link, &self.settings))
    }

    /// Connects to `endpoint` until `deadline` (`None`: as long as the connect timeout says).
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_deadline<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<Stream> {
        self.link(endpoint, deadline.into()).map(|link| Stream::new(link, &self.settings))
    }

    pub(crate) fn link<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        deadline: Option<Instant>,
    ) -> Result<Link> {
        self.link_by(endpoint, deadline, Link::connect)
    }

    pub(crate) fn link_by<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        deadline: Option<Instant>,
        connect: fn(&Endpoint, Wait, &Settings) -> Result<Link>,
    ) -> Result<Link> {
        let mut wait = until(deadline);
        if let Some(limit) = self.connect_timeout.and_then(|timeout| Instant::now().checked_add(timeout)) {
            wait = wait.no_later_than(limit);
        }
        let link = connect(&endpoint.to_endpoint()?, wait, &self.settings)?;
        link.tune(&self.settings.tuning).map_err(|cause| link.error(cause, "set the socket options of"))?;
        Ok(link)
    }
}
