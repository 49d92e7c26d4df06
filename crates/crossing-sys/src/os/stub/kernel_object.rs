//! No named kernel objects: they are a thing of Windows. Every backend but that one takes this file.

use crate::file::Access;
use crate::kernel_object::{MappingOptions, Reset};
use crate::{Error, ErrorKind, Result};
use std::convert::Infallible;
use std::time::Instant;

fn none<T>(operation: &'static str, name: &str, fix: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, operation, name)
        .detail("named kernel objects exist on Windows alone")
        .fix(fix))
}

const SEMAPHORE: &str = "use a named semaphore (posix:/NAME) or a System V one (sysv:PATH:ID)";
const EVENT: &str = "use an event in a segment, or a named semaphore (posix:/NAME)";
const MEMORY: &str = "use a shared memory object (posix:/NAME) or System V shared memory (sysv:PATH:ID)";

pub(crate) enum Taken {
    #[expect(dead_code, reason = "nothing is ever taken here")]
    Normal,
    #[expect(dead_code, reason = "nothing is ever taken here")]
    Abandoned,
}

pub(crate) struct Mutex(Infallible);

impl Mutex {
    pub(crate) fn create(name: &str, _: Access) -> Result<Self> {
        none("create mutex", name, SEMAPHORE)
    }

    pub(crate) fn open(name: &str) -> Result<Self> {
        none("open mutex", name, SEMAPHORE)
    }

    pub(crate) fn lock(&self, _: &str, _: Option<Instant>) -> Result<Option<Taken>> {
        match self.0 {}
    }

    pub(crate) fn unlock(&self) {
        match self.0 {}
    }
}

pub(crate) struct Semaphore(Infallible);

impl Semaphore {
    pub(crate) fn create(name: &str, _: u32, _: u32, _: Access) -> Result<Self> {
        none("create semaphore", name, SEMAPHORE)
    }

    pub(crate) fn open(name: &str) -> Result<Self> {
        none("open semaphore", name, SEMAPHORE)
    }

    pub(crate) fn release(&self, _: &str, _: u32) -> Result<u32> {
        match self.0 {}
    }

    pub(crate) fn wait(&self, _: &str, _: Option<Instant>) -> Result<bool> {
        match self.0 {}
    }
}

pub(crate) struct Event(Infallible);

impl Event {
    pub(crate) fn create(name: &str, _: Reset, _: bool, _: Access) -> Result<Self> {
        none("create event", name, EVENT)
    }

    pub(crate) fn open(name: &str) -> Result<Self> {
        none("open event", name, EVENT)
    }

    pub(crate) fn set(&self, _: &str) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn reset(&self, _: &str) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn wait(&self, _: &str, _: Option<Instant>) -> Result<bool> {
        match self.0 {}
    }
}

pub(crate) struct View(Infallible);

impl View {
    pub(crate) fn create(name: &str, _: usize, _: &MappingOptions) -> Result<Self> {
        none("create file mapping", name, MEMORY)
    }

    pub(crate) fn open(name: &str, _: bool) -> Result<Self> {
        none("open file mapping", name, MEMORY)
    }

    pub(crate) fn len(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        match self.0 {}
    }
}
