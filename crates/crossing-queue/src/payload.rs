//! What a queue may carry: plain data of one type, or bytes.

use crate::delivery::Delivery;
use crate::error::Mismatch;
use crossing_ring::queue::Shape;
use crossing_sync::Plain;

mod sealed {
    pub trait Sealed {}
    impl Sealed for [u8] {}
    impl<T: super::Plain> Sealed for T {}
}

/// What a queue may carry: `[u8]`, or a type of [`Plain`] data.
pub trait Payload: sealed::Sealed {
    /// Where a value lies that cannot be read in place.
    #[doc(hidden)]
    type Aside: Default + Send + Sync;
    #[doc(hidden)]
    const SHAPE: Shape;
    #[doc(hidden)]
    fn bytes(&self) -> &[u8];
    /// The bytes or the value of a delivery, which [`received`](Self::received) has checked.
    #[doc(hidden)]
    fn of<'d>(bytes: &'d [u8], aside: &'d Self::Aside) -> &'d Self;
    /// As [`of`](Self::of), of a message that is being written, whose bytes may lie where no such value may.
    #[doc(hidden)]
    fn of_mut<'d>(bytes: &'d mut [u8], aside: &'d mut Self::Aside) -> &'d mut Self;
    /// What there must be beside the bytes of a message that is being written.
    #[doc(hidden)]
    fn aside(bytes: &[u8]) -> Self::Aside;
    /// The value aside, which is to be copied where it belongs.
    #[doc(hidden)]
    fn aside_bytes(aside: &Self::Aside) -> Option<&[u8]>;
    /// The value aside, to be filled.
    #[doc(hidden)]
    fn aside_bytes_mut(aside: &mut Self::Aside) -> Option<&mut [u8]>;
    /// Makes sure that the bytes are such a message.
    #[doc(hidden)]
    fn received<E: From<Mismatch>>(delivery: Result<Delivery, E>) -> Result<Delivery<Self>, E>;
}

impl Payload for [u8] {
    type Aside = ();
    const SHAPE: Shape = Shape::BYTES;

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn of<'d>(bytes: &'d [u8], (): &'d ()) -> &'d Self {
        bytes
    }

    #[inline]
    fn of_mut<'d>(bytes: &'d mut [u8], (): &'d mut ()) -> &'d mut Self {
        bytes
    }

    #[inline]
    fn aside(_: &[u8]) {}

    #[inline]
    fn aside_bytes((): &()) -> Option<&[u8]> {
        None
    }

    #[inline]
    fn aside_bytes_mut((): &mut ()) -> Option<&mut [u8]> {
        None
    }

    #[inline(always)]
    fn received<E: From<Mismatch>>(delivery: Result<Delivery, E>) -> Result<Delivery, E> {
        delivery
    }
}

impl<T: Plain> Payload for T {
    type Aside = Option<Box<T>>;
    const SHAPE: Shape = {
        assert!(size_of::<T>() < u32::MAX as usize);
        Shape { schema: 0, size: Some(size_of::<T>() as u32), align: align_of::<T>() as u32 }
    };

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn of<'d>(bytes: &'d [u8], aside: &'d Option<Box<T>>) -> &'d Self {
        // Length and place were checked when it was received, and are this process's own.
        crossing_sync::view(bytes).or(aside.as_deref()).expect("a value in place or aside")
    }

    #[inline]
    fn of_mut<'d>(bytes: &'d mut [u8], aside: &'d mut Option<Box<T>>) -> &'d mut Self {
        match aside {
            Some(aside) => aside,
            // As in `of`.
            None => crossing_sync::view_mut(bytes).expect("a value in place"),
        }
    }

    #[inline]
    fn aside(bytes: &[u8]) -> Option<Box<T>> {
        crossing_sync::view::<T>(bytes).is_none().then(|| Box::new(T::new_zeroed()))
    }

    #[inline]
    fn aside_bytes(aside: &Option<Box<T>>) -> Option<&[u8]> {
        aside.as_deref().map(T::as_bytes)
    }

    #[inline]
    fn aside_bytes_mut(aside: &mut Option<Box<T>>) -> Option<&mut [u8]> {
        aside.as_deref_mut().map(T::as_mut_bytes)
    }

    #[inline]
    fn received<E: From<Mismatch>>(delivery: Result<Delivery, E>) -> Result<Delivery<T>, E> {
        let delivery = delivery?;
        let (len, size) = (delivery.len(), size_of::<T>());
        if crossing_sync::view::<T>(&delivery).is_some() {
            return Ok(delivery.into_typed(None));
        }
        // Behind properties, or in a buffer of bytes, it may lie where no such value may.
        match T::read_from_bytes(&delivery) {
            Ok(value) => Ok(delivery.into_typed(Some(Box::new(value)))),
            Err(_) => {
                // It would come again and again.
                let _ = delivery.ack();
                Err(Mismatch { len: len as u64, size: size as u64 }.into())
            }
        }
    }
}
