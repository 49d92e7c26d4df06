//! What the frames of a service say: requests, replies in one or in parts, failures and cancellations, each with the number of
//! its request.
//!
//! Layout: `docs/format/service.md`.

use crate::DecodeError;

// FORMAT: service.md Call size=16
/// Bytes before the user's in each frame of a service.
pub const CALL_LEN: usize = 16;

/// Why a request has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The server's application says so; the text is its own.
    Application,
    /// The client has as many requests waiting as it may.
    TooMany,
    /// The request's time was over before the server came to it.
    TimedOut,
    /// The server's application let go of the request without an answer.
    Dropped,
}

/// A frame of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call<'a> {
    /// From the client. The server may answer in any order.
    Request {
        /// Names the request among those of its connection that wait.
        id: u64,
        /// How much time the client gives it, in milliseconds; 0: any.
        millis: u32,
        /// How many parts of the answer the client takes before it says that it takes more; 0: the answer is one reply.
        window: u16,
        /// The user's bytes.
        payload: &'a [u8],
    },
    /// From the server: the answer; the last part of it, if it is awaited in parts.
    Reply {
        /// The request's.
        id: u64,
        /// The user's bytes.
        payload: &'a [u8],
    },
    /// From the server: there is no answer.
    Failure {
        /// The request's.
        id: u64,
        /// Why.
        refusal: Refusal,
        /// More for people, if there is more.
        text: &'a [u8],
    },
    /// From the client: the answer is not wanted any more.
    Cancel {
        /// The request's.
        id: u64,
    },
    /// From the server: a part of the answer, to a request with a window.
    Part {
        /// The request's.
        id: u64,
        /// The user's bytes.
        payload: &'a [u8],
    },
    /// From the server: there are no more parts.
    End {
        /// The request's.
        id: u64,
    },
    /// From the client: it takes more parts.
    Credit {
        /// The request's.
        id: u64,
        /// How many more.
        parts: u32,
    },
    /// From the server: its application failed the request, and says why by a number of its own.
    Error {
        /// The request's.
        id: u64,
        /// The application's; not 0, which is a [`Failure`](Self::Failure) by the application.
        code: u32,
        /// More for people, if there is more.
        text: &'a [u8],
    },
}

impl Refusal {
    const ALL: [(Self, u32); 4] =
        [(Self::Application, 0), (Self::TooMany, 1), (Self::TimedOut, 2), (Self::Dropped, 3)];
}

impl<'a> Call<'a> {
    /// The number of the request.
    #[must_use]
    pub fn id(&self) -> u64 {
        let (Self::Request { id, .. }
        | Self::Reply { id, .. }
        | Self::Failure { id, .. }
        | Self::Cancel { id }
        | Self::Part { id, .. }
        | Self::End { id }
        | Self::Credit { id, .. }
        | Self::Error { id, .. }) = self;
        *id
    }

    /// Appends the payload of the frame to `out`. What no frame can say, a credit of no parts or an error without a number, is
    /// written and not read.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (head, payload) = self.split();
        out.extend_from_slice(&head);
        out.extend_from_slice(payload);
    }

    /// The payload of the frame in two pieces, for who need not put them together.
    #[must_use]
    pub fn split(&self) -> ([u8; CALL_LEN], &'a [u8]) {
        let mut window = 0;
        let (kind, word, payload): (u8, u32, &'a [u8]) = match *self {
            Self::Request { millis, window: 0, payload, .. } => (1, millis, payload),
            Self::Request { millis, window: parts, payload, .. } => {
                window = parts;
                (5, millis, payload)
            }
            Self::Reply { payload, .. } => (2, 0, payload),
            Self::Failure { refusal, text, .. } => {
                let code =
                    Refusal::ALL.iter().find(|(known, _)| *known == refusal).map_or(0, |(_, code)| *code);
                (3, code, text)
            }
            Self::Cancel { .. } => (4, 0, &[]),
            Self::Part { payload, .. } => (6, 0, payload),
            Self::End { .. } => (7, 0, &[]),
            Self::Credit { parts, .. } => (8, parts, &[]),
            Self::Error { code, text, .. } => (9, code, text),
        };
        let ([low, high], [a, b, c, d]) = (window.to_le_bytes(), word.to_le_bytes());
        let [e, f, g, h, i, j, k, l] = self.id().to_le_bytes();
        ([kind, 0, low, high, a, b, c, d, e, f, g, h, i, j, k, l], payload)
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`DecodeError::BadServiceFrame`].
    pub fn decode(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let wrong = DecodeError::BadServiceFrame;
        let Some((head, payload)) = frame.split_first_chunk::<CALL_LEN>() else { return Err(wrong) };
        let [kind, 0, low, high, a, b, c, d, id @ ..] = *head else { return Err(wrong) };
        let (word, id) = (u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(id));
        let window = u16::from_le_bytes([low, high]);
        if (kind == 5) != (window != 0) {
            return Err(wrong);
        }
        match kind {
            1 | 5 => Ok(Self::Request { id, millis: word, window, payload }),
            2 if word == 0 => Ok(Self::Reply { id, payload }),
            3 => match Refusal::ALL.into_iter().find(|(_, code)| *code == word) {
                Some((refusal, _)) => Ok(Self::Failure { id, refusal, text: payload }),
                None => Err(wrong),
            },
            4 if word == 0 && payload.is_empty() => Ok(Self::Cancel { id }),
            6 if word == 0 => Ok(Self::Part { id, payload }),
            7 if word == 0 && payload.is_empty() => Ok(Self::End { id }),
            8 if word != 0 && payload.is_empty() => Ok(Self::Credit { id, parts: word }),
            9 if word != 0 => Ok(Self::Error { id, code: word, text: payload }),
            _ => Err(wrong),
        }
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
