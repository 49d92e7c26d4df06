//! The first page of a segment. Drawn in `docs/format/segment.md`.
//!
//! # Protocol
//! The creator writes the header before the segment has a name, and nobody writes it afterwards. Whoever opens a segment
//! copies it once, checks the copy, and uses the copy alone; a peer that scribbles over it later changes nothing for
//! those who are in, and is found out by those who come.

use crossing_sys::{Bytes, Error, ErrorKind, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const MAGIC: [u8; 8] = *b"CROSSSHM";
pub(crate) const MAJOR: u16 = 1;
pub(crate) const MINOR: u16 = 0;
/// Where the table of sleepers lies: in the header's page, written only where the kernel does not keep sleepers itself.
pub(crate) const WAIT_TABLE_OFFSET: usize = 1024;
/// Where the participant table lies.
pub(crate) const TABLE_OFFSET: usize = 4096;
/// Where the users' bytes begin.
pub(crate) const PAYLOAD_OFFSET: usize = 8192;
/// The segment stays when its creator goes.
pub(crate) const PERSIST: u32 = 1;

/// What the creator says about the segment.
// FORMAT: segment.md SegmentHeader size=88
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct SegmentHeader {
    pub magic: [u8; 8],
    pub major: u16,
    pub minor: u16,
    pub flags: u32,
    pub payload_len: u64,
    pub schema: u64,
    pub identity: [u8; 16],
    pub creator_pid: u32,
    pub creator_user: u32,
    /// Nanoseconds of the Unix epoch.
    pub created: u64,
    pub payload_offset: u64,
    pub reserved: u64,
    /// Over everything before it.
    pub checksum: u64,
}

const _: () = assert!(size_of::<SegmentHeader>() == 88);
const _: () = assert!(WAIT_TABLE_OFFSET + size_of::<crossing_sys::wait::WaitTable>() <= TABLE_OFFSET);

impl SegmentHeader {
    pub(crate) fn new(payload_len: u64, schema: u64, persist: bool) -> Result<Self> {
        let identity = crossing_sys::process::random_identity()
            .map_err(|cause| Error::os(cause, "name", "segment identity"))?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut header = Self {
            magic: MAGIC,
            major: MAJOR,
            minor: MINOR,
            flags: if persist { PERSIST } else { 0 },
            payload_len,
            schema,
            identity,
            creator_pid: std::process::id(),
            creator_user: crossing_sys::process::user_number(),
            created: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            payload_offset: PAYLOAD_OFFSET as u64,
            reserved: 0,
            checksum: 0,
        };
        header.checksum = header.sum();
        Ok(header)
    }

    /// FNV-1a, against accidents; it proves nothing about a peer's good will.
    fn sum(&self) -> u64 {
        let bytes = self.as_bytes();
        bytes[..bytes.len() - 8]
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }

    pub(crate) fn persist(&self) -> bool {
        self.flags & PERSIST != 0
    }

    /// The file length that this header calls for.
    pub fn file_len(&self) -> u64 {
        self.payload_len.saturating_add(PAYLOAD_OFFSET as u64)
    }

    /// Checks the copy `self` against a file of `file_len` bytes.
    pub(crate) fn check(&self, name: &str, file_len: u64) -> Result<()> {
        let error = |kind, detail: String| Err(Error::new(kind, "open segment", name).detail(detail));
        if self.magic != MAGIC {
            return error(ErrorKind::Incompatible, "it is not a segment of Crossing".into());
        }
        if self.major != MAJOR {
            let (major, minor) = (self.major, self.minor);
            return error(
                ErrorKind::Incompatible,
                format!("format {major}.{minor}, this build reads {MAJOR}.x"),
            );
        }
        if self.checksum != self.sum() || self.payload_offset != PAYLOAD_OFFSET as u64 {
            return error(ErrorKind::Corrupt, "the header fails its checksum".into());
        }
        if self.payload_len == 0 || self.file_len() != file_len {
            let (says, has) = (Bytes(self.file_len()), Bytes(file_len));
            return error(ErrorKind::Corrupt, format!("the header calls for {says}, the file has {has}"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
