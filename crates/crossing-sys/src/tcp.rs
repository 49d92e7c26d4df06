//! TCP sockets with options that must be set before they listen or connect, which the standard library cannot.
//!
//! Sources: socket(7), ip(7), ipv6(7), tcp(7), listen(2); on Windows the Winsock reference, "IPPROTO_IPV6 socket
//! options" and "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE".

use crate::local::{DEFAULT_BACKLOG, Wait};
use crate::os::tcp as os;
use crate::{Error, ErrorKind, Result};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

const LISTEN: &str = "listen on";
const CONNECT: &str = "connect to";

/// How a TCP socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listening {
    /// How many connections may wait to be accepted.
    pub backlog: u32,
    /// Whether a port can be taken while connections of its former listener are still being forgotten.
    pub reuse_address: bool,
    /// Whether other listeners of the same user, which say so too, may have the same port; the system shares the
    /// connections out among them.
    pub reuse_port: bool,
    /// Whether an IPv6 address stands for IPv4 as well; as the system has it if `None`.
    pub dual_stack: Option<bool>,
    /// The network device by which alone connections come in.
    pub device: Option<String>,
}

impl Default for Listening {
    fn default() -> Self {
        Self {
            backlog: DEFAULT_BACKLOG,
            reuse_address: true,
            reuse_port: false,
            dual_stack: None,
            device: None,
        }
    }
}

/// What a step of making a socket came to: the option that failed, if it was one.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) option: Option<&'static str>,
    pub(crate) cause: io::Error,
}

impl<E: Into<io::Error>> From<E> for Failed {
    fn from(cause: E) -> Self {
        Self { option: None, cause: cause.into() }
    }
}

impl Failed {
    pub(crate) const DEVICE: &'static str = "device";
    pub(crate) const DUAL_STACK: &'static str = "dual_stack";
    pub(crate) const REUSE_PORT: &'static str = "reuse_port";

    /// The error of setting `option`.
    pub(crate) fn at<E: Into<io::Error>>(option: &'static str) -> impl FnOnce(E) -> Self {
        move |cause| Self { option: Some(option), cause: cause.into() }
    }

    fn error(self, operation: &'static str, subject: &str, device: Option<&str>) -> Error {
        let (kind, unsupported) = (self.cause.kind(), self.cause.kind() == io::ErrorKind::Unsupported);
        let error = Error::os(self.cause, operation, subject);
        let device = device.unwrap_or_default();
        match self.option {
            Some(option) if unsupported => error
                .kinded(ErrorKind::Unsupported)
                .detail(format!("this system has no such socket option: {option}"))
                .fix(match option {
                    Self::DEVICE => "listen at or connect from an address of that device instead",
                    Self::REUSE_PORT => "have one listener, and hand its connections out",
                    _ => "leave the option out",
                }),
            Some(Self::DEVICE) if kind == io::ErrorKind::PermissionDenied => error
                .detail(format!("this process may not bind a socket to the device {device}"))
                .fix("run with the capability CAP_NET_RAW, or use an address of that device instead"),
            Some(Self::DEVICE) => error
                .kinded(ErrorKind::NotFound)
                .detail(format!("there is no network device {device:?}"))
                .fix("`ip link` lists the devices"),
            Some(option) => error.detail(format!("the option {option} could not be set")),
            None => error,
        }
    }
}

/// Listens at `address`; `subject` is what an error calls it. The listener is in non-blocking mode.
///
/// # Platform-specific behavior
/// Linux: a device is SO_BINDTODEVICE of socket(7), without privilege from Linux 5.7 on; the kernel caps the backlog at
/// `net.core.somaxconn`. macOS and FreeBSD: no device ([`ErrorKind::Unsupported`]); of listeners that share a port one
/// gets all connections on macOS. Windows: neither device nor shared port ([`ErrorKind::Unsupported`]);
/// `reuse_address` has no effect, for a port is free at once there, and the option of that name would let any program
/// take it over.
///
/// # Errors
/// [`ErrorKind::AddressInUse`], [`ErrorKind::PermissionDenied`], [`ErrorKind::NotFound`] for a device that is none,
/// [`ErrorKind::Unsupported`] for options that the system has not, and those of the system.
pub fn listen(subject: &str, address: SocketAddr, how: &Listening) -> Result<TcpListener> {
    check(LISTEN, subject, how.device.as_deref())?;
    os::listen(address, how).map_err(|failed| {
        let (option, unavailable) = (failed.option, failed.cause.kind() == io::ErrorKind::AddrNotAvailable);
        let error = failed.error(LISTEN, subject, how.device.as_deref());
        let port = address.port();
        match error.kind() {
            _ if option.is_some() => error,
            ErrorKind::AddressInUse => error.detail("another socket has this port").fix(format!(
                "stop the program that has it (`ss -ltnp 'sport = :{port}'`), or choose another port (0: any free one)"
            )),
            ErrorKind::PermissionDenied => error.fix("choose a port from 1024 on"),
            _ if unavailable => error.fix("use an address of this machine, for example 127.0.0.1 or 0.0.0.0"),
            _ => error,
        }
    })
}

/// Connects to `address` by the network device `device` alone; `subject` is what an error calls it.
///
/// # Platform-specific behavior
/// As [`listen`]: elsewhere than on Linux it is [`ErrorKind::Unsupported`].
///
/// # Errors
/// [`ErrorKind::NotFound`] for a device that is none, [`ErrorKind::PermissionDenied`], [`ErrorKind::TimedOut`] and
/// [`ErrorKind::WouldBlock`] according to `wait`, and those of the system.
pub fn connect_by(subject: &str, address: SocketAddr, device: &str, wait: Wait) -> Result<TcpStream> {
    check(CONNECT, subject, Some(device))?;
    os::connect_by(address, device, wait).map_err(|failed| failed.error(CONNECT, subject, Some(device)))
}

/// The kernel takes at most IFNAMSIZ - 1 bytes, and an empty name or a NUL byte in it means another thing than it says.
fn check(operation: &'static str, subject: &str, device: Option<&str>) -> Result<()> {
    const MAX: usize = 15;
    match device {
        Some(name) if name.is_empty() || name.contains('\0') => {
            Err(Error::new(ErrorKind::ApiMisuse, operation, subject)
                .detail(format!("{name:?} is no name of a network device"))
                .fix("`ip link` lists the devices"))
        }
        Some(name) if name.len() > MAX => {
            let kind = ErrorKind::TooLarge { len: name.len() as u64, max: MAX as u64 };
            Err(Error::new(kind, operation, subject)
                .detail(format!("no network device has a name as long as {name}"))
                .fix("`ip link` lists the devices"))
        }
        _ => Ok(()),
    }
}
