//! A slot queue in a segment, as one process uses it.
#![allow(unsafe_code)] // a look at a message that may change

use super::arena::{Arena, Extent};
use super::bells::Which;
use super::core::{Core, DEAD_LANE, Terms};
use super::held::Held;
use super::layout::{Layout, QueueHeader, Shape};
use super::memory::Memory;
use super::words::{DEAD, State, Word, Words};
use crossing_shm::{Offset, Region};
use crossing_sync::Until;
use crossing_sync::atomic::Ordering;
use crossing_sys::process::monotonic_nanos;
use crossing_sys::{Error, ErrorKind, Result, crash};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// A message to send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// The body.
    pub body: &'a [u8],
    /// Opaque bytes that travel with it.
    pub properties: &'a [u8],
    /// Below the queue's count of priorities; the highest is received first.
    pub priority: u32,
    /// After which it is worth nothing.
    pub ttl: Option<Duration>,
    /// Before which it is not received.
    pub delay: Duration,
}

/// Why a message was not sent; no part of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutError {
    /// No slot, or no bytes, became free in time.
    Full,
    /// Longer than the queue takes, in bytes, properties included.
    TooLong {
        /// Bytes of this message.
        len: u64,
        /// Bytes that the queue takes.
        max: u64,
    },
    /// The queue has not so many priorities.
    NoSuchPriority {
        /// How many it has.
        priorities: u32,
    },
    /// A forked child uses its parent's queue: it must open it itself.
    Forked,
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::TooLong { len, max } => {
                write!(f, "the message is {len} bytes long, the queue takes at most {max}")
            }
            Self::NoSuchPriority { priorities } => {
                write!(f, "the queue has priorities 0 to {}", priorities - 1)
            }
            Self::Forked => f.write_str("the queue was opened before fork; the child must open it itself"),
        }
    }
}

impl std::error::Error for PutError {}

/// How a queue stands, counted slot by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlotStats {
    /// The most messages.
    pub capacity: u64,
    /// The longest message.
    pub max_len: u64,
    /// Bytes for messages that do not fit their slot.
    pub max_bytes: u64,
    /// Waiting to be received.
    pub ready: u64,
    /// Waiting for their time, or given back.
    pub aside: u64,
    /// Delivered and neither acknowledged nor given back.
    pub taken: u64,
    /// Being written.
    pub writing: u64,
    /// Dead letters.
    pub dead: u64,
    /// Bytes of all these messages.
    pub bytes: u64,
    /// Messages committed since the queue was created.
    pub sent: u64,
    /// Messages dropped for newer ones.
    pub dropped: u64,
    /// Messages that expired.
    pub expired: u64,
    /// Deliveries beyond a message's first.
    pub redelivered: u64,
    /// Messages that became dead letters.
    pub buried: u64,
    /// Participants that use the queue.
    pub users: u64,
}

/// A slot that is being written, and its blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimed {
    pub(super) index: u32,
    pub(super) word: Word,
    pub(super) extent: Extent,
    pub(super) place: NonNull<u8>,
}

struct Inner {
    core: Core<Memory>,
    arena: Arena,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A forked child is not the one who joined.
        if !self.core.words().me().is_forked() {
            self.core.leave();
        }
    }
}

/// A queue in shared memory. Cheap to clone; any thread may send and receive.
#[derive(Clone)]
pub struct SlotQueue(Arc<Inner>);

impl fmt::Debug for SlotQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotQueue").field("capacity", &self.layout().capacity).finish_non_exhaustive()
    }
}

impl SlotQueue {
    /// Opens the queue that lies in `region`, from its first byte on: a new one if all but its header is zero. Once per
    /// mapping.
    ///
    /// # Errors
    /// `Corrupt` if there is none, or its figures do not fit; `Incompatible` for another version; `Unsupported` for memory
    /// without participants.
    pub fn open(region: &Region) -> Result<Self> {
        Self::open_with(region, monotonic_nanos)
    }

    /// As [`open`](Self::open), with another clock, in nanoseconds.
    pub(super) fn open_with(region: &Region, clock: fn() -> u64) -> Result<Self> {
        let header = region.read(Offset::<QueueHeader>::new(0))?;
        let layout = header.check(region.len())?;
        let memory = Memory::new(region, layout)?;
        let core = Core::join(memory, layout.limits, clock);
        Ok(Self(Arc::new(Inner { core, arena: Arena::default() })))
    }

    #[inline]
    pub(super) fn core(&self) -> &Core<Memory> {
        &self.0.core
    }

    /// What the messages are, as the queue's creator said.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.layout().shape
    }

    fn layout(&self) -> &Layout {
        self.core().words().layout()
    }

    /// Whether this process is a forked child of the one that opened the queue: it must open it for itself.
    #[inline]
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.core().words().me().is_forked()
    }

    /// The longest message, properties included.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.layout().max_len as usize
    }

    /// The most messages.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.layout().capacity
    }

    /// How many priorities there are.
    #[must_use]
    pub fn priorities(&self) -> u32 {
        self.layout().limits.priorities
    }

    /// Sends a message, waiting for room until `until`.
    ///
    /// # Errors
    /// [`PutError`].
    pub fn put(&self, message: &Message<'_>, until: Until) -> Result<(), PutError> {
        let len = message.body.len() + message.properties.len();
        self.check_len(len)?;
        self.check_priority(message.priority)?;
        if self.is_forked() {
            return Err(PutError::Forked);
        }
        self.core().foresee_commit(message.priority);
        let terms = self.terms(message);
        let lens = (message.body.len(), message.properties.len());
        if len <= self.layout().inline {
            let (index, word) = self.core().claim_until(until).ok_or(PutError::Full)?;
            self.core().words().write_inline(index, [message.properties, message.body]);
            self.finish(index, word, lens, Extent::INLINE, terms);
            return Ok(());
        }
        let claimed = self.claim_blocks_until(len, until).ok_or(PutError::Full)?;
        self.core().words().write_blocks(claimed.place, [message.properties, message.body]);
        self.finish(claimed.index, claimed.word, lens, claimed.extent, terms);
        Ok(())
    }

    /// [Puts](Self::put) a body with nothing beside it, to be received at once. What is said of a message is handed over in
    /// registers here: a description of it that is written in narrow pieces and read in wide ones makes the processor wait,
    /// as long as all else takes together.
    ///
    /// # Errors
    /// [`PutError`].
    pub fn put_body(&self, body: &[u8], priority: u32, until: Until) -> Result<(), PutError> {
        if body.len() > self.layout().inline || body.len() > self.layout().max_len as usize {
            return self.put(&Message { body, priority, ..Message::default() }, until);
        }
        self.check_priority(priority)?;
        if self.is_forked() {
            return Err(PutError::Forked);
        }
        let core = self.core();
        core.foresee_commit(priority);
        let (index, word) = core.claim_until(until).ok_or(PutError::Full)?;
        core.words().write_inline(index, [&[], body]);
        self.finish(index, word, (body.len(), 0), Extent::INLINE, Terms { priority, ..Terms::default() });
        Ok(())
    }

    #[inline]
    pub(super) fn check_len(&self, len: usize) -> Result<(), PutError> {
        let max = self.layout().max_len;
        if len > max as usize {
            return Err(PutError::TooLong { len: len as u64, max: u64::from(max) });
        }
        Ok(())
    }

    #[inline]
    pub(super) fn check_priority(&self, priority: u32) -> Result<(), PutError> {
        let priorities = self.layout().limits.priorities;
        if priority >= priorities { Err(PutError::NoSuchPriority { priorities }) } else { Ok(()) }
    }

    /// Claims a slot with blocks for `len` bytes, waiting for them.
    pub(super) fn claim_blocks_until(&self, len: usize, until: Until) -> Option<Claimed> {
        let claim = |thorough| self.claim_blocks(len, thorough);
        let core = self.core();
        claim(false).or_else(|| claim(true)).or_else(|| {
            if until == Until::Now {
                // Perhaps a dead one holds the last.
                return core.patrol().then(|| claim(true)).flatten();
            }
            core.sleep_until(Which::Room, until, || claim(true), || true)
        })
    }

    fn claim_blocks(&self, len: usize, thorough: bool) -> Option<Claimed> {
        let (core, memory) = (self.core(), self.core().words());
        let (index, word) = core.claim(thorough)?;
        let place = self.0.arena.claim(memory, index, word, len, thorough).and_then(|extent| {
            memory.bytes(&extent.blocks(memory.layout()), extent.first, len).map(|place| (extent, place))
        });
        let Some((extent, place)) = place else {
            core.abandon(index, word);
            return None;
        };
        crash::point("queue.put.blocks");
        Some(Claimed { index, word, extent, place })
    }

    /// Commits a claimed slot with a body and properties of these lengths, which stand where they belong.
    #[inline(always)]
    pub(super) fn finish(
        &self,
        index: u32,
        word: Word,
        (body, properties): (usize, usize),
        extent: Extent,
        terms: Terms,
    ) {
        let slot = self.core().words().slot(index);
        let len = body as u64 | ((properties as u64) << 32);
        // Relaxed: published by the slot's word.
        slot.len.store(len, Ordering::Relaxed);
        slot.extent.store(extent.pack(), Ordering::Relaxed);
        self.core().commit(index, word, terms);
    }

    #[inline]
    pub(super) fn terms(&self, message: &Message<'_>) -> Terms {
        let mut terms = Terms { priority: message.priority, expires: 0, due: 0 };
        if message.ttl.is_some() || !message.delay.is_zero() {
            let after = |time: Duration| {
                let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                self.core().now().saturating_add(nanos).max(1)
            };
            terms.expires = message.ttl.map_or(0, after);
            terms.due = if message.delay.is_zero() { 0 } else { after(message.delay) };
        }
        terms
    }

    /// Drops the oldest message of the lowest priority that has one; `false`: none was waiting.
    pub fn drop_oldest(&self) -> bool {
        self.core().drop_oldest()
    }

    /// Takes the next message, waiting until `until`; none in a [forked](Self::is_forked) child.
    #[inline(always)]
    #[must_use]
    pub fn take(&self, until: Until) -> Option<Held> {
        self.take_from(self.layout().limits.lanes(), until)
    }

    /// Takes the next message where a short look is enough to find it; [`take`](Self::take) finds every one.
    #[inline(always)]
    #[must_use]
    pub fn take_soon(&self) -> Option<Held> {
        if self.is_forked() {
            return None;
        }
        let taken = self.core().take_soon(self.layout().limits.lanes())?;
        Some(Held::new(self.clone(), taken))
    }

    /// Takes the oldest dead letter, waiting until `until`.
    #[cold]
    #[must_use]
    pub fn take_dead(&self, until: Until) -> Option<Held> {
        self.take_from(DEAD_LANE, until)
    }

    // In place: what is written in small pieces and then moved in large ones makes the processor wait.
    #[inline(always)]
    fn take_from(&self, mask: u64, until: Until) -> Option<Held> {
        if self.is_forked() {
            return None;
        }
        let taken = self.core().take_until(mask, until)?;
        Some(Held::new(self.clone(), taken))
    }

    /// Drops every message that waits, or every dead letter; says how many.
    pub fn purge(&self, dead: bool) -> u64 {
        let mask = if dead { DEAD_LANE } else { self.layout().limits.lanes() };
        let mut dropped = 0;
        // At most what was there when it began, and what came meanwhile as often.
        for _ in 0..u64::from(self.capacity()) * 2 {
            let Some(taken) = self.core().take(mask) else { break };
            self.core().acknowledge(&taken);
            if taken.deliveries > 1 {
                // Nobody saw it: no delivery.
                self.core().ledger().redelivered.fetch_sub(1, Ordering::Relaxed);
            }
            dropped += 1;
        }
        for index in 0..if dead { 0 } else { self.capacity() } {
            let word = Word(self.core().words().slot(index).word.load(Ordering::Acquire));
            if word.state() == Some(State::Aside) && super::slots::free(self.core().words(), index, word) {
                dropped += 1;
            }
        }
        self.core().tell_room();
        dropped
    }

    /// Copies of the messages in the queue, without taking any: at most `max`, each cut to `max_len` bytes, in no
    /// particular order. A message that is received meanwhile is left out.
    #[must_use]
    pub fn browse(&self, max: usize, max_len: usize) -> Vec<Glimpse> {
        let mut seen = Vec::new();
        for index in 0..self.capacity() {
            if seen.len() == max {
                break;
            }
            seen.extend(self.glimpse(index, max_len));
        }
        seen.sort_by_key(|glimpse: &Glimpse| (glimpse.state, std::cmp::Reverse(glimpse.priority)));
        seen
    }

    fn glimpse(&self, index: u32, max_len: usize) -> Option<Glimpse> {
        let memory = self.core().words();
        let slot = memory.slot(index);
        let word = Word(slot.word.load(Ordering::Acquire));
        let state = word.state().filter(|state| !matches!(state, State::Free | State::Writing))?;
        let (lane, deliveries) = split_meta(slot.meta.load(Ordering::Relaxed));
        let (place, body, properties) = self.locate(index)?;
        let mut bytes = vec![0; body.min(max_len)];
        // SAFETY: `locate` checked that properties and body lie in the memory; the copy tolerates writers.
        let start = unsafe { place.add(properties) };
        // SAFETY: as above.
        unsafe { crossing_sys::copy::from_shared(start.as_ptr(), &mut bytes) };
        // ORD: slot-seen (acquire) <-> slot-ready: the copy is of this message if the word is still the same.
        std::sync::atomic::fence(Ordering::Acquire);
        (slot.word.load(Ordering::Relaxed) == word.0).then_some(Glimpse {
            state: match state {
                State::Taken => "taken",
                State::Aside => "aside",
                _ if lane == DEAD => "dead",
                _ => "ready",
            },
            priority: lane,
            deliveries,
            len: body,
            bytes,
        })
    }

    /// Where the message of a slot lies, and how long body and properties are, all checked.
    #[inline]
    pub(super) fn locate(&self, index: u32) -> Option<(NonNull<u8>, usize, usize)> {
        let memory = self.core().words();
        let slot = memory.slot(index);
        let len = slot.len.load(Ordering::Relaxed);
        let (body, properties) = ((len & 0xffff_ffff) as usize, (len >> 32) as usize);
        let total = body.checked_add(properties)?;
        let extent = Extent::unpack(slot.extent.load(Ordering::Relaxed));
        if extent.count == 0 {
            return (total <= memory.layout().inline).then(|| (memory.inline(index), body, properties));
        }
        let blocks = extent.blocks(memory.layout());
        if total > (extent.count as usize).checked_mul(blocks.block_len)? {
            return None;
        }
        memory.bytes(&blocks, extent.first, total).map(|place| (place, body, properties))
    }

    /// How it stands at this moment. Looks at every slot.
    #[must_use]
    pub fn stats(&self) -> SlotStats {
        let memory = self.core().words();
        let mut stats = SlotStats {
            capacity: u64::from(self.capacity()),
            max_len: self.max_len() as u64,
            max_bytes: self.layout().max_bytes,
            ..SlotStats::default()
        };
        for index in 0..self.capacity() {
            let slot = memory.slot(index);
            let (lane, _) = split_meta(slot.meta.load(Ordering::Relaxed));
            match Word(slot.word.load(Ordering::Relaxed)).state() {
                Some(State::Ready) if lane == DEAD => stats.dead += 1,
                Some(State::Ready) => stats.ready += 1,
                Some(State::Taken) => stats.taken += 1,
                Some(State::Aside) => stats.aside += 1,
                Some(State::Writing) => {
                    stats.writing += 1;
                    continue;
                }
                _ => continue,
            }
            stats.bytes += slot.len.load(Ordering::Relaxed) & 0xffff_ffff;
        }
        for lane in 0..self.priorities() {
            stats.sent = stats.sent.wrapping_add(super::lanes::end(memory, lane));
        }
        for user in 0..memory.users() {
            let ledger = memory.ledger(user);
            let of = |word: &crossing_sync::atomic::AtomicU64| word.load(Ordering::Relaxed);
            stats.sent = stats.sent.wrapping_add(of(&ledger.delayed));
            stats.dropped = stats.dropped.wrapping_add(of(&ledger.dropped));
            stats.expired = stats.expired.wrapping_add(of(&ledger.expired));
            stats.redelivered = stats.redelivered.wrapping_add(of(&ledger.redelivered));
            stats.buried = stats.buried.wrapping_add(of(&ledger.buried));
            stats.users += u64::from(ledger.user.load(Ordering::Relaxed) != 0);
        }
        stats
    }
}

pub(super) fn split_meta(meta: u64) -> (u32, u32) {
    (meta as u32 & 0xff, (meta >> 32) as u32)
}

/// A copy of a message that stays in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// `ready`, `taken`, `aside` or `dead`.
    pub state: &'static str,
    /// Its priority; 32 for dead letters.
    pub priority: u32,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Bytes of its body.
    pub len: usize,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        let kind = match error {
            PutError::Full => ErrorKind::WouldBlock,
            PutError::TooLong { len, max } => ErrorKind::TooLarge { len, max },
            PutError::NoSuchPriority { .. } | PutError::Forked => ErrorKind::ApiMisuse,
        };
        Self::new(kind, "send to queue", "shared memory").detail(error.to_string())
    }
}
