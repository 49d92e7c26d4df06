//! How the command ends: exit codes, and errors as one line that tells the fix.

use crossing::{Error, ErrorKind};
use std::fmt;
use std::io;
use std::process::ExitCode;

/// Exit codes, 0 to 4 in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Success,
    /// Something failed; standard error says what.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// No such name, queue, address or listener.
    NotFound,
    /// The time given ran out.
    TimedOut,
    /// The code of the command that was run.
    Passed(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::TimedOut => 4,
            Exit::Passed(code) => code,
        })
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
