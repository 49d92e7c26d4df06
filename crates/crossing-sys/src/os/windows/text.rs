//! UTF-16 text with a 0 at its end, as the Win32 functions take it.
#![allow(unsafe_code)] // reading a string that the system made

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;

/// `text` for a Win32 function; an error if it has a NUL inside.
pub(crate) fn wide(text: impl AsRef<OsStr>) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.as_ref().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has a NUL character"));
    }
    units.push(0);
    Ok(units)
}

/// The text at `text`, up to its 0.
///
/// # Safety
/// `text` must point to UTF-16 units that end in a 0.
pub(crate) unsafe fn from_wide(text: *const u16) -> String {
    let mut len = 0;
    // SAFETY: the caller promises a 0, and it has not been passed yet.
    while unsafe { text.wrapping_add(len).read() } != 0 {
        len += 1;
    }
    // SAFETY: `len` units were read above.
    let units = unsafe { std::slice::from_raw_parts(text, len) };
    String::from_utf16_lossy(units)
}
