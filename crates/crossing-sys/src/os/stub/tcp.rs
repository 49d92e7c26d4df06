//! What the standard library does; its options are the system's.

use crate::local::Wait;
use crate::tcp::{Failed, Listening};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

fn none(option: &'static str) -> Failed {
    Failed::at(option)(io::Error::from(io::ErrorKind::Unsupported))
}

pub(crate) fn listen(address: SocketAddr, how: &Listening) -> Result<TcpListener, Failed> {
    let asked = [
        (how.reuse_port, Failed::REUSE_PORT),
        (how.dual_stack.is_some() && address.is_ipv6(), Failed::DUAL_STACK),
        (how.device.is_some(), Failed::DEVICE),
    ];
    if let Some((_, option)) = asked.iter().find(|(asked, _)| *asked) {
        return Err(none(option));
    }
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

pub(crate) fn connect_by(_: SocketAddr, _: &str, _: Wait) -> Result<TcpStream, Failed> {
    Err(none(Failed::DEVICE))
}
