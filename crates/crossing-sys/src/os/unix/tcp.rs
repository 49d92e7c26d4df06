//! socket(7), ip(7) and ipv6(7): the options before bind(2), listen(2) and connect(2).

use super::local::pause;
use crate::local::Wait;
use crate::os::sockets as system;
use crate::tcp::{Failed, Listening};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

type Result<T> = std::result::Result<T, Failed>;

fn socket(address: &SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    Ok(system::socket(family, SocketType::STREAM, true)?)
}

pub(crate) fn listen(address: SocketAddr, how: &Listening) -> Result<TcpListener> {
    let fd = socket(&address)?;
    sockopt::set_socket_reuseaddr(&fd, how.reuse_address)?;
    if how.reuse_port {
        sockopt::set_socket_reuseport(&fd, true).map_err(Failed::at(Failed::REUSE_PORT))?;
    }
    if let Some(both) = how.dual_stack.filter(|_| address.is_ipv6()) {
        sockopt::set_ipv6_v6only(&fd, !both).map_err(Failed::at(Failed::DUAL_STACK))?;
    }
    if let Some(device) = &how.device {
        system::bind_to_device(fd.as_fd(), device).map_err(Failed::at(Failed::DEVICE))?;
    }
    net::bind(&fd, &address)?;
    net::listen(&fd, i32::try_from(how.backlog).unwrap_or(i32::MAX))?;
    Ok(fd.into())
}

pub(crate) fn connect_by(address: SocketAddr, device: &str, wait: Wait) -> Result<TcpStream> {
    let fd = socket(&address)?;
    system::bind_to_device(fd.as_fd(), device).map_err(Failed::at(Failed::DEVICE))?;
    match net::connect(&fd, &address) {
        Ok(()) => {}
        // It goes on in the background; its end is told by poll, its outcome by SO_ERROR: connect(2).
        Err(Errno::INPROGRESS | Errno::INTR) => {
            pause(fd.as_fd(), PollFlags::OUT, wait)?;
            sockopt::socket_error(&fd)??;
        }
        Err(cause) => return Err(cause.into()),
    }
    rustix::io::ioctl_fionbio(&fd, false)?;
    Ok(fd.into())
}
