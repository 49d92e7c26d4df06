//! Memory of programs that know nothing of Crossing: POSIX shared memory objects and System V segments. Raw bytes, no
//! header, no participants; whoever creates one removes it by hand, as these programs expect.

use crate::options::SegmentOptions;
use crate::region::{Ground, Region};
use crate::segment::{Segment, check_wishes};
use crossing_sys::memory::{MapOptions, MemoryFile};
use crossing_sys::sysv::{Key, SharedMemory};
use crossing_sys::{Error, ErrorKind, Result};
use std::sync::Arc;

fn size(options: &SegmentOptions, name: &str) -> Result<usize> {
    options.size.or(options.min_size).filter(|size| *size > 0).ok_or_else(|| {
        Error::new(ErrorKind::ApiMisuse, "create segment", name)
            .detail("no size")
            .fix("say how many bytes: .size(1024)")
    })
}

impl Segment {
    pub(crate) fn create_posix(options: &SegmentOptions, name: &str) -> Result<Self> {
        let size = size(options, name)?;
        let file = MemoryFile::create_posix(name, options.access)?;
        let made = file
            .allocate(size as u64, name)
            .and_then(|()| file.map(size, MapOptions { read_only: false, ..options.map }));
        match made {
            Ok(mapping) => {
                let region = Region::new(Arc::new(Ground::Mapped(mapping)), 0, false, name);
                Ok(Self::foreign(region, true))
            }
            Err(error) => {
                // Nothing of a failed creation stays.
                let _ = MemoryFile::unlink_posix(name);
                Err(error)
            }
        }
    }

    pub(crate) fn open_posix(options: &SegmentOptions, name: &str) -> Result<Self> {
        let file = MemoryFile::open_posix(name, options.map.read_only)?;
        let len = file.len()?;
        check_wishes(options, name, len, None)?;
        if len == 0 {
            return Err(Error::new(ErrorKind::Corrupt, "open shared memory object", name)
                .detail("it has 0 bytes")
                .fix("its creator must ftruncate it first"));
        }
        let len =
            usize::try_from(len).map_err(|_| Error::new(ErrorKind::Incompatible, "map memory", name))?;
        let mapping = file.map(len, options.map)?;
        let region = Region::new(Arc::new(Ground::Mapped(mapping)), 0, options.map.read_only, name);
        Ok(Self::foreign(region, false))
    }

    pub(crate) fn create_sysv(options: &SegmentOptions, key: Key) -> Result<Self> {
        let memory = SharedMemory::create(key, size(options, &key.to_string())?, options.access)?;
        Self::of_sysv(options, &memory, true)
    }

    pub(crate) fn open_sysv(options: &SegmentOptions, key: Key) -> Result<Self> {
        let memory = SharedMemory::open(key)?;
        check_wishes(options, &key.to_string(), memory.stat()?.size, None)?;
        Self::of_sysv(options, &memory, false)
    }

    fn of_sysv(options: &SegmentOptions, memory: &SharedMemory, created: bool) -> Result<Self> {
        let read_only = options.map.read_only && !created;
        let mapping = if read_only { memory.attach_read_only() } else { memory.attach() }?;
        let region = Region::new(Arc::new(Ground::SystemV(mapping)), 0, read_only, &memory.key().to_string());
        Ok(Self::foreign(region, created))
    }
}
