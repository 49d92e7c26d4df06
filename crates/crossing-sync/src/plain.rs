//! What may lie in memory that other processes write.

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
