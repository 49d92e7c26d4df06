//! Names as people write them, and the directory entries they become.

use crossing_sys::{Error, ErrorKind, Result, directory};

/// The longest name in bytes.
pub const MAX_NAME_LEN: usize = 80;

/// The directory entry of `name`: letters, digits, `-`, `_` and `.` as they are, everything else as `%` and two hex
/// digits, so that different names are different entries and no name leaves the directory.
///
/// Where file names that differ in case alone are one file (Windows, macOS), capitals are written as hex digits too, and
/// so are a dot at the end and the first letter of the names that Windows reserves for devices.
pub(crate) fn encode(name: &str) -> Result<String> {
    encode_for(name, directory::CASE_SENSITIVE)
}

fn encode_for(name: &str, case_sensitive: bool) -> Result<String> {
    let bad = |what: &str| {
        Err(Error::new(ErrorKind::ApiMisuse, "use name", name)
            .detail(what.to_owned())
            .fix("use 1 to 80 bytes: letters, digits, `-`, `_`, `.`, `/` and what else you need, not starting with `.`"))
    };
    if name.is_empty() || name.len() > MAX_NAME_LEN {
        return bad("empty or longer than 80 bytes");
    }
    if name.starts_with('.') || name.contains('\0') {
        return bad("it starts with a dot or has a zero byte");
    }
    let mut entry = String::with_capacity(name.len());
    let device = !case_sensitive && is_device(name);
    for (index, byte) in name.bytes().enumerate() {
        let odd =
            (index == 0 && device) || byte.is_ascii_uppercase() || (byte == b'.' && index + 1 == name.len());
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if plain && (case_sensitive || !odd) {
            entry.push(char::from(byte));
        } else {
            entry.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(entry)
}

/// Whether Windows takes a file of this name for a device, whatever follows the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|rest: &str| rest.len() == 1);
    matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") || numbered("com") || numbered("lpt")
}

/// The name that [`encode`] made into `entry`; `None` for entries that it never makes.
pub(crate) fn decode(entry: &str) -> Option<String> {
    decode_for(entry, directory::CASE_SENSITIVE)
}

fn decode_for(entry: &str, case_sensitive: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(entry.len());
    let mut rest = entry.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode_for(&name, case_sensitive).ok()? == entry).then_some(name)
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
