//! unix(7): SOCK_SEQPACKET and SOCK_DGRAM.

use super::local::socket_file::SocketFile;
use super::local::{self, RawSocket, address, connect_kind, pause, receive, too_many_files, transmit};
use crate::file::{Access, Handle};
use crate::local::{LocalName, MAX_HANDLES, Owner, Wait};
use crate::os::message::{self, MODE_IS_FIRST};
use crate::os::sockets as system;
use crate::packet::{LocalDatagrams, Origin, Packet};
use crate::{Error, ErrorKind, Result};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType,
};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

pub(crate) use message::{PACKETS, TELLS_ROOM};
pub(crate) const DATAGRAMS: bool = true;

/// How long to rest where the kernel does not tell when a receiver has room again.
const REST: Duration = Duration::from_millis(1);

/// A datagram socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    /// Removed before the socket is closed: while it is open, nobody else takes the file for a stale one.
    _file: Option<SocketFile>,
    handle: Handle,
}

impl RawSocket for LocalDatagrams {}

impl AsFd for LocalDatagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.handle.as_fd()
    }
}

pub(crate) fn send(
    handle: &Handle,
    parts: &[IoSlice<'_>],
    handles: &[&Handle],
    wait: Wait,
) -> io::Result<()> {
    let fd = handle.as_fd();
    let handles: Vec<BorrowedFd<'_>> = handles.iter().map(|handle| handle.as_fd()).collect();
    transmit(fd, wait, |flags| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !handles.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&handles)) {
            return Err(Errno::INVAL);
        }
        net::sendmsg(fd, parts, &mut control, flags)
    })
    .map(drop)
}

pub(crate) fn recv(
    handle: &Handle,
    buffer: &mut Vec<u8>,
    max_len: usize,
    handles: &mut Vec<Handle>,
    max_handles: usize,
    wait: Wait,
) -> io::Result<Packet> {
    let fd = handle.as_fd();
    let mut was_reset = false;
    loop {
        // How long the next one is: it is lost if the buffer has too little room for it.
        let len = match receive(fd, wait, |flags| message::next_len(fd, flags)) {
            // The peer left without receiving everything, which the kernel says once, before what came from it.
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset && !was_reset => {
                was_reset = true;
                continue;
            }
            result => result?,
        };
        buffer.resize(len.min(max_len), 0);
        let message = match receive(fd, Wait::Never, |flags| message::receive(fd, buffer, flags)) {
            // Somebody else received it meanwhile.
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock && wait != Wait::Never => continue,
            result => result?,
        };
        if message.is_end {
            buffer.clear();
            return Ok(Packet::End);
        }
        if message.len > buffer.len() {
            buffer.clear();
            // Dropping the message closes its handles.
            return Ok(Packet::TooLong { len: message.len });
        }
        buffer.truncate(message.len);
        if message.handles.len() > max_handles || message.handles_cut {
            buffer.clear();
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the peer sent more than {max_handles} handles with a message, or this process may open no more files"
                ),
            ));
        }
        handles.extend(message.handles);
        return Ok(Packet::Message);
    }
}

pub(crate) fn is_too_long(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

pub(crate) fn longest(handle: &Handle) -> usize {
    message::longest(handle.as_fd())
}

pub(crate) fn connect(name: &LocalName, wait: Wait) -> Result<Handle> {
    let handle = connect_kind(name, SocketType::SEQPACKET, wait)?;
    adopt(handle).map_err(|cause| Error::os(cause, "connect to", name.to_string()))
}

/// Prepares a connected socket of packets.
pub(super) fn adopt(handle: Handle) -> io::Result<Handle> {
    message::ask_for_credentials(handle.as_fd())?;
    Ok(handle)
}

pub(crate) fn pair() -> io::Result<(Handle, Handle)> {
    if !PACKETS {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let (left, right) = system::pair(SocketType::SEQPACKET)?;
    Ok((adopt(left.into())?, adopt(right.into())?))
}

fn socket(operation: &'static str, subject: &str) -> Result<OwnedFd> {
    let failed = |cause: Errno| too_many_files(cause, Error::os(cause.into(), operation, subject));
    let socket = system::socket(AddressFamily::UNIX, SocketType::DGRAM, false).map_err(failed)?;
    // Before anything can arrive, or the kernel would not know who sent it.
    message::ask_for_credentials(socket.as_fd()).map_err(failed)?;
    Ok(socket)
}

pub(crate) fn unbound() -> Result<Datagrams> {
    Ok(Datagrams { _file: None, handle: socket("make", "a socket of datagrams")?.into() })
}

pub(crate) fn bind(name: &LocalName, access: Access, owner: Owner) -> Result<Datagrams> {
    const OPERATION: &str = "listen on";
    let address = address(OPERATION, name)?;
    let socket = socket(OPERATION, &name.to_string())?;
    let file = match name {
        LocalName::Path(path) => {
            let file = SocketFile::bind(&socket, path, &address, access, owner)?;
            if !MODE_IS_FIRST {
                // Whoever sent before the rights were set may not be one that has them.
                while message::receive(socket.as_fd(), &mut [], RecvFlags::DONTWAIT).is_ok() {}
            }
            Some(file)
        }
        _ => {
            local::bind_nameless(OPERATION, &socket, &address, name)?;
            None
        }
    };
    Ok(Datagrams { _file: file, handle: socket.into() })
}

pub(crate) fn connected(name: &LocalName) -> Result<Datagrams> {
    const OPERATION: &str = "connect to";
    let address = address(OPERATION, name)?;
    let socket = socket(OPERATION, &name.to_string())?;
    loop {
        match net::connect(&socket, &address) {
            Ok(()) => return Ok(Datagrams { _file: None, handle: socket.into() }),
            Err(Errno::INTR) => {}
            Err(cause) => return Err(refused(OPERATION, cause, name)),
        }
    }
}

pub(crate) fn send_connected(
    datagrams: &Datagrams,
    name: &LocalName,
    bytes: &[u8],
    wait: Wait,
) -> Result<()> {
    let fd = datagrams.handle.as_fd();
    let send = |flags| net::send(fd, bytes, flags);
    send_by(fd, name, bytes.len(), wait, send, || pause(fd, PollFlags::OUT, wait))
}

pub(crate) fn send_to(datagrams: &Datagrams, name: &LocalName, bytes: &[u8], wait: Wait) -> Result<()> {
    let address = address("send to", name)?;
    let fd = datagrams.handle.as_fd();
    let send = |flags| net::sendto(fd, bytes, flags, &address);
    send_by(fd, name, bytes.len(), wait, send, || wait_for_room(fd, &address, wait))
}

/// Sends with `send`; `room` waits until the receiver has some.
fn send_by(
    fd: BorrowedFd<'_>,
    name: &LocalName,
    len: usize,
    wait: Wait,
    send: impl Fn(SendFlags) -> rustix::io::Result<usize>,
    room: impl Fn() -> io::Result<()>,
) -> Result<()> {
    let flags = if wait == Wait::Forever { SendFlags::empty() } else { SendFlags::DONTWAIT };
    loop {
        let cause = match send(system::SEND | flags) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => continue,
            Err(cause) => cause,
        };
        let waited = match cause {
            Errno::AGAIN => room(),
            // Said by the BSDs of a receiver that is behind, for which nobody can wait.
            Errno::NOBUFS => rest(wait),
            Errno::MSGSIZE => return Err(too_long(name, len, fd)),
            _ => return Err(refused("send to", cause, name)),
        };
        waited.map_err(|cause| {
            Error::os(cause, "send to", name.to_string())
                .detail("the receiver is behind: its queue is full")
                .fix("wait longer, or have it receive faster (Linux: `sysctl net.unix.max_dgram_qlen`)")
        })?;
    }
}

/// Waits until this socket may send and the one at `address` has room.
fn wait_for_room(fd: BorrowedFd<'_>, address: &net::SocketAddrUnix, wait: Wait) -> io::Result<()> {
    pause(fd, PollFlags::OUT, wait)?;
    // poll(2) knows the receiver of a connected socket only.
    let probe = system::socket(AddressFamily::UNIX, SocketType::DGRAM, true)?;
    match net::connect(&probe, address) {
        Ok(()) => pause(probe.as_fd(), PollFlags::OUT, wait),
        // Sending again tells what is the matter.
        Err(_) => rest(wait),
    }
}

fn rest(wait: Wait) -> io::Result<()> {
    match wait {
        Wait::Never => return Err(io::ErrorKind::WouldBlock.into()),
        Wait::Until(at) if Instant::now() >= at => return Err(io::ErrorKind::TimedOut.into()),
        _ => std::thread::sleep(REST),
    }
    Ok(())
}

fn too_long(name: &LocalName, len: usize, fd: BorrowedFd<'_>) -> Error {
    let kind = ErrorKind::TooLarge { len: len as u64, max: message::longest(fd) as u64 };
    Error::os(Errno::MSGSIZE.into(), "send to", name.to_string())
        .kinded(kind)
        .detail("the datagram is longer than this socket sends")
        .fix("split the message, raise send_buffer, or use a stream for long messages")
}

fn refused(operation: &'static str, cause: Errno, name: &LocalName) -> Error {
    const START: &str = "start the receiver first, or check the name";
    let error = Error::os(cause.into(), operation, name.to_string());
    match cause {
        Errno::NOENT => error.detail("no such socket file").fix(START),
        Errno::CONNREFUSED if local::socket_file::is_other_than_socket(name) => {
            error.kinded(ErrorKind::Incompatible).detail("this file is not a socket").fix("check the path")
        }
        Errno::CONNREFUSED => error.detail("nobody receives there").fix(START),
        Errno::PROTOTYPE => error
            .kinded(ErrorKind::Incompatible)
            .detail("the socket there is not a datagram socket")
            .fix("check the name, or open it as what it is: a stream or packets"),
        Errno::ACCESS => error
            .detail("its owner does not let this user in")
            .fix("have it bound with wider access, or run as its owner"),
        Errno::PERM => error.detail("the receiver takes datagrams of one other socket only"),
        _ => error,
    }
}

pub(crate) fn recv_from(datagrams: &Datagrams, buffer: &mut [u8], wait: Wait) -> io::Result<(usize, Origin)> {
    let fd = datagrams.handle.as_fd();
    // Handles that came with it are closed when the message is dropped.
    let message = receive(fd, wait, |flags| message::receive(fd, buffer, flags))?;
    Ok((message.len, Origin { name: message.sender, credentials: message.credentials }))
}
