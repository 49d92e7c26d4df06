//! Frames to bytes.

use crate::{FRAME_HEADER_LEN, FRAME_LEN_LIMIT, Kind, PREAMBLE_LEN, Preamble};
use std::fmt;

/// Makes the bytes of the preamble and of frames.
#[derive(Debug, Clone)]
pub struct Encoder {
    own: Preamble,
    limit: usize,
    handle_limit: u8,
}

/// Why a frame was not encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than the receiver accepts; both in bytes.
    TooLarge {
        /// Length of the payload.
        len: usize,
        /// The most that the receiver accepts.
        max: usize,
    },
    /// More handles go with the frame than the receiver takes.
    TooManyHandles {
        /// How many.
        count: usize,
        /// The most that the receiver takes.
        max: u8,
    },
}

impl Encoder {
    /// An encoder whose side accepts payloads of up to `max_frame_len` bytes. Until
    /// [`set_limit`](Self::set_limit) it lets payloads of any length through that the format can express.
    #[must_use]
    pub fn new(max_frame_len: usize) -> Self {
        Self { own: Preamble::new(max_frame_len), limit: FRAME_LEN_LIMIT, handle_limit: 0 }
    }

    /// The same, whose side takes up to `handles` handles with one frame.
    #[must_use]
    pub fn taking_handles(self, handles: u8) -> Self {
        Self { own: self.own.with_handles(handles), ..self }
    }

    /// The bytes to send before any frame.
    #[must_use]
    pub fn preamble(&self) -> [u8; PREAMBLE_LEN] {
        self.own.encode()
    }

    /// Sets the longest payload that the peer accepts, in bytes: its preamble's `max_frame_len`.
    pub fn set_limit(&mut self, max_frame_len: usize) {
        self.limit = max_frame_len.min(FRAME_LEN_LIMIT);
    }

    /// The longest payload that may be sent, in bytes.
    #[must_use]
    #[inline]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Sets how many handles the peer takes with one frame: its preamble's `max_handles`; 0 until then.
    pub fn set_handle_limit(&mut self, max_handles: u8) {
        self.handle_limit = max_handles;
    }

    /// The header of a data frame with which `handles` handles go: they must reach the system together with its first
    /// byte.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] and [`EncodeError::TooManyHandles`] when the receiver does not take it.
    pub fn header_with_handles(
        &self,
        len: usize,
        handles: usize,
    ) -> Result<[u8; FRAME_HEADER_LEN], EncodeError> {
        let mut header = self.header(Kind::Data, len)?;
        match u8::try_from(handles) {
            Ok(count) if count <= self.handle_limit => header[6] = count,
            _ => return Err(EncodeError::TooManyHandles { count: handles, max: self.handle_limit }),
        }
        Ok(header)
    }

    /// The header of a frame with a payload of `len` bytes; the payload follows it unchanged.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] when the receiver does not accept a payload of that length.
    #[inline]
    pub fn header(&self, kind: Kind, len: usize) -> Result<[u8; FRAME_HEADER_LEN], EncodeError> {
        if len > self.limit {
            return Err(EncodeError::TooLarge { len, max: self.limit });
        }
        // The limit is at most FRAME_LEN_LIMIT, which fits.
        let [a, b, c, d] = (len as u32).to_le_bytes();
        Ok([a, b, c, d, kind.code(), 0, 0, 0])
    }

    /// Appends a whole frame to `out`.
    ///
    /// # Errors
    /// As [`header`](Self::header); `out` is unchanged then.
    #[inline]
    pub fn encode(&self, kind: Kind, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let header = self.header(kind, payload.len())?;
        out.reserve(FRAME_HEADER_LEN + payload.len());
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        Ok(())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { len, max } => write!(f, "frame of {len} bytes, the peer accepts at most {max}"),
            Self::TooManyHandles { count, max } => {
                write!(f, "{count} handles with a frame, the peer takes at most {max}")
            }
        }
    }
}

impl std::error::Error for EncodeError {}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
