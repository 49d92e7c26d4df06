//! No control of other processes here yet.

use crate::os::local::Stream;
use std::convert::Infallible;
use std::io;
use std::process::Child;
use std::time::Instant;

pub(crate) fn stop(_: &Child) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn resume(_: &Child) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn terminate(_: &Child) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn interrupt(_: &Child) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn kill(_: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn become_user(_: u32, _: u32, _: &[u32]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[derive(Debug)]
pub(crate) struct Watched(Infallible);

impl Watched {
    pub(crate) fn open(_: u32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn of_peer(_: &Stream) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn has_ended(&self, _: Option<Instant>) -> io::Result<bool> {
        match self.0 {}
    }

    pub(crate) fn is_running(&self) -> bool {
        match self.0 {}
    }
}
