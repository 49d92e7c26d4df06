//! How a call of a service ends without a reply, for a program to match on.

use std::fmt;

/// What a server's application says instead of a reply: a number of its own, and a text for people.
///
/// ```
/// use crossing_sys::ServiceError;
/// let error = ServiceError::new(404, "no such symbol");
/// assert_eq!(error.to_string(), "no such symbol (404)");
/// let long = ServiceError::new(0, "x".repeat(10_000));
/// assert_eq!(long.text().len(), ServiceError::MAX_TEXT_LEN);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceError {
    code: u32,
    text: String,
}

impl ServiceError {
    /// The longest text, in bytes; what is longer is cut, at a character.
    pub const MAX_TEXT_LEN: usize = 512;

    /// An error of that number, 0 for none in particular, and that text, cut to [`MAX_TEXT_LEN`](Self::MAX_TEXT_LEN).
    #[must_use]
    pub fn new(code: u32, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(Self::cut(&text).len());
        Self { code, text }
    }

    /// The same of bytes that a peer sent; what is no text in them is replaced.
    #[must_use]
    pub fn read(code: u32, text: &[u8]) -> Self {
        let text = &text[..text.len().min(Self::MAX_TEXT_LEN)];
        Self::new(code, String::from_utf8_lossy(text))
    }

    /// As much of `text` as is told.
    #[must_use]
    pub fn cut(text: &str) -> &str {
        let mut end = text.len().min(Self::MAX_TEXT_LEN);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }

    /// The application's number; 0: none in particular.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code
    }

    /// The application's words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            0 => f.write_str(&self.text),
            code => write!(f, "{} ({code})", self.text),
        }
    }
}

impl std::error::Error for ServiceError {}

/// Why a call has no reply, for a program to match on; found by [`Error::call`](crate::Error::call).
///
/// ```
/// use crossing_sys::{CallError, Error, ServiceError};
/// fn advice(error: &Error) -> &'static str {
///     match error.call() {
///         Some(CallError::Application(said)) if said.code() == 404 => "ask for something else",
///         Some(CallError::NoServer | CallError::Refused) => "ask again later: nothing was done",
///         Some(CallError::ServerDied) => "it may have been done, or not",
///         _ => "see the text",
///     }
/// }
/// let error = Error::of_call(CallError::Application(ServiceError::new(404, "no such symbol")), "call", "shm:prices");
/// assert_eq!(advice(&error), "ask for something else");
/// assert_eq!(error.to_string(), "cannot call \"shm:prices\": the server failed: no such symbol (404)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallError {
    /// The server's application failed it, and says why.
    Application(ServiceError),
    /// No server is there: the request went nowhere.
    NoServer,
    /// The server died or left, or the connection to it broke, while the request was with it. Whether it had been done, nobody
    /// knows.
    ServerDied,
    /// The time given was over before the reply came, or before the server came to the request.
    DeadlinePassed,
    /// The other side let go of it: the server of the request, without an answer; or, as a server sees it, the client of its call.
    Cancelled,
    /// The server lets no more requests of this client wait. It was not begun.
    Refused,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application(said) => return write!(f, "the server failed: {said}"),
            Self::NoServer => "no server is there",
            Self::ServerDied => "the server died or left",
            Self::DeadlinePassed => "timed out",
            Self::Cancelled => "the other side let go of it",
            Self::Refused => "the server lets no more requests of this client wait",
        })
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
