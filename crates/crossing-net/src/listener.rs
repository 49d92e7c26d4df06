//! Listening and accepting.

use crate::allow::{Allow, Door};
use crate::gate::Gate;
use crate::link::{Link, Peer, local_name, no_device, resolve, unsupported, until};
use crate::stream::Settings;
#[cfg(feature = "tls")]
use crate::tls::TlsStream;
use crate::{Access, Endpoint, RawStream, Stream, ToEndpoint};
use crossing_sys::local::{self, LocalListener, LocalName, Owner, Ready, Wait};
use crossing_sys::tcp::{self, Listening};
use crossing_sys::{Error, ErrorKind, Result};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

const BIND: &str = "listen on";
const ACCEPT: &str = "accept a connection on";
/// How long accepting rests when the system has no more files or memory.
const EXHAUSTED_REST: Duration = Duration::from_millis(20);

/// How to listen. Reusable.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    settings: Settings,
    access: Access,
    owner: Owner,
    tcp: Listening,
    max_connections: Option<usize>,
    max_connections_per_peer: Option<usize>,
    allowed: Vec<Allow>,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            access: Access::Private,
            owner: Owner::default(),
            tcp: Listening::default(),
            max_connections: None,
            max_connections_per_peer: None,
            allowed: Vec::new(),
        }
    }
}

impl ListenerOptions {
    /// The longest frame that accepted streams receive, in bytes; 16 MiB unless set.
    pub fn max_frame_len(&mut self, bytes: usize) -> &mut Self {
        self.settings.max_frame_len = bytes;
        self
    }

    /// How long an accepted peer may take to introduce itself; 10 s unless set.
    pub fn handshake_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.settings.handshake_timeout = timeout;
        self
    }

    /// Whether small messages leave at once over TCP instead of being gathered by the system; true unless set.
    pub fn nodelay(&mut self, yes: bool) -> &mut Self {
        self.settings.nodelay = yes;
        self
    }

    /// Over TCP: an idle accepted connection is probed after this long, and given up when a few probes, a tenth of it apart, are
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

    /// Who may connect to a local socket; only this user unless set. TCP has no such check.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.access = access;
        self
    }

    /// Lets in whom `allowed` says, of those whom [`access`](Self::access) lets in; called again, whom it says as well. All
    /// others are closed before they are accepted, and counted ([`refused_connections`](Listener::refused_connections)).
    ///
    /// Local sockets alone tell who connects: elsewhere binding is [`ErrorKind::Unsupported`].
    pub fn allow(&mut self, allowed: Allow) -> &mut Self {
        self.allowed.push(allowed);
        self
    }

    /// How many handles of the operating system a peer may send with one frame or packet; none unless set, at most 64
    /// (see [`Stream::recv_with_handles`]). Local sockets alone carry them: elsewhere binding is
    /// [`ErrorKind::Unsupported`].
    pub fn max_handles(&mut self, handles: usize) -> &mut Self {
        self.settings.max_handles = handles.min(local::MAX_HANDLES);
        self
    }

    /// To which user id and group id a Unix socket's file is given (`None`: this process's); with
    /// [`access`](Self::access) it lets in, for example, a group that this program serves. It happens before anybody can
    /// connect, and nobody is let in meanwhile.
    ///
    /// Binding is [`ErrorKind::PermissionDenied`] when this process may not give the file away (only root may to another
    /// user; others may to a group that they are in), and [`ErrorKind::Unsupported`] on other endpoints than files.
    ///
    /// # Platform-specific behavior
    /// Unix: unix(7), chown(2). Windows: [`ErrorKind::Unsupported`].
    pub fn owner(&mut self, user: impl Into<Option<u32>>, group: impl Into<Option<u32>>) -> &mut Self {
        self.owner = Owner { user: user.into(), group: group.into() };
        self
    }

    /// Whether an IPv6 address such as `[::]` stands for IPv4 as well; as the system has it unless set, which is on for
    /// Linux (`net.ipv6.bindv6only`) and off for Windows. Without effect on other addresses. IPv4 clients of such a
    /// listener have addresses such as `[::ffff:192.0.2.1]`.
    ///
    /// # Platform-specific behavior
    /// IPV6_V6ONLY of ipv6(7); FreeBSD may forbid it to be on.
    pub fn dual_stack(&mut self, yes: bool) -> &mut Self {
        self.tcp.dual_stack = Some(yes);
        self
    }

    /// Over TCP: connections come in by the network device of this name alone, for example `eth0`, whatever the address
    /// says. Binding is [`ErrorKind::NotFound`] when there is none, [`ErrorKind::PermissionDenied`] when this process
    /// may not, and [`ErrorKind::Unsupported`] on local sockets.
    ///
    /// # Platform-specific behavior
    /// Linux: SO_BINDTODEVICE of socket(7); it needs CAP_NET_RAW before Linux 5.7. Elsewhere: [`ErrorKind::Unsupported`].
    pub fn device(&mut self, name: impl Into<String>) -> &mut Self {
        self.tcp.device = Some(name.into());
        self
    }

    /// Over TCP: whether a port can be taken again while the system still forgets the connections of its former
    /// listener; true unless set.
    ///
    /// # Platform-specific behavior
    /// Unix: SO_REUSEADDR of socket(7). Windows: no effect, for a port is free at once there.
    pub fn reuse_address(&mut self, yes: bool) -> &mut Self {
        self.tcp.reuse_address = yes;
        self
    }

    /// Over TCP: whether several listeners of this user, all of which say so, may have the same port, so that several
    /// processes serve it; false unless set.
    ///
    /// # Platform-specific behavior
    /// Linux: SO_REUSEPORT of socket(7), the connections are shared out evenly. macOS and FreeBSD: one listener gets them.
    /// Windows: binding is [`ErrorKind::Unsupported`].
    pub fn reuse_port(&mut self, yes: bool) -> &mut Self {
        self.tcp.reuse_port = yes;
        self
    }

    /// How long an accepted peer may take nothing of what is being sent to it. Then it is given up: sending, by whatever call, is
    /// [`ErrorKind::Disconnected`] with that reason from then on, so that a client that does not read holds nobody, and its
    /// connection is dropped. Without end unless set; a call's own deadline that is earlier counts too.
    ///
    /// Packets count as well. Sessions and services have limits of their own beside it. `AsyncWrite` of tokio's raw streams does
    /// not look at the time while it waits.
    pub fn slow_client(&mut self, patience: Duration) -> &mut Self {
        self.settings.slow = Some(patience);
        self
    }

    /// How many accepted connections may be open at a time; any number unless set. Further clients wait in the backlog,
    /// and accepting waits, until one is dropped.
    pub fn max_connections(&mut self, connections: usize) -> &mut Self {
        self.max_connections = Some(connections.max(1));
        self
    }

    /// How many accepted connections of one peer may be open at a time; any number unless set. Further ones of it are
    /// closed when they come up ([`refused_connections`](Listener::refused_connections) counts them), so that they do
    /// not keep others from being accepted.
    ///
    /// Over TCP a peer is an IPv4 address or a network of IPv6 (its first 64 bits); on local sockets it is a user.
    pub fn max_connections_per_peer(&mut self, connections: usize) -> &mut Self {
        self.max_connections_per_peer = Some(connections.max(1));
        self
    }

    /// How many connections may wait to be accepted; 1024 unless set (the system may cap it: `net.core.somaxconn`).
    ///
    /// # Platform-specific behavior
    /// Windows: it is 128 over TCP and 1 over a pipe; further clients of a pipe wait where they connect.
    pub fn backlog(&mut self, connections: u32) -> &mut Self {
        self.tcp.backlog = connections;
        self
    }

    /// Who to be on `tls:` endpoints, and whose certificates to demand.
    #[cfg(feature = "tls")]
    pub fn tls(&mut self, tls: &crate::TlsOptions) -> &mut Self {
        self.settings.tls = Some(tls.clone());
        self
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Listens at `endpoint`. A stale Unix socket file is replaced, a live one never; a pipe's name is taken only if
    /// nobody has it; a TCP port is reused at once
    /// after its last listener closed.
    ///
    /// # Errors
    /// [`ErrorKind::AddressInUse`], [`ErrorKind::NotFound`] (host name, directory), [`ErrorKind::PermissionDenied`],
    /// [`ErrorKind::AlreadyExists`] (a file that is no socket), [`ErrorKind::Unsupported`] for endpoints that streams
    /// do not carry, [`ErrorKind::ApiMisuse`] for text that is no endpoint.
    pub fn bind<E: ToEndpoint + ?Sized>(&self, endpoint: &E) -> Result<Listener> {
        self.bind_kind(endpoint, LocalListener::bind_owned)
    }

    /// Listens; on local sockets by `bind_local`.
    pub(crate) fn bind_kind<E: ToEndpoint + ?Sized>(
        &self,
        endpoint: &E,
        bind_local: fn(&LocalName, Access, Owner, u32) -> Result<LocalListener>,
    ) -> Result<Listener> {
        let endpoint = endpoint.to_endpoint()?;
        if local_name(&endpoint).is_none() {
            Door::check(&self.allowed, BIND, &endpoint)?;
            self.settings.check_handles(BIND, &endpoint)?;
        }
        let (socket, endpoint) = match &endpoint {
            Endpoint::Tcp { host, port } => {
                let listener = self.bind_tcp(&endpoint, host, *port)?;
                let port = listener.local_addr().map_or(*port, |address| address.port());
                (Socket::Tcp(listener), Endpoint::Tcp { host: host.clone(), port })
            }
            #[cfg(feature = "tls")]
            Endpoint::Tls { host, port } => {
                // Before the port is taken, so that wrong files take none.
                let config = self.settings.tls.clone().unwrap_or_default().server_config()?;
                let listener = self.bind_tcp(&endpoint, host, *port)?;
                let port = listener.local_addr().map_or(*port, |address| address.port());
                (Socket::Tls(listener, RwLock::new(config)), Endpoint::Tls { host: host.clone(), port })
            }
            _ => match local_name(&endpoint) {
                Some(_) if self.tcp.device.is_some() => return Err(no_device(BIND, &endpoint)),
                Some(name) => {
                    let (owner, backlog) = (self.owner, self.tcp.backlog);
                    (Socket::Local(bind_local(&name, self.access, owner, backlog)?), endpoint)
                }
                None => return Err(unsupported(BIND, &endpoint)),
            },
        };
        Ok(Listener {
            socket,
            endpoint,
            settings: self.settings.clone(),
            gate: Gate::new(self.max_connections, self.max_connections_per_peer),
            door: Door::new(&self.allowed),
        })
    }

    /// At the first address of `host` that can be had.
    fn bind_tcp(&self, endpoint: &Endpoint, host: &str, port: u16) -> Result<TcpListener> {
        let subject = endpoint.to_string();
        if !self.owner.is_default() {
            return Err(Error::new(ErrorKind::Unsupported, BIND, subject)
                .detail("it has no file whose owner could be set")
                .fix("leave the owner out, or use unix:PATH on a Unix system"));
        }
        let mut last = None;
        for address in resolve(BIND, endpoint, host, port)? {
            match tcp::listen(&subject, address, &self.tcp) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        // `resolve` gives one address at least.
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::NotFound, BIND, subject)))
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Local(LocalListener),
    #[cfg(feature = "tls")]
    Tls(TcpListener, RwLock<Arc<rustls::ServerConfig>>),
}

/// Waits for connections. Dropping it stops that, and removes a Unix socket's file.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    endpoint: Endpoint,
    settings: Settings,
    gate: Option<Arc<Gate>>,
    door: Door,
}

macro_rules! accepts {
    ($stream:ident, $make:ident, $accept:ident, $try_accept:ident, $timeout:ident, $deadline:ident) => {
        /// Takes the next connection, waiting for it without end; also while there are too many open files.
        ///
        /// # Errors
        /// Those of the system.
        pub fn $accept(&self) -> Result<($stream, Peer)> {
            self.$deadline(None)
        }

        /// Takes the next connection if one waits already.
        ///
        /// # Errors
        /// [`ErrorKind::LimitReached`] when there are too many open files, and those of the system.
        pub fn $try_accept(&self) -> Result<Option<($stream, Peer)>> {
            match self.accept_link(Wait::Never) {
                Ok((link, peer)) => Ok(Some(($stream::$make(link, &self.settings), peer))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(error),
            }
        }

        /// Takes the next connection, waiting at most `timeout`.
        ///
        /// # Errors
        /// [`ErrorKind::TimedOut`], and those of the system.
        pub fn $timeout(&self, timeout: Duration) -> Result<($stream, Peer)> {
            self.$deadline(Instant::now().checked_add(timeout))
        }

        /// Takes the next connection, waiting until `deadline` (`None`: without end).
        ///
        /// # Errors
        /// [`ErrorKind::TimedOut`], and those of the system.
        pub fn $deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<($stream, Peer)> {
            let (link, peer) = self.accept_link(until(deadline.into()))?;
            Ok(($stream::$make(link, &self.settings), peer))
        }
    };
}

impl Listener {
    /// Options, to be ended by [`bind`](ListenerOptions::bind).
    #[must_use]
    pub fn options() -> ListenerOptions {
        ListenerOptions::default()
    }

    /// Listens with the usual options.
    ///
    /// # Errors
    /// As [`ListenerOptions::bind`].
    pub fn bind<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::options().bind(endpoint)
    }

    #[cfg(all(unix, not(crossing_os_stub)))]
    pub(crate) fn descriptor(&self) -> std::os::fd::BorrowedFd<'_> {
        use std::os::fd::AsFd;
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Local(listener) => listener.as_fd(),
            #[cfg(feature = "tls")]
            Socket::Tls(listener, _) => listener.as_fd(),
        }
    }

    /// Where it listens; a port 0 has become the one that the system chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Reads the certificate, the key and the trusted authorities again: connections from now on get the new ones, those
    /// that stand go on. Without effect on endpoints without TLS.
    ///
    /// # Errors
    /// Those of reading the files; the old ones stay in use then.
    #[cfg(feature = "tls")]
    pub fn reload_certificates(&self) -> Result<()> {
        if let Socket::Tls(_, config) = &self.socket {
            let new = self.settings.tls.clone().unwrap_or_default().server_config()?;
            *config.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
        Ok(())
    }

    /// Whether as many accepted connections are open as may be ([`max_connections`](ListenerOptions::max_connections)).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.is_full())
    }

    /// How many connections were closed because their peer may not connect ([`allow`](ListenerOptions::allow); on names
    /// without a file [`access`](ListenerOptions::access) too), or had as many as it may
    /// ([`max_connections_per_peer`](ListenerOptions::max_connections_per_peer)).
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        let strangers = match &self.socket {
            Socket::Local(listener) => listener.refused(),
            _ => 0,
        };
        strangers + self.door.refused() + self.gate.as_ref().map_or(0, |gate| gate.refused())
    }

    accepts!(Stream, new, accept, try_accept, accept_timeout, accept_deadline);
    accepts!(RawStream, new, accept_raw, try_accept_raw, accept_raw_timeout, accept_raw_deadline);

    /// Accepts; while the system has no more files or memory for another connection, rests and tries again.
    pub(crate) fn accept_link(&self, wait: Wait) -> Result<(Link, Peer)> {
        let mut ticket = match &self.gate {
            None => None,
            Some(gate) => Some(gate.enter(wait).map_err(|cause| {
                let error = Error::os(cause, ACCEPT, self.endpoint.to_string());
                error
                    .detail("as many connections as may are open")
                    .fix("close some, or raise max_connections")
            })?),
        };
        loop {
            let cause = match self.accept_once(wait) {
                // Who may not come in or has too many must not keep the caller here beyond its time, unless it cannot wait at all: then all
                // that waits is looked at, because an event loop would not come again for what is left.
                Ok((link, peer))
                    if !self.door.lets_in(&link, &peer)
                        || ticket.as_mut().is_some_and(|ticket| !ticket.admit(&peer)) =>
                {
                    match wait {
                        Wait::Until(at) if Instant::now() >= at => io::ErrorKind::TimedOut.into(),
                        _ => continue,
                    }
                }
                Ok((link, peer)) => match link.tune(&self.settings.tuning) {
                    Ok(()) => return Ok((link.counted(ticket).given_up_after(self.settings.slow), peer)),
                    Err(cause) => return Err(link.error(cause, "set the socket options of")),
                },
                Err(cause) => cause,
            };
            let out_of_time = match wait {
                Wait::Never => true,
                Wait::Until(at) => Instant::now() + EXHAUSTED_REST >= at,
                Wait::Forever => false,
            };
            match local::is_exhausted(&cause) {
                true if !out_of_time => std::thread::sleep(EXHAUSTED_REST),
                true => {
                    let error =
                        Error::os(cause, ACCEPT, self.endpoint.to_string()).kinded(ErrorKind::LimitReached);
                    return Err(
                        error.fix("raise the limit of open files (`ulimit -n`), or close connections")
                    );
                }
                false => return Err(Error::os(cause, ACCEPT, self.endpoint.to_string())),
            }
        }
    }

    fn accept_once(&self, wait: Wait) -> io::Result<(Link, Peer)> {
        match &self.socket {
            Socket::Tcp(listener) => self.accept_tcp(listener, wait).map(|(stream, address)| {
                let name = format!("{} ({address})", self.endpoint);
                (Link::tcp(stream, name, self.settings.nodelay), Peer::Tcp(address))
            }),
            Socket::Local(listener) => listener.accept(wait).map(|(stream, credentials)| {
                let name = format!("{} ({credentials})", self.endpoint);
                (Link::of_local(stream, name), Peer::Local(credentials))
            }),
            #[cfg(feature = "tls")]
            Socket::Tls(listener, config) => self.accept_tcp(listener, wait).and_then(|(tcp, address)| {
                let config = Arc::clone(&config.read().unwrap_or_else(PoisonError::into_inner));
                let _ = tcp.set_nodelay(self.settings.nodelay);
                let name = format!("{} ({address})", self.endpoint);
                Ok((Link::tls(TlsStream::accept(tcp, config)?, name), Peer::Tcp(address)))
            }),
        }
    }

    fn accept_tcp(&self, listener: &TcpListener, wait: Wait) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match listener.accept() {
                Ok((stream, address)) => {
                    // Some systems hand the listener's mode on.
                    stream.set_nonblocking(false)?;
                    return Ok((stream, address));
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    let deadline = match wait {
                        Wait::Never => return Err(cause),
                        Wait::Until(at) => Some(at),
                        Wait::Forever => None,
                    };
                    let interest = Ready { readable: true, writable: false };
                    if !local::wait_ready(listener, interest, deadline)?.readable {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                // The connection went away before it was taken.
                Err(cause)
                    if matches!(
                        cause.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                    ) => {}
                Err(cause) => return Err(cause),
            }
        }
    }
}
