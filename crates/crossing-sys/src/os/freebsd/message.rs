//! Messages with what unix(4) tells of them. Type-checked only: no FreeBSD was at hand to run it on.

#[path = "../unix/message.rs"]
mod plain;

pub(crate) use plain::{MODE_IS_FIRST, TELLS_ROOM, ask_for_credentials, longest, next_len, receive};

/// Whether sockets of packets (SOCK_SEQPACKET) are there.
pub(crate) const PACKETS: bool = true;
