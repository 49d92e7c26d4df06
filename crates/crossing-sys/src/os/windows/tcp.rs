//! Winsock's options before `bind`. Source: Winsock reference, "IPPROTO_IPV6 socket options", "listen function",
//! "WSASocketW function".
#![allow(unsafe_code)] // Winsock

use crate::local::Wait;
use crate::tcp::{Failed, Listening};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::windows::io::FromRawSocket;
use std::ptr::null;
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, IN_ADDR, IN_ADDR_0, IN6_ADDR, IN6_ADDR_0, INVALID_SOCKET, IPPROTO_IPV6, IPPROTO_TCP,
    IPV6_V6ONLY, SOCK_STREAM, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_IN6_0, SOCKET, SOCKET_ERROR,
    WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED, WSAGetLastError, WSASocketW, bind,
    listen as winsock_listen, setsockopt,
};

fn last_error() -> io::Error {
    // SAFETY: reads a thread-local value.
    io::Error::from_raw_os_error(unsafe { WSAGetLastError() })
}

fn done(result: i32) -> io::Result<()> {
    if result == SOCKET_ERROR { Err(last_error()) } else { Ok(()) }
}

fn none(option: &'static str) -> Failed {
    Failed::at(option)(io::Error::from(io::ErrorKind::Unsupported))
}

fn bind_to(socket: SOCKET, address: &SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(address) => {
            let ip = IN_ADDR_0 { S_addr: u32::from_ne_bytes(address.ip().octets()) };
            let raw = SOCKADDR_IN {
                sin_family: AF_INET,
                sin_port: address.port().to_be(),
                sin_addr: IN_ADDR { S_un: ip },
                sin_zero: [0; 8],
            };
            // SAFETY: an open socket; the address is read, and this is its length.
            done(unsafe { bind(socket, (&raw const raw).cast(), size_of_val(&raw) as i32) })
        }
        SocketAddr::V6(address) => {
            let raw = SOCKADDR_IN6 {
                sin6_family: AF_INET6,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: IN6_ADDR { u: IN6_ADDR_0 { Byte: address.ip().octets() } },
                Anonymous: SOCKADDR_IN6_0 { sin6_scope_id: address.scope_id() },
            };
            // SAFETY: an open socket; the address is read, and this is its length.
            done(unsafe { bind(socket, (&raw const raw).cast(), size_of_val(&raw) as i32) })
        }
    }
}

pub(crate) fn listen(address: SocketAddr, how: &Listening) -> Result<TcpListener, Failed> {
    if how.reuse_port {
        return Err(none(Failed::REUSE_PORT));
    }
    if how.device.is_some() {
        return Err(none(Failed::DEVICE));
    }
    let Some(both) = how.dual_stack.filter(|_| address.is_ipv6()) else {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        crate::os::local::set_backlog(&listener, how.backlog)?;
        return Ok(listener);
    };
    // Winsock is started by the standard library with its first socket.
    drop(std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)));
    let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    // SAFETY: no pointers but the null one, which means no protocol information.
    let socket = unsafe { WSASocketW(i32::from(AF_INET6), SOCK_STREAM, IPPROTO_TCP, null(), 0, flags) };
    if socket == INVALID_SOCKET {
        return Err(last_error().into());
    }
    // SAFETY: an open socket that nobody else owns.
    let listener = unsafe { TcpListener::from_raw_socket(socket as _) };
    let value = u32::from(!both).to_ne_bytes();
    // SAFETY: an open socket; the option takes a DWORD, whose bytes these are.
    done(unsafe { setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, value.as_ptr(), value.len() as i32) })
        .map_err(Failed::at(Failed::DUAL_STACK))?;
    bind_to(socket, &address)?;
    // SAFETY: an open socket.
    done(unsafe { winsock_listen(socket, i32::try_from(how.backlog).unwrap_or(i32::MAX)) })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

pub(crate) fn connect_by(_: SocketAddr, _: &str, _: Wait) -> Result<TcpStream, Failed> {
    Err(none(Failed::DEVICE))
}
