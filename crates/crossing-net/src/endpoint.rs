//! Addresses: `scheme:rest` chooses the mechanism.

use crate::link::local_name;
use crossing_sys::local::LocalName;
use crossing_sys::{Error, ErrorKind, Result, directory};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const OPERATION: &str = "use endpoint";

/// Where messages go: a mechanism and an address of its kind.
///
/// ```
/// use crossing_net::Endpoint;
/// let endpoint: Endpoint = "tcp:localhost:8080".parse()?;
/// assert_eq!(endpoint, Endpoint::Tcp { host: "localhost".into(), port: 8080 });
/// assert_eq!(endpoint.to_string(), "tcp:localhost:8080");
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `tcp:HOST:PORT`; an IPv6 address stands in brackets.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port; 0 lets the system choose when listening.
        port: u16,
    },
    /// `tls:HOST:PORT`
    Tls {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:PATH`, `unix:@NAME`
    Unix(LocalName),
    /// `pipe:NAME`: a named pipe of Windows, `\\.\pipe\NAME`.
    Pipe(String),
    /// `shm:NAME`: shared memory in Crossing's registry.
    Shm(String),
    /// `mq:/NAME`: a POSIX message queue, with the leading slash.
    MessageQueue(String),
    /// `sysv:PATH,PROJ`, `sysv:KEY`
    Sysv(SysvAddress),
    /// `posix:/NAME`: a POSIX shared memory object or semaphore, with the leading slash.
    Posix(String),
    /// `log:DIR`: a durable queue in a directory.
    Log(PathBuf),
}

/// How a System V object is addressed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SysvAddress {
    /// By `ftok(path, project)`.
    Path {
        /// An existing file.
        path: PathBuf,
        /// The project number; its low eight bits count and must not be zero.
        project: i32,
    },
    /// By its key.
    Key(i32),
}

impl Endpoint {
    /// The local socket `name` of this user, of the kind that this system has: nothing of a program that uses it
    /// differs between systems. It belongs to the runtime directory: programs with another one do not meet here.
    ///
    /// A name is 1 to 64 letters (a-z, A-Z), digits, `-`, `_` and `.`.
    ///
    /// ```
    /// use crossing_net::{Endpoint, Listener, Stream};
    /// let endpoint = Endpoint::local(&format!("doc-{}", std::process::id()))?;
    /// let listener = Listener::bind(&endpoint)?;
    /// let client = Stream::connect(&endpoint)?;
    /// # Ok::<(), crossing_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] for another name; what [`directory::runtime_root`] says of the runtime directory.
    ///
    /// # Platform-specific behavior
    /// Unix: `unix:` with the file `.NAME.sock` of the runtime directory, where nobody else can listen. Windows:
    /// `pipe:crossing-NUMBER-NAME`, NUMBER made from the path of the runtime directory; the names of pipes are those of the
    /// whole machine and know no case, so a client that depends on who listens looks at
    /// [`Stream::peer`](crate::Stream::peer).
    pub fn local(name: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(Error::new(ErrorKind::ApiMisuse, "use local socket name", name)
                .detail("it is no name of 1 to 64 letters, digits, `-`, `_` and `.`")
                .fix("use such a name, or an endpoint such as unix:PATH or pipe:NAME"));
        }
        let root = directory::runtime_root()?;
        let path = LocalName::Path(root.join(format!(".{name}.sock")));
        if path.is_supported() {
            return Ok(Self::Unix(path));
        }
        Ok(Self::Pipe(format!("crossing-{:016x}-{name}", fnv(root.as_os_str().as_encoded_bytes()))))
    }

    /// The part before the first colon.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "tcp",
            Self::Tls { .. } => "tls",
            Self::Unix(_) => "unix",
            Self::Pipe(_) => "pipe",
            Self::Shm(_) => "shm",
            Self::MessageQueue(_) => "mq",
            Self::Sysv(_) => "sysv",
            Self::Posix(_) => "posix",
            Self::Log(_) => "log",
        }
    }

    /// Whether this crate's [`Stream`](crate::Stream) and [`Listener`](crate::Listener) carry it.
    ///
    /// # Platform-specific behavior
    /// `tcp:` everywhere, `tls:` too if built with that feature, `unix:` on Unix, `pipe:` on Windows.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        matches!(self, Self::Tcp { .. })
            || (cfg!(feature = "tls") && matches!(self, Self::Tls { .. }))
            || local_name(self).is_some_and(|name| name.is_supported())
    }
}

/// FNV-1a: the same number in every build of every program.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn wrong(text: &str, detail: &'static str, fix: &'static str) -> Error {
    Error::new(ErrorKind::ApiMisuse, OPERATION, text).detail(detail).fix(fix)
}

fn host_and_port(text: &str, rest: &str) -> Result<(String, u16)> {
    const FIX: &str = "write HOST:PORT, for example tcp:127.0.0.1:8080 or tcp:[::1]:8080";
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong(text, "the port is missing", FIX))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains([':', '[', ']']) {
        return Err(wrong(text, "an IPv6 address stands in brackets", FIX));
    }
    let host = bare.unwrap_or(host);
    if host.is_empty() {
        return Err(wrong(text, "the host is missing", FIX));
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits);
    Ok((host.to_owned(), port.ok_or_else(|| wrong(text, "the port is not a number from 0 to 65535", FIX))?))
}

/// A number as C programs write it, decimal or 0x; hexadecimal covers all 32 bits.
fn number(text: &str) -> Option<i32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with(['+', '-']) => u32::from_str_radix(hex, 16).ok().map(u32::cast_signed),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

fn sysv(text: &str, rest: &str) -> Result<SysvAddress> {
    const FIX: &str =
        "write sysv:PATH,PROJ (for ftok) or sysv:KEY, for example sysv:shmfile,65 or sysv:0x4101abcd";
    let Some((path, project)) = rest.rsplit_once(',') else {
        return number(rest).map(SysvAddress::Key).ok_or_else(|| wrong(text, "the key is no number", FIX));
    };
    match number(project) {
        _ if path.is_empty() => Err(wrong(text, "the path is missing", FIX)),
        None => Err(wrong(text, "the project is no number", FIX)),
        Some(project) if project & 0xff == 0 => {
            Err(wrong(text, "the low eight bits of the project are zero, which ftok leaves undefined", FIX))
        }
        Some(project) => Ok(SysvAddress::Path { path: path.into(), project }),
    }
}

fn posix_name(text: &str, rest: &str) -> Result<String> {
    let name = rest.strip_prefix('/').unwrap_or(rest);
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err(wrong(text, "a POSIX name is one slash and a name without slashes", "write /NAME"));
    }
    Ok(format!("/{name}"))
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        const FIX: &str = "write tcp:HOST:PORT, unix:PATH, mq:/NAME, shm:NAME or another scheme: tls, pipe, sysv, \
                           posix, log";
        let (scheme, rest) = text.split_once(':').ok_or_else(|| wrong(text, "it has no scheme", FIX))?;
        if rest.is_empty() {
            return Err(wrong(text, "nothing follows the scheme", FIX));
        }
        Ok(match scheme {
            "tcp" => host_and_port(text, rest).map(|(host, port)| Self::Tcp { host, port })?,
            "tls" => host_and_port(text, rest).map(|(host, port)| Self::Tls { host, port })?,
            "unix" => Self::Unix(LocalName::parse(rest)?),
            "pipe" => Self::Pipe(rest.to_owned()),
            "shm" => Self::Shm(rest.to_owned()),
            "mq" => Self::MessageQueue(posix_name(text, rest)?),
            "sysv" => Self::Sysv(sysv(text, rest)?),
            "posix" => Self::Posix(posix_name(text, rest)?),
            "log" => Self::Log(rest.into()),
            _ => return Err(wrong(text, "no mechanism has this scheme", FIX)),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme())?;
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp { host, port } | Self::Tls { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(name) => write!(f, "{name}"),
            Self::Pipe(name) | Self::Shm(name) | Self::MessageQueue(name) | Self::Posix(name) => {
                f.write_str(name)
            }
            Self::Sysv(SysvAddress::Path { path, project }) => write!(f, "{},{project}", path.display()),
            Self::Sysv(SysvAddress::Key(key)) => write!(f, "{key:#010x}"),
            Self::Log(directory) => write!(f, "{}", directory.display()),
        }
    }
}

/// What can be given where an [`Endpoint`] is asked for: an endpoint or its text.
pub trait ToEndpoint {
    /// The endpoint.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] when the text is none, with what to write instead.
    fn to_endpoint(&self) -> Result<Endpoint>;
}

impl ToEndpoint for str {
    fn to_endpoint(&self) -> Result<Endpoint> {
        self.parse()
    }
}

impl ToEndpoint for String {
    fn to_endpoint(&self) -> Result<Endpoint> {
        self.parse()
    }
}

impl ToEndpoint for Endpoint {
    fn to_endpoint(&self) -> Result<Endpoint> {
        Ok(self.clone())
    }
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
