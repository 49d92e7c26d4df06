//! What goes wrong on a stream, and how it is told.

use super::{RECV, SEND};
use crate::ErrorKind;
use crate::link::Link;
use crossing_sys::Error;
use crossing_wire::{DecodeError, Encoder};
use std::io;

/// Whether the wait ended, as opposed to an error of the system (ETIMEDOUT is one: the peer is unreachable).
pub(super) fn is_waiting(cause: &io::Error) -> bool {
    cause.raw_os_error().is_none()
        && matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

pub(super) fn ended(link: &Link) -> Error {
    link.fault(ErrorKind::Disconnected, RECV)
        .detail("it ended its stream; everything that it sent was received")
}

/// A frame of `len` bytes is longer than the peer takes.
pub(super) fn too_large(link: &Link, encoder: &Encoder, len: usize) -> Error {
    let kind = ErrorKind::TooLarge { len: len as u64, max: encoder.limit() as u64 };
    let error = link.fault(kind, SEND).detail("the peer accepts no longer frames");
    error.fix("split the message, or raise max_frame_len on the receiving side")
}

pub(super) fn protocol_error(link: &Link, error: DecodeError) -> Error {
    let detail = error.to_string();
    let made = |kind| link.fault(kind, RECV).detail(detail);
    match error {
        DecodeError::BadMagic { .. } => {
            made(ErrorKind::Incompatible).fix("exchange raw bytes with a peer that is not Crossing")
        }
        DecodeError::VersionMismatch { .. } => {
            made(ErrorKind::Incompatible).fix("run the same major version on both sides")
        }
        DecodeError::SessionMismatch { .. } => {
            made(ErrorKind::Incompatible).fix("use a session on both sides or on none")
        }
        DecodeError::FrameTooLarge { len, max } => {
            made(ErrorKind::TooLarge { len: len.into(), max: max.into() })
                .fix("raise max_frame_len on this side")
        }
        _ => made(ErrorKind::Corrupt),
    }
}
