//! What may lie in memory that other processes write.
#![allow(unsafe_code)] // plain values in place

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Plain data: every byte pattern is a value, no padding, no references, no interior mutability.
///
/// Implemented for everything that derives zerocopy's traits; a peer's bytes, whatever they are, are a valid value.
///
/// ```
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
/// #[derive(FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Account { balance: i64, changes: u64 }
/// fn takes_plain<T: crossing_sync::Plain>() {}
/// takes_plain::<Account>();
/// ```
pub trait Plain: FromBytes + IntoBytes + Immutable + Send + Sync + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Send + Sync + 'static> Plain for T {}

/// The value that `bytes` are, in place; `None` if they are none, by length or alignment.
///
/// ```
/// let pair = crossing_sync::view::<[u8; 2]>(&[1, 2]);
/// assert_eq!(pair, Some(&[1, 2]));
/// assert_eq!(crossing_sync::view::<u8>(&[1, 2]), None);
/// ```
#[inline]
#[must_use]
pub fn view<T: Plain>(bytes: &[u8]) -> Option<&T> {
    let place = bytes.as_ptr().cast::<T>();
    // SAFETY: of the right length and alignment; every byte pattern is a `T`, and the borrow is that of the bytes.
    (bytes.len() == size_of::<T>() && place.is_aligned()).then(|| unsafe { &*place })
}

/// As [`view`], to be changed.
///
/// ```
/// let mut bytes = [1, 2];
/// crossing_sync::view_mut::<[u8; 2]>(&mut bytes).unwrap()[0] = 7;
/// assert_eq!(bytes, [7, 2]);
/// ```
#[inline]
#[must_use]
pub fn view_mut<T: Plain>(bytes: &mut [u8]) -> Option<&mut T> {
    let place = bytes.as_mut_ptr().cast::<T>();
    // SAFETY: of the right length and alignment; every byte pattern is a `T` and every `T` is bytes, and the borrow is that of
    // the bytes.
    (bytes.len() == size_of::<T>() && place.is_aligned()).then(|| unsafe { &mut *place })
}
