//! Protocol code without input or output: bytes in, frames out; frames in, bytes out.
//!
//! Nothing here knows a socket, a file or a clock, so every rule can be tested, fuzzed and simulated on plain bytes.
//! What a peer sends is never trusted: each length and each kind is checked before use, no input makes this crate
//! panic, and a [`Decoder`] never holds more than one frame of `max_frame_len` plus what it read ahead.
//!
//! A [`session`] lives longer than its connections: it numbers messages, acknowledges and resends them.
//!
//! The layouts are drawn in `docs/format/frame.md` and `docs/format/session.md`.
//!
//! ```
//! use crossing_wire::{Decoder, Encoder, Kind, Preamble};
//!
//! let encoder = Encoder::new(1 << 20);
//! let mut bytes = Vec::new();
//! bytes.extend_from_slice(&encoder.preamble());
//! encoder.encode(Kind::Data, b"hello", &mut bytes)?;
//!
//! let mut decoder = Decoder::new(1 << 20);
//! decoder.feed(&bytes);
//! let frame = decoder.next_frame()?.expect("a whole frame was fed");
//! assert_eq!((frame.kind, frame.payload), (Kind::Data, &b"hello"[..]));
//! assert_eq!(decoder.peer(), Some(Preamble::new(1 << 20)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod decode;
mod encode;
mod preamble;
pub mod service;
pub mod session;

pub use decode::{DecodeError, Decoder, Frame};
pub use encode::{EncodeError, Encoder};
pub use preamble::{MAGIC, PREAMBLE_LEN, Preamble, VERSION_MAJOR, VERSION_MINOR};

// FORMAT: frame.md Frame size=8
/// Bytes before the payload of each frame.
pub const FRAME_HEADER_LEN: usize = 8;

/// The longest payload that the format itself can express, in bytes (1 GiB); a peer's own limit is usually far lower.
pub const FRAME_LEN_LIMIT: usize = 1 << 30;

/// The limit that [`Encoder`]s and [`Decoder`]s are usually made with: 16 MiB of payload.
pub const DEFAULT_MAX_FRAME_LEN: usize = 16 << 20;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A message of the user.
    Data,
    /// The sender will send nothing more; the connection's end after it is a planned one. It has no payload.
    End,
    /// Of a session: begins or resumes it.
    Open,
    /// Of a session: answers [`Open`](Self::Open).
    Accept,
    /// Of a session: answers [`Open`](Self::Open) with a refusal.
    Refuse,
    /// Of a session: a numbered message of the user.
    Message,
    /// Of a session: how far messages were taken; also says that its sender lives.
    Ack,
    /// Of a session: numbered; its sender sends no more messages.
    Fin,
    /// Of a session: it is over.
    Close,
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::End => 2,
            Self::Open => 3,
            Self::Accept => 4,
            Self::Refuse => 5,
            Self::Message => 6,
            Self::Ack => 7,
            Self::Fin => 8,
            Self::Close => 9,
        }
    }

    /// Whether frames of this kind belong to sessions; the others belong to plain streams.
    pub(crate) const fn is_of_session(self) -> bool {
        !matches!(self, Self::Data | Self::End)
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Data),
            2 => Some(Self::End),
            3 => Some(Self::Open),
            4 => Some(Self::Accept),
            5 => Some(Self::Refuse),
            6 => Some(Self::Message),
            7 => Some(Self::Ack),
            8 => Some(Self::Fin),
            9 => Some(Self::Close),
            _ => None,
        }
    }
}
