//! The mechanisms, each as a road that carries one message at a time each way, and what the kill is about: a
//! mutex and a pool in the same segment.

use super::event::{Process, Through};
use super::names::{Names, QUEUES};
use super::role::{PATIENCE, Road};
use super::sockets::{MAX_LEN, SocketRoad};
use crossing::Error;
use crossing::queue::{Queue, Receiver, Sender};
use crossing::shm::{Pool, Segment};
use crossing::sync::{Acquired, Mutex, MutexCell, Semaphore, SemaphoreCell};
use std::sync::Arc;
use std::time::Duration;

/// Longest message through the queues, which a default machine allows.
const QUEUE_MAX_LEN: u64 = 1024;

/// Most messages in a queue, which a default machine allows.
const QUEUE_CAPACITY: u64 = 10;

/// Chunks of the pool.
pub const POOL_CHUNKS: usize = 4;

/// Length of a chunk of the pool.
const CHUNK_LEN: usize = 256;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Where things lie in the segment.
struct Layout;

impl Layout {
    const MUTEX: usize = 0;
    const LANE_THERE: usize = after(Self::MUTEX, size_of::<MutexCell<u64>>());
    const LANE_BACK: usize = after(Self::LANE_THERE, Lane::LEN);
    const POOL: usize = after(Self::LANE_BACK, Lane::LEN);
    const LEN: usize = after(Self::POOL, 64 << 10);
}

/// The next multiple of 64 after `len` bytes at `offset`.
const fn after(offset: usize, len: usize) -> usize {
    (offset + len).next_multiple_of(64)
}

/// Room for one message, guarded by two semaphores: one permit where there is room, one where there is a message.
struct Lane {
    segment: Arc<Segment>,
    base: usize,
    room: Semaphore,
    filled: Semaphore,
}

impl Lane {
    const FILLED: usize = after(0, size_of::<SemaphoreCell>());
    const COUNT: usize = after(Self::FILLED, size_of::<SemaphoreCell>());
    const DATA: usize = after(Self::COUNT, 8);
    const LEN: usize = after(Self::DATA, MAX_LEN);

    fn attach(segment: &Arc<Segment>, base: usize) -> Result<Self, Error> {
        let room = segment.attach::<SemaphoreCell>(base)?;
        let filled = segment.attach::<SemaphoreCell>(base + Self::FILLED)?;
        Ok(Self { segment: Arc::clone(segment), base, room, filled })
    }

    fn send(&self, bytes: &[u8]) -> Result<(), String> {
        self.room
            .wait_timeout(PATIENCE)
            .map_err(|_| "nobody takes the messages out of the segment".to_owned())?;
        let len = (bytes.len() as u64).to_le_bytes();
        self.segment.write_bytes(self.base + Self::COUNT, &len).map_err(text)?;
        self.segment.write_bytes(self.base + Self::DATA, bytes).map_err(text)?;
        self.filled.post(1).map_err(text)
    }

    fn recv(&self) -> Result<Vec<u8>, String> {
        self.filled.wait_timeout(PATIENCE).map_err(|_| "no message came through the segment".to_owned())?;
        let mut len = [0; 8];
        self.segment.read_bytes(self.base + Self::COUNT, &mut len).map_err(text)?;
        let len = usize::try_from(u64::from_le_bytes(len)).unwrap_or(usize::MAX);
        if len > MAX_LEN {
            return Err(format!("the segment claims a message of {len} bytes"));
        }
        let mut bytes = vec![0; len];
        self.segment.read_bytes(self.base + Self::DATA, &mut bytes).map_err(text)?;
        self.room.post(1).map_err(text)?;
        Ok(bytes)
    }
}

/// What the parent makes before any child starts; dropping it removes everything.
pub struct Stage {
    queues: Vec<(Through, Result<[Queue; 2], Error>)>,
    // Dropped last: it is the record by which the next run finds the queues.
    _segment: Arc<Segment>,
}

impl Stage {
    /// Creates the segment, with room in both lanes, and the queues.
    pub fn set(names: &Names) -> Result<Self, String> {
        let segment = Arc::new(Segment::options().size(Layout::LEN).create(&names.segment()).map_err(text)?);
        for base in [Layout::LANE_THERE, Layout::LANE_BACK] {
            Lane::attach(&segment, base).map_err(text)?.room.post(1).map_err(text)?;
        }
        segment.create_pool(Layout::POOL, POOL_CHUNKS, CHUNK_LEN).map_err(text)?;
        let create = |endpoint: &str| {
            Queue::<[u8]>::options()
                .capacity(QUEUE_CAPACITY)
                .max_len(QUEUE_MAX_LEN)
                .unlink_on_drop(true)
                .create(endpoint)
        };
        let pair = |through| {
            let [there, back] = names.queues(through);
            Ok([create(&there)?, create(&back)?])
        };
        let queues = QUEUES.into_iter().map(|through| (through, pair(through))).collect();
        Ok(Self { queues, _segment: segment })
    }

    /// The mechanisms whose queues were made, and what was wrong with the others.
    pub fn queues(&self) -> impl Iterator<Item = (Through, Option<&Error>)> {
        self.queues.iter().map(|(through, queues)| (*through, queues.as_ref().err()))
    }
}

/// The mutex and the pool.
pub struct Shared {
    mutex: Mutex<u64>,
    pool: Pool,
    _segment: Arc<Segment>,
}

impl Shared {
    /// Opens what the parent made.
    pub fn open(names: &Names) -> Result<Self, String> {
        let segment = Arc::new(Segment::options().open(&names.segment()).map_err(text)?);
        Self::of(&segment).map_err(text)
    }

    fn of(segment: &Arc<Segment>) -> Result<Self, Error> {
        let mutex = segment.attach::<MutexCell<u64>>(Layout::MUTEX)?;
        let pool = segment.open_pool(Layout::POOL)?;
        Ok(Self { mutex, pool, _segment: Arc::clone(segment) })
    }

    /// Locks the mutex, takes a chunk, writes into both, and calls `then` with the number of chunks left free.
    pub fn hold_mutex_and_loan(&self, then: impl FnOnce(usize)) -> Result<(), String> {
        let mut guard = self.mutex.lock_timeout(PATIENCE).map_err(text)?.into_guard();
        let mut loan = self.pool.loan(CHUNK_LEN).map_err(text)?;
        guard.set(&1);
        loan.fill(0xAA);
        then(self.pool.free());
        Ok(())
    }

    /// Locks the mutex; whether its last owner died holding it.
    pub fn lock_after_death(&self, patience: Duration) -> Result<bool, String> {
        let locked = self.mutex.lock_timeout(patience).map_err(|_| "never got the mutex".to_owned())?;
        let recovered = matches!(locked, Acquired::Recovered(_));
        locked.into_guard().set(&0);
        Ok(recovered)
    }

    /// Puts back the chunks of dead processes: free chunks before and after.
    pub fn reclaim_loans(&self) -> Result<(usize, usize), String> {
        let before = self.pool.free();
        self.pool.reclaim();
        Ok((before, self.pool.free()))
    }
}

/// What the parent tells a process about the roads.
#[derive(Debug, Default)]
pub struct Given {
    /// The mechanisms whose queues were made.
    pub queues: Vec<Through>,
    /// Where the other process listens.
    pub connect: Vec<(Through, String)>,
}

/// Every road of one process.
pub struct Roads {
    shared: Shared,
    roads: Vec<Box<dyn Road>>,
    listening: Vec<(Through, String)>,
}

impl Roads {
    /// Opens the segment, the sockets and the queues as `process` needs them: Process2 listens, Process1 connects.
    pub fn open(process: Process, names: &Names, given: &Given) -> Result<Self, String> {
        let segment = Arc::new(Segment::options().open(&names.segment()).map_err(text)?);
        let there = Lane::attach(&segment, Layout::LANE_THERE).map_err(text)?;
        let back = Lane::attach(&segment, Layout::LANE_BACK).map_err(text)?;
        let first = process == Process::Process1;
        let (out, input) = if first { (there, back) } else { (back, there) };
        let mut roads: Vec<Box<dyn Road>> = vec![Box::new(SegmentRoad { out, input })];
        let mut listening = Vec::new();
        for through in [Through::Socket, Through::TcpFramed, Through::TcpRaw] {
            let road = if through == Through::Socket {
                let endpoint = names.socket().map_err(text)?;
                if first {
                    SocketRoad::connect(through, &endpoint)?
                } else {
                    SocketRoad::listen(through, &endpoint)?
                }
            } else if first {
                let endpoint = given.connect.iter().find(|(other, _)| *other == through);
                let (_, endpoint) = endpoint.ok_or_else(|| format!("was not told where {through} is"))?;
                SocketRoad::connect(through, endpoint)?
            } else {
                SocketRoad::listen(through, "tcp:127.0.0.1:0")?
            };
            listening.extend(road.endpoint().map(|endpoint| (through, endpoint.to_string())));
            roads.push(Box::new(road));
        }
        for &through in &given.queues {
            let [there, back] = names.queues(through);
            let (out, input) = if first { (there, back) } else { (back, there) };
            roads.push(Box::new(QueueRoad::open(through, &out, &input).map_err(text)?));
        }
        Ok(Self { shared: Shared::of(&segment).map_err(text)?, roads, listening })
    }

    /// Where this process listens for the other.
    pub fn listening(&self) -> &[(Through, String)] {
        &self.listening
    }

    /// The road by the name of its mechanism.
    pub fn road(&mut self, through: &str) -> Option<&mut dyn Road> {
        let road = self.roads.iter_mut().find(|road| road.through().to_string() == through)?;
        Some(&mut **road)
    }

    /// The mutex and the pool.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

struct SegmentRoad {
    out: Lane,
    input: Lane,
}

impl Road for SegmentRoad {
    fn through(&self) -> Through {
        Through::SharedMemory
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.out.send(bytes)
    }

    fn recv(&mut self) -> Result<Vec<u8>, String> {
        self.input.recv()
    }

    fn max_len(&self) -> usize {
        MAX_LEN
    }
}

struct QueueRoad {
    through: Through,
    out: Sender,
    input: Receiver,
}

impl QueueRoad {
    fn open(through: Through, out: &str, input: &str) -> Result<Self, Error> {
        let out = Queue::<[u8]>::options().open(out)?.sender()?;
        let input = Queue::<[u8]>::options().open(input)?.receiver()?;
        Ok(Self { through, out, input })
    }
}

impl Road for QueueRoad {
    fn through(&self) -> Through {
        self.through
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.out.send_timeout(bytes, PATIENCE).map_err(text)
    }

    fn recv(&mut self) -> Result<Vec<u8>, String> {
        self.input.recv_timeout(PATIENCE).map(|delivery| delivery.to_vec()).map_err(text)
    }

    fn max_len(&self) -> usize {
        self.out.max_len()
    }
}
