//! Sockets between processes of one machine, and waiting on any stream socket.
//!
//! A local socket has a [`LocalName`]; it tells a listener who connected ([`Credentials`]) and can carry [`Handle`]s to
//! another process. [`recv`], [`send`] and the waits work alike on local and on TCP sockets, so that the floors above
//! need no call of the operating system.
//!
//! # Platform-specific behavior
//! Linux: unix(7), SOCK_STREAM. A socket file whose listener died is replaced without a race between programs that use
//! this module: they hold `PATH.lock` while they decide, and remove the file only when the kernel says that no socket
//! is bound to it; that question is asked with a connect of another socket type, which a live listener never sees.
//!
//! macOS and FreeBSD (type-checked only): as Linux, without abstract names, and with paths of 103 bytes. A connect to a full
//! backlog is refused there, so it is tried again each millisecond.
//!
//! Windows: [`LocalName::Pipe`] only, by named pipes; the others are [`ErrorKind::Unsupported`], as pipes are elsewhere.
//! The name of a pipe that exists is refused ([`ErrorKind::AddressInUse`]), and it exists as long as its listener or a
//! connection that it accepted. Pipes accept no clients of other machines,
//! and clients let a server learn who they are but not act for them. A listener's backlog is one connection; further
//! clients wait in [`LocalStream::connect`]. Nobody's credentials are needed for [`Access`]: the pipe's security
//! descriptor decides.
//! A TCP stream that was used with another wait than [`Wait::Forever`] stays in non-blocking mode (Winsock has no
//! non-blocking call on a blocking socket); the calls of this module do not care.

use crate::file::{Access, Handle};
use crate::os::local as os;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most handles that one call sends or receives.
pub const MAX_HANDLES: usize = 64;

/// How many connections may wait to be accepted, unless said otherwise.
pub const DEFAULT_BACKLOG: u32 = 1024;

/// How long a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: [`io::ErrorKind::WouldBlock`] when it would have to.
    Never,
    /// Until then: [`io::ErrorKind::TimedOut`] afterwards. What is ready is taken even if the time is past.
    Until(Instant),
    /// Without end.
    Forever,
}

impl Wait {
    /// Until `timeout` from now; without end if that is further away than the clock can tell.
    #[must_use]
    pub fn at_most(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Until)
    }

    /// This wait, but no longer than until `limit`.
    #[must_use]
    pub fn no_later_than(self, limit: Instant) -> Self {
        match self {
            Self::Never => Self::Never,
            Self::Until(at) => Self::Until(at.min(limit)),
            Self::Forever => Self::Until(limit),
        }
    }
}

/// What a local socket is called.
///
/// ```
/// use crossing_sys::local::LocalName;
/// assert_eq!(LocalName::parse("/run/app.sock")?, LocalName::Path("/run/app.sock".into()));
/// assert_eq!(LocalName::parse("@app")?, LocalName::Abstract("app".into()));
/// # Ok::<(), crossing_sys::Error>(())
/// ```
///
/// # Platform-specific behavior
/// Linux: paths and abstract names, of at most 107 bytes. Windows: pipes, of at most 247 UTF-16 units. Which ones work
/// here says [`is_supported`](Self::is_supported).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalName {
    /// A file of the socket's own; the permissions of the file and its directories say who may connect.
    Path(PathBuf),
    /// A name without a file, gone with its listener. Any user of the machine may take or connect to it; a listener
    /// therefore checks each peer's credentials against its [`Access`].
    Abstract(String),
    /// A named pipe of Windows, `\\.\pipe\NAME`, given as its `NAME`; gone with its listener.
    Pipe(String),
}

impl LocalName {
    /// Whether this system has sockets with such names.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        os::is_supported(self)
    }

    /// Reads `@NAME` as an abstract name, anything else as a path.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] when it is empty or has a NUL byte.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong =
            |detail| Err(Error::new(ErrorKind::ApiMisuse, "use local socket name", text).detail(detail));
        match text.strip_prefix('@') {
            _ if text.contains('\0') => wrong("it has a NUL byte"),
            Some("") => wrong("nothing follows the @"),
            Some(name) => Ok(Self::Abstract(name.to_owned())),
            None if text.is_empty() => wrong("it is empty"),
            None => Ok(Self::Path(text.into())),
        }
    }
}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{name}"),
            Self::Pipe(name) => write!(f, r"\\.\pipe\{name}"),
        }
    }
}

/// The security identifier of a user as text, such as `S-1-5-21-...-1001`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sid {
    len: u8,
    text: [u8; Self::MAX_LEN],
}

impl Sid {
    /// `S-1-`, an authority of 48 bits and 15 numbers of 32 bits.
    const MAX_LEN: usize = 4 + 15 + 15 * 11;

    #[cfg_attr(not(windows), allow(dead_code))] // other systems have no such thing
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut sid = Self { len: u8::try_from(text.len()).ok()?, text: [0; Self::MAX_LEN] };
        sid.text.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(sid)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Who is at the other end of a local socket, as the kernel saw it when the connection was made.
///
/// The process id is a hint only: the process may be gone and its id in use by another.
///
/// # Platform-specific behavior
/// Windows: a listener learns the client's user from the kernel's authentication of it, a client the server's user from
/// the process that the kernel names as the pipe's maker; a user that may not be learnt counts as another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) process_id: Option<u32>,
    pub(crate) ids: Option<(u32, u32)>,
    pub(crate) sid: Option<Sid>,
    pub(crate) same_user: bool,
    pub(crate) same_group: bool,
}

impl Credentials {
    /// The peer's process id; `None` when it lives where this process cannot see it (another PID namespace).
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process_id
    }

    /// The peer's user id and group id as numbers, where the system has such numbers.
    #[must_use]
    pub fn ids(&self) -> Option<(u32, u32)> {
        self.ids
    }

    /// The security identifier of the peer's user, where the system has such identifiers.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_ref().map(Sid::as_str)
    }

    /// Whether the peer belongs to the user that this process runs as.
    #[must_use]
    pub fn is_same_user(&self) -> bool {
        self.same_user
    }

    /// Whether `access`, granted by this process, includes the peer.
    #[must_use]
    pub fn is_allowed(&self, access: Access) -> bool {
        match access {
            Access::Private => self.same_user,
            Access::Group => self.same_user || self.same_group,
            Access::World => true,
        }
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process_id {
            Some(id) => write!(f, "process {id}")?,
            None => f.write_str("a process")?,
        }
        match (self.ids, self.sid()) {
            (Some((user, group)), _) => write!(f, " (uid {user}, gid {group})"),
            (None, Some(sid)) => write!(f, " (user {sid})"),
            (None, None) => Ok(()),
        }
    }
}

/// To whom the file of a local socket belongs; what is `None` is that of this process.
///
/// # Platform-specific behavior
/// Unix: unix(7), chown(2). Only root may give a file away, and others may name a group only that they are in. Windows:
/// pipes have no file to give away ([`ErrorKind::Unsupported`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// The user id.
    pub user: Option<u32>,
    /// The group id.
    pub group: Option<u32>,
}

impl Owner {
    /// Whether it is this process's in both.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the file of `name` can belong to it.
    pub(crate) fn check(&self, name: &LocalName) -> Result<()> {
        if !self.is_default() && !matches!(name, LocalName::Path(_)) {
            return Err(Error::new(ErrorKind::Unsupported, "listen on", name.to_string())
                .detail("it has no file whose owner could be set")
                .fix("leave the owner out, or use unix:PATH on a Unix system"));
        }
        if [self.user, self.group].contains(&Some(u32::MAX)) {
            return Err(Error::new(ErrorKind::ApiMisuse, "listen on", name.to_string())
                .detail(format!("{} is no id: chown(2) takes it for no change", u32::MAX))
                .fix("give an id of `id`, or none"));
        }
        Ok(())
    }
}

/// A socket that waits for connections from this machine. Dropping it removes its socket file.
#[derive(Debug)]
pub struct LocalListener {
    pub(crate) inner: os::Listener,
    name: LocalName,
    access: Access,
    refused: AtomicU64,
}

impl LocalListener {
    /// Listens at `name`; up to `backlog` connections wait to be accepted.
    ///
    /// A pipe's name is taken only if nobody has it. The file of a listener that died is replaced; a file with a live listener, or one that is no socket, never.
    /// There is no moment at which the file is open to more users than `access` says.
    ///
    /// # Errors
    /// [`ErrorKind::AddressInUse`] when somebody listens there, [`ErrorKind::AlreadyExists`] when the path is something
    /// other than a socket, [`ErrorKind::NotFound`] when the directory is missing, [`ErrorKind::TooLarge`] when the
    /// name is too long, [`ErrorKind::Busy`] when another process holds the lock file for seconds,
    /// [`ErrorKind::PermissionDenied`], and other errors of the system.
    pub fn bind(name: &LocalName, access: Access, backlog: u32) -> Result<Self> {
        Self::bind_owned(name, access, Owner::default(), backlog)
    }

    /// As [`bind`](Self::bind), and gives the file to `owner` before anybody can connect: until then only this user
    /// could, whatever `access` says.
    ///
    /// # Errors
    /// As [`bind`](Self::bind); [`ErrorKind::PermissionDenied`] when this process may not give the file to `owner`,
    /// [`ErrorKind::Unsupported`] for an owner of a socket that has no file.
    pub fn bind_owned(name: &LocalName, access: Access, owner: Owner, backlog: u32) -> Result<Self> {
        Self::bind_kind(name, false, access, owner, backlog)
    }

    pub(crate) fn bind_kind(
        name: &LocalName,
        packets: bool,
        access: Access,
        owner: Owner,
        backlog: u32,
    ) -> Result<Self> {
        owner.check(name)?;
        let inner = os::bind(name, packets, access, owner, backlog)?;
        Ok(Self { inner, name: name.clone(), access, refused: AtomicU64::new(0) })
    }

    /// What it listens at.
    #[must_use]
    pub fn name(&self) -> &LocalName {
        &self.name
    }

    /// How many peers were passed over because the access does not include them. Where a file or pipe has that access, the
    /// system refuses them before they are seen here.
    #[must_use]
    pub fn refused(&self) -> u64 {
        // Relaxed: a number to look at, nothing is published by it.
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes the next connection. Peers whom the access does not include are closed, passed over and counted.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`], [`io::ErrorKind::TimedOut`] according to `wait`, and errors of the system such as
    /// too many open files.
    pub fn accept(&self, wait: Wait) -> io::Result<(LocalStream, Credentials)> {
        loop {
            let stream = LocalStream(os::accept(&self.inner, wait)?);
            let credentials = stream.credentials()?;
            // The permissions of a file or pipe have decided already, and may have been widened by the owner since.
            if !matches!(self.name, LocalName::Abstract(_)) || credentials.is_allowed(self.access) {
                return Ok((stream, credentials));
            }
            // Relaxed: as in `refused`.
            self.refused.fetch_add(1, Ordering::Relaxed);
            // Strangers must not keep the caller here beyond its time.
            match wait {
                Wait::Never => return Err(io::ErrorKind::WouldBlock.into()),
                Wait::Until(at) if Instant::now() >= at => return Err(io::ErrorKind::TimedOut.into()),
                _ => {}
            }
        }
    }
}

/// A connection between two processes of this machine. Dropping it closes it.
///
/// ```
/// use crossing_sys::local::{LocalStream, Wait, recv, send};
/// let (left, right) = LocalStream::pair()?;
/// send(&left, b"hello", Wait::Forever)?;
/// let mut buffer = [0; 16];
/// assert_eq!(recv(&right, &mut buffer, Wait::Forever)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LocalStream(pub(crate) os::Stream);

impl LocalStream {
    /// Connects to the listener at `name`, waiting at most `wait` for room in its backlog.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the path is missing, [`ErrorKind::ConnectionRefused`] when nobody listens there,
    /// [`ErrorKind::TimedOut`], [`ErrorKind::WouldBlock`], [`ErrorKind::PermissionDenied`],
    /// [`ErrorKind::Incompatible`] when it is a socket of another type, [`ErrorKind::TooLarge`] when the name is too
    /// long, and other errors of the system.
    pub fn connect(name: &LocalName, wait: Wait) -> Result<Self> {
        os::connect(name, wait).map(Self)
    }

    /// Two connected streams, for a parent and its child.
    ///
    /// # Errors
    /// Those of the system.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (left, right) = os::pair()?;
        Ok((Self(left), Self(right)))
    }

    /// Uses a handle that is a connected local stream socket, such as one that was passed or inherited.
    ///
    /// # Platform-specific behavior
    /// Windows: the handle must have been opened for overlapped use.
    #[must_use]
    pub fn from_handle(handle: Handle) -> Self {
        Self(os::from_handle(handle))
    }

    /// Gives the handle away.
    ///
    /// # Platform-specific behavior
    /// Windows: what arrived and was not received yet may be lost if a receive before had a short buffer; give the
    /// handle away before receiving.
    #[must_use]
    pub fn into_handle(self) -> Handle {
        os::into_handle(self.0)
    }

    /// A second handle of the same connection.
    ///
    /// # Errors
    /// Those of the system.
    pub fn try_clone(&self) -> io::Result<Self> {
        os::duplicate(&self.0).map(Self)
    }

    /// Who made the other end.
    ///
    /// # Errors
    /// Those of the system.
    pub fn credentials(&self) -> io::Result<Credentials> {
        os::credentials(&self.0)
    }

    /// The groups that the process at the other end was in when the connection was made, its own group among them, where
    /// the system has numbers for them.
    ///
    /// # Platform-specific behavior
    /// Linux: SO_PEERGROUPS of unix(7). macOS and FreeBSD: its own group alone. Windows: none.
    ///
    /// # Errors
    /// Those of the system.
    pub fn peer_groups(&self) -> io::Result<Vec<u32>> {
        let mut groups = os::groups(&self.0)?;
        groups.extend(self.credentials()?.ids().map(|(_, group)| group));
        Ok(groups)
    }

    /// Sends `bytes` (at least one) and, with the first of them, copies of `handles`. Gives how many bytes were sent:
    /// at least one; the rest is for [`send`].
    ///
    /// # Platform-specific behavior
    /// Windows: the handles wait in this process and go over when they are received, so they are lost if this process
    /// ends before, and stay open in it if nobody receives them. The receiver must be allowed to duplicate handles out
    /// of this process (the same user is, unless this process runs at a higher integrity level), and be the process
    /// that connected or listened. A pipe that a foreign server made for bytes carries none
    /// ([`io::ErrorKind::Unsupported`]).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when there is no byte, or more than [`MAX_HANDLES`] handles; otherwise as
    /// [`send`].
    pub fn send_with_handles(&self, bytes: &[u8], handles: &[&Handle], wait: Wait) -> io::Result<usize> {
        if bytes.is_empty() || handles.len() > MAX_HANDLES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("handles need at least one byte, and at most {MAX_HANDLES} go together"),
            ));
        }
        os::send_with_handles(&self.0, bytes, handles, wait)
    }

    /// Receives bytes and appends the handles that came with them; none stays open in programs started later. Gives
    /// the number of bytes; 0 when the peer has ended its direction.
    ///
    /// Handles that arrive where plain [`recv`] is called are closed. What came is whatever the peer sent: check what it
    /// is before relying on it.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the peer sent more than `max_handles` (or [`MAX_HANDLES`]) at once: all of
    /// that message's handles are closed then. Otherwise as [`recv`].
    pub fn recv_with_handles(
        &self,
        buffer: &mut [u8],
        handles: &mut Vec<Handle>,
        max_handles: usize,
        wait: Wait,
    ) -> io::Result<usize> {
        os::recv_with_handles(&self.0, buffer, handles, max_handles.min(MAX_HANDLES), wait)
    }
}

/// A stream socket, local or TCP, connected or listening, or one of datagrams. Only this crate implements it.
pub trait Socket: os::RawSocket {}

impl Socket for TcpListener {}
impl Socket for TcpStream {}
impl Socket for LocalListener {}
impl Socket for LocalStream {}

/// Receives what has arrived, at least one byte, at most the buffer. 0 when the peer has ended its direction (or the
/// buffer is empty).
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] and [`io::ErrorKind::TimedOut`] according to `wait`, and errors of the system such as
/// [`io::ErrorKind::ConnectionReset`].
pub fn recv(socket: &impl Socket, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
    os::recv(socket, buffer, wait)
}

/// Sends at least one of `bytes` and gives how many were taken. Never raises SIGPIPE.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] and [`io::ErrorKind::TimedOut`] according to `wait` (nothing was sent then), and errors
/// of the system such as [`io::ErrorKind::BrokenPipe`] when the peer is gone.
pub fn send(socket: &impl Socket, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    os::send(socket, bytes, wait)
}

/// As [`send`], from several places in one call.
///
/// # Errors
/// As [`send`].
pub fn send_vectored(socket: &impl Socket, parts: &[IoSlice<'_>], wait: Wait) -> io::Result<usize> {
    os::send_vectored(socket, parts, wait)
}

/// Ends the direction from here to the peer: it reads what was sent, then the end. Receiving goes on.
///
/// # Platform-specific behavior
/// Windows: named pipes do not have this; an empty message says it, which Crossing's and many other programs understand.
/// On a pipe that a foreign server made for bytes it is [`io::ErrorKind::Unsupported`].
///
/// # Errors
/// [`io::ErrorKind::NotConnected`] when the connection is gone, and other errors of the system.
pub fn end_sending(socket: &impl Socket) -> io::Result<()> {
    os::end_sending(socket)
}

/// What a socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    /// Receiving (or accepting) will not wait: there is something, an end or an error.
    pub readable: bool,
    /// Sending will not wait: there is room or an error.
    pub writable: bool,
}

/// What [`send_or_ready`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes were taken.
    pub sent: usize,
    /// Receiving will not wait. `false` may mean that it was not found out.
    pub readable: bool,
}

/// Sends some of `bytes` (at least one must be given), or ends without that as soon as there is something to receive:
/// for who has to send but must not stop receiving.
///
/// # Errors
/// As [`send`].
pub fn send_or_ready(socket: &impl Socket, bytes: &[u8], wait: Wait) -> io::Result<Progress> {
    os::send_or_ready(socket, bytes, wait)
}

/// [`send_or_ready`] where a socket can be asked for both.
pub(crate) fn send_or_ready_by_polling(
    socket: &impl os::RawSocket,
    bytes: &[u8],
    wait: Wait,
) -> io::Result<Progress> {
    loop {
        match os::send(socket, bytes, Wait::Never) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock && wait != Wait::Never => {}
            result => return result.map(|sent| Progress { sent, readable: false }),
        }
        let deadline = match wait {
            Wait::Until(at) => Some(at),
            _ => None,
        };
        let ready = os::wait_ready(socket, Ready { readable: true, writable: true }, deadline)?;
        match ready {
            Ready { readable: true, .. } => return Ok(Progress { sent: 0, readable: true }),
            Ready { writable: true, .. } => {}
            _ => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Waits until `socket` is ready for one of the things that `interest` asks for, or until `deadline` (`None`: without
/// end). Nothing is ready when the time ran out.
///
/// # Platform-specific behavior
/// Windows: a named pipe cannot be asked for room: [`io::ErrorKind::Unsupported`] when `interest` is writable. Use
/// [`send_or_ready`].
///
/// # Errors
/// Those of the system.
pub fn wait_ready(socket: &impl Socket, interest: Ready, deadline: Option<Instant>) -> io::Result<Ready> {
    os::wait_ready(socket, interest, deadline)
}

/// What a socket can be told beyond what it is; what is not set stays as the system has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tuning {
    /// TCP: an idle connection is probed after this long (at least a second), several times at a tenth of it (likewise),
    /// and then given up.
    pub keepalive: Option<Duration>,
    /// How much the system holds that was sent and not delivered yet, in bytes.
    pub send_buffer: Option<usize>,
    /// How much the system holds that arrived and was not received yet, in bytes.
    pub recv_buffer: Option<usize>,
}

/// Applies `tuning` to `socket`.
///
/// # Platform-specific behavior
/// Linux: socket(7), tcp(7); a buffer is twice as large as was said, and no larger than `net.core.wmem_max` and
/// `net.core.rmem_max` allow. Unix: keepalive probes three times, and times are rounded up to seconds. Windows: it probes
/// ten times; named pipes have none of this ([`io::ErrorKind::Unsupported`]).
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] for keepalive on local sockets, and those of the system.
pub fn tune(socket: &impl Socket, tuning: &Tuning) -> io::Result<()> {
    if *tuning == Tuning::default() {
        return Ok(());
    }
    os::tune(socket, tuning)
}

/// Whether `cause` says that this process or the system has no more files or memory: waiting may help.
#[must_use]
pub fn is_exhausted(cause: &io::Error) -> bool {
    os::is_exhausted(cause)
}

/// Sets how many connections may wait at a listener that is listening already.
///
/// # Platform-specific behavior
/// Windows: such a listener may keep the number that it was given first; the standard library gives 128.
///
/// # Errors
/// Those of the system.
pub fn set_backlog(listener: &TcpListener, backlog: u32) -> io::Result<()> {
    os::set_backlog(listener, backlog)
}

#[cfg(all(test, any(unix, windows), not(crossing_os_stub)))]
#[path = "local_tests.rs"]
mod tests;

#[cfg(all(test, unix, not(crossing_os_stub)))]
#[path = "local_unix_tests.rs"]
mod unix_tests;

#[cfg(all(test, windows, not(crossing_os_stub)))]
#[path = "local_windows_tests.rs"]
mod windows_tests;
