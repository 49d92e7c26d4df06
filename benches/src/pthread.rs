//! The peer: a robust, process-shared pthread mutex, as C programs put into shared memory.
#![allow(unsafe_code)] // the pthread API

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Room for a mutex in shared memory.
pub type Room = [AtomicU64; 8];

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= size_of::<Room>());

/// A pthread mutex at a place that outlives it.
#[derive(Clone, Copy)]
pub struct Robust(NonNull<libc::pthread_mutex_t>);

impl Robust {
    /// The mutex that [`create`](Self::create) made in `room`.
    pub fn open(room: &Room) -> Self {
        Self(NonNull::from(room).cast())
    }

    /// Makes one in `room`.
    pub fn create(room: &Room) -> Self {
        let mutex = Self::open(room);
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: room for the attributes.
        unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
        // SAFETY: initialised above.
        unsafe { libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: initialised above.
        unsafe { libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST) };
        // SAFETY: the room is large enough and aligned; nobody uses it yet.
        let made = unsafe { libc::pthread_mutex_init(mutex.0.as_ptr(), attributes.as_ptr()) };
        assert_eq!(made, 0, "pthread_mutex_init");
        mutex
    }

    #[inline]
    pub fn lock(self) {
        // SAFETY: an initialised mutex in memory that outlives this.
        let locked = unsafe { libc::pthread_mutex_lock(self.0.as_ptr()) };
        assert_eq!(locked, 0, "pthread_mutex_lock");
    }

    #[inline]
    pub fn unlock(self) {
        // SAFETY: locked by this thread.
        unsafe { libc::pthread_mutex_unlock(self.0.as_ptr()) };
    }
}
