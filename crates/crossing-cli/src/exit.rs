//! How the command ends: exit codes, and errors as one line that tells the fix.

use crossing::{Error, ErrorKind};
use std::fmt;
use std::io;
use std::process::ExitCode;

/// Exit codes. Usage errors (2) are clap's; `sync mutex` passes on the code of the command it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Success = 0,
    /// Something failed; standard error says what.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No such name, queue, address or listener.
    NotFound = 3,
    /// The time given ran out.
    TimedOut = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early; `message` is empty when there is nothing to say.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// One line for standard error.
    pub message: String,
}

impl Failure {
    /// The command line makes no sense.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// Something failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failure, message: message.to_string() }
    }

    /// The time given ran out.
    pub fn timed_out(message: impl fmt::Display) -> Self {
        Self { exit: Exit::TimedOut, message: message.to_string() }
    }

    /// Standard output could not be written; a reader that went away is no failure.
    pub fn output(cause: &io::Error) -> Self {
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Success, message: String::new() };
        }
        Self::failed(format!("cannot write standard output: {cause}"))
    }

    /// Standard input could not be read.
    pub fn input(cause: &io::Error) -> Self {
        Self::failed(format!("cannot read standard input: {cause}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Exit::NotFound,
            ErrorKind::TimedOut => Exit::TimedOut,
            ErrorKind::ApiMisuse => Exit::Usage,
            _ => Exit::Failure,
        };
        Self { exit, message: error.to_string() }
    }
}

/// What every command returns.
pub type Outcome = Result<Exit, Failure>;
