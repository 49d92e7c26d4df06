//! TCP by Winsock, connections of this machine by named pipes.

mod handles;
mod listener;
mod overlapped;
mod peer;
mod pipe;
mod tcp;
mod turn;

use crate::Result;
use crate::file::{Access, Handle};
use crate::local::{
    Credentials, LocalListener, LocalName, LocalStream, Owner, Progress, Ready, Tuning, Wait,
};
use std::io::{self, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::os::windows::io::{AsHandle, AsRawSocket, OwnedHandle};
use std::time::Instant;
use windows_sys::Win32::Networking::WinSock::SOCKET;
use windows_sys::Win32::System::Threading::PROCESS_QUERY_LIMITED_INFORMATION;

pub(crate) use listener::Listener;
pub(crate) use pipe::Stream;

/// What a socket is on this system.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'a> {
    /// A socket of Winsock.
    Socket(SOCKET),
    /// A connected pipe.
    Pipe(&'a Stream),
    /// A pipe that waits for clients.
    Listener(&'a Listener),
}

/// A socket as this backend sees it.
pub trait RawSocket {
    /// What it is.
    fn kind(&self) -> Kind<'_>;
}

impl RawSocket for TcpListener {
    fn kind(&self) -> Kind<'_> {
        Kind::Socket(self.as_raw_socket() as SOCKET)
    }
}

impl RawSocket for TcpStream {
    fn kind(&self) -> Kind<'_> {
        Kind::Socket(self.as_raw_socket() as SOCKET)
    }
}

impl RawSocket for LocalListener {
    fn kind(&self) -> Kind<'_> {
        Kind::Listener(&self.inner)
    }
}

impl RawSocket for LocalStream {
    fn kind(&self) -> Kind<'_> {
        Kind::Pipe(&self.0)
    }
}

impl RawSocket for crate::packet::LocalDatagrams {
    fn kind(&self) -> Kind<'_> {
        match self.inner {}
    }
}

impl Stream {
    /// The process at the other end, with the right to query it and `rights`.
    pub(crate) fn peer_process(&self, rights: u32) -> io::Result<OwnedHandle> {
        peer::open(self.as_handle(), PROCESS_QUERY_LIMITED_INFORMATION | rights)
    }
}

fn not_connected<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotConnected.into())
}

/// The beginning of what `parts` are together, at most `max` bytes.
fn gather(parts: &[IoSlice<'_>], max: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        let room = max - all.len();
        all.extend_from_slice(&part[..part.len().min(room)]);
    }
    all
}

pub(crate) fn is_supported(name: &LocalName) -> bool {
    matches!(name, LocalName::Pipe(_))
}

pub(crate) fn bind(
    name: &LocalName,
    _packets: bool,
    access: Access,
    _owner: Owner,
    _backlog: u32,
) -> Result<Listener> {
    listener::bind(name, access)
}

pub(crate) fn accept(listener: &Listener, wait: Wait) -> io::Result<Stream> {
    listener::accept(listener, wait)
}

pub(crate) fn connect(name: &LocalName, wait: Wait) -> Result<Stream> {
    listener::connect(name, wait)
}

pub(crate) fn pair() -> io::Result<(Stream, Stream)> {
    listener::pair()
}

pub(crate) fn from_handle(handle: Handle) -> Stream {
    Stream::new(handle)
}

pub(crate) fn into_handle(stream: Stream) -> Handle {
    stream.into_handle()
}

pub(crate) fn duplicate(stream: &Stream) -> io::Result<Stream> {
    stream.duplicate()
}

pub(crate) fn credentials(stream: &Stream) -> io::Result<Credentials> {
    peer::credentials(stream.as_handle())
}

pub(crate) fn groups(_: &Stream) -> io::Result<Vec<u32>> {
    Ok(Vec::new())
}

pub(crate) fn send_with_handles(
    stream: &Stream,
    bytes: &[u8],
    handles: &[&Handle],
    wait: Wait,
) -> io::Result<usize> {
    handles::send(stream, bytes, handles, wait)
}

pub(crate) fn recv_with_handles(
    stream: &Stream,
    buffer: &mut [u8],
    handles: &mut Vec<Handle>,
    max_handles: usize,
    wait: Wait,
) -> io::Result<usize> {
    handles::recv(stream, buffer, handles, max_handles, wait)
}

pub(crate) fn recv(socket: &impl RawSocket, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
    match socket.kind() {
        Kind::Socket(socket) => tcp::recv(socket, buffer, wait),
        Kind::Pipe(stream) => stream.recv(buffer, wait),
        Kind::Listener(_) => not_connected(),
    }
}

pub(crate) fn send(socket: &impl RawSocket, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    match socket.kind() {
        Kind::Socket(socket) => tcp::send(socket, bytes, wait),
        Kind::Pipe(stream) => stream.send(bytes, wait),
        Kind::Listener(_) => not_connected(),
    }
}

pub(crate) fn send_vectored(socket: &impl RawSocket, parts: &[IoSlice<'_>], wait: Wait) -> io::Result<usize> {
    match socket.kind() {
        Kind::Socket(socket) => tcp::send_vectored(socket, parts, wait),
        Kind::Pipe(stream) => stream.send(&gather(parts, pipe::PIECE), wait),
        Kind::Listener(_) => not_connected(),
    }
}

pub(crate) fn send_or_ready(socket: &impl RawSocket, bytes: &[u8], wait: Wait) -> io::Result<Progress> {
    match socket.kind() {
        Kind::Pipe(stream) => stream.send_or_ready(bytes, wait),
        _ => crate::local::send_or_ready_by_polling(socket, bytes, wait),
    }
}

pub(crate) fn end_sending(socket: &impl RawSocket) -> io::Result<()> {
    match socket.kind() {
        Kind::Socket(socket) => tcp::end_sending(socket),
        Kind::Pipe(stream) => stream.end_sending(),
        Kind::Listener(_) => not_connected(),
    }
}

pub(crate) fn wait_ready(
    socket: &impl RawSocket,
    interest: Ready,
    deadline: Option<Instant>,
) -> io::Result<Ready> {
    match socket.kind() {
        Kind::Socket(socket) => tcp::wait_ready(socket, interest, deadline),
        Kind::Pipe(stream) => stream.wait_ready(interest, deadline),
        Kind::Listener(listener) => listener::wait_ready(listener, interest, deadline),
    }
}

pub(crate) fn set_backlog(listener: &TcpListener, backlog: u32) -> io::Result<()> {
    tcp::set_backlog(listener.as_raw_socket() as SOCKET, backlog)
}

pub(crate) fn tune(socket: &impl RawSocket, tuning: &Tuning) -> io::Result<()> {
    match socket.kind() {
        Kind::Socket(socket) => tcp::tune(socket, tuning),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

pub(crate) fn is_exhausted(cause: &io::Error) -> bool {
    tcp::is_exhausted(cause)
}
