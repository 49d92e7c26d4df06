//! Handles of processes; NtSuspendProcess, which debuggers use, since the documented calls stop single threads only.
#![allow(unsafe_code)] // calls of the system on handles

use super::local::Stream;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::process::Child;
use std::time::Instant;
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_PARAMETER, HANDLE, NTSTATUS, RtlNtStatusToDosError, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    INFINITE, OpenProcess, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, TerminateProcess, WaitForSingleObject,
};

/// How a process that [`kill`] ended ends; 128 + SIGKILL, as shells show it.
const KILLED: u32 = 137;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> NTSTATUS;
    fn NtResumeProcess(process: HANDLE) -> NTSTATUS;
}

pub(crate) fn stop(child: &Child) -> io::Result<()> {
    alive(child)?;
    // SAFETY: the handle of a child that its owner lends us, with all rights.
    status(unsafe { NtSuspendProcess(child.as_raw_handle()) })
}

pub(crate) fn resume(child: &Child) -> io::Result<()> {
    alive(child)?;
    // SAFETY: as above.
    status(unsafe { NtResumeProcess(child.as_raw_handle()) })
}

pub(crate) fn terminate(_: &Child) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has no signal that asks a process to end"))
}

pub(crate) fn interrupt(_: &Child) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has no signal that interrupts one process"))
}

pub(crate) fn kill(pid: u32) -> io::Result<()> {
    let process = open(pid, PROCESS_TERMINATE)?;
    // SAFETY: a handle with the right to end the process.
    if unsafe { TerminateProcess(process.as_raw_handle(), KILLED) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn alive(child: &Child) -> io::Result<()> {
    if runs(child) { Ok(()) } else { Err(io::Error::new(io::ErrorKind::NotFound, "it has ended")) }
}

fn runs(process: &impl AsRawHandle) -> bool {
    // SAFETY: an open handle with the right to wait; the handle of a process is signalled when it has ended.
    unsafe { WaitForSingleObject(process.as_raw_handle(), 0) == WAIT_TIMEOUT }
}

fn open(pid: u32, rights: u32) -> io::Result<OwnedHandle> {
    // SAFETY: no pointers.
    let process = unsafe { OpenProcess(rights, 0, pid) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: opened just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(process) })
}

fn status(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: a pure function.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(code as i32))
}

pub(crate) fn become_user(_: u32, _: u32, _: &[u32]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[derive(Debug)]
pub(crate) struct Watched(OwnedHandle);

impl Watched {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let watched = Self(open(pid, PROCESS_SYNCHRONIZE)?);
        // The id stays known while somebody holds a handle of a process that has ended.
        if watched.is_running() { Ok(watched) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// The process at the other end of a pipe, unless its user is another than the one who connected.
    pub(crate) fn of_peer(stream: &Stream) -> io::Result<Self> {
        let watched = match stream.peer_process(PROCESS_SYNCHRONIZE) {
            Ok(process) => Self(process),
            // What Windows says of an id that no process has.
            Err(cause) if cause.raw_os_error() == Some(ERROR_INVALID_PARAMETER as i32) => {
                return Err(io::Error::new(io::ErrorKind::NotFound, cause));
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotConnected => {
                return Err(io::Error::new(io::ErrorKind::NotFound, cause));
            }
            Err(cause) => return Err(cause),
        };
        if watched.is_running() { Ok(watched) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    pub(crate) fn is_running(&self) -> bool {
        runs(&self.0)
    }

    /// Whether it ends before `deadline`.
    pub(crate) fn has_ended(&self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            // Rounded up; a time too long for the call is waited for in parts.
            let left =
                deadline.map(|at| at.saturating_duration_since(Instant::now()).as_micros().div_ceil(1_000));
            let millis =
                left.map_or(INFINITE, |left| u32::try_from(left).unwrap_or(u32::MAX).min(INFINITE - 1));
            // SAFETY: an open handle with the right to wait.
            match unsafe { WaitForSingleObject(self.0.as_raw_handle(), millis) } {
                WAIT_OBJECT_0 => return Ok(true),
                WAIT_TIMEOUT if deadline.is_some_and(|at| Instant::now() >= at) => return Ok(false),
                WAIT_TIMEOUT => {}
                _ => return Err(io::Error::last_os_error()),
            }
        }
    }
}

impl AsHandle for Watched {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
