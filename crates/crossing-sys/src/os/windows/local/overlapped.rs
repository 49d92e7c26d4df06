//! One overlapped operation with an exact end: on return the kernel uses neither the buffer nor the structure any more,
//! and an operation that finished while it was being cancelled counts as finished.
//!
//! Sources: "Synchronous and Asynchronous I/O", "Canceling Pending I/O Operations", "GetOverlappedResult function".
#![allow(unsafe_code)] // overlapped input and output

use crate::local::Wait;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::Instant;
use windows_sys::Win32::Foundation::{
    ERROR_IO_INCOMPLETE, ERROR_IO_PENDING, ERROR_MORE_DATA, ERROR_OPERATION_ABORTED, HANDLE, STATUS_PENDING,
    WAIT_FAILED, WAIT_OBJECT_0,
};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, WaitForMultipleObjects};

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) len: usize,
    /// A message was longer than the buffer; the rest of it is still there.
    pub(super) more: bool,
}

/// An operation that was begun. Dropping it cancels it and waits until it is over.
struct Operation<'a> {
    handle: BorrowedHandle<'a>,
    event: OwnedHandle,
    overlapped: Box<OVERLAPPED>,
    /// Whether the kernel has it.
    begun: bool,
    /// How it failed at once, if it did.
    failed: Option<io::Error>,
}

fn code(error: &io::Error) -> u32 {
    error.raw_os_error().map_or(0, i32::cast_unsigned)
}

impl<'a> Operation<'a> {
    /// Begins with `start`, which gets the handle and the structure and must give what the Win32 function gave.
    fn begin(
        handle: BorrowedHandle<'a>,
        start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
    ) -> io::Result<Self> {
        // SAFETY: all optional arguments are absent: a manual-reset event, not signalled.
        let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: created just now, owned by nobody else.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        let mut overlapped = Box::new(OVERLAPPED::default());
        overlapped.hEvent = event.as_raw_handle();
        let mut operation = Self { handle, event, overlapped, begun: true, failed: None };
        if start(handle.as_raw_handle(), &raw mut *operation.overlapped) == 0 {
            let cause = io::Error::last_os_error();
            if !matches!(code(&cause), ERROR_IO_PENDING | ERROR_MORE_DATA) {
                operation.begun = false;
                operation.failed = Some(cause);
            }
        }
        Ok(operation)
    }

    fn is_over(&self) -> bool {
        // SAFETY: the kernel may write the field meanwhile; a volatile read sees the old or the new value.
        !self.begun
            || unsafe { ptr::read_volatile(&raw const self.overlapped.Internal) } != STATUS_PENDING as usize
    }

    /// Cancels it if it is not over yet. It still must be finished.
    fn cancel(&self) {
        if !self.is_over() {
            // SAFETY: an open handle and the structure of an operation on it. It fails when the operation has just
            // ended, which finishing finds out.
            unsafe { CancelIoEx(self.handle.as_raw_handle(), &raw const *self.overlapped) };
        }
    }

    /// Waits for its end and gives how it ended.
    fn finish(&mut self) -> io::Result<Done> {
        if let Some(cause) = self.failed.take() {
            return Err(cause);
        }
        let mut len = 0_u32;
        // SAFETY: an open handle, the structure of an operation on it, a place for the result.
        let done = unsafe {
            GetOverlappedResult(self.handle.as_raw_handle(), &raw const *self.overlapped, &raw mut len, 1)
        };
        let cause = io::Error::last_os_error();
        if !self.is_over() || (done == 0 && code(&cause) == ERROR_IO_INCOMPLETE) {
            // The kernel goes on writing to memory that would be given back.
            std::process::abort();
        }
        self.begun = false;
        match code(&cause) {
            _ if done != 0 => Ok(Done { len: len as usize, more: false }),
            ERROR_MORE_DATA => Ok(Done { len: len as usize, more: true }),
            _ => Err(cause),
        }
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        if self.begun {
            self.cancel();
            let _ = self.finish();
        }
    }
}

/// Waits until one of `operations` is over, as far as `wait` lets it.
fn wait_for(operations: &[&Operation<'_>], wait: Wait) -> io::Result<()> {
    loop {
        if operations.iter().any(|operation| operation.is_over()) {
            return Ok(());
        }
        let millis = match wait {
            Wait::Never => return Ok(()),
            Wait::Forever => INFINITE,
            Wait::Until(at) => match at.saturating_duration_since(Instant::now()) {
                left if left.is_zero() => return Ok(()),
                // Rounded up: the last part of a millisecond is no busy loop. INFINITE must not come out of it.
                left => left.as_nanos().div_ceil(1_000_000).min(1 << 30) as u32,
            },
        };
        let events: Vec<HANDLE> =
            operations.iter().map(|operation| operation.event.as_raw_handle()).collect();
        // SAFETY: open events and their number.
        let found = unsafe { WaitForMultipleObjects(events.len() as u32, events.as_ptr(), 0, millis) };
        if found == WAIT_FAILED {
            return Err(io::Error::last_os_error());
        }
        if found < WAIT_OBJECT_0 + events.len() as u32 {
            return Ok(());
        }
    }
}

/// What it means that an operation was cancelled because the wait ended.
pub(super) fn waited(wait: Wait) -> io::Error {
    match wait {
        Wait::Never => io::ErrorKind::WouldBlock.into(),
        _ => io::ErrorKind::TimedOut.into(),
    }
}

fn outcome(operation: &mut Operation<'_>, wait: Wait) -> io::Result<Done> {
    let cancelled = !operation.is_over();
    operation.cancel();
    operation.finish().map_err(|cause| match code(&cause) {
        ERROR_OPERATION_ABORTED if cancelled => waited(wait),
        _ => cause,
    })
}

/// Runs one operation to its end or to the end of the wait.
pub(super) fn run(
    handle: BorrowedHandle<'_>,
    wait: Wait,
    start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
) -> io::Result<Done> {
    let mut operation = Operation::begin(handle, start)?;
    wait_for(&[&operation], wait)?;
    outcome(&mut operation, wait)
}

fn capped(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn begin_read<'a>(handle: BorrowedHandle<'a>, buffer: &'a mut [u8]) -> io::Result<Operation<'a>> {
    Operation::begin(handle, |handle, overlapped| {
        // SAFETY: an open handle, a buffer with its length and a structure that both outlive the operation: the value
        // made here is kept until the operation is over.
        unsafe { ReadFile(handle, buffer.as_mut_ptr(), capped(buffer.len()), ptr::null_mut(), overlapped) }
    })
}

fn begin_write<'a>(handle: BorrowedHandle<'a>, bytes: &'a [u8]) -> io::Result<Operation<'a>> {
    Operation::begin(handle, |handle, overlapped| {
        // SAFETY: as for reading.
        unsafe { WriteFile(handle, bytes.as_ptr(), capped(bytes.len()), ptr::null_mut(), overlapped) }
    })
}

pub(super) fn read(handle: BorrowedHandle<'_>, buffer: &mut [u8], wait: Wait) -> io::Result<Done> {
    let mut operation = begin_read(handle, buffer)?;
    wait_for(&[&operation], wait)?;
    outcome(&mut operation, wait)
}

pub(super) fn write(handle: BorrowedHandle<'_>, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    let mut operation = begin_write(handle, bytes)?;
    wait_for(&[&operation], wait)?;
    outcome(&mut operation, wait).map(|done| done.len)
}

/// Reads nothing (which ends when there is something to read) and writes `bytes`, until one of the two is over. Gives
/// how each ended; one that the wait or the other's end cut short says so with [`waited`].
pub(super) fn write_or_readable(
    handle: BorrowedHandle<'_>,
    bytes: &[u8],
    wait: Wait,
) -> io::Result<(io::Result<Done>, io::Result<usize>)> {
    let mut nothing = [0; 0];
    let mut reading = begin_read(handle, &mut nothing)?;
    let mut writing = begin_write(handle, bytes)?;
    wait_for(&[&reading, &writing], wait)?;
    let written = outcome(&mut writing, wait).map(|done| done.len);
    Ok((outcome(&mut reading, wait), written))
}
