//! No local sockets here that keep messages whole.

use crate::Result;
use crate::file::{Access, Handle};
use crate::local::{LocalName, Owner, Wait};
use crate::os::local::Stream;
use crate::packet::{Origin, Packet};
use std::io::{self, IoSlice};

pub(crate) const PACKETS: bool = false;
pub(crate) const DATAGRAMS: bool = false;
pub(crate) const TELLS_ROOM: bool = false;

/// There are none.
#[derive(Debug)]
pub(crate) enum Datagrams {}

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

fn none_at<T>(operation: &'static str) -> Result<T> {
    Err(crate::Error::new(crate::ErrorKind::Unsupported, operation, "a socket of datagrams"))
}

pub(crate) fn send(_: &Stream, _: &[IoSlice<'_>], _: &[&Handle], _: Wait) -> io::Result<()> {
    none()
}

pub(crate) fn recv(
    _: &Stream,
    _: &mut Vec<u8>,
    _: usize,
    _: &mut Vec<Handle>,
    _: usize,
    _: Wait,
) -> io::Result<Packet> {
    none()
}

pub(crate) fn is_too_long(_: &io::Error) -> bool {
    false
}

pub(crate) fn longest(_: &Stream) -> usize {
    0
}

pub(crate) fn connect(_: &LocalName, _: Wait) -> Result<Stream> {
    none_at("connect to")
}

pub(crate) fn pair() -> io::Result<(Stream, Stream)> {
    none()
}

pub(crate) fn bind(_: &LocalName, _: Access, _: Owner) -> Result<Datagrams> {
    none_at("listen on")
}

pub(crate) fn unbound() -> Result<Datagrams> {
    none_at("make")
}

pub(crate) fn connected(_: &LocalName) -> Result<Datagrams> {
    none_at("connect to")
}

pub(crate) fn send_connected(datagrams: &Datagrams, _: &LocalName, _: &[u8], _: Wait) -> Result<()> {
    match *datagrams {}
}

pub(crate) fn send_to(datagrams: &Datagrams, _: &LocalName, _: &[u8], _: Wait) -> Result<()> {
    match *datagrams {}
}

pub(crate) fn recv_from(datagrams: &Datagrams, _: &mut [u8], _: Wait) -> io::Result<(usize, Origin)> {
    match *datagrams {}
}
