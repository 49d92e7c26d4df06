//! The reference: two bare futex words in shared memory, and nothing else.
#![allow(unsafe_code)] // futex system calls

use super::Worker;
use crossing_sys::process::monotonic_nanos;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// The file with the two words.
pub fn create(directory: &Path) {
    std::fs::write(directory.join("ids"), [0; 4096]).expect("the words");
}

fn wait(word: &AtomicU32, seen: u32) {
    while word.load(Ordering::Acquire) == seen {
        let null = std::ptr::null::<libc::timespec>();
        // SAFETY: the word lives as long as the call.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, null) };
    }
}

fn wake(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
    // SAFETY: the word lives as long as the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// `ping` or `echo`.
pub fn work(worker: &Worker) {
    let options = crossing_sys::memory::MapOptions::default();
    let file = crossing_sys::memory::MemoryFile::open(&worker.file, false).expect("the words");
    let mapping = file.map(4096, options).expect("mapped");
    // SAFETY: mapped, aligned, and atomic.
    let words = unsafe { &*mapping.as_ptr().cast::<[AtomicU32; 64]>() };
    let (there, back) = (&words[0], &words[32]);
    if worker.role == "echo" {
        println!("ready");
    }
    let begun = monotonic_nanos();
    for number in 0..worker.count as u32 {
        if worker.role == "ping" {
            wake(there, number + 1);
            wait(back, number);
        } else {
            wait(there, number);
            wake(back, number + 1);
        }
    }
    if worker.role == "ping" {
        println!("{}", (monotonic_nanos() - begun) / worker.count / 2);
    }
}
