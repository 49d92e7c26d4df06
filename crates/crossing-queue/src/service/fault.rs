//! Why a call over shared memory has no reply.

use super::{APPLICATION, DROPPED, MISMATCH, TIMED_OUT, TOO_LARGE, TOO_MANY};
use crossing_sys::{CallError, Error, ErrorKind, ServiceError};

/// Why there is no reply, as it is kept until it is told.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    kind: ErrorKind,
    call: Option<CallError>,
    text: Option<String>,
}

impl Fault {
    pub(super) fn of(call: CallError, text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Os, call: Some(call), text: Some(text.into()) }
    }

    pub(super) fn corrupt(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Corrupt, call: None, text: Some(text.into()) }
    }

    /// The time of the call was over before the answer came.
    pub(super) fn late() -> Self {
        Self::of(CallError::DeadlinePassed, "the server did not answer in time")
    }

    /// What a server says of a request that it does not answer.
    pub(super) fn said(why: u32, code: u64, text: &[u8]) -> Self {
        let code = u32::try_from(code).unwrap_or(u32::MAX);
        let plain = |kind, text: &str| Self { kind, call: None, text: Some(text.to_owned()) };
        match why {
            APPLICATION => {
                let said = CallError::Application(ServiceError::read(code, text));
                Self { kind: ErrorKind::Os, call: Some(said), text: None }
            }
            TOO_MANY => Self { kind: ErrorKind::Os, call: Some(CallError::Refused), text: None },
            TIMED_OUT => Self::of(CallError::DeadlinePassed, "the server came to it too late"),
            DROPPED => Self::of(CallError::Cancelled, "the server let go of the request without an answer"),
            TOO_LARGE => {
                let text = "the reply was longer than this client takes: give it a larger max_reply_len";
                Self::of(CallError::Cancelled, text)
            }
            MISMATCH => plain(ErrorKind::Incompatible, "the request was none of the server's type"),
            other => plain(ErrorKind::Corrupt, &format!("the server gives a reason unknown here ({other})")),
        }
    }

    pub(super) fn error(self, service: &str) -> Error {
        let subject = format!("shm:{service}");
        let error = match self.call {
            Some(call) => Error::of_call(call, "call", subject),
            None => Error::new(self.kind, "call", subject),
        };
        match self.text {
            Some(text) => error.detail(text),
            None => error,
        }
    }
}
