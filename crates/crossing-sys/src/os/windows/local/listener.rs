//! Making, finding and accepting named pipes.
//!
//! A listener always has one instance of its pipe that waits for a client; accepting it makes the next one first. So the
//! name is never free while the listener lives, and clients beyond the first wait where they connect.
//!
//! Sources: "CreateNamedPipe function", "Named Pipe Security and Access Rights", "Named Pipe Client".
#![allow(unsafe_code)] // named pipes

use super::super::security::{Descriptor, current_group_sid, current_user_sid};
use super::super::text::wide;
use super::overlapped::{self, waited};
use super::pipe::{QUOTA, Stream, information};
use super::turn::Turn;
use crate::file::{Access, Handle};
use crate::local::{LocalName, Ready, Wait};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::os::windows::io::{AsHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_NAME, ERROR_NO_DATA, ERROR_PIPE_BUSY,
    ERROR_PIPE_CONNECTED, ERROR_SEM_TIMEOUT, GENERIC_READ, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
    OPEN_EXISTING, PIPE_ACCESS_DUPLEX, SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, PIPE_READMODE_MESSAGE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_MESSAGE,
    PIPE_UNLIMITED_INSTANCES, WaitNamedPipeW,
};

const BIND: &str = "listen on";
const CONNECT: &str = "connect to";

/// `\\.\pipe\` and this many UTF-16 units are a pipe's whole name.
const MAX_NAME_LEN: usize = 247;

/// A listener's pipe.
#[derive(Debug)]
pub struct Listener {
    path: Vec<u16>,
    access: Access,
    next: Turn<Instance>,
}

/// An instance that has no client, or one that nobody accepted yet.
#[derive(Debug)]
struct Instance {
    pipe: OwnedHandle,
    connected: bool,
}

fn path(operation: &'static str, name: &LocalName) -> Result<Vec<u16>> {
    let wrong =
        |kind, detail: &'static str| Err(Error::new(kind, operation, name.to_string()).detail(detail));
    let LocalName::Pipe(text) = name else {
        return wrong(ErrorKind::Unsupported, "Crossing has no Unix sockets on this system")
            .map_err(|error: Error| error.fix("use pipe:NAME or tcp:127.0.0.1:PORT"));
    };
    let len = text.encode_utf16().count();
    match text {
        _ if text.is_empty() => wrong(ErrorKind::ApiMisuse, "the name is empty"),
        _ if text.contains(['\\', '/', '\0']) => {
            wrong(ErrorKind::ApiMisuse, "the name of a pipe has no slash, backslash or NUL")
        }
        _ if len > MAX_NAME_LEN => {
            wrong(ErrorKind::TooLarge { len: len as u64, max: MAX_NAME_LEN as u64 }, "in UTF-16 units")
        }
        _ => wide(format!(r"\\.\pipe\{text}")).map_err(|cause| Error::os(cause, operation, name.to_string())),
    }
}

/// The user and SYSTEM may do everything; those whom the access adds may connect, read and write, but not make further
/// instances of the pipe (the right that GENERIC_WRITE would contain), with which they could take the listener's clients.
fn descriptor(access: Access) -> io::Result<Descriptor> {
    const CLIENT: &str = "0x12019b";
    let user = current_user_sid()?;
    let others = match access {
        Access::Private => String::new(),
        Access::Group => format!("(A;;{CLIENT};;;{})", current_group_sid()?),
        Access::World => format!("(A;;{CLIENT};;;WD)"),
    };
    Descriptor::from_sddl(&format!("O:{user}D:P(A;;GA;;;{user})(A;;GA;;;SY){others}"))
}

fn create(path: &[u16], access: Access, is_first: bool) -> io::Result<OwnedHandle> {
    let descriptor = descriptor(access)?;
    let first = if is_first { FILE_FLAG_FIRST_PIPE_INSTANCE } else { 0 };
    // SAFETY: a path that ends in 0, a descriptor that lives until the end of the call.
    let handle = unsafe {
        CreateNamedPipeW(
            path.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | first,
            PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            QUOTA,
            QUOTA,
            0,
            descriptor.attributes(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: made just now, owned by nobody else.
    let pipe = unsafe { OwnedHandle::from_raw_handle(handle) };
    // Wine 8 lets a second process be the first too; the number of instances tells.
    if is_first && information(pipe.as_handle())?.CurrentInstances > 1 {
        return Err(io::Error::from_raw_os_error(ERROR_ACCESS_DENIED.cast_signed()));
    }
    Ok(pipe)
}

fn code(cause: &io::Error) -> u32 {
    cause.raw_os_error().map_or(0, i32::cast_unsigned)
}

pub(super) fn bind(name: &LocalName, access: Access) -> Result<Listener> {
    let path = path(BIND, name)?;
    let pipe = create(&path, access, true).map_err(|cause| {
        let code = code(&cause);
        let error = Error::os(cause, BIND, name.to_string());
        match code {
            // Nothing else about a new pipe needs a right.
            ERROR_ACCESS_DENIED | ERROR_PIPE_BUSY => error
                .kinded(ErrorKind::AddressInUse)
                .detail("a live process has a pipe of this name")
                .fix(r"choose another name, or stop that process (`[IO.Directory]::GetFiles('\\.\pipe\')` lists pipes)"),
            ERROR_INVALID_NAME => error.kinded(ErrorKind::ApiMisuse).detail("not a name for a pipe"),
            _ => error,
        }
    })?;
    Ok(Listener { path, access, next: Turn::new(Instance { pipe, connected: false }) })
}

fn await_client(instance: &mut Instance, wait: Wait) -> io::Result<()> {
    if instance.connected {
        return Ok(());
    }
    let result = overlapped::run(instance.pipe.as_handle(), wait, |pipe, overlapped| {
        // SAFETY: an open handle, and a structure that lives until the operation is over.
        unsafe { ConnectNamedPipe(pipe, overlapped) }
    });
    match result {
        Ok(_) => {}
        // It came before it was waited for, and may have gone again: what it wrote can be read all the same.
        Err(cause) if matches!(code(&cause), ERROR_PIPE_CONNECTED | ERROR_NO_DATA) => {}
        Err(cause) => return Err(cause),
    }
    instance.connected = true;
    Ok(())
}

pub(super) fn accept(listener: &Listener, wait: Wait) -> io::Result<Stream> {
    let mut instance = listener.next.take(wait)?;
    await_client(&mut instance, wait)?;
    // On failure the client stays for the next call.
    let next = Instance { pipe: create(&listener.path, listener.access, false)?, connected: false };
    let taken = std::mem::replace(&mut *instance, next);
    Ok(Stream::new(taken.pipe.into()))
}

/// Waits until a client is there.
pub(super) fn wait_ready(
    listener: &Listener,
    interest: Ready,
    deadline: Option<Instant>,
) -> io::Result<Ready> {
    let wait = deadline.map_or(Wait::Forever, Wait::Until);
    match listener.next.take(wait).and_then(|mut instance| await_client(&mut instance, wait)) {
        Ok(()) => Ok(Ready { readable: interest.readable, writable: false }),
        Err(cause) if cause.kind() == io::ErrorKind::TimedOut && cause.raw_os_error().is_none() => {
            Ok(Ready::default())
        }
        Err(cause) => Err(cause),
    }
}

/// Opens an end of the pipe at `path`. The server may learn who this is, but not act as this user.
fn open(path: &[u16]) -> io::Result<OwnedHandle> {
    // SAFETY: a path that ends in 0; the optional arguments are absent.
    let handle = unsafe {
        CreateFileW(
            path.as_ptr(),
            GENERIC_READ | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES,
            0,
            ptr::null(),
            OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
            ptr::null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: made just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Waits until an instance has no client; `false` when the time ran out. Somebody else may take it first.
fn await_instance(path: &[u16], wait: Wait) -> io::Result<bool> {
    const LONGEST: u128 = 60 * 60 * 1000;
    let millis = match wait {
        Wait::Never => return Ok(false),
        Wait::Forever => LONGEST,
        Wait::Until(at) => match at.saturating_duration_since(Instant::now()) {
            left if left.is_zero() => return Ok(false),
            left => left.as_nanos().div_ceil(1_000_000).min(LONGEST),
        },
    };
    // SAFETY: a path that ends in 0. The time is neither 0 (the server's choice) nor that without end.
    if unsafe { WaitNamedPipeW(path.as_ptr(), millis as u32) } != 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        cause if code(&cause) == ERROR_SEM_TIMEOUT => Ok(true),
        cause => Err(cause),
    }
}

pub(super) fn connect(name: &LocalName, wait: Wait) -> Result<Stream> {
    let path = path(CONNECT, name)?;
    loop {
        let cause = match open(&path) {
            Ok(pipe) => return Ok(Stream::new(pipe.into())),
            Err(cause) if code(&cause) == ERROR_PIPE_BUSY => match await_instance(&path, wait) {
                Ok(true) => continue,
                Ok(false) => waited(wait),
                Err(cause) => cause,
            },
            Err(cause) => cause,
        };
        let code = code(&cause);
        let error = Error::os(cause, CONNECT, name.to_string());
        return Err(match code {
            0 => error
                .detail("the listener's pipe is taken by other clients that it has not accepted yet")
                .fix("wait longer, or have the listener accept sooner"),
            ERROR_FILE_NOT_FOUND => error
                .kinded(ErrorKind::ConnectionRefused)
                .detail("nobody listens there")
                .fix("start the listener first, or check the name"),
            ERROR_ACCESS_DENIED => error
                .detail("its owner does not let this user in")
                .fix("have it bound with wider access, or run as its owner"),
            ERROR_INVALID_NAME => error.kinded(ErrorKind::ApiMisuse).detail("not a name for a pipe"),
            _ => error,
        });
    }
}

/// Two connected ends, by a name that nobody else has.
pub(super) fn pair() -> io::Result<(Stream, Stream)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let moment = super::super::process::monotonic_nanos();
        let path = wide(format!(r"\\.\pipe\crossing-pair-{}-{number}-{moment:x}", std::process::id()))?;
        let server = match create(&path, Access::Private, true) {
            Ok(server) => server,
            Err(cause) if code(&cause) == ERROR_ACCESS_DENIED && number < 1 << 16 => continue,
            Err(cause) => return Err(cause),
        };
        let client = open(&path)?;
        let mut instance = Instance { pipe: server, connected: false };
        await_client(&mut instance, Wait::Never)?;
        let server: Handle = instance.pipe.into();
        return Ok((Stream::new(server), Stream::new(client.into())));
    }
}
