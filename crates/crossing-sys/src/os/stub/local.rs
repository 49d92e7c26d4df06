//! No sockets here yet.

use crate::file::{Access, Handle};
use crate::local::{
    Credentials, LocalListener, LocalName, LocalStream, Owner, Progress, Ready, Tuning, Wait,
};
use crate::{Error, ErrorKind, Result};
use std::io::{self, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

/// A connected socket.
pub(crate) type Stream = Handle;

#[derive(Debug)]
pub(crate) struct Listener;

/// A socket as this backend sees it.
pub trait RawSocket {}

impl RawSocket for TcpListener {}
impl RawSocket for TcpStream {}
impl RawSocket for LocalListener {}
impl RawSocket for LocalStream {}
impl RawSocket for crate::packet::LocalDatagrams {}

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

fn no_sockets<T>(operation: &'static str, name: &LocalName) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, name.to_string())
        .detail("Crossing has no local sockets on this system yet")
        .fix("use tcp:127.0.0.1:PORT"))
}

pub(crate) fn bind(name: &LocalName, _: bool, _: Access, _: Owner, _: u32) -> Result<Listener> {
    no_sockets("listen on", name)
}

pub(crate) fn accept(_: &Listener, _: Wait) -> io::Result<Handle> {
    none()
}

pub(crate) fn connect(name: &LocalName, _: Wait) -> Result<Handle> {
    no_sockets("connect to", name)
}

pub(crate) fn pair() -> io::Result<(Handle, Handle)> {
    none()
}

pub(crate) fn is_supported(_: &LocalName) -> bool {
    false
}

pub(crate) fn from_handle(handle: Handle) -> Stream {
    handle
}

pub(crate) fn into_handle(stream: Stream) -> Handle {
    stream
}

pub(crate) fn duplicate(_: &Handle) -> io::Result<Handle> {
    none()
}

pub(crate) fn credentials(_: &Handle) -> io::Result<Credentials> {
    none()
}

pub(crate) fn groups(_: &Handle) -> io::Result<Vec<u32>> {
    none()
}

pub(crate) fn send_with_handles(_: &Handle, _: &[u8], _: &[&Handle], _: Wait) -> io::Result<usize> {
    none()
}

pub(crate) fn recv_with_handles(
    _: &Handle,
    _: &mut [u8],
    _: &mut Vec<Handle>,
    _: usize,
    _: Wait,
) -> io::Result<usize> {
    none()
}

pub(crate) fn recv(_: &impl RawSocket, _: &mut [u8], _: Wait) -> io::Result<usize> {
    none()
}

pub(crate) fn send(_: &impl RawSocket, _: &[u8], _: Wait) -> io::Result<usize> {
    none()
}

pub(crate) fn send_vectored(_: &impl RawSocket, _: &[IoSlice<'_>], _: Wait) -> io::Result<usize> {
    none()
}

pub(crate) fn send_or_ready(socket: &impl RawSocket, bytes: &[u8], wait: Wait) -> io::Result<Progress> {
    crate::local::send_or_ready_by_polling(socket, bytes, wait)
}

pub(crate) fn end_sending(_: &impl RawSocket) -> io::Result<()> {
    none()
}

pub(crate) fn wait_ready(_: &impl RawSocket, _: Ready, _: Option<Instant>) -> io::Result<Ready> {
    none()
}

pub(crate) fn set_backlog(_: &TcpListener, _: u32) -> io::Result<()> {
    none()
}

pub(crate) fn tune(_: &impl RawSocket, _: &Tuning) -> io::Result<()> {
    none()
}

pub(crate) fn is_exhausted(_: &io::Error) -> bool {
    false
}
