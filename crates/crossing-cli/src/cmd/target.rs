//! A segment of whatever kind a name means: all kinds read and write alike.

use super::names::ObjectName;
use crate::args::ShmCreateArgs;
use crate::exit::Failure;
use crossing::foreign::sysv::Key;
use crossing::shm::{HugePages, Segment};
use crossing::{Access, Error, ErrorKind};

/// Creates the segment that `args` describes.
pub fn create(args: &ShmCreateArgs) -> Result<Segment, Failure> {
    let size = usize::try_from(args.size)
        .map_err(|_| Failure::usage("the size is more than this machine can address"))?;
    let name = ObjectName::parse(&args.name)?;
    if !matches!(name, ObjectName::Native(_)) {
        for (given, flag) in [(args.hold, "--hold"), (args.huge_pages, "--huge-pages")] {
            if given {
                return Err(Failure::usage(format!(
                    "cannot use {flag} with \"{}\": {flag} is for Crossing's own names",
                    args.name
                )));
            }
        }
    }
    let mut options = Segment::options();
    options.size(size).access(Access::from(args.access)).persist(!args.hold).lock_in_memory(args.mlock);
    if args.huge_pages {
        options.huge_pages(HugePages::Require);
    }
    // Another process may create or remove the name between the two steps; a few rounds settle it.
    let either = |create: &dyn Fn() -> Result<Segment, Error>, open: &dyn Fn() -> Result<Segment, Error>| {
        let mut result = create();
        for _ in 0..8 {
            result = match result {
                Err(error) if args.or_open && error.kind() == ErrorKind::AlreadyExists => open(),
                Err(error) if args.or_open && error.kind() == ErrorKind::NotFound => create(),
                settled => return settled,
            };
        }
        result
    };
    Ok(match name {
        ObjectName::Native(name) if args.or_open => options.open_or_create(&name)?,
        ObjectName::Native(name) => options.create(&name)?,
        ObjectName::Posix(name) => either(&|| options.create_posix(&name), &|| options.open_posix(&name))?,
        ObjectName::SystemV(key) => {
            let key = Key::parse(&key)?;
            either(&|| options.create_sysv(key), &|| options.open_sysv(key))?
        }
        ObjectName::Queue(name) => return Err(not_a_segment(&name)),
    })
}

/// Opens what `name` means.
pub fn open(name: &str, read_only: bool) -> Result<Segment, Failure> {
    let mut options = Segment::options();
    options.read_only(read_only);
    let opened = match ObjectName::parse(name)? {
        ObjectName::Native(native) => options.open(&native),
        ObjectName::Posix(posix) => options.open_posix(&posix),
        ObjectName::SystemV(key) => options.open_sysv(Key::parse(&key)?),
        ObjectName::Queue(queue) => return Err(not_a_segment(&queue)),
    };
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let fix = format!("crossing shm create {name} --size 64K, or start the program that creates it");
            error.fix(fix).into()
        }
        _ => error.into(),
    })
}

/// A queue where a segment is needed.
pub fn not_a_segment(name: &str) -> Failure {
    Failure::usage(format!("cannot use \"{name}\": it is a queue, not a segment; see crossing queue"))
}
