//! What the frames of a session say: payloads to values and back.

use crate::{DecodeError, Encoder, Kind};
use std::time::Duration;

/// Names a session for as long as it lives, and is the right to resume it: 128 bits that nobody can guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Who knows all of it can take the session over, so logs get the beginning only.
        let [a, b, c, d, ..] = self.0;
        write!(f, "SessionId({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

// FORMAT: session.md Open size=48
/// Length of the payload of an open frame, in bytes.
pub(crate) const OPEN_LEN: usize = 48;
// FORMAT: session.md Accept size=24
/// Length of the payload of an accept frame, in bytes.
pub(crate) const ACCEPT_LEN: usize = 24;
// FORMAT: session.md Numbers size=16
/// Bytes before the user's in a message frame: its number and the sender's acknowledgement.
pub const NUMBERS_LEN: usize = 16;
/// The longest reason in a refusal, in bytes.
const REASON_LEN: usize = 200;

/// What each side tells the other whenever a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How many numbered frames it has received so far: the number of the first that it lacks.
    pub(crate) received: u64,
    /// How much of messages that nobody took yet it holds, in bytes.
    pub(crate) window: u32,
    /// It gives the connection up when it hears nothing for this long.
    pub(crate) dead_after: Duration,
}

/// The first frame on a connection, from the side that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) id: SessionId,
    /// Rises with each connection of the session, so that a delayed one cannot push out a later one.
    pub(crate) attempt: u64,
    /// The session was never accepted yet, as far as its client knows.
    pub(crate) new: bool,
    pub(crate) terms: Terms,
}

/// Why a listener does not take a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It has no such session: it expired, ended, or the server was started anew.
    Unknown,
    /// It has as many sessions as it may; trying again later may help.
    Full,
    /// A later connection of the same session was there before.
    Stale,
    /// The session belongs to another user.
    Denied,
}

impl Refusal {
    const ALL: [(Self, u8); 4] = [(Self::Unknown, 1), (Self::Full, 2), (Self::Stale, 3), (Self::Denied, 4)];

    /// Whether trying again can help.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Full | Self::Stale)
    }
}

/// A frame of a session, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Open(Open),
    Accept(Terms),
    Refuse(Refusal),
    Data { seq: u64, ack: u64, payload: &'a [u8] },
    Ack(u64),
    Fin { seq: u64, ack: u64 },
    Close { complete: bool },
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

fn terms(bytes: &mut &[u8]) -> Option<Terms> {
    Some(Terms {
        received: u64::from_le_bytes(take(bytes)?),
        window: u32::from_le_bytes(take(bytes)?),
        dead_after: Duration::from_millis(u32::from_le_bytes(take(bytes)?).into()),
    })
}

fn put_terms(terms: &Terms, out: &mut Vec<u8>) {
    out.extend_from_slice(&terms.received.to_le_bytes());
    out.extend_from_slice(&terms.window.to_le_bytes());
    let millis = u32::try_from(terms.dead_after.as_millis()).unwrap_or(u32::MAX);
    out.extend_from_slice(&millis.to_le_bytes());
}

fn parse(kind: Kind, mut bytes: &[u8]) -> Option<Message<'_>> {
    let bytes = &mut bytes;
    let message = match kind {
        Kind::Open if bytes.len() == OPEN_LEN => {
            let id = SessionId(take(bytes)?);
            let attempt = u64::from_le_bytes(take(bytes)?);
            let terms = terms(bytes)?;
            let [flags, reserved @ ..] = take::<8>(bytes)?;
            if flags > 1 || reserved != [0; 7] {
                return None;
            }
            Message::Open(Open { id, attempt, new: flags == 1, terms })
        }
        Kind::Accept if bytes.len() == ACCEPT_LEN => {
            let terms = terms(bytes)?;
            if take::<8>(bytes)? != [0; 8] {
                return None;
            }
            Message::Accept(terms)
        }
        Kind::Refuse if bytes.len() <= 1 + REASON_LEN => {
            let [code] = take(bytes)?;
            let (refusal, _) = Refusal::ALL.into_iter().find(|(_, known)| *known == code)?;
            *bytes = &[];
            Message::Refuse(refusal)
        }
        Kind::Message => {
            let seq = u64::from_le_bytes(take(bytes)?);
            let ack = u64::from_le_bytes(take(bytes)?);
            Message::Data { seq, ack, payload: std::mem::take(bytes) }
        }
        Kind::Ack => Message::Ack(u64::from_le_bytes(take(bytes)?)),
        Kind::Fin => {
            Message::Fin { seq: u64::from_le_bytes(take(bytes)?), ack: u64::from_le_bytes(take(bytes)?) }
        }
        Kind::Close => match take(bytes)? {
            [0] => Message::Close { complete: true },
            [1] => Message::Close { complete: false },
            _ => return None,
        },
        _ => return None,
    };
    bytes.is_empty().then_some(message)
}

impl<'a> Message<'a> {
    /// Reads a frame's payload.
    pub(crate) fn decode(kind: Kind, payload: &'a [u8]) -> Result<Self, DecodeError> {
        parse(kind, payload).ok_or(DecodeError::BadSessionFrame(kind))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Open(_) => Kind::Open,
            Self::Accept(_) => Kind::Accept,
            Self::Refuse(_) => Kind::Refuse,
            Self::Data { .. } => Kind::Message,
            Self::Ack(_) => Kind::Ack,
            Self::Fin { .. } => Kind::Fin,
            Self::Close { .. } => Kind::Close,
        }
    }

    /// Appends the whole frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; crate::FRAME_HEADER_LEN]);
        match self {
            Self::Open(open) => {
                out.extend_from_slice(&open.id.0);
                out.extend_from_slice(&open.attempt.to_le_bytes());
                put_terms(&open.terms, out);
                out.extend_from_slice(&[u8::from(open.new), 0, 0, 0, 0, 0, 0, 0]);
            }
            Self::Accept(terms) => {
                put_terms(terms, out);
                out.extend_from_slice(&[0; 8]);
            }
            Self::Refuse(refusal) => {
                out.extend(Refusal::ALL.iter().filter(|(known, _)| known == refusal).map(|(_, code)| *code));
            }
            Self::Data { seq, ack, payload } => {
                out.extend_from_slice(&seq.to_le_bytes());
                out.extend_from_slice(&ack.to_le_bytes());
                out.extend_from_slice(payload);
            }
            Self::Ack(ack) => out.extend_from_slice(&ack.to_le_bytes()),
            Self::Fin { seq, ack } => {
                out.extend_from_slice(&seq.to_le_bytes());
                out.extend_from_slice(&ack.to_le_bytes());
            }
            Self::Close { complete } => out.push(u8::from(!complete)),
        }
        // The callers bound payloads by the peer's limit, which the format can express.
        let len = out.len() - start - crate::FRAME_HEADER_LEN;
        let header = Encoder::new(0).header(self.kind(), len).unwrap_or_default();
        out[start..start + crate::FRAME_HEADER_LEN].copy_from_slice(&header);
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
