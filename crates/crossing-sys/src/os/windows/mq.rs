//! No message queues of the kernel here yet.

use crate::file::{Access, Handle};
use crate::mq::{Attributes, Direction, Received, RecvError, SendError};
use crate::{Error, ErrorKind, Result};
use std::time::Instant;

fn none<T>(operation: &'static str, name: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, name)
        .detail("this system has no POSIX message queues")
        .fix("use another endpoint"))
}

pub(crate) fn create(name: &str, _: u64, _: u64, _: Access, _: Direction) -> Result<Handle> {
    none("create message queue", name)
}

pub(crate) fn open(name: &str, _: Direction) -> Result<Handle> {
    none("open message queue", name)
}

pub(crate) fn unlink(name: &str) -> Result<()> {
    none("unlink message queue", name)
}

pub(crate) fn unlink_if_same(_: &Handle, name: &str) -> Result<bool> {
    none("unlink message queue", name)
}

pub(crate) fn check_owner(_: &Handle, name: &str) -> Result<()> {
    none("open message queue", name)
}

pub(crate) fn attributes(_: &Handle, name: &str) -> Result<Attributes> {
    none("inspect message queue", name)
}

pub(crate) fn try_send(_: &Handle, name: &str, _: &[u8], _: u32) -> Result<(), SendError> {
    none("send to message queue", name).map_err(SendError::Os)
}

pub(crate) fn try_recv(_: &Handle, name: &str, _: &mut [u8]) -> Result<Received, RecvError> {
    none("receive from message queue", name).map_err(RecvError::Os)
}

pub(crate) fn wait_writable(_: &Handle, name: &str, _: Option<Instant>) -> Result<()> {
    none("wait for message queue", name)
}

pub(crate) fn wait_readable(_: &Handle, name: &str, _: Option<Instant>) -> Result<()> {
    none("wait for message queue", name)
}
