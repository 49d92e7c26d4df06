//! No named semaphores here yet.

use crate::file::Access;
use crate::{Error, ErrorKind, Result};
use std::convert::Infallible;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Semaphore(Infallible);

fn none<T>(operation: &'static str, name: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, name)
        .detail("this system has no POSIX named semaphores")
        .fix("use a semaphore of Crossing"))
}

pub(crate) fn create(name: &str, _: u32, _: Access) -> Result<Semaphore> {
    none("create semaphore", name)
}

pub(crate) fn open(name: &str, _: bool) -> Result<Semaphore> {
    none("open semaphore", name)
}

pub(crate) fn unlink(name: &str) -> Result<()> {
    none("unlink semaphore", name)
}

impl Semaphore {
    pub(crate) fn post(&self, _: &str) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn try_wait(&self, _: &str) -> Result<bool> {
        match self.0 {}
    }

    pub(crate) fn wait(&self, _: &str, _: Option<Instant>) -> Result<bool> {
        match self.0 {}
    }

    pub(crate) fn value(&self, _: &str) -> Result<u32> {
        match self.0 {}
    }
}
