//! The error that every Crossing crate returns from calls that open, create or configure something.

use crate::CallError;
use std::borrow::Cow;
use std::fmt;
use std::io;

/// What went wrong, for a program to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such name, file, queue or address.
    NotFound,
    /// The name is taken and exclusive creation was asked for.
    AlreadyExists,
    /// The operating system refused access.
    PermissionDenied,
    /// Memory or disk space is lacking; both figures in bytes.
    NoSpace {
        /// Bytes that the operation needs.
        need: u64,
        /// Bytes that are free.
        have: u64,
    },
    /// A system or process limit was reached (the fix names it).
    LimitReached,
    /// A message is larger than what carries it; both in bytes.
    TooLarge {
        /// Length of the message.
        len: u64,
        /// Largest length allowed.
        max: u64,
    },
    /// Layout, version or schema differ from what this build expects.
    Incompatible,
    /// Bytes that a peer wrote fail their checks.
    Corrupt,
    /// The time given ran out.
    TimedOut,
    /// Not possible right now without waiting.
    WouldBlock,
    /// A live process uses the resource.
    Busy,
    /// The peer closed, died or reset the connection.
    Disconnected,
    /// Nobody listens at the address.
    ConnectionRefused,
    /// The address is in use.
    AddressInUse,
    /// This platform, kernel or endpoint cannot do it.
    Unsupported,
    /// The caller broke the rules of the call; never a peer's fault.
    ApiMisuse,
    /// The other side's application failed what it was asked for: [`Error::call`] has its words.
    Application {
        /// The application's own number for it; 0: none in particular.
        code: u32,
    },
    /// The other side let go of it before it was done.
    Cancelled,
    /// Any other error of the operating system.
    Os,
}

/// An error with its kind, the operation, the name it concerned, the cause and what to do about it.
///
/// ```
/// use crossing_sys::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::NotFound, "open segment", "prices").fix("create it first");
/// assert_eq!(error.to_string(), "cannot open segment \"prices\": not found; create it first");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    subject: String,
    detail: Option<Cow<'static, str>>,
    cause: Option<io::Error>,
    call: Option<CallError>,
    fix: Option<Cow<'static, str>>,
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` while doing `operation` (a verb phrase: "open segment") on `subject` (its name).
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str, subject: impl Into<String>) -> Self {
        let subject = subject.into();
        Self(Box::new(Inner { kind, operation, subject, detail: None, cause: None, call: None, fix: None }))
    }

    /// An error from the operating system; the kind follows from the code.
    #[must_use]
    pub fn os(cause: io::Error, operation: &'static str, subject: impl Into<String>) -> Self {
        let mut error = Self::new(kind_of(&cause), operation, subject);
        error.0.cause = Some(cause);
        error
    }

    /// A call of a service that ended without a reply; the kind follows from the reason.
    #[must_use]
    pub fn of_call(call: CallError, operation: &'static str, subject: impl Into<String>) -> Self {
        let kind = match &call {
            CallError::Application(said) => ErrorKind::Application { code: said.code() },
            CallError::NoServer | CallError::ServerDied => ErrorKind::Disconnected,
            CallError::DeadlinePassed => ErrorKind::TimedOut,
            CallError::Cancelled => ErrorKind::Cancelled,
            CallError::Refused => ErrorKind::LimitReached,
        };
        let mut error = Self::new(kind, operation, subject);
        error.0.call = Some(call);
        error
    }

    /// The same error with another kind.
    #[must_use]
    pub fn kinded(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The same error about something else: for a floor that knows the name which the user gave.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = subject.into();
        self
    }

    /// Adds what exactly was seen ("version 3.0, this build reads 1.x").
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds more of what was seen, behind what is there.
    ///
    /// ```
    /// use crossing_sys::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Disconnected, "write to", "peer").detail("it is gone").more_detail("3 bytes went");
    /// assert!(error.to_string().ends_with("(it is gone; 3 bytes went)"), "{error}");
    /// ```
    #[must_use]
    pub fn more_detail(mut self, more: impl Into<Cow<'static, str>>) -> Self {
        let more = more.into();
        self.0.detail = Some(match self.0.detail.take() {
            Some(before) => format!("{before}; {more}").into(),
            None => more,
        });
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<Cow<'static, str>>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// The kind, for matching.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Why a call of a service has no reply; `None` for every other error.
    #[must_use]
    pub fn call(&self) -> Option<&CallError> {
        self.0.call.as_ref()
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The name that the operation concerned.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What to do, if it is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.fix.as_deref()
    }
}

fn kind_of(cause: &io::Error) -> ErrorKind {
    use io::ErrorKind as K;
    match cause.kind() {
        K::NotFound => ErrorKind::NotFound,
        K::AlreadyExists => ErrorKind::AlreadyExists,
        K::PermissionDenied => ErrorKind::PermissionDenied,
        K::TimedOut => ErrorKind::TimedOut,
        K::WouldBlock => ErrorKind::WouldBlock,
        K::ConnectionRefused => ErrorKind::ConnectionRefused,
        K::AddrInUse => ErrorKind::AddressInUse,
        K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted | K::UnexpectedEof | K::NotConnected => {
            ErrorKind::Disconnected
        }
        K::Unsupported => ErrorKind::Unsupported,
        K::ResourceBusy => ErrorKind::Busy,
        _ => ErrorKind::Os,
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "it exists already",
            Self::PermissionDenied => "permission denied",
            Self::NoSpace { need, have } => {
                return write!(f, "{} free, {} needed", Bytes(*have), Bytes(*need));
            }
            Self::LimitReached => "limit reached",
            Self::TooLarge { len, max } => return write!(f, "{len} bytes, at most {max} allowed"),
            Self::Incompatible => "incompatible",
            Self::Corrupt => "corrupt",
            Self::TimedOut => "timed out",
            Self::WouldBlock => "would block",
            Self::Busy => "in use",
            Self::Disconnected => "the peer disconnected",
            Self::ConnectionRefused => "connection refused",
            Self::AddressInUse => "address in use",
            Self::Unsupported => "not supported here",
            Self::ApiMisuse => "wrong use",
            Self::Application { .. } => "the other side failed",
            Self::Cancelled => "cancelled",
            Self::Os => "operating system error",
        };
        f.write_str(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, subject, detail, cause, call, fix } = &*self.0;
        write!(f, "cannot {operation} \"{subject}\": ")?;
        match (cause, call, kind) {
            (Some(cause), _, ErrorKind::Os) => write!(f, "{cause}")?,
            (_, Some(call), _) => write!(f, "{call}")?,
            _ => write!(f, "{kind}")?,
        }
        if let Some(detail) = detail {
            write!(f, " ({detail})")?;
        }
        if let Some(fix) = fix {
            write!(f, "; {fix}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self}", self.0.kind)?;
        if let Some(cause) = &self.0.cause {
            write!(f, " [{cause:?}]")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.0.cause, &self.0.call) {
            (Some(cause), _) => Some(cause),
            (None, call) => call.as_ref().map(|call| call as _),
        }
    }
}

/// A byte count that prints as people read it (`12 MiB`, `1.5 GiB`, `300 B`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        let mut value = self.0 as f64;
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut unit = 0;
        value /= 1024.0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        if (value - value.round()).abs() < 0.05 {
            write!(f, "{value:.0} {}", UNITS[unit])
        } else {
            write!(f, "{value:.1} {}", UNITS[unit])
        }
    }
}
