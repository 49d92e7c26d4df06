//! recvmsg(2) of one message where the kernel says nothing of its sender but the address.

use crate::file::Handle;
use crate::local::{Credentials, LocalName, MAX_HANDLES};
use crate::os::sockets as system;
use rustix::io::Result;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketAddrUnix, recv, recvmsg, sockopt,
};
use std::ffi::OsStr;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

/// Whether a socket's file is made with its final rights.
pub(crate) const MODE_IS_FIRST: bool = false;

/// Whether a connected socket of datagrams becomes writable when its receiver has room again.
pub(crate) const TELLS_ROOM: bool = false;

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its length; one more than the buffer has if it was cut, for the kernel does not say more.
    pub(crate) len: usize,
    /// There is none: the peer has ended its direction.
    pub(crate) is_end: bool,
    pub(crate) handles: Vec<Handle>,
    /// Some handles did not come: they were too many, or this process may have no more files.
    pub(crate) handles_cut: bool,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) sender: Option<LocalName>,
}

/// The kernel has no such thing for single messages.
pub(crate) fn ask_for_credentials(_: BorrowedFd<'_>) -> Result<()> {
    Ok(())
}

/// The longest message that a socket sends, in bytes.
pub(crate) fn longest(socket: BorrowedFd<'_>) -> usize {
    sockopt::socket_send_buffer_size(socket).unwrap_or(0)
}

/// At least the length of the next message, which stays.
pub(crate) fn next_len(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<usize> {
    recv(socket, &mut [0; 1][..], flags | RecvFlags::PEEK)?;
    // Of all that has arrived: the kernel does not tell where the first one ends before it is received.
    Ok(usize::try_from(rustix::io::ioctl_fionread(socket)?).unwrap_or(usize::MAX))
}

/// Receives one message; what does not fit into `buffer` is lost.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> Result<Message> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let room = buffer.len();
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags | system::RECV)?;
    let mut handles = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            handles.extend(fds.map(|fd| Handle::from(system::received(fd))));
        }
    }
    let cut = message.flags.contains(ReturnFlags::TRUNC);
    let sender = message.address.and_then(|address| SocketAddrUnix::try_from(address).ok());
    let path = sender.as_ref().and_then(SocketAddrUnix::path_bytes);
    Ok(Message {
        len: if cut { room + 1 } else { message.bytes },
        // A record, an empty one too, comes with its end.
        is_end: message.bytes == 0 && !cut && !message.flags.contains(ReturnFlags::EOR),
        handles,
        handles_cut: message.flags.contains(ReturnFlags::CTRUNC),
        credentials: None,
        sender: path
            .filter(|path| !path.is_empty())
            .map(|path| LocalName::Path(OsStr::from_bytes(path).into())),
    })
}
