//! Shared memory: segments with names, regions to reach their bytes, pools of chunks, and the registry of names.
//!
//! A [`Segment`] is a named (or anonymous, or foreign) piece of memory; the [`Region`] inside it reads and writes bytes
//! at checked offsets and attaches the cells of `crossing-sync`. Names live in the user's runtime directory, private by
//! default; what a killed owner left is recognised by a lock that the kernel released, and reclaimed by the next user.
//!
//! ```
//! use crossing_shm::Segment;
//! # let name = format!("doc-{}", std::process::id());
//! let segment = Segment::options().size(4096).create(&name)?;
//! segment.write_bytes(100, b"hello")?;
//! let other = Segment::options().open(&name)?; // as another process would
//! let mut seen = [0; 5];
//! other.read_bytes(100, &mut seen)?;
//! assert_eq!(&seen, b"hello");
//! # Ok::<(), crossing_sys::Error>(())
//! ```

mod foreign;
mod header;
mod name;
mod options;
mod place;
mod pool;
mod region;
pub mod registry;
mod segment;

pub use crossing_sys::file::Access;
pub use crossing_sys::memory::HugePages;
pub use options::SegmentOptions;
pub use pool::{Loan, LoanError, Pool, PoolCell, PoolStats};
pub use region::{Offset, Region, Shared};
pub use segment::Segment;
