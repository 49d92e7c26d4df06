//! The number that names a System V object, and how a file becomes one.

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::path::Path;

/// The key of a System V object.
///
/// ```
/// use crossing_sys::sysv::Key;
/// assert_eq!(Key::parse("0x41000001")?, Key(0x4100_0001));
/// # Ok::<(), crossing_sys::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub i32);

impl Key {
    /// The key that names nothing: an object made with it is found by its id only.
    pub const PRIVATE: Self = Self(0);

    /// The key that ftok(3) gives for `path` and the low 8 bits of `project`:
    /// `project << 24 | (device & 0xff) << 16 | inode & 0xffff`.
    ///
    /// Two files can have the same key: it has 16 bits of the inode only.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the file is missing: C's `ftok` then returns -1, and programs that do not look share
    /// the key -1 (`sysv:0xffffffff`) by accident. [`ErrorKind::ApiMisuse`] if the project's low 8 bits are zero, which
    /// POSIX leaves undefined.
    pub fn from_path(path: impl AsRef<Path>, project: i32) -> Result<Self> {
        const OPERATION: &str = "make a key by ftok";
        let path = path.as_ref();
        let subject = || path.display().to_string();
        if project & 0xff == 0 {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, subject())
                .detail(format!("the low 8 bits of project {project} are zero"))
                .fix("use a project from 1 to 255"));
        }
        let (device, inode) = crate::os::sysv::file_identity(path).map_err(|cause| {
            let missing = cause.kind() == std::io::ErrorKind::NotFound;
            let error = Error::os(cause, OPERATION, subject());
            if missing {
                error
                    .detail("no such file; C's ftok returns -1 then, and careless programs all share the key -1")
                    .fix(
                        "create the file (`touch`) before either program starts, or, to meet a program that went on \
                         with -1, use sysv:0xffffffff",
                    )
            } else {
                error
            }
        })?;
        Ok(Self::of_file(device, inode, project))
    }

    /// What glibc's ftok computes of the numbers of a file.
    pub(super) fn of_file(device: u64, inode: u64, project: i32) -> Self {
        let project = u32::from(project.to_le_bytes()[0]);
        let key = project << 24 | ((device & 0xff) as u32) << 16 | (inode & 0xffff) as u32;
        Self(key.cast_signed())
    }

    /// Reads `PATH,PROJ` (the project a number, or one character that is no digit) or a key (`0x` and hexadecimal
    /// digits, or decimal).
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] for anything else, and as [`Key::from_path`].
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |detail: &'static str| {
            Error::new(ErrorKind::ApiMisuse, "read System V key", text)
                .detail(detail)
                .fix("use PATH,PROJ as in \"shmfile,65\", or a key as in \"0x41000001\"")
        };
        if let Some((path, project)) = text.rsplit_once(',') {
            let mut letters = project.chars();
            let project = match (parse_number(project), letters.next(), letters.next()) {
                (Some(number), _, _) => i32::try_from(number).ok(),
                (None, Some(letter), None) if letter.is_ascii() => i32::try_from(u32::from(letter)).ok(),
                _ => None,
            };
            let project =
                project.ok_or_else(|| wrong("the project is neither a number nor one character"))?;
            if path.is_empty() {
                return Err(wrong("the path is empty"));
            }
            return Self::from_path(path, project);
        }
        let number = parse_number(text).ok_or_else(|| wrong("neither PATH,PROJ nor a key"))?;
        let key = u32::try_from(number).map(u32::cast_signed).or_else(|_| i32::try_from(number));
        key.map(Self).map_err(|_| wrong("a key has 32 bits"))
    }
}

fn parse_number(text: &str) -> Option<i64> {
    // `from_str_radix` would take a sign after the prefix.
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with(['+', '-']) => i64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sysv:{:#x}", self.0.cast_unsigned())
    }
}
