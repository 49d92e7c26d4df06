//! Handles that cross with bytes.
//!
//! The sender keeps a duplicate of each handle and sends the duplicates' numbers, with the bytes, in one message that is
//! longer than any message of bytes; the receiver opens the sender's process, whose id it has from the kernel, and moves
//! the duplicates over (`DuplicateHandle` with `DUPLICATE_CLOSE_SOURCE`).
//!
//! Why the receiver pulls: numbers that a peer sends name handles of that peer's own process only. Were they handles that
//! the sender claims to have put into the receiver's process, a hostile sender could name the receiver's own. What a
//! hostile peer can do: send numbers that are none (an error) or handles of any type and rights (as on every system; who
//! receives them checks what they are). Before anything is pulled out of a client's process its user is compared with
//! the one whom the kernel authenticated on the pipe, so that a process that got a dead client's id is left alone.
//!
//! What it needs: the right to duplicate out of the sender's process, which processes of one user have over each other
//! unless the sender runs at a higher integrity level. What it cannot do: handles of a sender that died before they were
//! received are lost, and handles that nobody receives stay open in the sender until it ends.
#![allow(unsafe_code)] // duplicating handles of another process

use super::peer;
use super::pipe::{PIECE, Stream};
use crate::file::Handle;
use crate::local::{MAX_HANDLES, Wait};
use std::io;
use std::ops::Range;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Win32::Foundation::{
    DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION,
};

/// What a message with handles begins with.
const MAGIC: [u8; 16] = *b"\xc5\x1f\x9ecrossinghndls";
/// After it: the number of handles and of bytes, both u32 and little-endian, and the handles as u64.
const BYTES_AT: usize = 16 + 8 + 8 * MAX_HANDLES;
/// The length of every message with handles, which no message of bytes has.
pub(super) const MESSAGE_LEN: usize = PIECE + 1024;
/// How many bytes go with handles at most.
const MAX_BYTES: usize = MESSAGE_LEN - BYTES_AT;

/// A message with handles, checked for its form.
#[derive(Debug)]
pub(super) struct Record {
    values: Vec<u64>,
    /// Where in the message its bytes are.
    pub(super) bytes: Range<usize>,
}

impl Record {
    /// `None` if it is a message of bytes.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        if message.len() != MESSAGE_LEN || message[..16] != MAGIC {
            return None;
        }
        let number =
            |at: usize| message[at..at + 4].iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
        let (handles, len) = (number(16), number(20));
        if handles > MAX_HANDLES || len == 0 || len > MAX_BYTES {
            return None;
        }
        let values = message[24..24 + 8 * handles].chunks_exact(8);
        let values = values.map(|value| value.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)));
        Some(Self { values: values.collect(), bytes: BYTES_AT..BYTES_AT + len })
    }
}

fn message(values: &[OwnedHandle], bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(MESSAGE_LEN);
    message.extend_from_slice(&MAGIC);
    message.extend_from_slice(&(values.len() as u32).to_le_bytes());
    message.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    for value in values {
        message.extend_from_slice(&(value.as_raw_handle() as u64).to_le_bytes());
    }
    message.resize(BYTES_AT, 0);
    message.extend_from_slice(bytes);
    message.resize(MESSAGE_LEN, 0);
    message
}

pub(super) fn send(stream: &Stream, bytes: &[u8], handles: &[&Handle], wait: Wait) -> io::Result<usize> {
    if handles.is_empty() {
        return stream.send(bytes, wait);
    }
    let copies: Vec<OwnedHandle> =
        handles.iter().map(|handle| handle.as_handle().try_clone_to_owned()).collect::<io::Result<_>>()?;
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    // On failure the copies are closed here.
    stream.send_message(&message(&copies, bytes), wait)?;
    for copy in copies {
        // The receiver closes it.
        std::mem::forget(copy);
    }
    Ok(bytes.len())
}

/// Moves handle `value` of `process` here.
fn pull(process: &OwnedHandle, value: u64) -> io::Result<Handle> {
    let mut found: HANDLE = ptr::null_mut();
    // SAFETY: no arguments; the pseudo handle needs no closing.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: an open process with the right for it, and a place for the result. The value is of that process: whatever
    // it names there, here a new handle is made, or none.
    let done = unsafe {
        DuplicateHandle(
            process.as_raw_handle(),
            value as HANDLE,
            this,
            &raw mut found,
            0,
            0,
            DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: made just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(found) }.into())
}

/// Whether `value` may be a handle: not one of the pseudo handles (negative numbers), which name something in every
/// process.
fn is_plausible(value: u64) -> bool {
    value > 0 && value <= u64::from(u32::MAX >> 1)
}

fn pull_all(pipe: BorrowedHandle<'_>, record: &Record) -> io::Result<Vec<Handle>> {
    let process = peer::open(pipe, PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION)?;
    // All are pulled even if one is none, so that the rest is not left in the sender.
    let results: Vec<_> = record
        .values
        .iter()
        .map(|value| {
            if is_plausible(*value) { pull(&process, *value) } else { Err(io::ErrorKind::InvalidData.into()) }
        })
        .collect();
    results.into_iter().collect()
}

/// Closes what nobody wants.
pub(super) fn give_up(pipe: BorrowedHandle<'_>, record: &Record) {
    let _ = pull_all(pipe, record);
}

pub(super) fn recv(
    stream: &Stream,
    buffer: &mut [u8],
    handles: &mut Vec<Handle>,
    max_handles: usize,
    wait: Wait,
) -> io::Result<usize> {
    stream.recv_with(buffer, wait, |record| {
        let pulled = pull_all(stream.as_handle(), record);
        if record.values.len() > max_handles {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the peer sent more than {max_handles} handles at once"),
            ));
        }
        handles.append(&mut pulled?);
        Ok(())
    })
}

#[cfg(test)]
#[path = "handles_tests.rs"]
mod tests;
