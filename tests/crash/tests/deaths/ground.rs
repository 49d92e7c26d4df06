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

pub use crossing_crash_tests::{next, points};
