//! Who is at the other end of a pipe.
//!
//! The server learns the client's user from the kernel, by impersonating it for as long as it takes to open the token
//! (the client's choice of level may forbid it; its identity is unknown then). The process ids were noted by the kernel
//! when the ends were made. Sources: "ImpersonateNamedPipeClient function", "Impersonation Levels".
#![allow(unsafe_code)] // tokens, impersonation

use super::super::security::{current_group_sid, current_user_sid, sid_of_token, token_of_process};
use super::super::text::wide;
use super::pipe::is_server_end;
use crate::local::{Credentials, Sid};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::ConvertStringSidToSidW;
use windows_sys::Win32::Security::{CheckTokenMembership, PSID, RevertToSelf, TOKEN_QUERY, TokenUser};
use windows_sys::Win32::System::Pipes::{
    GetNamedPipeClientProcessId, GetNamedPipeServerProcessId, ImpersonateNamedPipeClient,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentThread, OpenProcess, OpenThreadToken, PROCESS_ACCESS_RIGHTS, PROCESS_QUERY_LIMITED_INFORMATION,
};

/// The token of the client at the other end of a server's pipe.
fn client_token(pipe: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    // SAFETY: an open handle.
    if unsafe { ImpersonateNamedPipeClient(pipe.as_raw_handle()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: no arguments; the pseudo handle needs no closing.
    let thread = unsafe { GetCurrentThread() };
    // SAFETY: this thread, checked as the process and not as the client, and a place for the result.
    let opened = unsafe { OpenThreadToken(thread, TOKEN_QUERY, 1, &raw mut token) };
    let cause = io::Error::last_os_error();
    // SAFETY: no arguments.
    if unsafe { RevertToSelf() } == 0 {
        // Going on as somebody else would be worse.
        std::process::abort();
    }
    if opened == 0 {
        return Err(cause);
    }
    // SAFETY: opened just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// The process at the other end.
fn process_id(pipe: BorrowedHandle<'_>, is_server: bool) -> io::Result<u32> {
    let mut id = 0;
    let done = if is_server {
        // SAFETY: an open handle and a place for the result.
        unsafe { GetNamedPipeClientProcessId(pipe.as_raw_handle(), &raw mut id) }
    } else {
        // SAFETY: as above.
        unsafe { GetNamedPipeServerProcessId(pipe.as_raw_handle(), &raw mut id) }
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(id) }
}

fn open_process(id: u32, rights: PROCESS_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    // SAFETY: no pointers.
    let process = unsafe { OpenProcess(rights, 0, id) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: opened just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(process) })
}

/// Opens the process at the other end (with the right to query it among `rights`), unless its user is another than the
/// one who connected.
pub(super) fn open(pipe: BorrowedHandle<'_>, rights: PROCESS_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    let is_server = is_server_end(pipe)?;
    let process = open_process(process_id(pipe, is_server)?, rights)?;
    if is_server {
        let connected = sid_of_token(&client_token(pipe)?, TokenUser)?;
        if sid_of_token(&token_of_process(process.as_raw_handle())?, TokenUser)? != connected {
            return Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "the process that connected is gone, and another one has its id",
            ));
        }
    }
    Ok(process)
}

/// Whether a token belongs to the group that Group access names: this process's primary group.
fn is_colleague(token: &OwnedHandle) -> io::Result<bool> {
    let text = wide(current_group_sid()?)?;
    let mut group: PSID = ptr::null_mut();
    // SAFETY: a string that ends in 0, and a place for the result.
    if unsafe { ConvertStringSidToSidW(text.as_ptr(), &raw mut group) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut is_member = 0;
    // SAFETY: an open token for impersonation, a SID, a place for the result.
    let done = unsafe { CheckTokenMembership(token.as_raw_handle(), group, &raw mut is_member) };
    let cause = io::Error::last_os_error();
    // SAFETY: made by the conversion, which says to free it so; freed once.
    unsafe { LocalFree(group) };
    if done == 0 { Err(cause) } else { Ok(is_member != 0) }
}

pub(super) fn credentials(pipe: BorrowedHandle<'_>) -> io::Result<Credentials> {
    let is_server = is_server_end(pipe)?;
    let process_id = process_id(pipe, is_server).ok().filter(|id| *id != 0);
    let mut same_group = false;
    let user = if is_server {
        client_token(pipe).and_then(|token| {
            same_group = is_colleague(&token).unwrap_or(false);
            sid_of_token(&token, TokenUser)
        })
    } else {
        process_id
            .ok_or_else(|| io::ErrorKind::NotFound.into())
            .and_then(|id| open_process(id, PROCESS_QUERY_LIMITED_INFORMATION))
            .and_then(|process| token_of_process(process.as_raw_handle()))
            .and_then(|token| sid_of_token(&token, TokenUser))
    };
    let sid = user.ok().and_then(|text| Sid::new(&text));
    let own = current_user_sid()?;
    let same_user = sid.is_some_and(|sid| sid.as_str() == own);
    Ok(Credentials { process_id, ids: None, sid, same_user, same_group })
}
