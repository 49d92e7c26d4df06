//! The references: a cache line that two processes pass to and fro, a bare ring of one writer and one reader, two futex
//! words, an eventfd, a socket pair. Nothing of them survives anything.
#![allow(unsafe_code)] // memory shared without a protocol, system calls

use super::Worker;
use super::worker::{fill, one_way, read};
use crossing_sys::memory::{MapOptions, MemoryFile};
use crossing_sys::process::monotonic_nanos;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Slots of the bare ring.
const SLOTS: u64 = 1024;
/// Where data begins: flags before.
const DATA: usize = 4096;

fn size(len: usize) -> usize {
    // Both ways of a ping-pong, or a ring.
    DATA + (2 * len).max(SLOTS as usize * 64)
}

/// The memory, or the place of a socket.
pub fn create(path: &Path, len: usize) {
    std::fs::write(path, vec![0; size(len)]).expect("the memory");
}

struct Memory {
    base: *mut u8,
}

impl Memory {
    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: within the first page.
        let place = unsafe { self.base.add(index * 256) };
        // SAFETY: mapped and aligned, and atomic.
        unsafe { &*place.cast() }
    }

    fn futex(&self, index: usize) -> &AtomicU32 {
        // SAFETY: within the first page.
        let place = unsafe { self.base.add(index * 256) };
        // SAFETY: mapped and aligned, and atomic.
        unsafe { &*place.cast() }
    }

    #[allow(clippy::mut_from_ref)] // two processes take turns
    fn data(&self, offset: usize, len: usize) -> &mut [u8] {
        // SAFETY: the file is as large.
        let place = unsafe { self.base.add(DATA + offset) };
        // SAFETY: only who has the turn touches it.
        unsafe { std::slice::from_raw_parts_mut(place, len) }
    }
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

/// One process of a measurement.
pub fn work(worker: &Worker) {
    match worker.kind.as_str() {
        "eventfd" | "unix" => return descriptors(worker),
        _ => {}
    }
    let file = MemoryFile::open(Path::new(&worker.name), false).expect("the memory");
    let mapping = file.map(size(worker.len), MapOptions::default()).expect("mapped");
    let memory = Memory { base: mapping.as_ptr() };
    let ping = worker.role.ends_with("ping");
    match worker.role.as_str() {
        "pub" | "sub" => return ring(worker, &memory),
        "echo" | "sleep-echo" => println!("ready"),
        _ => {}
    }
    let mut times = Vec::with_capacity(worker.count as usize);
    for number in 1..=worker.count {
        let begun = monotonic_nanos();
        if worker.kind == "futex" {
            if ping {
                wake(memory.futex(0), number as u32);
                wait(memory.futex(1), number as u32 - 1);
            } else {
                wait(memory.futex(0), number as u32 - 1);
                wake(memory.futex(1), number as u32);
            }
        } else if worker.len <= 64 {
            line(&memory, ping, number);
        } else {
            passes(&memory, worker.len, ping, number);
        }
        times.push(monotonic_nanos() - begun);
    }
    if ping {
        println!("{}", one_way(&mut times));
    }
}

/// A word that is its own message.
fn line(memory: &Memory, ping: bool, number: u64) {
    let (mine, theirs) = if ping { (0, 1) } else { (1, 0) };
    let send = || memory.word(mine).store(number, Ordering::Release);
    let receive = || while memory.word(theirs).load(Ordering::Acquire) != number {};
    if ping {
        send();
        receive();
    } else {
        receive();
        send();
    }
}

/// Memory that is written, handed over by a word, and read.
fn passes(memory: &Memory, len: usize, ping: bool, number: u64) {
    let (mine, theirs) = if ping { (0, 1) } else { (1, 0) };
    let send = || {
        fill(memory.data(mine * len, len), number);
        memory.word(mine).store(number, Ordering::Release);
    };
    let receive = || {
        while memory.word(theirs).load(Ordering::Acquire) != number {}
        assert_eq!(read(memory.data(theirs * len, len)), number);
    };
    if ping {
        send();
        receive();
    } else {
        receive();
        send();
    }
}

/// One writer, one reader, cached positions, 64-byte slots.
fn ring(worker: &Worker, memory: &Memory) {
    let (tail, head) = (memory.word(0), memory.word(1));
    let slot = |number: u64| memory.data((number % SLOTS) as usize * 64, 64);
    if worker.role == "sub" {
        println!("ready");
        let mut known = 0;
        for number in 0..worker.count {
            while number >= known {
                known = tail.load(Ordering::Acquire);
            }
            assert_eq!(read(slot(number)), number);
            if (number + 1).is_multiple_of(SLOTS / 8) {
                head.store(number + 1, Ordering::Release);
            }
        }
        println!("{}", monotonic_nanos());
    } else {
        let begun = monotonic_nanos();
        let mut limit = SLOTS;
        for number in 0..worker.count {
            while number >= limit {
                limit = head.load(Ordering::Acquire) + SLOTS;
            }
            fill(slot(number), number);
            tail.store(number + 1, Ordering::Release);
        }
        println!("{begun}");
    }
}

/// Both ends are children of one process, which makes the descriptors: `sleep-echo` forks nothing, it is told where to
/// connect by the name of a socket in the abstract namespace.
fn descriptors(worker: &Worker) {
    use std::io::{Read, Write};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    let address = SocketAddr::from_abstract_name(worker.name.as_bytes()).expect("an address");
    let ping = worker.role.ends_with("ping");
    let mut stream = if ping {
        UnixStream::connect_addr(&address).expect("connected")
    } else {
        let listener = UnixListener::bind_addr(&address).expect("bound");
        println!("ready");
        listener.accept().expect("accepted").0
    };
    let mut message = vec![0_u8; worker.len];
    let events = (worker.kind == "eventfd").then(|| {
        // The echo's process makes both, and the other one opens them through /proc.
        if ping {
            let mut text = [0; 64];
            let len = stream.read(&mut text).expect("the places");
            let text = std::str::from_utf8(&text[..len]).expect("text");
            let (pid, fds) = text.split_once(' ').expect("two parts");
            let (one, two) = fds.split_once(' ').expect("two numbers");
            [one, two].map(|fd| fetch(pid.parse().expect("a pid"), fd.parse().expect("a number")))
        } else {
            // SAFETY: no memory is involved.
            let events = [0, 0].map(|_| unsafe { libc::eventfd(0, 0) });
            // In one piece: the other end reads once.
            let places = format!("{} {} {}", std::process::id(), events[0], events[1]);
            stream.write_all(places.as_bytes()).expect("told");
            events
        }
    });
    let mut times = Vec::with_capacity(worker.count as usize);
    for _ in 0..worker.count {
        let begun = monotonic_nanos();
        for sends in if ping { [true, false] } else { [false, true] } {
            match (events, sends) {
                (Some(events), true) => put(events[usize::from(!ping)]),
                (Some(events), false) => get(events[usize::from(ping)]),
                (None, true) => stream.write_all(&message).expect("written"),
                (None, false) => stream.read_exact(&mut message).expect("read"),
            }
        }
        times.push(monotonic_nanos() - begun);
    }
    // Nobody goes before the other has what it made.
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0]);
    if ping {
        println!("{}", one_way(&mut times));
    }
}

/// The descriptor of another process.
fn fetch(pid: i32, fd: i32) -> i32 {
    // SAFETY: no memory is involved.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: as above.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, fd, 0) };
    assert!(fd >= 0, "pidfd_getfd: {}", std::io::Error::last_os_error());
    fd as i32
}

fn put(fd: i32) {
    let one = 1_u64;
    // SAFETY: 8 bytes that live as long as the call.
    let written = unsafe { libc::write(fd, (&raw const one).cast(), 8) };
    assert_eq!(written, 8);
}

fn get(fd: i32) {
    let mut value = 0_u64;
    // SAFETY: 8 bytes that live as long as the call.
    let count = unsafe { libc::read(fd, (&raw mut value).cast(), 8) };
    assert_eq!(count, 8);
}
