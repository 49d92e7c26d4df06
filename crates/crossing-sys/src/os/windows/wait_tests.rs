//! Sleepers of several processes in one table, real deaths, and hostile tables.
#![allow(unsafe_code)] // words of mapped memory

use super::*;
use crate::file::Access;
use crate::memory::{MapOptions, Mapping, MemoryFile, Storage};
use crate::testing::{Place as Directory, Role, argument, told};
use crate::wait::WaitTable;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;

const LEN: usize = 8192;
const TABLE: usize = 1024;
const LONG: Duration = Duration::from_secs(30);
/// Far less than [`LONG`], far more than anything here takes.
const SOON: Duration = Duration::from_secs(10);

/// Memory with a table and words, as a segment has it.
struct Memory {
    space: WaitSpace,
    map: Mapping,
}

// SAFETY: only atomics of the mapping are used.
unsafe impl Sync for Memory {}

impl Memory {
    fn create(path: &Path) -> Self {
        let file = MemoryFile::create(path, &Storage::default()).unwrap();
        file.allocate(LEN as u64, "test").unwrap();
        let identity = super::super::process::random_identity().unwrap();
        let map = file.map(LEN, MapOptions::default()).unwrap();
        // SAFETY: 16 bytes of the mapping, which nobody else knows yet.
        unsafe { crate::copy::to_shared(&identity, map.as_ptr()) };
        Self::of(map)
    }

    fn open(path: &Path) -> Self {
        Self::of(MemoryFile::open(path, false).unwrap().map(LEN, MapOptions::default()).unwrap())
    }

    fn of(map: Mapping) -> Self {
        let mut identity = [0; 16];
        // SAFETY: 16 bytes of the mapping.
        unsafe { crate::copy::from_shared(map.as_ptr(), &mut identity) };
        let base = map.as_ptr();
        let table = NonNull::new(base.wrapping_add(TABLE)).unwrap().cast::<WaitTable>();
        // SAFETY: the table lies in the mapping, aligned, and the mapping lives as long as the space.
        let space = unsafe { WaitSpace::shared(identity, base.addr(), LEN, table, Access::Private) };
        Self { space, map }
    }

    fn word(&self, index: usize) -> &AtomicU32 {
        let word = self.map.as_ptr().wrapping_add(4096 + 4 * index).cast::<AtomicU32>();
        // SAFETY: within the mapping, aligned, used as an atomic alone.
        unsafe { &*word }
    }

    fn place(&self) -> &Place {
        self.space.place.as_ref().unwrap()
    }

    fn occupied(&self) -> usize {
        self.place().beds().iter().filter(|bed| bed.load(Ordering::SeqCst) != 0).count()
    }

    fn until_occupied(&self, count: usize) {
        let end = Instant::now() + SOON;
        while self.occupied() != count {
            assert!(Instant::now() < end, "{} beds are taken, not {count}", self.occupied());
            std::thread::yield_now();
        }
    }
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + LONG)
}

fn me(id: u32) -> Sleeper {
    Sleeper { id, watch: None }
}

fn alive(_: u32) -> bool {
    true
}

#[test]
#[ignore = "a role of the tests below"]
fn role_sleeper() {
    let Some(path) = argument() else { return };
    let memory = Memory::open(&path);
    println!("ready");
    while let Some(line) = told() {
        let words: Vec<(&AtomicU32, u32)> =
            line.split(' ').map(|index| (memory.word(index.parse().unwrap()), 0)).collect();
        let start = Instant::now();
        let end = memory.space.wait_any(&words, soon(), me(2));
        println!("end {end:?} {}", start.elapsed() < SOON);
    }
}

const SLEEPER: &str = "os::windows::wait::tests::role_sleeper";

/// The word does not change: nothing but the wake ends the sleep.
#[test]
fn a_wake_crosses_processes_on_one_and_on_several_words() {
    let directory = Directory::new();
    let path = directory.0.join("segment");
    let memory = Memory::create(&path);
    let mut sleeper = Role::start(SLEEPER, &path);
    sleeper.expect("ready");
    for (words, count, woken) in [("0", 1, 0), ("0 1 2", 3, 2), ("0 1 2", 3, 0), ("7", 1, 7)] {
        sleeper.tell(words);
        memory.until_occupied(count);
        memory.space.wake(memory.word(5), 1, &alive); // nobody's
        memory.space.wake(memory.word(woken), 1, &alive);
        assert_eq!(sleeper.expect("end "), "Woken true", "{words}");
        assert_eq!(memory.occupied(), 0, "up again");
    }
}

#[test]
fn the_death_of_the_watched_process_ends_a_sleep() {
    let directory = Directory::new();
    let path = directory.0.join("segment");
    let memory = Memory::create(&path);
    let mut owner = Role::start(SLEEPER, &path);
    owner.expect("ready");
    let who = Sleeper { id: 1, watch: Some((2, owner.pid())) };
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let start = Instant::now();
            (memory.space.wait(memory.word(0), 0, soon(), who), start.elapsed())
        });
        memory.until_occupied(1);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(memory.occupied(), 1, "asleep while it lives");
        owner.kill();
        let (end, took) = sleeper.join().unwrap();
        assert!(end == WaitEnd::Woken && took < SOON, "{end:?} {took:?}");
    });
    // Dead already: a short sleep, and no spinning.
    let start = Instant::now();
    assert_eq!(memory.space.wait(memory.word(0), 0, soon(), who), WaitEnd::Woken);
    assert!(start.elapsed() < SOON);
}

#[test]
fn a_wake_that_hits_a_dead_sleeper_goes_to_a_living_one() {
    let directory = Directory::new();
    let path = directory.0.join("segment");
    let memory = Memory::create(&path);
    let mut dead = Role::start(SLEEPER, &path);
    dead.expect("ready");
    dead.tell("0");
    memory.until_occupied(1);
    dead.kill();
    assert_eq!(memory.occupied(), 1, "the dead sleeps on");
    std::thread::scope(|scope| {
        // Its bed is after that of the dead (7 times the number).
        let sleeper = scope.spawn(|| memory.space.wait(memory.word(0), 0, soon(), me(50)));
        memory.until_occupied(2);
        let start = Instant::now();
        memory.space.wake(memory.word(0), 1, &|id| id != 2);
        assert_eq!(sleeper.join().unwrap(), WaitEnd::Woken);
        assert!(start.elapsed() < SOON);
    });
    assert_eq!(memory.occupied(), 0, "the bed of the dead is made");
}

#[test]
fn a_full_table_delays_and_the_sweep_makes_room() {
    let directory = Directory::new();
    let memory = Memory::create(&directory.0.join("segment"));
    for (index, bed_word) in memory.place().beds().iter().enumerate() {
        bed_word.store(bed(100 + (index as u32 % 2), 3), Ordering::SeqCst);
    }
    // No bed: a nap at a time, never an error, and the deadline holds.
    let start = Instant::now();
    let deadline = start + Duration::from_millis(30);
    while memory.space.wait(memory.word(0), 0, Some(deadline), me(1)) != WaitEnd::TimedOut {}
    assert!(start.elapsed() >= Duration::from_millis(30) && start.elapsed() < SOON);
    assert_eq!(memory.occupied(), MAX_SLEEPERS, "nobody lost a bed");
    memory.space.sweep(&|id| id != 101);
    assert_eq!(memory.occupied(), MAX_SLEEPERS / 2, "the living keep theirs");
    // A wake that finds the table more than half full clears the dead by itself.
    memory.place().beds()[1].store(bed(101, 3), Ordering::SeqCst);
    memory.space.wake(memory.word(9), 1, &|_| false);
    assert_eq!(memory.occupied(), 0);
}

#[test]
fn more_sleepers_than_beds_all_wake() {
    const SLEEPERS: u32 = MAX_SLEEPERS as u32 + 16;
    let directory = Directory::new();
    let memory = Memory::create(&directory.0.join("segment"));
    std::thread::scope(|scope| {
        let (memory, word) = (&memory, memory.word(0));
        for id in 1..=SLEEPERS {
            std::thread::Builder::new()
                .stack_size(64 << 10)
                .spawn_scoped(scope, move || {
                    while word.load(Ordering::SeqCst) == 0 {
                        memory.space.wait(word, 0, soon(), me(id));
                    }
                })
                .unwrap();
        }
        memory.until_occupied(MAX_SLEEPERS);
        let start = Instant::now();
        word.store(1, Ordering::SeqCst);
        memory.space.wake(word, u32::MAX, &alive);
        scope.spawn(move || {
            memory.until_occupied(0);
            assert!(start.elapsed() < SOON);
        });
    });
}

/// A peer that writes anything anywhere in the table: sleeps end late or early, and nothing worse.
#[test]
fn a_scribbled_table_neither_hangs_nor_crashes() {
    let directory = Directory::new();
    let memory = Memory::create(&directory.0.join("segment"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (memory, over) = (&memory, &over);
        scope.spawn(move || {
            let mut random = 0x9e37_79b9_7f4a_7c15_u64;
            while !over.load(Ordering::Relaxed) {
                for bed_word in memory.place().beds() {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    // Some numbers that mean something: the words used here, the mark, nobody.
                    let number = [random as u32, 1025, 1026, WOKEN, 0][(random >> 40) as usize % 5];
                    bed_word.store(bed((random >> 32) as u32 % 4, number), Ordering::SeqCst);
                }
            }
        });
        let players: Vec<_> = (0..2_u32)
            .map(|player| {
                scope.spawn(move || {
                    let (mine, other) = (memory.word(player as usize), memory.word(1 - player as usize));
                    for turn in 1..=50_u32 {
                        other.store(turn, Ordering::SeqCst);
                        memory.space.wake(other, 1, &|id| id % 2 == 0);
                        while mine.load(Ordering::SeqCst) < turn {
                            let look = Some(Instant::now() + Duration::from_millis(5));
                            memory.space.wait(mine, turn - 1, look, me(player + 1));
                        }
                    }
                })
            })
            .collect();
        for player in players {
            player.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    memory.space.sweep(&|_| false);
    assert_eq!(memory.occupied(), 0);
}
