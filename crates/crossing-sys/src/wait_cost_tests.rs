//! What a wait and a wake cost across two processes: for people, `cargo test -p crossing-sys --release -- --ignored
//! --nocapture a_round_trip`. PLATFORM.md has the figures.
#![allow(unsafe_code)] // words of mapped memory

use super::*;
use crate::memory::{MapOptions, Mapping, MemoryFile, Storage};
use crate::testing::{Place as Directory, Role, argument};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

const TRIPS: u32 = 20_000;

fn mapped(path: &Path, create: bool) -> (Mapping, WaitSpace) {
    let file = if create {
        let file = MemoryFile::create(path, &Storage::default()).unwrap();
        file.allocate(8192, "cost").unwrap();
        file
    } else {
        MemoryFile::open(path, false).unwrap()
    };
    let map = file.map(8192, MapOptions::default()).unwrap();
    let mut identity = [7; 16];
    identity[..4].copy_from_slice(&path.file_name().unwrap().as_encoded_bytes()[..4]);
    let table = NonNull::new(map.as_ptr().wrapping_add(1024)).unwrap().cast();
    // SAFETY: the table lies in the mapping, aligned; the caller keeps the mapping.
    let space = unsafe { WaitSpace::shared(identity, map.as_ptr().addr(), 8192, table, Access::Private) };
    (map, space)
}

/// Answers, or asks, [`TRIPS`] times: sets the other's word, wakes, sleeps until its own is set.
fn play(map: &Mapping, space: &WaitSpace, me: usize, trips: u32) {
    // SAFETY: within the mapping, aligned, used as an atomic alone.
    let word = |index: usize| unsafe { &*map.as_ptr().wrapping_add(4096 + 64 * index).cast::<AtomicU32>() };
    let (mine, other) = (word(me), word(1 - me));
    let who = Sleeper { id: me as u32 + 1, watch: None };
    for trip in 1..=trips {
        if me == 0 {
            other.store(trip, Ordering::SeqCst);
            space.wake(other, 1, &|_| true);
        }
        while mine.load(Ordering::SeqCst) < trip {
            space.wait(mine, trip - 1, Some(Instant::now() + Duration::from_secs(20)), who);
        }
        if me == 1 {
            other.store(trip, Ordering::SeqCst);
            space.wake(other, 1, &|_| true);
        }
    }
}

#[test]
#[ignore = "a role of the test below"]
fn role_answerer() {
    let Some(path) = argument() else { return };
    let (map, space) = mapped(&path, false);
    println!("ready");
    play(&map, &space, 1, TRIPS + 100);
    println!("played");
}

#[test]
#[ignore = "measures"]
fn a_round_trip_between_two_processes() {
    let directory = Directory::new();
    let path = directory.0.join(format!("{:04}", std::process::id() % 10_000));
    let (map, space) = mapped(&path, true);
    let mut answerer = Role::start("wait::cost::role_answerer", &path);
    answerer.expect("ready");
    let start = Instant::now();
    play(&map, &space, 0, TRIPS + 100);
    let each = start.elapsed() / (TRIPS + 100);
    answerer.expect("played");
    println!("round trip, two wakes and two waits: {each:?}");
}
