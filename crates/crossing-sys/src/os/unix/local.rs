//! unix(7) and socket(7). Connected sockets stay in blocking mode (a wait without end is one system call); the other
//! waits are MSG_DONTWAIT and poll(2). Listening sockets are non-blocking, so that a connection that goes away between
//! poll and accept cannot hold the caller. What differs between the systems is in the `sockets.rs` of each.

pub(super) mod socket_file;

use super::packet;
use crate::file::{Access, Handle};
use crate::local::{
    LocalListener, LocalName, LocalStream, MAX_HANDLES, Owner, Progress, Ready, Tuning, Wait,
};
use crate::os::sockets::{self as system, MAX_NAME_LEN};
use crate::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, SocketType, sockopt};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, SendAncillaryBuffer, SendAncillaryMessage};
use socket_file::SocketFile;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

pub(crate) use system::{credentials, groups};

/// A connected socket.
pub(crate) type Stream = Handle;

#[derive(Debug)]
pub(crate) struct Listener {
    /// Removed before the socket is closed: while it is open, nobody else takes the file for a stale one.
    _file: Option<SocketFile>,
    handle: Handle,
    /// Its connections keep messages whole.
    packets: bool,
}

/// A socket as this backend sees it.
pub trait RawSocket: AsFd {}

impl RawSocket for TcpListener {}
impl RawSocket for TcpStream {}
impl RawSocket for LocalListener {}
impl RawSocket for LocalStream {}
impl RawSocket for Handle {}

impl AsFd for LocalListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.handle.as_fd()
    }
}

impl AsFd for LocalStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(super) fn address(operation: &'static str, name: &LocalName) -> Result<net::SocketAddrUnix> {
    let (len, made) = match name {
        LocalName::Path(path) => (path.as_os_str().len(), net::SocketAddrUnix::new(path)),
        LocalName::Abstract(abstract_name) => match system::abstract_address(abstract_name.as_bytes()) {
            Some(made) => (abstract_name.len(), made),
            None => {
                return Err(Error::new(ErrorKind::Unsupported, operation, name.to_string())
                    .detail("abstract names are of Linux")
                    .fix("use unix:PATH on this system"));
            }
        },
        LocalName::Pipe(name) => {
            return Err(Error::new(ErrorKind::Unsupported, operation, name.clone())
                .detail("named pipes are of Windows")
                .fix("use unix:PATH on this system"));
        }
    };
    if len > MAX_NAME_LEN {
        let max = MAX_NAME_LEN as u64;
        let kind = ErrorKind::TooLarge { len: len as u64, max };
        return Err(Error::new(kind, operation, name.to_string())
            .detail("the name of a Unix socket is that short on this system")
            .fix("use a shorter path, or a path relative to the working directory"));
    }
    if let LocalName::Path(path) = name
        && path.as_os_str().as_bytes().is_empty()
    {
        return Err(Error::new(ErrorKind::ApiMisuse, operation, "").detail("the path is empty"));
    }
    made.map_err(|cause| Error::os(cause.into(), operation, name.to_string()))
}

pub(super) fn too_many_files(cause: Errno, error: Error) -> Error {
    match cause {
        Errno::MFILE => error
            .kinded(ErrorKind::LimitReached)
            .detail("this process has as many files open as it may")
            .fix("raise the limit of open files (`ulimit -n`)"),
        Errno::NFILE => error
            .kinded(ErrorKind::LimitReached)
            .detail("the machine has as many files open as it may")
            .fix(system::TOO_MANY_FILES_FIX),
        _ => error,
    }
}

pub(crate) fn bind(
    name: &LocalName,
    packets: bool,
    access: Access,
    owner: Owner,
    backlog: u32,
) -> Result<Listener> {
    const OPERATION: &str = "listen on";
    let failed = |cause: Errno| too_many_files(cause, Error::os(cause.into(), OPERATION, name.to_string()));
    let address = address(OPERATION, name)?;
    let kind = if packets { SocketType::SEQPACKET } else { SocketType::STREAM };
    let socket = system::socket(net::AddressFamily::UNIX, kind, true).map_err(failed)?;
    let file = match name {
        LocalName::Path(path) => Some(SocketFile::bind(&socket, path, &address, access, owner)?),
        LocalName::Abstract(_) | LocalName::Pipe(_) => {
            bind_nameless(OPERATION, &socket, &address, name)?;
            None
        }
    };
    net::listen(&socket, i32::try_from(backlog).unwrap_or(i32::MAX)).map_err(failed)?;
    Ok(Listener { _file: file, handle: socket.into(), packets })
}

/// Binds to a name without a file.
pub(super) fn bind_nameless(
    operation: &'static str,
    socket: &OwnedFd,
    address: &net::SocketAddrUnix,
    name: &LocalName,
) -> Result<()> {
    net::bind(socket, address).map_err(|cause| {
        let error = Error::os(cause.into(), operation, name.to_string());
        match cause {
            Errno::ADDRINUSE => error
                .detail("a live process has this abstract name")
                .fix("choose another name, or stop that process (`ss -lxp`)"),
            _ => error,
        }
    })
}

pub(crate) fn accept(listener: &Listener, wait: Wait) -> io::Result<Handle> {
    loop {
        match system::accept(listener.handle.as_fd()) {
            Ok(stream) if listener.packets => return packet::adopt(stream.into()),
            Ok(stream) => return Ok(stream.into()),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::AGAIN) => pause(listener.handle.as_fd(), PollFlags::IN, wait)?,
            Err(cause) => return Err(cause.into()),
        }
    }
}

pub(crate) fn connect(name: &LocalName, wait: Wait) -> Result<Handle> {
    connect_kind(name, SocketType::STREAM, wait)
}

pub(super) fn connect_kind(name: &LocalName, kind: SocketType, wait: Wait) -> Result<Handle> {
    const OPERATION: &str = "connect to";
    let failed = |cause: Errno| too_many_files(cause, Error::os(cause.into(), OPERATION, name.to_string()));
    let address = address(OPERATION, name)?;
    let socket = loop {
        let nonblocking = wait == Wait::Never;
        let socket = system::socket(net::AddressFamily::UNIX, kind, nonblocking).map_err(failed)?;
        match connect_once(&socket, &address, wait) {
            Ok(()) => break socket,
            Err(Errno::CONNREFUSED) if system::FULL_REFUSES && socket_file::is_live(&address) => {
                // A full backlog, which this kernel does not wait for.
                let over = match wait {
                    Wait::Never => true,
                    Wait::Until(at) => Instant::now() >= at,
                    Wait::Forever => false,
                };
                if over {
                    return Err(connect_error(Errno::AGAIN, failed(Errno::AGAIN), name, wait));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(cause) => return Err(connect_error(cause, failed(cause), name, wait)),
        }
    };
    match wait {
        Wait::Never => rustix::io::ioctl_fionbio(&socket, false).map_err(failed)?,
        Wait::Until(_) => {
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, None).map_err(failed)?;
        }
        Wait::Forever => {}
    }
    Ok(socket.into())
}

fn connect_once(socket: &OwnedFd, address: &net::SocketAddrUnix, wait: Wait) -> rustix::io::Result<()> {
    loop {
        if let Wait::Until(at) = wait {
            // The send timeout limits a connect that waits for room in the backlog; poll cannot.
            let left = at.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            sockopt::set_socket_timeout(socket, sockopt::Timeout::Send, Some(left))?;
        }
        match net::connect(socket, address) {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

fn connect_error(cause: Errno, error: Error, name: &LocalName, wait: Wait) -> Error {
    const START: &str = "start the listener first, or check the name";
    match cause {
        Errno::NOENT => error.detail("no such socket file").fix(START),
        Errno::CONNREFUSED if socket_file::is_other_than_socket(name) => {
            error.kinded(ErrorKind::Incompatible).detail("this file is not a socket").fix("check the path")
        }
        Errno::CONNREFUSED => error.detail("nobody listens there").fix(START),
        Errno::ACCESS | Errno::PERM => error
            .detail("its owner does not let this user in")
            .fix("have it bound with wider access, or run as its owner"),
        Errno::PROTOTYPE => error
            .kinded(ErrorKind::Incompatible)
            .detail("the socket there is of another type, or does not listen")
            .fix("check the name, or open it as what it is: a stream, packets or datagrams"),
        Errno::AGAIN => {
            let kind = if wait == Wait::Never { ErrorKind::WouldBlock } else { ErrorKind::TimedOut };
            error
                .kinded(kind)
                .detail("the listener's backlog is full")
                .fix("wait longer, or raise the backlog")
        }
        _ => error,
    }
}

pub(crate) fn pair() -> io::Result<(Handle, Handle)> {
    let (left, right) = system::pair(SocketType::STREAM)?;
    Ok((left.into(), right.into()))
}

pub(crate) fn is_supported(name: &LocalName) -> bool {
    match name {
        LocalName::Path(_) => true,
        LocalName::Abstract(name) => system::abstract_address(name.as_bytes()).is_some(),
        LocalName::Pipe(_) => false,
    }
}

pub(crate) fn from_handle(handle: Handle) -> Stream {
    system::adopt(handle.as_fd());
    handle
}

pub(crate) fn into_handle(stream: Stream) -> Handle {
    stream
}

pub(crate) fn duplicate(handle: &Handle) -> io::Result<Handle> {
    Ok(handle.as_fd().try_clone_to_owned()?.into())
}

/// Waits for `events` as far as `wait` lets it.
pub(super) fn pause(fd: BorrowedFd<'_>, events: PollFlags, wait: Wait) -> io::Result<()> {
    let deadline = match wait {
        Wait::Never => return Err(io::ErrorKind::WouldBlock.into()),
        Wait::Until(at) => Some(at),
        Wait::Forever => None,
    };
    if poll(fd, events, deadline)?.is_empty() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

/// The events that happened; none when the time ran out.
pub(super) fn poll(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    deadline: Option<Instant>,
) -> io::Result<PollFlags> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // A time too long for the kernel is as good as no end.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::from_borrowed_fd(fd, events)];
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(_) => return Ok(fds[0].revents()),
            Err(Errno::INTR) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
}

pub(crate) fn wait_ready(
    socket: &impl RawSocket,
    interest: Ready,
    deadline: Option<Instant>,
) -> io::Result<Ready> {
    let mut events = PollFlags::empty();
    events.set(PollFlags::IN, interest.readable);
    events.set(PollFlags::OUT, interest.writable);
    let found = poll(socket.as_fd(), events, deadline)?;
    let broken = found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    Ok(Ready {
        readable: interest.readable && (broken || found.contains(PollFlags::IN)),
        writable: interest.writable && (broken || found.contains(PollFlags::OUT)),
    })
}

pub(super) fn receive<T>(
    fd: BorrowedFd<'_>,
    wait: Wait,
    mut attempt: impl FnMut(RecvFlags) -> rustix::io::Result<T>,
) -> io::Result<T> {
    let flags = if wait == Wait::Forever { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    loop {
        match attempt(flags) {
            Ok(done) => return Ok(done),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => pause(fd, PollFlags::IN, wait)?,
            Err(cause) => return Err(cause.into()),
        }
    }
}

pub(super) fn transmit(
    fd: BorrowedFd<'_>,
    wait: Wait,
    mut attempt: impl FnMut(SendFlags) -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    let extra = if wait == Wait::Forever { SendFlags::empty() } else { SendFlags::DONTWAIT };
    loop {
        match attempt(system::SEND | extra) {
            Ok(sent) => return Ok(sent),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => pause(fd, PollFlags::OUT, wait)?,
            Err(cause) => return Err(cause.into()),
        }
    }
}

pub(crate) fn recv(socket: &impl RawSocket, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
    let fd = socket.as_fd();
    receive(fd, wait, |flags| net::recv(fd, &mut *buffer, flags).map(|(_, len)| len))
}

pub(crate) fn send(socket: &impl RawSocket, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    let fd = socket.as_fd();
    transmit(fd, wait, |flags| net::send(fd, bytes, flags))
}

pub(crate) fn send_vectored(socket: &impl RawSocket, parts: &[IoSlice<'_>], wait: Wait) -> io::Result<usize> {
    let fd = socket.as_fd();
    transmit(fd, wait, |flags| net::sendmsg(fd, parts, &mut SendAncillaryBuffer::default(), flags))
}

pub(crate) fn send_with_handles(
    handle: &Handle,
    bytes: &[u8],
    handles: &[&Handle],
    wait: Wait,
) -> io::Result<usize> {
    let fd = handle.as_fd();
    let handles: Vec<BorrowedFd<'_>> = handles.iter().map(|handle| handle.as_fd()).collect();
    transmit(fd, wait, |flags| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !handles.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&handles)) {
            return Err(Errno::INVAL);
        }
        net::sendmsg(fd, &[IoSlice::new(bytes)], &mut control, flags)
    })
}

pub(crate) fn recv_with_handles(
    handle: &Handle,
    buffer: &mut [u8],
    handles: &mut Vec<Handle>,
    max_handles: usize,
    wait: Wait,
) -> io::Result<usize> {
    let fd = handle.as_fd();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = receive(fd, wait, |flags| {
        let mut parts = [IoSliceMut::new(&mut *buffer)];
        net::recvmsg(fd, &mut parts, &mut control, flags | system::RECV)
    })?;
    let mut received = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            received.extend(fds.map(|fd| Handle::from(system::received(fd))));
        }
    }
    if received.len() > max_handles || message.flags.contains(net::ReturnFlags::CTRUNC) {
        // Dropping `received` closes what came.
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "the peer sent more than {max_handles} handles at once, or this process may open no more files"
            ),
        ));
    }
    handles.append(&mut received);
    Ok(message.bytes)
}

pub(crate) fn send_or_ready(socket: &impl RawSocket, bytes: &[u8], wait: Wait) -> io::Result<Progress> {
    crate::local::send_or_ready_by_polling(socket, bytes, wait)
}

pub(crate) fn end_sending(socket: &impl RawSocket) -> io::Result<()> {
    Ok(net::shutdown(socket.as_fd(), net::Shutdown::Write)?)
}

pub(crate) fn set_backlog(listener: &TcpListener, backlog: u32) -> io::Result<()> {
    Ok(net::listen(listener, i32::try_from(backlog).unwrap_or(i32::MAX))?)
}

pub(crate) fn tune(socket: &impl RawSocket, tuning: &Tuning) -> io::Result<()> {
    if let Some(time) = tuning.keepalive {
        if net::getsockname(socket)?.address_family() == net::AddressFamily::UNIX {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let seconds = |time: Duration| Duration::from_secs(time.as_millis().div_ceil(1_000).max(1) as u64);
        sockopt::set_socket_keepalive(socket, true)?;
        sockopt::set_tcp_keepidle(socket, seconds(time))?;
        sockopt::set_tcp_keepintvl(socket, seconds(time / 10))?;
        sockopt::set_tcp_keepcnt(socket, 3)?;
    }
    if let Some(bytes) = tuning.send_buffer {
        sockopt::set_socket_send_buffer_size(socket, bytes)?;
    }
    if let Some(bytes) = tuning.recv_buffer {
        sockopt::set_socket_recv_buffer_size(socket, bytes)?;
    }
    Ok(())
}

pub(crate) fn is_exhausted(cause: &io::Error) -> bool {
    let all = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    cause.raw_os_error().is_some_and(|code| all.iter().any(|errno| errno.raw_os_error() == code))
}
