//! A connected socket of either mechanism, and who is at its other end.

use crate::Endpoint;
use crate::gate::Ticket;
use crate::slow::{Slow, TookNothing};
use crate::stream::Settings;
#[cfg(feature = "tls")]
use crate::tls::TlsStream;
use crossing_sys::local::{self, Credentials, LocalName, LocalStream, Progress, Ready, Tuning, Wait};
use crossing_sys::tcp;
use crossing_sys::{Error, ErrorKind, Result};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Who connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Over TCP: the address.
    Tcp(SocketAddr),
    /// Over a local socket: what the kernel knows of the process.
    Local(Credentials),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Local(credentials) => credentials.fmt(f),
        }
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Local(LocalStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

/// A connection and the name to speak of it.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    name: String,
    /// How long its peer may take nothing.
    slow: Option<Slow>,
    /// Of the listener that accepted it.
    _ticket: Option<Ticket>,
}

macro_rules! with_socket {
    ($link:expr, $socket:ident => $call:expr, $tls:ident => $tls_call:expr) => {
        match &$link.socket {
            Socket::Tcp($socket) => $call,
            Socket::Local($socket) => $call,
            #[cfg(feature = "tls")]
            Socket::Tls($tls) => $tls_call,
        }
    };
}

impl Link {
    pub(crate) fn tcp(stream: TcpStream, name: String, nodelay: bool) -> Self {
        // It fails only on a connection that is dead already, which the first use will tell.
        let _ = stream.set_nodelay(nodelay);
        Self { socket: Socket::Tcp(stream), name, slow: None, _ticket: None }
    }

    pub(crate) fn of_local(stream: LocalStream, name: String) -> Self {
        Self { socket: Socket::Local(stream), name, slow: None, _ticket: None }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(stream: TlsStream, name: String) -> Self {
        Self { socket: Socket::Tls(Box::new(stream)), name, slow: None, _ticket: None }
    }

    /// What TLS agreed: the application protocol, and whether an earlier TLS session went on.
    #[cfg(feature = "tls")]
    pub(crate) fn agreed(&self) -> Option<(Option<Vec<u8>>, bool)> {
        match &self.socket {
            Socket::Tls(stream) => Some((stream.alpn(), stream.is_resumed())),
            _ => None,
        }
    }

    /// Connects and hangs up: it wakes who accepts there.
    pub(crate) fn knock(endpoint: &Endpoint, wait: Wait) {
        match endpoint {
            Endpoint::Tcp { host, port } | Endpoint::Tls { host, port } => {
                let _ = connect_tcp(endpoint, host, *port, wait, None);
            }
            _ => {
                let _ = local_name(endpoint).map(|name| LocalStream::connect(&name, wait));
            }
        }
    }

    pub(crate) fn connect(endpoint: &Endpoint, wait: Wait, settings: &Settings) -> Result<Self> {
        let (nodelay, device) = (settings.nodelay, settings.device.as_deref());
        if local_name(endpoint).is_none() {
            settings.check_handles("connect to", endpoint)?;
        }
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let tcp = connect_tcp(endpoint, host, *port, wait, device)?;
                Ok(Self::tcp(tcp, endpoint.to_string(), nodelay))
            }
            #[cfg(feature = "tls")]
            Endpoint::Tls { host, port } => {
                let tcp = connect_tcp(endpoint, host, *port, wait, device)?;
                let _ = tcp.set_nodelay(nodelay);
                let options = settings.tls.clone().unwrap_or_default();
                let failed = |cause: io::Error| tls_error(cause, "connect to", &endpoint.to_string());
                let stream = TlsStream::connect(tcp, host, &options)?;
                Ok(Self::tls(stream.map_err(failed)?, endpoint.to_string()))
            }
            _ => match local_name(endpoint) {
                Some(_) if device.is_some() => Err(no_device("connect to", endpoint)),
                Some(name) => Ok(Self::of_local(LocalStream::connect(&name, wait)?, endpoint.to_string())),
                None => Err(unsupported("connect to", endpoint)),
            },
        }
    }

    /// Counts it among the open connections of its listener.
    pub(crate) fn counted(self, ticket: Option<Ticket>) -> Self {
        Self { _ticket: ticket, ..self }
    }

    /// Gives its peer up when that takes nothing for so long.
    pub(crate) fn given_up_after(self, patience: Option<Duration>) -> Self {
        Self { slow: patience.map(Slow::new), ..self }
    }

    /// When that will be; `None`: nothing waits to be sent, or it may wait without end.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn slow_limit(&self) -> Option<Instant> {
        self.slow.as_ref().and_then(Slow::limit)
    }

    /// Sends by `send`, waiting no longer than its peer may take nothing.
    pub(crate) fn send_by<T>(&self, wait: Wait, send: impl FnOnce(Wait) -> io::Result<T>) -> io::Result<T> {
        match &self.slow {
            None => send(wait),
            Some(slow) => slow.send(wait, send),
        }
    }

    /// What it is called in errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The socket, if it is a local one.
    pub(crate) fn local(&self) -> Option<&LocalStream> {
        match &self.socket {
            Socket::Local(stream) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn peer(&self) -> io::Result<Peer> {
        match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr().map(Peer::Tcp),
            Socket::Local(stream) => stream.credentials().map(Peer::Local),
            #[cfg(feature = "tls")]
            Socket::Tls(stream) => stream.tcp().peer_addr().map(Peer::Tcp),
        }
    }

    pub(crate) fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        with_socket!(self, socket => local::recv(socket, buffer, wait), tls => tls.recv(buffer, wait))
    }

    pub(crate) fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        self.send_by(
            wait,
            |wait| with_socket!(self, socket => local::send(socket, bytes, wait), tls => tls.send(bytes, wait)),
        )
    }

    pub(crate) fn send_vectored(&self, parts: &[IoSlice<'_>], wait: Wait) -> io::Result<usize> {
        self.send_by(wait, |wait| {
            with_socket!(self, socket => local::send_vectored(socket, parts, wait), tls => {
                let first = parts.iter().find(|part| !part.is_empty());
                first.map_or(Ok(0), |part| tls.send(part, wait))
            })
        })
    }

    pub(crate) fn end_sending(&self) -> io::Result<()> {
        with_socket!(self, socket => local::end_sending(socket), tls => tls.end_sending())
    }

    /// As [`end_sending`](Self::end_sending), without waiting; `false` while there is no room for TLS to say so.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn try_end_sending(&self) -> io::Result<bool> {
        with_socket!(self, socket => local::end_sending(socket).map(|()| true), tls => tls.try_end_sending())
    }

    pub(crate) fn send_or_ready(&self, bytes: &[u8], wait: Wait) -> io::Result<Progress> {
        with_socket!(self, socket => local::send_or_ready(socket, bytes, wait), tls => tls.send_or_ready(bytes, wait))
    }

    /// What an event loop can wait on.
    #[cfg(all(unix, not(crossing_os_stub)))]
    pub(crate) fn descriptor(&self) -> std::os::fd::BorrowedFd<'_> {
        use std::os::fd::AsFd;
        with_socket!(self, socket => socket.as_fd(), tls => tls.tcp().as_fd())
    }

    pub(crate) fn tune(&self, tuning: &Tuning) -> io::Result<()> {
        with_socket!(self, socket => local::tune(socket, tuning), tls => local::tune(tls.tcp(), tuning))
    }

    /// Passes on what was taken but did not go yet (TLS holds encrypted bytes back); `false` when there is no room.
    pub(crate) fn flush(&self) -> io::Result<bool> {
        with_socket!(self, _socket => Ok(true), tls => match tls.flush(Wait::Never) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(false),
            result => result.map(|()| true),
        })
    }

    /// Whether a receive that leaves room took all that has arrived. What TLS received may be more than it gives out at once.
    pub(crate) fn shows_all(&self) -> bool {
        with_socket!(self, _socket => true, _tls => false)
    }

    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn is_tls(&self) -> bool {
        with_socket!(self, _socket => false, _tls => true)
    }

    /// Whether TLS still awaits something from the peer before anything can be sent.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn is_shaking_hands(&self) -> bool {
        with_socket!(self, _socket => false, tls => tls.is_shaking_hands())
    }

    /// Goes on with that; `false` while the peer has to say more, or there is no room.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn shake_hands(&self) -> io::Result<bool> {
        with_socket!(self, _socket => Ok(true), tls => match tls.shake_hands(Wait::Never) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(false),
            result => result.map(|()| true),
        })
    }

    /// Waits until sending would not wait, at most until `deadline`; `false` when the time ran out.
    pub(crate) fn wait_writable(&self, deadline: Instant) -> io::Result<bool> {
        let interest = Ready { readable: false, writable: true };
        let ready = with_socket!(
            self,
            socket => local::wait_ready(socket, interest, Some(deadline)).map(|ready| ready.writable),
            tls => tls.wait_writable(deadline)
        );
        match ready {
            Ok(ready) => Ok(ready),
            // A pipe of Windows cannot be asked: whoever waits asks again soon.
            Err(cause) if cause.kind() == io::ErrorKind::Unsupported => {
                std::thread::sleep(Duration::from_millis(1));
                Ok(true)
            }
            Err(cause) => Err(cause),
        }
    }

    /// An error of the system on this connection.
    pub(crate) fn error(&self, cause: io::Error, operation: &'static str) -> Error {
        #[cfg(feature = "tls")]
        if crate::tls::reason(&cause).is_some() {
            return tls_error(cause, operation, &self.name);
        }
        if cause.get_ref().is_some_and(|inner| inner.is::<TookNothing>()) {
            let text = cause.to_string();
            return Error::os(cause, operation, self.name.clone())
                .kinded(ErrorKind::Disconnected)
                .detail(text)
                .fix("have the peer read, or raise slow_client");
        }
        let given_up = cause.kind() == io::ErrorKind::TimedOut && cause.raw_os_error().is_some();
        let error = Error::os(cause, operation, self.name.clone());
        if given_up {
            // Not the caller's time ran out: the system stopped trying to reach the peer.
            return error
                .kinded(ErrorKind::Disconnected)
                .detail("the peer's machine does not answer any more");
        }
        error
    }

    pub(crate) fn fault(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation, self.name.clone())
    }
}

/// The error of a connection on which TLS failed.
#[cfg(feature = "tls")]
fn tls_error(cause: io::Error, operation: &'static str, name: &str) -> Error {
    match crate::tls::reason(&cause) {
        Some((text, fix)) => Error::new(ErrorKind::PermissionDenied, operation, name).detail(text).fix(fix),
        None => Error::os(cause, operation, name),
    }
}

/// The name of a local socket that an endpoint is.
pub(crate) fn local_name(endpoint: &Endpoint) -> Option<LocalName> {
    match endpoint {
        Endpoint::Unix(name) => Some(name.clone()),
        Endpoint::Pipe(name) => Some(LocalName::Pipe(name.clone())),
        _ => None,
    }
}

/// The wait that a deadline means.
pub(crate) fn until(deadline: Option<Instant>) -> Wait {
    deadline.map_or(Wait::Forever, Wait::Until)
}

pub(crate) fn unsupported(operation: &'static str, endpoint: &Endpoint) -> Error {
    let fix = match endpoint {
        Endpoint::Tls { .. } => "build with the feature \"tls\", or use tcp:, unix: or pipe:",
        Endpoint::MessageQueue(_) | Endpoint::Log(_) => "open it as a queue, or use tcp:, unix: or pipe:",
        Endpoint::Shm(_) | Endpoint::Posix(_) | Endpoint::Sysv(_) => {
            "open it as a segment, or use tcp:, unix: or pipe:"
        }
        _ => "use tcp:, unix: or pipe:",
    };
    Error::new(ErrorKind::Unsupported, operation, endpoint.to_string())
        .detail(format!("{}: is not carried by streams", endpoint.scheme()))
        .fix(fix)
}

/// The addresses of a name. Waits for the system's resolver, which has no deadline.
pub(crate) fn resolve(
    operation: &'static str,
    endpoint: &Endpoint,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>> {
    let failed = |error: Error| error.detail("the host name cannot be resolved").fix("check the host name");
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.collect();
            let none = || failed(Error::new(ErrorKind::NotFound, operation, endpoint.to_string()));
            if addresses.is_empty() { Err(none()) } else { Ok(addresses) }
        }
        Err(cause) => {
            Err(failed(Error::os(cause, operation, endpoint.to_string()).kinded(ErrorKind::NotFound)))
        }
    }
}

fn connect_tcp(
    endpoint: &Endpoint,
    host: &str,
    port: u16,
    wait: Wait,
    device: Option<&str>,
) -> Result<TcpStream> {
    const OPERATION: &str = "connect to";
    let mut last = Error::new(ErrorKind::TimedOut, OPERATION, endpoint.to_string());
    let failed = |cause| Error::os(cause, OPERATION, endpoint.to_string());
    for address in resolve(OPERATION, endpoint, host, port)? {
        let result = match wait {
            _ if device.is_some() => {
                // Connecting waits as without a device, where `Never` is no end either.
                let wait = if wait == Wait::Never { Wait::Forever } else { wait };
                tcp::connect_by(&endpoint.to_string(), address, device.unwrap_or_default(), wait)
            }
            Wait::Until(at) => match at.saturating_duration_since(Instant::now()) {
                left if left.is_zero() => Err(failed(io::ErrorKind::TimedOut.into())),
                left => TcpStream::connect_timeout(&address, left).map_err(failed),
            },
            _ => TcpStream::connect(address).map_err(failed),
        };
        match result {
            // A free port of this machine can be given to the connecting socket, which then meets itself.
            Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => {
                last = failed(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(stream) => return Ok(stream),
            Err(cause) => last = cause,
        }
    }
    Err(match last.kind() {
        ErrorKind::ConnectionRefused => last
            .detail("nobody listens at this port")
            .fix("start the listener first, or check host and port (`ss -ltn` lists listeners)"),
        ErrorKind::TimedOut => {
            last.detail("the host did not answer in time").fix("check host, port and firewall")
        }
        _ => last,
    })
}

/// The error of asking for a network device where none is used.
pub(crate) fn no_device(operation: &'static str, endpoint: &Endpoint) -> Error {
    Error::new(ErrorKind::Unsupported, operation, endpoint.to_string())
        .detail("a socket of this machine uses no network device")
        .fix("leave the device out, or use tcp:")
}
