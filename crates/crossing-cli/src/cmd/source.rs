//! What is sent or published.

use crate::exit::Failure;
use std::io::{self, BufRead};

/// What is sent.
pub enum Source {
    /// The same message so many times.
    Repeated(Vec<u8>, u64),
    /// Each line of standard input as it comes, without its newline.
    Lines,
}

impl Source {
    /// The lines, of which each goes once.
    pub fn lines(count: u64) -> Result<Self, Failure> {
        match count {
            1 => Ok(Self::Lines),
            _ => {
                Err(Failure::usage("cannot use --batch with --count: each line of standard input goes once"))
            }
        }
    }

    /// Calls `send` for each message.
    pub fn each(&self, mut send: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        match self {
            Self::Repeated(data, count) => (0..*count).try_for_each(|_| send(data)),
            Self::Lines => {
                let mut input = io::stdin().lock();
                let mut line = Vec::new();
                while input.read_until(b'\n', &mut line).map_err(|cause| Failure::input(&cause))? > 0 {
                    send(line.strip_suffix(b"\n").unwrap_or(&line))?;
                    line.clear();
                }
                Ok(())
            }
        }
    }
}
