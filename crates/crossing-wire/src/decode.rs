//! Bytes to frames.

use crate::{FRAME_HEADER_LEN, FRAME_LEN_LIMIT, Kind, PREAMBLE_LEN, Preamble};
use std::fmt;

/// How much room a decoder offers for reading ahead, in bytes, however small its limit is.
const READ_AHEAD: usize = 64 << 10;

/// How much room it has at first, in bytes: a connection that says little costs little.
const FIRST_ROOM: usize = 1 << 10;

/// A frame that arrived whole. The payload lies in the decoder's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// What it is for.
    pub kind: Kind,
    /// Its bytes.
    pub payload: &'a [u8],
    /// How many handles of the operating system go with it.
    pub handles: u8,
}

/// What is wrong with the bytes that a peer sent. A decoder stays at its first error: what follows has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The peer does not speak this protocol.
    BadMagic {
        /// The first bytes that it sent.
        found: [u8; 8],
        /// How many of them had arrived.
        len: u8,
    },
    /// The peer speaks another major version of this protocol; each as (major, minor).
    VersionMismatch {
        /// Version of the peer.
        theirs: (u16, u16),
        /// Version of this build.
        ours: (u16, u16),
    },
    /// A frame is longer than this side accepts; both in bytes.
    FrameTooLarge {
        /// Length that the frame's header states.
        len: u32,
        /// The most that this side accepts.
        max: u32,
    },
    /// A frame of a kind that this version does not have.
    UnknownKind(u8),
    /// Bits of a frame's header are set that must be zero in this version.
    ReservedBits,
    /// More handles go with a frame than this side takes.
    TooManyHandles {
        /// How many, as the frame's header states.
        count: u8,
        /// The most that this side takes.
        max: u8,
    },
    /// A frame that must have no payload has one.
    UnexpectedPayload,
    /// A frame came after the one that was to be the last.
    AfterEnd,
    /// One side speaks of a session, the other of a plain stream.
    SessionMismatch {
        /// Whether the peer speaks of a session.
        theirs: bool,
    },
    /// A frame of a session does not have the content that its kind asks for.
    BadSessionFrame(Kind),
    /// A frame of a session came where it makes no sense.
    UnexpectedSessionFrame(Kind),
    /// A frame's number is not the one that must come next.
    WrongNumber {
        /// The number that had to come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The peer acknowledged what was not sent.
    WrongAck {
        /// How many numbered frames were sent.
        sent: u64,
        /// How many the peer says that it took.
        acked: u64,
    },
    /// The peer sent more than it was allowed before what it sent was taken.
    WindowExceeded,
    /// A frame of a service is none that this version has.
    BadServiceFrame,
}

/// Takes bytes as they arrive, in pieces of any size, and gives whole frames.
///
/// Memory: at most `max_frame_len` plus 64 KiB. It begins with 1 KiB and grows with what really arrives, so that a header that
/// announces a large frame costs nothing yet, and a connection that never has more than a short frame waiting stays small.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read took all the room there was: there may be more to read at once.
    filled: bool,
    max_frame_len: usize,
    peer: Option<Preamble>,
    ended: bool,
    failed: Option<DecodeError>,
    session: bool,
    max_handles: u8,
}

impl Decoder {
    /// A decoder that expects the peer's preamble first, and accepts payloads of up to `max_frame_len` bytes (cut to
    /// [`FRAME_LEN_LIMIT`]).
    #[must_use]
    pub fn new(max_frame_len: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            filled: false,
            max_frame_len: max_frame_len.min(FRAME_LEN_LIMIT),
            peer: None,
            ended: false,
            failed: None,
            session: false,
            max_handles: 0,
        }
    }

    /// The same, accepting up to `handles` handles with a frame; none unless said.
    #[must_use]
    pub fn taking_handles(self, handles: u8) -> Self {
        Self { max_handles: handles, ..self }
    }

    /// As [`new`](Self::new), for the frames of a session.
    #[must_use]
    pub(crate) fn for_sessions(max_frame_len: usize) -> Self {
        Self { session: true, ..Self::new(max_frame_len) }
    }

    /// The peer's preamble, once it has arrived.
    #[must_use]
    pub fn peer(&self) -> Option<Preamble> {
        self.peer
    }

    /// Whether the peer said that it sends nothing more, and that frame was taken.
    #[must_use]
    #[inline]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes that arrived and were not given out yet.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.end - self.start
    }

    /// How many handles go with the frame that is incomplete; `None` while its header is incomplete or wrong.
    #[must_use]
    pub fn announced_handles(&self) -> Option<u8> {
        self.peer?;
        let (_, _, handles) = self.header(&self.buffer[self.start..self.end]).ok()??;
        Some(handles)
    }

    /// Room to read into; never empty. [`advance`](Self::advance) then says how much was read. Ask for frames first:
    /// room is only made for the frame that is incomplete.
    pub fn space(&mut self) -> &mut [u8] {
        let held = self.end - self.start;
        if held == 0 {
            (self.start, self.end) = (0, 0);
        }
        let missing = self.missing();
        let wanted = missing.clamp(1, READ_AHEAD);
        let room = self.buffer.len() - self.end;
        // A long frame is moved at its beginning, when little of it is there, or not at all.
        if room < wanted || (room < missing && held < READ_AHEAD) {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, held);
        }
        let small = self.buffer.len() < READ_AHEAD && self.filled;
        if small || self.buffer.len() - self.end < wanted {
            let most = self.max_frame_len.saturating_add(FRAME_HEADER_LEN).max(READ_AHEAD);
            let doubled = self.buffer.len() * if small { 4 } else { 2 };
            // What a long frame needs comes all at once.
            let least = if missing > FIRST_ROOM { READ_AHEAD } else { FIRST_ROOM };
            let len = doubled.clamp(least, most).max(held + wanted);
            self.buffer.resize(len, 0);
        }
        self.filled = false;
        // Nothing is read beyond a long frame, and little of a next one: it would have to be moved.
        let end = self.buffer.len().min(self.end + missing.max(2 * READ_AHEAD));
        &mut self.buffer[self.end..end]
    }

    /// Says that `len` bytes were read into [`space`](Self::space); more than the space had counts as all of it.
    pub fn advance(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.len());
        self.filled = self.end == self.buffer.len();
    }

    /// Copies `bytes` in: for callers that have them already.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let len = space.len().min(bytes.len());
            space[..len].copy_from_slice(&bytes[..len]);
            self.advance(len);
            bytes = &bytes[len..];
        }
    }

    /// Reads the peer's preamble if it is there; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`DecodeError::BadMagic`] and [`DecodeError::VersionMismatch`].
    #[inline]
    pub fn next_preamble(&mut self) -> Result<Option<Preamble>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.peer.is_none() {
            match Preamble::decode(&self.buffer[self.start..self.end]) {
                Ok(Some(preamble)) if preamble.session != self.session => {
                    return self.fail(DecodeError::SessionMismatch { theirs: preamble.session });
                }
                Ok(Some(preamble)) => {
                    self.peer = Some(preamble);
                    self.start += PREAMBLE_LEN;
                }
                Ok(None) => {}
                Err(error) => return self.fail(error),
            }
        }
        Ok(self.peer)
    }

    /// Whether [`next_frame`](Self::next_frame) has something to say (a frame or an error) without more bytes.
    #[must_use]
    #[inline]
    pub fn is_ready(&self) -> bool {
        let bytes = &self.buffer[self.start..self.end];
        if self.failed.is_some() {
            return true;
        }
        let frames = match self.peer {
            Some(_) => bytes,
            None => match Preamble::decode(bytes) {
                Ok(None) => return false,
                Ok(Some(preamble)) if preamble.session != self.session => return true,
                Ok(Some(_)) => &bytes[PREAMBLE_LEN..],
                Err(_) => return true,
            },
        };
        match self.header(frames) {
            Ok(None) => false,
            Ok(Some((_, len, _))) => frames.len() - FRAME_HEADER_LEN >= len,
            Err(_) => true,
        }
    }

    /// Takes the next whole frame; `None` while it is incomplete. The preamble is taken on the way.
    ///
    /// # Errors
    /// What is wrong with the bytes; the same on each later call.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, DecodeError> {
        if self.next_preamble()?.is_none() {
            return Ok(None);
        }
        let (kind, len, handles) = match self.header(&self.buffer[self.start..self.end]) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(error) => return self.fail(error),
        };
        if self.buffered() - FRAME_HEADER_LEN < len {
            return Ok(None);
        }
        let payload = self.start + FRAME_HEADER_LEN..self.start + FRAME_HEADER_LEN + len;
        self.start = payload.end;
        self.ended |= kind == Kind::End;
        Ok(Some(Frame { kind, payload: &self.buffer[payload], handles }))
    }

    fn fail<T>(&mut self, error: DecodeError) -> Result<T, DecodeError> {
        self.failed = Some(error);
        Err(error)
    }

    /// How many bytes the incomplete frame still needs, as far as it is known.
    fn missing(&self) -> usize {
        let bytes = &self.buffer[self.start..self.end];
        let whole = match (self.peer, self.header(bytes)) {
            (Some(_), Ok(Some((_, len, _)))) => FRAME_HEADER_LEN + len,
            (Some(_), _) => FRAME_HEADER_LEN,
            (None, _) => PREAMBLE_LEN,
        };
        whole.saturating_sub(bytes.len())
    }

    /// The kind, length and number of handles of the frame at the beginning of `bytes`, checked; `None` while its header
    /// is incomplete.
    #[inline]
    fn header(&self, bytes: &[u8]) -> Result<Option<(Kind, usize, u8)>, DecodeError> {
        if self.ended && !bytes.is_empty() {
            return Err(DecodeError::AfterEnd);
        }
        let Some(&[a, b, c, d, kind, flags, handles, reserved]) = bytes.first_chunk::<FRAME_HEADER_LEN>()
        else {
            return Ok(None);
        };
        let len = u32::from_le_bytes([a, b, c, d]);
        if len as usize > self.max_frame_len {
            return Err(DecodeError::FrameTooLarge { len, max: self.max_frame_len as u32 });
        }
        let known = Kind::from_code(kind).filter(|known| known.is_of_session() == self.session);
        let kind = known.ok_or(DecodeError::UnknownKind(kind))?;
        if (flags, reserved) != (0, 0) || (handles > 0 && kind != Kind::Data) {
            return Err(DecodeError::ReservedBits);
        }
        if handles > self.max_handles {
            return Err(DecodeError::TooManyHandles { count: handles, max: self.max_handles });
        }
        if kind == Kind::End && len != 0 {
            return Err(DecodeError::UnexpectedPayload);
        }
        Ok(Some((kind, len as usize, handles)))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic { found, len } => {
                let found = &found[..usize::from(*len).min(found.len())];
                write!(
                    f,
                    "the peer does not speak Crossing's protocol: it began with \"{}\"",
                    found.escape_ascii()
                )
            }
            Self::VersionMismatch { theirs, ours } => write!(
                f,
                "the peer speaks version {}.{} of the protocol, this build speaks {}.{}",
                theirs.0, theirs.1, ours.0, ours.1
            ),
            Self::FrameTooLarge { len, max } => {
                write!(f, "the peer announced a frame of {len} bytes, at most {max} are accepted")
            }
            Self::UnknownKind(kind) => write!(f, "the peer sent a frame of unknown kind {kind}"),
            Self::ReservedBits => f.write_str("the peer sent a frame with reserved bits set"),
            Self::TooManyHandles { count, max } => {
                write!(f, "the peer sent {count} handles with a frame, at most {max} are taken")
            }
            Self::UnexpectedPayload => f.write_str("the peer sent an end frame with a payload"),
            Self::AfterEnd => f.write_str("the peer sent a frame after its last one"),
            Self::SessionMismatch { theirs: true } => {
                f.write_str("the peer speaks of a session, this side of a plain stream")
            }
            Self::SessionMismatch { theirs: false } => {
                f.write_str("the peer speaks of a plain stream, this side of a session")
            }
            Self::BadSessionFrame(kind) => write!(f, "the peer sent a malformed frame of kind {kind:?}"),
            Self::UnexpectedSessionFrame(kind) => {
                write!(f, "the peer sent a frame of kind {kind:?} where none may come")
            }
            Self::WrongNumber { expected, found } => {
                write!(f, "the peer sent message {found} where {expected} had to come")
            }
            Self::WrongAck { sent, acked } => {
                write!(f, "the peer acknowledged {acked} messages, {sent} were sent")
            }
            Self::BadServiceFrame => f.write_str("the peer sent a frame that is none of a service"),
            Self::WindowExceeded => f.write_str("the peer sent more than this side lets wait"),
        }
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
