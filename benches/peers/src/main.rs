//! One process of a measurement: `PEER ROLE NAME COUNT LEN CORE`. Roles: `ping`, `echo` (spinning, payload written and read),
//! `pub`, `sub` (one way, every message counted), `sleep-ping`, `sleep-echo` (by the peer's own means of waiting), `serve`, `ask-N`
//! (requests and replies, N in flight).
//! It speaks as the workers of `benches/src/topic` do: `ready`, then one line with nanoseconds.
#![allow(unsafe_code)] // pinning, the clock

#[cfg(feature = "aeron")]
mod aeron;
mod capnproto;
#[rustfmt::skip]
#[path = "generated/echo_capnp.rs"]
mod echo_capnp;
mod grpc;
mod iceoryx;
mod rpc;

/// What to do.
pub struct Task {
    pub role: String,
    pub name: String,
    pub count: u64,
    pub len: usize,
}

fn pin(core: usize) {
    // SAFETY: an all-zero set is a valid, empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is below CPU_SETSIZE on any machine with so few cores.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is initialised and of the size given.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    // SAFETY: no memory is involved.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
}

/// Writes every byte.
pub fn fill(bytes: &mut [u8], number: u64) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = number.to_ne_bytes();
    }
    // glibc sets nothing at all by a masked store of 64 bytes: whoever loads what lies behind then waits for all stores before it.
    if !rest.is_empty() {
        rest.fill(number as u8);
    }
}

/// Reads every byte; the first 8.
pub fn read(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(0_u64, |sum, word| sum ^ u64::from_ne_bytes(*word));
    std::hint::black_box(sum);
    words.first().map_or(0, |word| u64::from_ne_bytes(*word))
}

/// The machine's clock.
pub fn nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid pointer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Half of the median of the round trips.
pub fn one_way(times: &mut [u64]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2] as f64 / 2.0
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, role, name, count, len, core] = arguments.as_slice() else {
        eprintln!("PEER ROLE NAME COUNT LEN CORE");
        std::process::exit(2);
    };
    let task = Task {
        role: role.clone(),
        name: name.clone(),
        count: count.parse().expect("a count"),
        len: len.parse().expect("a length"),
    };
    let core: usize = core.parse().expect("a core");
    match peer.as_str() {
        "iceoryx2" => {
            pin(core);
            iceoryx::work(&task);
        }
        "tonic" => {
            pin(core);
            grpc::work(&task);
        }
        "capnp" => {
            pin(core);
            capnproto::work(&task);
        }
        #[cfg(feature = "aeron")]
        "aeron" => aeron::work(&task, core, pin),
        other => {
            eprintln!("no peer {other}");
            std::process::exit(2);
        }
    }
}
