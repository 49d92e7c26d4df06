//! Memory that its sender could still change.

use crate::memory::MemoryFile;
use rustix::fs::{MemfdFlags, SealFlags};

#[test]
fn memory_that_can_shrink_is_refused() {
    let bare = rustix::fs::memfd_create("bare", MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&bare, 1 << 20).unwrap();
    rustix::fs::fcntl_add_seals(&bare, SealFlags::GROW).unwrap();
    let again = bare.try_clone().unwrap();
    assert!(MemoryFile::received(bare.into()).is_err(), "its sender could cut it short");
    rustix::fs::fcntl_add_seals(&again, SealFlags::SHRINK).unwrap();
    assert!(MemoryFile::received(again.into()).is_ok());
}
