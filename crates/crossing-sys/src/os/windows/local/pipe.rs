//! Connected named pipes as byte streams.
//!
//! A Crossing listener makes message-type pipes and both ends read by messages, which is used for two things that a byte
//! pipe does not have: an empty message ends a direction (as other libraries do it), and a message longer than any that
//! carries bytes brings handles ([`super::handles`]). The streams are byte streams all the same: message boundaries mean
//! nothing to who uses them. With a foreign server's byte-type pipe everything works but these two.
//!
//! What makes cancelling exact: a read takes whole messages, because messages of bytes are at most [`PIECE`] long and a
//! buffer shorter than that is filled from one of the stream's own; and a write that may have to be cancelled is one
//! that the pipe has room for, or of one byte, which is taken or not. (A system that does not tell the room, as Wine,
//! has whole messages pending instead; those are taken or not by a Crossing reader, which takes whole ones.)
//!
//! Sources: "Named Pipes", "Named Pipe Type, Read, and Wait Modes", "FILE_PIPE_LOCAL_INFORMATION structure".
#![allow(unsafe_code)] // named pipes

use super::handles;
use super::overlapped::{self, Done, waited};
use super::turn::{Taken, Turn};
use crate::file::Handle;
use crate::local::{Progress, Ready, Wait};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_PIPE_LOCAL_INFORMATION, FILE_PIPE_MESSAGE_TYPE, FILE_PIPE_SERVER_END, FilePipeLocalInformation,
    NtQueryInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED, RtlNtStatusToDosError,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Pipes::{PIPE_READMODE_MESSAGE, SetNamedPipeHandleState};

/// The longest message of bytes.
pub(super) const PIECE: usize = 64 << 10;

/// How much a pipe holds in each direction. More than one read asks for: a waiting read takes its length from the room
/// that the writer is told.
pub(super) const QUOTA: u32 = 4 * PIECE as u32;

/// The connection, by whatever number of handles.
#[derive(Debug)]
pub struct Stream {
    handle: Handle,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    incoming: Turn<Incoming>,
    outgoing: Turn<Outgoing>,
}

/// What was read and not given yet: `buffer[from..to]`.
#[derive(Debug, Default)]
struct Incoming {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    ended: bool,
}

#[derive(Debug, Default)]
struct Outgoing {
    ended: bool,
}

/// What the system knows of this end.
pub(super) fn information(handle: BorrowedHandle<'_>) -> io::Result<FILE_PIPE_LOCAL_INFORMATION> {
    let mut found = FILE_PIPE_LOCAL_INFORMATION::default();
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: an open handle, and places for the results with their length.
    let result = unsafe {
        NtQueryInformationFile(
            handle.as_raw_handle(),
            &raw mut status,
            (&raw mut found).cast(),
            size_of_val(&found) as u32,
            FilePipeLocalInformation,
        )
    };
    if result < 0 {
        // SAFETY: a pure function.
        let code = unsafe { RtlNtStatusToDosError(result) };
        return Err(io::Error::from_raw_os_error(code.cast_signed()));
    }
    Ok(found)
}

pub(super) fn is_server_end(handle: BorrowedHandle<'_>) -> io::Result<bool> {
    Ok(information(handle)?.NamedPipeEnd == FILE_PIPE_SERVER_END)
}

fn has_messages(handle: BorrowedHandle<'_>) -> io::Result<bool> {
    Ok(information(handle)?.NamedPipeType == FILE_PIPE_MESSAGE_TYPE)
}

/// Whether this system tells how much room a pipe has: it says so of an empty one.
fn tells_room() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        super::pair().is_ok_and(|(left, _right)| {
            information(left.as_handle()).is_ok_and(|found| found.WriteQuotaAvailable > 0)
        })
    })
}

/// Whether an error of reading or writing says that the other end is closed.
fn is_closed(cause: &io::Error) -> bool {
    let codes = [ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED];
    cause.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}

impl Stream {
    /// Over an end of a connected pipe, opened for overlapped use.
    pub(super) fn new(handle: Handle) -> Self {
        let mode = PIPE_READMODE_MESSAGE;
        // SAFETY: an open handle and a number to read. It fails on byte-type pipes, which are then read by bytes.
        unsafe {
            SetNamedPipeHandleState(handle.0.as_raw_handle(), &raw const mode, ptr::null(), ptr::null())
        };
        let shared =
            Shared { incoming: Turn::new(Incoming::default()), outgoing: Turn::new(Outgoing::default()) };
        Self { handle, shared: Arc::new(shared) }
    }

    pub(super) fn into_handle(self) -> Handle {
        self.handle
    }

    pub(super) fn duplicate(&self) -> io::Result<Self> {
        let handle: OwnedHandle = self.handle.as_handle().try_clone_to_owned()?;
        Ok(Self { handle: handle.into(), shared: Arc::clone(&self.shared) })
    }

    pub(super) fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        self.recv_with(buffer, wait, |record| {
            handles::give_up(self.as_handle(), record);
            Ok(())
        })
    }

    /// Receives bytes; handles that come with them go to `with_handles` as their record.
    pub(super) fn recv_with(
        &self,
        buffer: &mut [u8],
        wait: Wait,
        with_handles: impl FnOnce(&handles::Record) -> io::Result<()>,
    ) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut incoming = self.shared.incoming.take(wait)?;
        if incoming.from == incoming.to {
            if incoming.ended {
                return Ok(0);
            }
            if buffer.len() >= handles::MESSAGE_LEN {
                let done = self.read(&mut incoming, &mut buffer[..handles::MESSAGE_LEN], wait)?;
                return match self.record(&buffer[..done.len], done) {
                    Some(record) => {
                        let bytes = record.bytes.clone();
                        buffer.copy_within(bytes.clone(), 0);
                        with_handles(&record).map(|()| bytes.len())
                    }
                    _ => Ok(done.len),
                };
            }
            let mut own = std::mem::take(&mut incoming.buffer);
            own.resize(handles::MESSAGE_LEN, 0);
            let result = self.read(&mut incoming, &mut own, wait);
            incoming.buffer = own;
            let done = result?;
            (incoming.from, incoming.to) = (0, done.len);
            if let Some(record) = self.record(&incoming.buffer[..done.len], done) {
                (incoming.from, incoming.to) = (record.bytes.start, record.bytes.end);
                if let Err(error) = with_handles(&record) {
                    incoming.from = incoming.to;
                    return Err(error);
                }
            }
        }
        let len = copy(&incoming.buffer[incoming.from..incoming.to], buffer);
        incoming.from += len;
        Ok(len)
    }

    /// One read; an empty message and a closed peer are the end.
    fn read(&self, incoming: &mut Incoming, buffer: &mut [u8], wait: Wait) -> io::Result<Done> {
        loop {
            let result = overlapped::read(self.as_handle(), buffer, wait);
            let done = self.seen(incoming, result)?;
            // On a byte-type pipe a write of nothing ends a read, and means nothing.
            if done.len > 0 || incoming.ended {
                return Ok(done);
            }
        }
    }

    fn seen(&self, incoming: &mut Incoming, result: io::Result<Done>) -> io::Result<Done> {
        match result {
            Ok(done) => {
                incoming.ended |= done.len == 0 && !done.more && self.has_messages();
                Ok(done)
            }
            Err(cause) if is_closed(&cause) => {
                incoming.ended = true;
                Ok(Done { len: 0, more: false })
            }
            Err(cause) => Err(cause),
        }
    }

    /// What a read took, if that is a message with handles.
    fn record(&self, message: &[u8], done: Done) -> Option<handles::Record> {
        handles::Record::read(message).filter(|_| !done.more && self.has_messages())
    }

    fn has_messages(&self) -> bool {
        has_messages(self.as_handle()).unwrap_or(false)
    }

    /// How many of `len` bytes to write in one message that need not be cancelled half-way.
    fn piece(&self, len: usize, wait: Wait) -> io::Result<usize> {
        let piece = len.min(PIECE);
        if wait == Wait::Forever || !tells_room() {
            return Ok(piece);
        }
        let room = information(self.as_handle()).map_err(gone)?.WriteQuotaAvailable as usize;
        Ok(piece.min(room.max(1)))
    }

    fn sending(&self, wait: Wait) -> io::Result<Taken<'_, Outgoing>> {
        let outgoing = self.shared.outgoing.take(wait)?;
        if outgoing.ended { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(outgoing) }
    }

    pub(super) fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        let _turn = self.sending(wait)?;
        if bytes.is_empty() {
            return Ok(0); // An empty message would be the end.
        }
        let len = self.piece(bytes.len(), wait)?;
        overlapped::write(self.as_handle(), &bytes[..len], wait).map_err(gone)
    }

    /// Sends a message that is no message of bytes, whole or not at all.
    pub(super) fn send_message(&self, message: &[u8], wait: Wait) -> io::Result<()> {
        if !self.has_messages() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the server made this pipe for bytes, not for messages",
            ));
        }
        let _turn = self.sending(wait)?;
        overlapped::write(self.as_handle(), message, wait).map_err(gone).map(|_| ())
    }

    pub(super) fn send_or_ready(&self, bytes: &[u8], wait: Wait) -> io::Result<Progress> {
        let mut incoming = self.shared.incoming.take(wait)?;
        if incoming.from < incoming.to || incoming.ended {
            return Ok(Progress { sent: 0, readable: true });
        }
        let _turn = self.sending(wait)?;
        let len =
            self.piece(bytes.len(), if wait == Wait::Forever { Wait::Until(Instant::now()) } else { wait })?;
        let (read, written) = overlapped::write_or_readable(self.as_handle(), &bytes[..len], wait)?;
        let is_waiting = |cause: &io::Error| cause.raw_os_error().is_none();
        let readable = match self.seen(&mut incoming, read) {
            Ok(_) => true,
            Err(cause) if is_waiting(&cause) => false,
            Err(cause) => return Err(cause),
        };
        match written {
            Ok(sent) => Ok(Progress { sent, readable }),
            Err(cause) if is_waiting(&cause) && !readable => Err(waited(wait)),
            Err(_) if readable => Ok(Progress { sent: 0, readable }),
            Err(cause) => Err(gone(cause)),
        }
    }

    /// Waits until something can be received; `false` when the time ran out.
    pub(super) fn wait_ready(&self, interest: Ready, deadline: Option<Instant>) -> io::Result<Ready> {
        if interest.writable {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a named pipe cannot be asked for room; send, or use send_or_ready",
            ));
        }
        let wait = deadline.map_or(Wait::Forever, Wait::Until);
        let found = self.shared.incoming.take(wait).and_then(|mut incoming| {
            if incoming.from < incoming.to || incoming.ended {
                return Ok(());
            }
            let result = overlapped::read(self.as_handle(), &mut [], wait);
            self.seen(&mut incoming, result).map(|_| ())
        });
        match found {
            Ok(()) => Ok(Ready { readable: interest.readable, writable: false }),
            Err(cause) if cause.kind() == io::ErrorKind::TimedOut && cause.raw_os_error().is_none() => {
                Ok(Ready::default())
            }
            Err(cause) => Err(cause),
        }
    }

    pub(super) fn end_sending(&self) -> io::Result<()> {
        if !self.has_messages() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the server made this pipe for bytes, which has no end of one direction: close it instead",
            ));
        }
        let mut outgoing = self.shared.outgoing.take(Wait::Forever)?;
        if !outgoing.ended {
            // An empty message needs no room.
            overlapped::write(self.as_handle(), &[], Wait::Forever).map_err(|cause| {
                if is_closed(&cause) { io::ErrorKind::NotConnected.into() } else { cause }
            })?;
            outgoing.ended = true;
        }
        Ok(())
    }
}

/// The error of writing to an end that is closed, as every system's streams say it.
fn gone(cause: io::Error) -> io::Error {
    if is_closed(&cause) { io::ErrorKind::BrokenPipe.into() } else { cause }
}

impl AsHandle for Stream {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}
