//! TCP sockets: Winsock has no MSG_DONTWAIT, and a blocking `send` takes everything or waits.
//!
//! So the calls that must not wait, or not without end, put the socket into non-blocking mode first, and it stays there:
//! the mode cannot be asked for, and setting it back would make another thread's call on the same socket block. Every
//! call here, those without end too, waits with `WSAPoll` when a call would block, so the mode does not matter to them.
//! Sources: Winsock reference, "WSAPoll function", "ioctlsocket function", "send function".
#![allow(unsafe_code)] // Winsock

use crate::local::{Ready, Tuning, Wait};
use std::io::{self, IoSlice};
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY, ERROR_TOO_MANY_OPEN_FILES,
};
use windows_sys::Win32::Networking::WinSock::{
    FIONBIO, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM, SD_SEND, SIO_KEEPALIVE_VALS, SO_RCVBUF,
    SO_SNDBUF, SOCKET, SOCKET_ERROR, SOL_SOCKET, WSAECONNABORTED, WSAEINTR, WSAEMFILE, WSAENOBUFS,
    WSAESHUTDOWN, WSAEWOULDBLOCK, WSAGetLastError, WSAIoctl, WSAPOLLFD, WSAPoll, ioctlsocket, listen,
    recv as winsock_recv, send as winsock_send, setsockopt, shutdown, tcp_keepalive,
};

/// The most that one call sends: the system buffers a call's bytes whole once it has any room at all.
const PIECE: usize = 128 << 10;

/// How long one `WSAPoll` lasts at most, in milliseconds.
const LONGEST_POLL: u128 = 60 * 60 * 1000;

fn last_error() -> io::Error {
    // SAFETY: reads a thread-local value.
    match unsafe { WSAGetLastError() } {
        WSAEWOULDBLOCK => io::ErrorKind::WouldBlock.into(),
        WSAEINTR => io::ErrorKind::Interrupted.into(),
        WSAESHUTDOWN => io::ErrorKind::BrokenPipe.into(),
        // Said of a connection that is dead for any reason of this machine's.
        WSAECONNABORTED => io::ErrorKind::ConnectionAborted.into(),
        code => io::Error::from_raw_os_error(code),
    }
}

fn set_nonblocking(socket: SOCKET) -> io::Result<()> {
    let mut yes = 1_u32;
    // SAFETY: an open socket of the caller's, and a number to read.
    let result = unsafe { ioctlsocket(socket, FIONBIO, &raw mut yes) };
    if result == SOCKET_ERROR { Err(last_error()) } else { Ok(()) }
}

/// The events that happened; 0 when the time ran out.
fn poll(socket: SOCKET, events: i16, deadline: Option<Instant>) -> io::Result<i16> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // Rounded up, so that the last part of a millisecond is no busy loop.
        let millis = left.map_or(LONGEST_POLL, |left| left.as_nanos().div_ceil(1_000_000)).min(LONGEST_POLL);
        let mut asked = WSAPOLLFD { fd: socket, events, revents: 0 };
        // SAFETY: one structure, and its number is 1.
        let found = unsafe { WSAPoll(&raw mut asked, 1, millis as i32) };
        match found {
            0 if deadline.is_some_and(|at| Instant::now() >= at) => return Ok(0),
            0 => {}
            SOCKET_ERROR => match last_error() {
                cause if cause.kind() == io::ErrorKind::Interrupted => {}
                cause => return Err(cause),
            },
            _ => return Ok(asked.revents),
        }
    }
}

pub(super) fn wait_ready(socket: SOCKET, interest: Ready, deadline: Option<Instant>) -> io::Result<Ready> {
    let mut events = 0;
    if interest.readable {
        events |= POLLRDNORM;
    }
    if interest.writable {
        events |= POLLWRNORM;
    }
    let found = poll(socket, events, deadline)?;
    let broken = found & (POLLERR | POLLHUP | POLLNVAL) != 0;
    Ok(Ready {
        readable: interest.readable && (broken || found & POLLRDNORM != 0),
        writable: interest.writable && (broken || found & POLLWRNORM != 0),
    })
}

/// Tries until it works or the wait ends.
fn attempt(socket: SOCKET, events: i16, wait: Wait, mut call: impl FnMut() -> i32) -> io::Result<usize> {
    if wait != Wait::Forever {
        set_nonblocking(socket)?;
    }
    loop {
        let result = call();
        if result != SOCKET_ERROR {
            return Ok(result as usize);
        }
        match last_error() {
            cause if cause.kind() == io::ErrorKind::Interrupted => {}
            cause if cause.kind() == io::ErrorKind::WouldBlock => {
                let deadline = match wait {
                    Wait::Never => return Err(cause),
                    Wait::Until(at) => Some(at),
                    Wait::Forever => None,
                };
                if poll(socket, events, deadline)? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            cause => return Err(cause),
        }
    }
}

pub(super) fn recv(socket: SOCKET, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
    let len = buffer.len().min(i32::MAX as usize) as i32;
    attempt(socket, POLLRDNORM, wait, || {
        // SAFETY: an open socket, and a buffer that is `len` long at least.
        unsafe { winsock_recv(socket, buffer.as_mut_ptr(), len, 0) }
    })
}

pub(super) fn send(socket: SOCKET, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    let len = bytes.len().min(PIECE) as i32;
    attempt(socket, POLLWRNORM, wait, || {
        // SAFETY: an open socket, and bytes that are `len` long at least.
        unsafe { winsock_send(socket, bytes.as_ptr(), len, 0) }
    })
}

pub(super) fn send_vectored(socket: SOCKET, parts: &[IoSlice<'_>], wait: Wait) -> io::Result<usize> {
    send(socket, &super::gather(parts, PIECE), wait)
}

pub(super) fn end_sending(socket: SOCKET) -> io::Result<()> {
    // SAFETY: an open socket.
    let result = unsafe { shutdown(socket, SD_SEND) };
    if result == SOCKET_ERROR { Err(last_error()) } else { Ok(()) }
}

/// Winsock accepts the call, but a socket that listens already may keep the number it has.
pub(super) fn set_backlog(socket: SOCKET, backlog: u32) -> io::Result<()> {
    // SAFETY: an open socket.
    let result = unsafe { listen(socket, i32::try_from(backlog).unwrap_or(i32::MAX)) };
    if result == SOCKET_ERROR { Err(last_error()) } else { Ok(()) }
}

fn set(socket: SOCKET, level: i32, option: i32, value: i32) -> io::Result<()> {
    let bytes = value.to_ne_bytes();
    // SAFETY: an open socket; the option takes an int, whose bytes these are.
    let result = unsafe { setsockopt(socket, level, option, bytes.as_ptr(), bytes.len() as i32) };
    if result == SOCKET_ERROR { Err(last_error()) } else { Ok(()) }
}

/// Source: Winsock reference, "SIO_KEEPALIVE_VALS control code"; the number of probes is the system's, 10.
fn keep_alive(socket: SOCKET, idle: Duration) -> io::Result<()> {
    let millis = |time: Duration| u32::try_from(time.as_millis().max(1_000)).unwrap_or(u32::MAX);
    let values =
        tcp_keepalive { onoff: 1, keepalivetime: millis(idle), keepaliveinterval: millis(idle / 10) };
    let (mut written, len) = (0, size_of_val(&values) as u32);
    let input = (&raw const values).cast();
    // SAFETY: an open socket; the call reads the values, whose length this is, writes nothing but `written`, and has
    // finished when it returns, as it is given no overlapped structure.
    let result = unsafe {
        WSAIoctl(socket, SIO_KEEPALIVE_VALS, input, len, null_mut(), 0, &raw mut written, null_mut(), None)
    };
    if result == SOCKET_ERROR { Err(last_error()) } else { Ok(()) }
}

/// Source: Winsock reference, "SOL_SOCKET socket options".
pub(super) fn tune(socket: SOCKET, tuning: &Tuning) -> io::Result<()> {
    let int = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    if let Some(time) = tuning.keepalive {
        keep_alive(socket, time)?;
    }
    if let Some(bytes) = tuning.send_buffer {
        set(socket, SOL_SOCKET, SO_SNDBUF, int(bytes))?;
    }
    if let Some(bytes) = tuning.recv_buffer {
        set(socket, SOL_SOCKET, SO_RCVBUF, int(bytes))?;
    }
    Ok(())
}

pub(super) fn is_exhausted(cause: &io::Error) -> bool {
    let plain =
        [ERROR_NO_SYSTEM_RESOURCES, ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY].map(u32::cast_signed);
    let sockets = [WSAEMFILE, WSAENOBUFS];
    cause.raw_os_error().is_some_and(|code| plain.contains(&code) || sockets.contains(&code))
}
