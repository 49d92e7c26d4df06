//! Protocol code without input or output: bytes in, frames out; frames in, bytes out.
//!
//! Nothing here knows a socket, a file or a clock, so every rule can be tested, fuzzed and simulated on plain bytes.
//! What a peer sends is never trusted: each length and each kind is checked before use, no input makes this crate
//! panic, and a [`Decoder`] never holds more than one frame of `max_frame_len` plus what it read ahead.
//!
//! The layout is drawn in `docs/format/frame.md`.
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
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::End => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Data),
            2 => Some(Self::End),
            _ => None,
        }
    }
}
