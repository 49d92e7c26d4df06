//! What a topic may carry: plain data of one type, or bytes.

use crate::sample::{Buffer, Pool, Value};
use crossing_ring::broadcast::{Outcome, RingReader};
use crossing_sync::Plain;
use std::ops::Deref;
use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
    impl Sealed for [u8] {}
    impl<T: super::Plain> Sealed for T {}
}

/// What a topic may carry: `[u8]`, or a type of [`Plain`] data.
pub trait Payload: sealed::Sealed {
    /// A received one.
    #[doc(hidden)]
    type Owned: Deref<Target = Self> + Send;
    /// Bytes of each; `u32::MAX`: any number.
    #[doc(hidden)]
    const SIZE: u32;
    #[doc(hidden)]
    const ALIGN: u32;
    #[doc(hidden)]
    fn bytes(&self) -> &[u8];
    #[doc(hidden)]
    fn receive(ring: &RingReader, position: u64, pool: &Arc<Pool>) -> Result<Self::Owned, Outcome>;
}

impl<T: Plain> Payload for T {
    type Owned = Value<T>;
    const SIZE: u32 = {
        assert!(size_of::<T>() < u32::MAX as usize);
        size_of::<T>() as u32
    };
    const ALIGN: u32 = align_of::<T>() as u32;

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn receive(ring: &RingReader, position: u64, _: &Arc<Pool>) -> Result<Value<T>, Outcome> {
        let mut value = T::new_zeroed();
        let bytes = value.as_mut_bytes();
        match ring.read(position, |len| (len == bytes.len()).then_some(bytes)) {
            Outcome::Read(_) => Ok(Value(value)),
            other => Err(other),
        }
    }
}

impl Payload for [u8] {
    type Owned = Buffer;
    const SIZE: u32 = u32::MAX;
    const ALIGN: u32 = 1;

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn receive(ring: &RingReader, position: u64, pool: &Arc<Pool>) -> Result<Buffer, Outcome> {
        // Most looks find nothing: no buffer is taken for those.
        if !ring.has(position) {
            return Err(Outcome::NotYet);
        }
        let mut buffer = Pool::take(pool);
        match ring.read(position, |len| Some(buffer.room(len))) {
            Outcome::Read(_) => Ok(buffer),
            other => Err(other),
        }
    }
}
