//! A region: the bytes of a segment in this process, reached by checked offsets.
//!
//! Safe code gets copies, atomics and handles of cells, never a plain reference to bytes that a peer may write. The one
//! exception is a [`Loan`](crate::Loan) of a pool's chunk, which its borrower has alone among those who respect the pool.
#![allow(unsafe_code)] // addresses within a mapping

use crate::pool::Pool;
use crossing_sync::{Participant, SharedCell};
use crossing_sys::memory::Mapping;
use crossing_sys::{Error, ErrorKind, Result};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A position in a region, the same in every process, that should hold a `T`. Never an address.
#[repr(transparent)]
#[derive(Debug)]
pub struct Offset<T>(u64, PhantomData<fn() -> T>);

impl<T> Offset<T> {
    /// `bytes` from the start of the region.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes, PhantomData)
    }

    /// Bytes from the start of the region.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<T> Clone for Offset<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Offset<T> {}

impl<T> PartialEq for Offset<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Offset<T> {}

/// What may be seen by reference although other processes write it: atomics, and arrays of them.
///
/// # Safety
/// Every byte pattern must be a value, and every access through `&Self` must be atomic.
pub unsafe trait Shared {}

macro_rules! shared {
    ($($atomic:ty),*) => { $(
        // SAFETY: an atomic integer.
        unsafe impl Shared for $atomic {}
    )* };
}
shared!(AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicI32, AtomicI64);

// SAFETY: element by element.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// What holds the memory.
#[derive(Debug)]
pub(crate) enum Ground {
    /// Mapped from a memory file.
    Mapped(Mapping),
    /// Attached System V memory.
    SystemV(crossing_sys::sysv::Mapping),
}

impl Ground {
    fn start(&self) -> *mut u8 {
        match self {
            Self::Mapped(mapping) => mapping.as_ptr(),
            Self::SystemV(mapping) => mapping.as_ptr(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Mapped(mapping) => mapping.len(),
            Self::SystemV(mapping) => mapping.len(),
        }
    }
}

/// Which bytes of this mapping are spoken for, so that no safe call leads to a chunk that a loan holds by reference.
#[derive(Debug, Default)]
struct Claims {
    pools: Vec<(usize, usize, Arc<[AtomicBool]>)>,
    /// Cells and atomics that were handed out by reference, for good: their handles may live as long as the mapping.
    referenced: Vec<(usize, usize)>,
}

impl Claims {
    fn in_pool(&self, offset: usize, len: usize) -> bool {
        self.pools.iter().any(|(start, end, _)| offset < *end && offset + len > *start)
    }
}

/// The bytes of a segment, mapped into this process. Cheap to clone; the memory stays mapped while any clone, or any
/// handle attached through one, lives.
#[derive(Debug, Clone)]
pub struct Region {
    ground: Arc<Ground>,
    /// Where the users' bytes begin, and how many there are.
    start: usize,
    len: usize,
    read_only: bool,
    participant: Option<Arc<Participant>>,
    subject: Arc<str>,
    claims: Arc<Mutex<Claims>>,
    /// Whether there is any pool; until then nothing is looked up.
    pools: Arc<AtomicBool>,
}

impl Region {
    pub(crate) fn new(ground: Arc<Ground>, start: usize, read_only: bool, subject: &str) -> Self {
        let len = ground.len().saturating_sub(start);
        let (claims, pools) = (Arc::default(), Arc::default());
        Self { ground, start, len, read_only, participant: None, subject: subject.into(), claims, pools }
    }

    pub(crate) fn with_participant(mut self, participant: Arc<Participant>) -> Self {
        self.participant = Some(participant);
        self
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether this process may only read it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// This process's membership, by which others know whether it lives; `None` for foreign and read-only memory.
    #[must_use]
    pub fn participant(&self) -> Option<&Arc<Participant>> {
        self.participant.as_ref()
    }

    fn misuse(&self, operation: &'static str, detail: String) -> Error {
        Error::new(ErrorKind::ApiMisuse, operation, &*self.subject).detail(detail)
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of `len` bytes at `offset`, checked to lie inside and in no pool.
    fn address(&self, operation: &'static str, offset: usize, len: usize) -> Result<NonNull<u8>> {
        let address = self.inside(operation, offset, len)?;
        // ORD: region-pools-look (acquire) <-> region-pools-set
        if self.pools.load(Ordering::Acquire) && self.claims().in_pool(offset, len) {
            return Err(self.in_pool(operation, offset, len));
        }
        Ok(address)
    }

    fn in_pool(&self, operation: &'static str, offset: usize, len: usize) -> Error {
        self.misuse(operation, format!("{len} bytes at offset {offset} are a pool's"))
            .fix("reach chunks by loan and take; open pools before other handles, apart from them")
    }

    /// Makes `offset..end` a pool of `count` chunks for this mapping; flags that say which chunks this process has on loan.
    pub(crate) fn claim_pool(&self, offset: usize, end: usize, count: usize) -> Result<Arc<[AtomicBool]>> {
        let mut claims = self.claims();
        if let Some((.., flags)) =
            claims.pools.iter().find(|pool| (pool.0, pool.1, pool.2.len()) == (offset, end, count))
        {
            return Ok(Arc::clone(flags));
        }
        let referenced = claims.referenced.iter().any(|(start, stop)| offset < *stop && end > *start);
        if referenced || claims.in_pool(offset, end - offset) {
            return Err(self.in_pool("open pool", offset, end - offset));
        }
        let flags: Arc<[AtomicBool]> = (0..count).map(|_| AtomicBool::new(false)).collect();
        claims.pools.push((offset, end, Arc::clone(&flags)));
        // ORD: region-pools-set (release) <-> region-pools-look
        self.pools.store(true, Ordering::Release);
        Ok(flags)
    }

    /// The address of `len` bytes at `offset`, checked to lie inside.
    fn inside(&self, operation: &'static str, offset: usize, len: usize) -> Result<NonNull<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            let detail = format!("{len} bytes at offset {offset}, the region has {} bytes", self.len);
            return Err(self.misuse(operation, detail).fix("stay inside, or create the segment larger"));
        }
        // SAFETY: start + offset + len is within the mapping, as just checked.
        let address = unsafe { self.ground.start().add(self.start + offset) };
        NonNull::new(address).ok_or_else(|| self.misuse(operation, "null mapping".into()))
    }

    fn writable(&self, operation: &'static str) -> Result<()> {
        if self.read_only {
            return Err(Error::new(ErrorKind::PermissionDenied, operation, &*self.subject)
                .detail("this process opened it for reading alone")
                .fix("open it without read_only(true)"));
        }
        Ok(())
    }

    /// Copies the bytes at `offset` into `to`. Writers in other processes may be at work: the copy is then some mixture.
    ///
    /// # Errors
    /// `ApiMisuse` if the range is not inside.
    pub fn read_bytes(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.address("read memory", offset, to.len())?;
        // SAFETY: the range is mapped and inside; the copy tolerates writers.
        unsafe { crossing_sys::copy::from_shared(from.as_ptr(), to) };
        Ok(())
    }

    /// Copies `from` to the bytes at `offset`.
    ///
    /// # Errors
    /// `ApiMisuse` if the range is not inside; `PermissionDenied` if opened for reading alone.
    pub fn write_bytes(&self, offset: usize, from: &[u8]) -> Result<()> {
        self.writable("write memory")?;
        let to = self.address("write memory", offset, from.len())?;
        // SAFETY: the range is mapped writable and inside; the copy tolerates readers and writers.
        unsafe { crossing_sys::copy::to_shared(from, to.as_ptr()) };
        Ok(())
    }

    /// A copy of the value at `offset`, which need not be aligned.
    ///
    /// # Errors
    /// As [`read_bytes`](Self::read_bytes).
    pub fn read<T: FromBytes + IntoBytes>(&self, offset: Offset<T>) -> Result<T> {
        let mut value = T::new_zeroed();
        self.read_bytes(usize::try_from(offset.get()).unwrap_or(usize::MAX), value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a value at `offset`, which need not be aligned.
    ///
    /// # Errors
    /// As [`write_bytes`](Self::write_bytes).
    pub fn write<T: IntoBytes + Immutable>(&self, offset: Offset<T>, value: &T) -> Result<()> {
        self.write_bytes(usize::try_from(offset.get()).unwrap_or(usize::MAX), value.as_bytes())
    }

    fn typed<T>(&self, operation: &'static str, offset: usize) -> Result<NonNull<T>> {
        let address = self.address(operation, offset, size_of::<T>())?.cast::<T>();
        if !address.is_aligned() {
            let detail = format!("offset {offset} is not a multiple of {}", align_of::<T>());
            return Err(self.misuse(operation, detail).fix("align the offset"));
        }
        let mut claims = self.claims();
        if claims.in_pool(offset, size_of::<T>()) {
            return Err(self.in_pool(operation, offset, size_of::<T>()));
        }
        let range = (offset, offset + size_of::<T>());
        if !claims.referenced.contains(&range) {
            claims.referenced.push(range);
        }
        Ok(address)
    }

    /// Reads the head of a pool, which may be claimed already.
    pub(crate) fn read_pool_head(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.inside("open pool", offset, to.len())?;
        // SAFETY: the range is mapped and inside; the copy tolerates writers, and no loan reaches a pool's head.
        unsafe { crossing_sys::copy::from_shared(from.as_ptr(), to) };
        Ok(())
    }

    /// Writes the head of a pool that this mapping has claimed.
    pub(crate) fn write_pool_head(&self, offset: usize, from: &[u8]) -> Result<()> {
        self.writable("create pool")?;
        let to = self.inside("create pool", offset, from.len())?;
        // SAFETY: the range is mapped writable and inside; the copy tolerates others, and no loan reaches a pool's head.
        unsafe { crossing_sys::copy::to_shared(from, to.as_ptr()) };
        Ok(())
    }

    /// The word of a pool, which [`claim_pool`](Self::claim_pool) keeps apart from everything else.
    pub(crate) fn pool_word(&self, offset: usize) -> Result<&AtomicU64> {
        self.writable("use pool")?;
        let place = self.inside("use pool", offset, 8)?.cast::<AtomicU64>();
        if !place.is_aligned() {
            return Err(self.misuse("use pool", "not aligned".into()));
        }
        // SAFETY: mapped writable, inside and aligned while `self` is borrowed; an atomic tolerates other writers.
        Ok(unsafe { place.as_ref() })
    }

    /// The atomics at `offset`, in place.
    ///
    /// # Errors
    /// `ApiMisuse` if the range is not inside or not aligned; `PermissionDenied` if opened for reading alone.
    pub fn shared<T: Shared>(&self, offset: usize) -> Result<&T> {
        self.writable("share memory")?;
        let place = self.typed::<T>("share memory", offset)?;
        // SAFETY: mapped writable, inside and aligned while `self` is borrowed; `Shared` types tolerate other writers.
        Ok(unsafe { place.as_ref() })
    }

    /// A handle for the synchronisation cell at `offset`. Fresh memory is zero, and zero is every cell's initial state.
    ///
    /// ```
    /// # use crossing_shm::Segment;
    /// use crossing_sync::MutexCell;
    /// # let name = format!("doc-attach-{}", std::process::id());
    /// let segment = Segment::options().size(4096).create(&name)?;
    /// let mutex = segment.attach::<MutexCell<u64>>(0)?;
    /// *mutex.lock().into_guard() += 1;
    /// # Ok::<(), crossing_sys::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ApiMisuse` if the range is not inside or not aligned; `Unsupported` for memory without participants (foreign
    /// memory, or opened for reading alone).
    pub fn attach<C: SharedCell>(&self, offset: usize) -> Result<C::Handle> {
        let place = self.typed::<C>("attach cell", offset)?;
        let participant = self.require_participant("attach cell")?;
        // SAFETY: mapped writable (participants join writable memory alone), inside and aligned; the participant keeps
        // the mapping, and its table is this segment's. Cells tolerate whatever bytes they find.
        Ok(unsafe { C::attach(participant, place) })
    }

    /// Lays a pool of `count` chunks of `chunk_len` bytes at `offset`. What was there is gone, unless it was a pool.
    ///
    /// # Errors
    /// `AlreadyExists` if a pool is there; else as [`attach`](Self::attach).
    pub fn create_pool(&self, offset: usize, count: usize, chunk_len: usize) -> Result<Pool> {
        Pool::create(self, offset, count, chunk_len)
    }

    /// Opens the pool that [`create_pool`](Self::create_pool) laid at `offset`.
    ///
    /// # Errors
    /// `Corrupt` if there is none that fits; else as [`attach`](Self::attach).
    pub fn open_pool(&self, offset: usize) -> Result<Pool> {
        Pool::open(self, offset)
    }

    /// The address of `len` bytes at `offset`, aligned to `align`, which from now on no safe method of this mapping's
    /// regions reaches: for structures of the floor above, which have protocols of their own. The address is good while
    /// any clone of this region lives. The same range may be claimed again.
    ///
    /// # Errors
    /// `ApiMisuse` if the range is not inside, not aligned, or in use by reference or as a pool; `PermissionDenied` if
    /// opened for reading alone.
    pub fn claim(&self, offset: usize, len: usize, align: usize) -> Result<NonNull<u8>> {
        self.writable("claim memory")?;
        self.claim_read(offset, len, align)
    }

    /// As [`claim`](Self::claim), also of memory that was opened for reading alone, which the caller must then not write.
    ///
    /// # Errors
    /// `ApiMisuse` as for `claim`.
    pub fn claim_read(&self, offset: usize, len: usize, align: usize) -> Result<NonNull<u8>> {
        let address = self.inside("claim memory", offset, len)?;
        if !align.is_power_of_two() || address.addr().get() & (align - 1) != 0 {
            return Err(self.misuse("claim memory", format!("offset {offset} is not a multiple of {align}")));
        }
        self.claim_pool(offset, offset + len, 0)?;
        Ok(address)
    }

    /// The participant, or the error that says why there is none.
    ///
    /// # Errors
    /// `Unsupported` for foreign memory, and memory opened for reading alone.
    pub fn require_participant(&self, operation: &'static str) -> Result<Arc<Participant>> {
        self.participant.clone().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, operation, &*self.subject)
                .detail("the memory has no table of participants, or is open for reading alone")
                .fix("use a segment of Crossing, opened for writing; or semaphores: sem_open, System V")
        })
    }

    /// Room for a [`Loan`](crate::Loan): the address of a chunk that was checked when the pool was opened.
    pub(crate) fn chunk(&self, offset: usize, len: usize) -> Result<NonNull<u8>> {
        self.writable("borrow chunk")?;
        self.inside("borrow chunk", offset, len)
    }
}
