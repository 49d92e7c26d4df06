//! What each side sends first, once, before any frame.

use crate::DecodeError;

/// The first eight bytes: no text protocol begins with byte 0x89, and the line end shows damage by text conversions.
pub const MAGIC: [u8; 8] = *b"\x89CRSNET\n";

/// Major version of the protocol: both sides must have the same.
pub const VERSION_MAJOR: u16 = 1;

/// Minor version of the protocol: a lower one is understood by a higher one.
pub const VERSION_MINOR: u16 = 2;

// FORMAT: frame.md Preamble size=24
/// Length of the preamble in bytes.
pub const PREAMBLE_LEN: usize = 24;

/// The versions and limits that a side offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Preamble {
    /// Major version that the sender speaks.
    pub major: u16,
    /// Minor version that the sender speaks.
    pub minor: u16,
    /// The longest payload that the sender of this preamble accepts in one frame, in bytes.
    pub max_frame_len: u32,
    /// Frames of a [`session`](crate::session) follow, not those of a plain stream.
    pub session: bool,
    /// How many handles of the operating system the sender of this preamble takes with one frame, since 1.2; always 0
    /// where the connection carries none.
    pub max_handles: u8,
}

impl Preamble {
    /// The preamble of this build, accepting frames of up to `max_frame_len` bytes (cut to
    /// [`FRAME_LEN_LIMIT`](crate::FRAME_LEN_LIMIT)).
    #[must_use]
    pub fn new(max_frame_len: usize) -> Self {
        let max_frame_len = max_frame_len.min(crate::FRAME_LEN_LIMIT) as u32;
        Self { major: VERSION_MAJOR, minor: VERSION_MINOR, max_frame_len, session: false, max_handles: 0 }
    }

    /// The same, announcing that frames of a session follow.
    #[must_use]
    pub fn for_sessions(self) -> Self {
        Self { session: true, ..self }
    }

    /// The same, taking up to `handles` handles with one frame.
    #[must_use]
    pub fn with_handles(self, handles: u8) -> Self {
        Self { max_handles: handles, ..self }
    }

    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.major.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.minor.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.max_frame_len.to_le_bytes());
        bytes[16] = u8::from(self.session);
        bytes[17] = self.max_handles;
        bytes
    }

    /// Reads a preamble from the beginning of `bytes`; `None` while too few have arrived.
    ///
    /// # Errors
    /// As soon as the bytes present cannot become a preamble that this build understands: [`DecodeError::BadMagic`]
    /// from the first wrong byte on, [`DecodeError::VersionMismatch`] when the major versions differ.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let seen = bytes.len().min(MAGIC.len());
        if bytes[..seen] != MAGIC[..seen] {
            let mut found = [0; 8];
            found[..seen].copy_from_slice(&bytes[..seen]);
            return Err(DecodeError::BadMagic { found, len: seen as u8 });
        }
        let Some(bytes) = bytes.first_chunk::<PREAMBLE_LEN>() else { return Ok(None) };
        let major = u16::from_le_bytes([bytes[8], bytes[9]]);
        let minor = u16::from_le_bytes([bytes[10], bytes[11]]);
        let max_frame_len = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        if major != VERSION_MAJOR {
            return Err(DecodeError::VersionMismatch {
                theirs: (major, minor),
                ours: (VERSION_MAJOR, VERSION_MINOR),
            });
        }
        Ok(Some(Self { major, minor, max_frame_len, session: bytes[16] & 1 != 0, max_handles: bytes[17] }))
    }
}

#[cfg(test)]
#[path = "preamble_tests.rs"]
mod tests;
