//! No doorbells here yet.

use crate::doorbell::Porch;
use crate::file::Handle;
use std::io;
use std::time::{Duration, Instant};

pub(crate) const SUPPORTED: bool = false;

#[derive(Debug)]
pub(crate) struct Bell(std::convert::Infallible);

impl Bell {
    pub(crate) fn hang(_: &Porch, _: u32, _: u32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn handle(&self) -> &Handle {
        match self.0 {}
    }

    pub(crate) fn silence(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn set_alarm(&self, _: Duration) -> io::Result<()> {
        match self.0 {}
    }
}

pub(crate) fn ring(_: &Porch, _: u32, _: u32) -> bool {
    false
}

pub(crate) fn remove(_: &Porch, _: u32, _: u32) {}

pub(crate) fn wait_any(_: &[&Handle], _: Option<Instant>) -> io::Result<Option<usize>> {
    Err(io::ErrorKind::Unsupported.into())
}
