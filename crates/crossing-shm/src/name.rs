//! Names as people write them, and the directory entries they become.

use crossing_sys::{Error, ErrorKind, Result, directory};

/// The longest name in bytes.
pub const MAX_NAME_LEN: usize = 80;

/// Ends the entry of a group: no entry of a name has it.
const GROUP_MARK: char = '+';

/// Where a name lies in the runtime directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The directory of all names that are the same up to the last slash; `None` for a name that has nothing on both sides
    /// of one.
    pub(crate) group: Option<String>,
    /// The name's own directory, in that of the group.
    pub(crate) own: String,
}

/// The directory entries of `name`: letters, digits, `-`, `_` and `.` as they are, everything else as `%` and two hex
/// digits, so that different names are different entries and no name leaves the directory. A dot at the beginning is
/// written as hex digits, too.
///
/// Where file names that differ in case alone are one file (Windows, macOS), capitals are written as hex digits too, and
/// so are a dot at the end and the first letter of the names that Windows reserves for devices.
pub(crate) fn encode(name: &str) -> Result<Entry> {
    encode_for(name, directory::CASE_SENSITIVE)
}

/// The entry of the group that `group/` begins all names of.
pub(crate) fn encode_group(group: &str) -> Result<String> {
    check(group)?;
    Ok(group_for(group, directory::CASE_SENSITIVE))
}

fn check(name: &str) -> Result<()> {
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
    Ok(())
}

fn encode_for(name: &str, case_sensitive: bool) -> Result<Entry> {
    check(name)?;
    Ok(match name.rsplit_once('/') {
        Some((group, own)) if !group.is_empty() && !own.is_empty() => {
            Entry { group: Some(group_for(group, case_sensitive)), own: part_for(own, case_sensitive) }
        }
        _ => Entry { group: None, own: part_for(name, case_sensitive) },
    })
}

fn group_for(group: &str, case_sensitive: bool) -> String {
    let mut entry = part_for(group, case_sensitive);
    entry.push(GROUP_MARK);
    entry
}

fn part_for(part: &str, case_sensitive: bool) -> String {
    let mut entry = String::with_capacity(part.len() + 1);
    let device = !case_sensitive && is_device(part);
    for (index, byte) in part.bytes().enumerate() {
        let odd =
            (index == 0 && device) || byte.is_ascii_uppercase() || (byte == b'.' && index + 1 == part.len());
        let hidden = index == 0 && byte == b'.';
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if plain && !hidden && (case_sensitive || !odd) {
            entry.push(char::from(byte));
        } else {
            entry.push_str(&format!("%{byte:02X}"));
        }
    }
    entry
}

/// Whether Windows takes a file of this name for a device, whatever follows the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|rest: &str| rest.len() == 1);
    matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") || numbered("com") || numbered("lpt")
}

/// The group whose names lie in the directory `entry`; `None` if it is no group's.
pub(crate) fn decode_group(entry: &str) -> Option<String> {
    let group = decode_part(entry.strip_suffix(GROUP_MARK)?)?;
    (encode_group(&group).ok()? == entry).then_some(group)
}

/// The name that [`encode`] made into `own`, in the directory of `group`; `None` for entries that it never makes.
pub(crate) fn decode(group: Option<&str>, own: &str) -> Option<String> {
    decode_for(group, own, directory::CASE_SENSITIVE)
}

fn decode_for(group: Option<&str>, own: &str, case_sensitive: bool) -> Option<String> {
    let part = decode_part(own)?;
    let name = group.map_or_else(|| part.clone(), |group| format!("{group}/{part}"));
    let expected = Entry { group: group.map(|group| group_for(group, case_sensitive)), own: own.to_owned() };
    (encode_for(&name, case_sensitive).ok()? == expected).then_some(name)
}

fn decode_part(entry: &str) -> Option<String> {
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
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
