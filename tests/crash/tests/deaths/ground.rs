//! The segment that all roles share, and what lies where in it.

use crossing_shm::{Pool, Segment};
use crossing_sync::{
    Barrier, BarrierCell, Condvar, CondvarCell, Event, EventCell, EventMode, Mutex, MutexCell, Once,
    OnceCell, RwLock, RwLockCell, Semaphore, SemaphoreCell,
};
use std::path::{Path, PathBuf};

pub const PERMITS: u32 = 3;
pub const ONCES: usize = 128;
const SIZE: usize = 32 << 10;
pub const FILE_LEN: u64 = 8192 + SIZE as u64;
const NAME: &str = "ground";

/// Two counts that are equal whenever nobody is in the critical section.
pub type Pair = [u64; 2];

pub struct Ground {
    pub mutex: Mutex<Pair>,
    pub rwlock: RwLock<Pair>,
    pub semaphore: Semaphore,
    pub condvar: Condvar,
    pub manual: Event,
    pub auto: Event,
    pub stop: Event,
    pub barrier: Barrier,
    pub onces: Vec<Once>,
    pub pool: Pool,
    directory: PathBuf,
    pub segment: Segment,
}

impl Ground {
    pub fn create(directory: &Path) -> Self {
        let segment =
            Segment::options().size(SIZE).directory(directory).create(NAME).expect("create the ground");
        segment.create_pool(16 << 10, 8, 64).unwrap();
        let ground = Self::of(segment, directory);
        ground.semaphore.post(PERMITS).unwrap();
        ground.auto.set_mode(EventMode::Auto);
        ground
    }

    pub fn open(directory: &Path) -> Self {
        Self::of(Segment::options().directory(directory).open(NAME).expect("open the ground"), directory)
    }

    fn of(segment: Segment, directory: &Path) -> Self {
        Self {
            mutex: segment.attach::<MutexCell<Pair>>(0).unwrap(),
            rwlock: segment.attach::<RwLockCell<Pair>>(1024).unwrap(),
            semaphore: segment.attach::<SemaphoreCell>(4096).unwrap(),
            condvar: segment.attach::<CondvarCell>(8192).unwrap(),
            manual: segment.attach::<EventCell>(8256).unwrap(),
            auto: segment.attach::<EventCell>(8320).unwrap(),
            stop: segment.attach::<EventCell>(8384).unwrap(),
            barrier: segment.attach::<BarrierCell>(8448).unwrap(),
            onces: (0..ONCES).map(|n| segment.attach::<OnceCell>(10240 + 16 * n).unwrap()).collect(),
            pool: segment.open_pool(16 << 10).unwrap(),
            directory: directory.to_owned(),
            segment,
        }
    }

    pub fn stop(&self) {
        self.stop.set();
    }

    pub fn file(&self) -> PathBuf {
        self.directory.join(NAME).join("segment")
    }
}

/// splitmix64.
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *seed;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The crash points in the sources of `package`, without those that begin with one of `not`.
pub fn points(package: &str, not: &[&str]) -> Vec<String> {
    fn search(path: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                search(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("crash::point(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
    let mut found = Vec::new();
    let root = crossing_testkit::build::workspace();
    search(&root.join("crates").join(package).join("src"), &mut found);
    found.sort();
    found.dedup();
    found.retain(|name| !not.iter().any(|prefix| name.starts_with(prefix)));
    assert!(!found.is_empty(), "no crash points in {package}");
    found
}
