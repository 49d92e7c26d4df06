//! recvmsg(2) of one message with all that comes with it: unix(7), SCM_RIGHTS, SCM_CREDENTIALS; cmsg(3).
//!
//! By hand: rustix's type of credentials forbids the process id 0, with which the kernel names a process of another PID
//! namespace. SO_PASSCRED makes each message, an empty one too, come with credentials: one without is the end.
#![allow(unsafe_code)] // recvmsg of the C library

use crate::file::Handle;
use crate::local::{Credentials, LocalName, MAX_HANDLES};
use rustix::io::{Errno, Result};
use rustix::net::{self, RecvFlags, sockopt};
use std::ffi::OsStr;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// Whether sockets of packets (SOCK_SEQPACKET) are there.
pub(crate) const PACKETS: bool = true;

/// Whether a socket's file is made with its final rights, so that nobody else comes before they are set.
pub(crate) const MODE_IS_FIRST: bool = true;

/// Whether a connected socket of datagrams becomes writable when its receiver has room again.
pub(crate) const TELLS_ROOM: bool = true;

/// Room for the handles and credentials of one message, aligned as cmsg(3) asks for.
type Control = [u64; CONTROL_LEN / 8];
const CONTROL_LEN: usize = 16 + MAX_HANDLES * size_of::<RawFd>() + 16 + 16;

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its length, which is more than the buffer has if it was cut.
    pub(crate) len: usize,
    /// There is none: the peer has ended its direction.
    pub(crate) is_end: bool,
    pub(crate) handles: Vec<Handle>,
    /// Some handles did not come: they were too many, or this process may have no more files.
    pub(crate) handles_cut: bool,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) sender: Option<LocalName>,
}

/// Has the kernel say with each message who sent it.
pub(crate) fn ask_for_credentials(socket: BorrowedFd<'_>) -> Result<()> {
    sockopt::set_socket_passcred(socket, true)
}

/// The longest message that a socket sends, in bytes: unix_dgram_sendmsg keeps 32 bytes of the buffer.
pub(crate) fn longest(socket: BorrowedFd<'_>) -> usize {
    sockopt::socket_send_buffer_size(socket).unwrap_or(0).saturating_sub(32)
}

/// The length of the next message, which stays.
pub(crate) fn next_len(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<usize> {
    let flags = flags | RecvFlags::PEEK | RecvFlags::TRUNC;
    net::recv(socket, &mut [0; 0][..], flags).map(|(_, len)| len)
}

/// Receives one message; what does not fit into `buffer` is lost, and its length is told.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> Result<Message> {
    let mut control: Control = [0; CONTROL_LEN / 8];
    // SAFETY: an address is made of integers, for which zero is a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a header is made of integers and pointers, for which zero is a value; some systems' has padding.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut address).cast();
    header.msg_namelen = size_of_val(&address) as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    let flags = flags.bits().cast_signed() | libc::MSG_CMSG_CLOEXEC | libc::MSG_TRUNC;
    // SAFETY: the socket is open; the header's pointers are to values on this stack and to `buffer`, with their lengths.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let Ok(len) = usize::try_from(len) else {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    };
    let (handles, credentials) = parts(&header);
    Ok(Message {
        len,
        is_end: len == 0 && credentials.is_none() && handles.is_empty(),
        handles,
        handles_cut: header.msg_flags & libc::MSG_CTRUNC != 0,
        credentials,
        sender: name(&address, header.msg_namelen as usize),
    })
}

/// The handles and the credentials that the kernel put into the control buffer of `header`.
fn parts(header: &libc::msghdr) -> (Vec<Handle>, Option<Credentials>) {
    let (mut handles, mut credentials) = (Vec::new(), None);
    // SAFETY: the kernel filled the control buffer and its length, and the buffer outlives this call.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: not null, so a whole header of the kernel's in an aligned buffer.
        let head = unsafe { at.read() };
        // SAFETY: the data of the same part.
        let data = unsafe { libc::CMSG_DATA(at) };
        // SAFETY: only computes the length of a header with its padding.
        let before = unsafe { libc::CMSG_LEN(0) } as usize;
        let len = (head.cmsg_len as usize).saturating_sub(before);
        match (head.cmsg_level, head.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for index in 0..len / size_of::<RawFd>() {
                    // SAFETY: within the part's length; read without asking for alignment.
                    let fd = unsafe { data.cast::<RawFd>().wrapping_add(index).read_unaligned() };
                    // SAFETY: the kernel opened it for this process with this message; nobody else knows it.
                    handles.push(Handle::from(unsafe { OwnedFd::from_raw_fd(fd) }));
                }
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if len >= size_of::<libc::ucred>() => {
                // SAFETY: within the part's length; any bytes are a valid ucred.
                let found = unsafe { data.cast::<libc::ucred>().read_unaligned() };
                credentials = Some(super::sockets::known(&found));
            }
            _ => {}
        }
        // SAFETY: the header and one of its parts, as above.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
    (handles, credentials)
}

/// The name in an address; `None` for a socket without one, or with one that is no text.
fn name(address: &libc::sockaddr_un, len: usize) -> Option<LocalName> {
    let len = len.min(size_of_val(address)).checked_sub(offset_of!(libc::sockaddr_un, sun_path))?;
    let bytes: Vec<u8> = address.sun_path[..len].iter().map(|byte| byte.to_ne_bytes()[0]).collect();
    match bytes.split_first()? {
        (0, []) => None,
        (0, name) => Some(LocalName::Abstract(String::from_utf8(name.to_vec()).ok()?)),
        _ => {
            let path = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            Some(LocalName::Path(OsStr::from_bytes(path).into()))
        }
    }
}
