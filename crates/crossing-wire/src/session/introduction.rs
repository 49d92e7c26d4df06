//! The beginning of a connection on the side that listens: which session is it?

use super::message::{Message, Open, Refusal};
use super::{Config, SessionId};
use crate::{DecodeError, Decoder, Preamble};

/// Reads who comes on a new connection, before there is a session to give the bytes to.
#[derive(Debug)]
pub struct Introduction {
    pub(crate) decoder: Decoder,
    pub(crate) open: Option<Open>,
    preamble: Preamble,
}

/// The longest frame that a side with these limits accepts.
pub(crate) fn frame_limit(config: &Config) -> usize {
    config.max_message_len.saturating_add(super::NUMBERS_LEN).clamp(256, crate::FRAME_LEN_LIMIT)
}

impl Introduction {
    /// For a connection that was accepted just now.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let limit = frame_limit(config);
        Self {
            decoder: Decoder::for_sessions(limit),
            open: None,
            preamble: Preamble::new(limit).for_sessions(),
        }
    }

    /// Bytes to send at once.
    #[must_use]
    pub fn preamble(&self) -> [u8; crate::PREAMBLE_LEN] {
        self.preamble.encode()
    }

    /// Room to read into; [`advance`](Self::advance) then says how much was read.
    pub fn space(&mut self) -> &mut [u8] {
        self.decoder.space()
    }

    /// Says that `len` bytes were read into [`space`](Self::space). Gives the session once it is known; nothing more
    /// is to be read then.
    ///
    /// # Errors
    /// What is wrong with the bytes; the connection is of no use then.
    pub fn advance(&mut self, len: usize) -> Result<Option<SessionId>, DecodeError> {
        self.decoder.advance(len);
        if self.open.is_none()
            && let Some(frame) = self.decoder.next_frame()?
        {
            match Message::decode(frame.kind, frame.payload)? {
                Message::Open(open) => self.open = Some(open),
                _ => return Err(DecodeError::UnexpectedSessionFrame(frame.kind)),
            }
        }
        Ok(self.open.map(|open| open.id))
    }

    /// Whether the session is a new one, as far as its client knows.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.open.is_some_and(|open| open.new)
    }

    /// The bytes that say that the session is not taken; the connection is closed after them.
    #[must_use]
    pub fn refuse(&self, refusal: Refusal) -> Vec<u8> {
        let mut bytes = Vec::new();
        Message::Refuse(refusal).encode(&mut bytes);
        bytes
    }
}
