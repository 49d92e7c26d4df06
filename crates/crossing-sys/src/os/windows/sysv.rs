//! No System V objects here.

use crate::file::Access;
use crate::mq::{Direction, RecvError, SendError};
use crate::sysv::{Key, MemoryStat, Message, QueueStat, Select, SemaphoreStat, Undo};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::path::Path;
use std::ptr::NonNull;
use std::time::Instant;

fn none<T>(operation: &'static str, key: Key) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, key.to_string())
        .detail("this system has no System V objects")
        .fix("use another endpoint"))
}

pub(crate) fn file_identity(_: &Path) -> io::Result<(u64, u64)> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn user() -> u32 {
    u32::MAX
}

const SEGMENT: &str = "use System V segment";

pub(crate) fn shm_create(key: Key, _: usize, _: Access) -> Result<i32> {
    none(SEGMENT, key)
}

pub(crate) fn shm_open(key: Key) -> Result<i32> {
    none(SEGMENT, key)
}

pub(crate) fn shm_attach(_: i32, key: Key, _: bool) -> Result<NonNull<u8>> {
    none(SEGMENT, key)
}

pub(crate) fn shm_detach(_: NonNull<u8>) {}

pub(crate) fn shm_stat(_: i32, key: Key) -> Result<MemoryStat> {
    none(SEGMENT, key)
}

pub(crate) fn shm_remove(_: i32, key: Key) -> Result<()> {
    none(SEGMENT, key)
}

pub(crate) fn shm_list() -> Result<Vec<MemoryStat>> {
    none("list System V segments", Key::PRIVATE)
}

const SEMAPHORE: &str = "use System V semaphore";

pub(crate) fn sem_create(key: Key, _: usize, _: Access) -> Result<i32> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_open(key: Key) -> Result<i32> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_add_all(_: i32, key: Key, _: &[u16]) -> Result<()> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_post(_: i32, key: Key, _: u16, _: Undo) -> Result<()> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_try_wait(_: i32, key: Key, _: u16, _: Undo) -> Result<bool> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_wait(_: i32, key: Key, _: u16, _: Undo, _: Option<Instant>) -> Result<bool> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_value(_: i32, key: Key, _: u16) -> Result<u32> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_set_value(_: i32, key: Key, _: u16, _: u16) -> Result<()> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_stat(_: i32, key: Key) -> Result<SemaphoreStat> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_remove(_: i32, key: Key) -> Result<()> {
    none(SEMAPHORE, key)
}

pub(crate) fn sem_list() -> Result<Vec<SemaphoreStat>> {
    none("list System V semaphores", Key::PRIVATE)
}

const QUEUE: &str = "use System V queue";

pub(crate) fn msg_max_len() -> usize {
    0
}

pub(crate) fn msg_create(key: Key, _: Access) -> Result<i32> {
    none(QUEUE, key)
}

pub(crate) fn msg_open(key: Key, _: Option<Direction>) -> Result<i32> {
    none(QUEUE, key)
}

pub(crate) fn msg_send(_: i32, key: Key, _: &[u8], _: i64, _: bool) -> Result<(), SendError> {
    none(QUEUE, key).map_err(SendError::Os)
}

pub(crate) fn msg_recv(_: i32, key: Key, _: &mut [u8], _: Select, _: bool) -> Result<Message, RecvError> {
    none(QUEUE, key).map_err(RecvError::Os)
}

pub(crate) fn msg_stat(_: i32, key: Key) -> Result<QueueStat> {
    none(QUEUE, key)
}

pub(crate) fn msg_set_max_bytes(_: i32, key: Key, _: u64) -> Result<()> {
    none(QUEUE, key)
}

pub(crate) fn msg_remove(_: i32, key: Key) -> Result<()> {
    none(QUEUE, key)
}

pub(crate) fn msg_list() -> Result<Vec<QueueStat>> {
    none("list System V queues", Key::PRIVATE)
}
