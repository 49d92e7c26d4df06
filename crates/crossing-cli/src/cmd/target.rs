//! A segment of whatever kind a name means, with the same reads and writes.

use super::names::ObjectName;
use crate::args::ShmCreateArgs;
use crate::exit::Failure;
use crossing::shm::{PosixSegment, Segment, SystemVSegment};
use crossing::{Access, Error, ErrorKind};

/// An open segment.
pub enum Target {
    /// Crossing's own.
    Native(Segment),
    /// `shm_open`'s.
    Posix(PosixSegment),
    /// `shmget`'s.
    SystemV(SystemVSegment),
}

impl Target {
    /// Size in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Native(segment) => segment.len() as u64,
            Self::Posix(segment) => segment.len() as u64,
            Self::SystemV(segment) => segment.len() as u64,
        }
    }

    /// Reads at an offset; the caller has checked the range.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        match self {
            Self::Native(segment) => segment.read_bytes(offset, bytes),
            Self::Posix(segment) => segment.read_bytes(offset, bytes),
            Self::SystemV(segment) => segment.read_bytes(offset, bytes),
        }
    }

    /// Writes at an offset; the caller has checked the range.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        match self {
            Self::Native(segment) => segment.write_bytes(offset, bytes),
            Self::Posix(segment) => segment.write_bytes(offset, bytes),
            Self::SystemV(segment) => segment.write_bytes(offset, bytes),
        }
    }
}

/// Creates the segment that `args` describes.
pub fn create(args: &ShmCreateArgs) -> Result<Target, Failure> {
    let size = usize::try_from(args.size)
        .map_err(|_| Failure::usage("the size is more than this machine can address"))?;
    let access = Access::from(args.access);
    let name = ObjectName::parse(&args.name)?;
    if !matches!(name, ObjectName::Native(_)) {
        for (given, flag) in
            [(args.hold, "--hold"), (args.mlock, "--mlock"), (args.huge_pages, "--huge-pages")]
        {
            if given {
                return Err(Failure::usage(format!(
                    "cannot use {flag} with \"{}\": {flag} is for Crossing's own names",
                    args.name
                )));
            }
        }
    }
    Ok(match name {
        ObjectName::Native(name) => {
            let mut options = Segment::options();
            options
                .size(size)
                .access(access)
                .persist(!args.hold)
                .mlock(args.mlock)
                .huge_pages(args.huge_pages);
            Target::Native(if args.or_open {
                options.open_or_create(&name)?
            } else {
                options.create(&name)?
            })
        }
        ObjectName::Posix(name) => {
            let made = if args.or_open {
                PosixSegment::open_or_create(&name, size, access)
            } else {
                PosixSegment::create(&name, size, access)
            };
            Target::Posix(made?)
        }
        ObjectName::SystemV(key) => {
            let made = if args.or_open {
                SystemVSegment::open_or_create(&key, size, access)
            } else {
                SystemVSegment::create(&key, size, access)
            };
            Target::SystemV(made?)
        }
        ObjectName::Queue(name) => return Err(not_a_segment(&name)),
    })
}

/// Opens what `name` means.
pub fn open(name: &str, read_only: bool) -> Result<Target, Failure> {
    let opened = match ObjectName::parse(name)? {
        ObjectName::Native(native) => {
            Segment::options().read_only(read_only).open(&native).map(Target::Native)
        }
        ObjectName::Posix(posix) => PosixSegment::open(&posix, read_only).map(Target::Posix),
        ObjectName::SystemV(key) => SystemVSegment::open(&key, read_only).map(Target::SystemV),
        ObjectName::Queue(queue) => return Err(not_a_segment(&queue)),
    };
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound if error.advice().is_none() => error
            .fix(format!(
                "create it with crossing shm create {name} --size 64K, or start the program that does"
            ))
            .into(),
        _ => error.into(),
    })
}

/// A queue where a segment is needed.
pub fn not_a_segment(name: &str) -> Failure {
    Failure::usage(format!("cannot use \"{name}\": it is a queue, not a segment; see crossing queue"))
}
