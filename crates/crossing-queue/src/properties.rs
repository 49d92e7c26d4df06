//! What travels with a message beside its body: named values, and the two that request and reply need.
//!
//! Encoded as entries of `key length (1 byte), value length (2 bytes, little-endian), key, value`, one after the other.
//! What a peer wrote is checked entry by entry; an entry that reaches past the end ends the list.

use std::borrow::Cow;

/// The key of the endpoint that replies go to.
const REPLY_TO: &str = "reply-to";
/// The key of the number that tells which request a reply is for.
const CORRELATION: &str = "correlation-id";

/// Named values that travel with a message.
///
/// ```
/// use crossing_queue::Properties;
/// let mut properties = Properties::new();
/// properties.reply_to("shm:answers").correlation_id(7).set("content-type", b"text/plain");
/// assert_eq!(properties.get("content-type"), Some(&b"text/plain"[..]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<u8>);

impl Properties {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value, in place of one that the key had. Keys of more than 255 bytes and values of more than 65,535 are cut.
    pub fn set(&mut self, key: &str, value: &[u8]) -> &mut Self {
        let mut cut = key.len().min(255);
        while !key.is_char_boundary(cut) {
            cut -= 1;
        }
        let (key, value) = (&key[..cut], &value[..value.len().min(0xffff)]);
        if self.get(key).is_some() {
            let mut rest = Vec::new();
            for (other, value) in entries(&self.0).filter(|(other, _)| *other != key.as_bytes()) {
                append(&mut rest, other, value);
            }
            self.0 = rest;
        }
        append(&mut self.0, key.as_bytes(), value);
        self
    }

    /// The endpoint that replies should go to.
    pub fn reply_to(&mut self, endpoint: &str) -> &mut Self {
        self.set(REPLY_TO, endpoint.as_bytes())
    }

    /// A number that the reply will carry too.
    pub fn correlation_id(&mut self, id: u64) -> &mut Self {
        self.set(CORRELATION, &id.to_le_bytes())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        find(&self.0, key)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.0
    }
}

fn append(to: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    to.push(key.len() as u8);
    to.extend_from_slice(&(value.len() as u16).to_le_bytes());
    to.extend_from_slice(key);
    to.extend_from_slice(value);
}

/// The properties of a message that was received, read in place.
#[derive(Debug, Clone, Copy)]
pub struct PropertiesRef<'a>(pub(crate) &'a [u8]);

impl<'a> PropertiesRef<'a> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        find(self.0, key)
    }

    /// The endpoint that the sender expects replies at.
    #[must_use]
    pub fn reply_to(&self) -> Option<Cow<'a, str>> {
        self.get(REPLY_TO).map(String::from_utf8_lossy)
    }

    /// The number that tells which request this is, or is a reply to.
    #[must_use]
    pub fn correlation_id(&self) -> Option<u64> {
        Some(u64::from_le_bytes(self.get(CORRELATION)?.try_into().ok()?))
    }

    /// Every key and value, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, &'a [u8])> + use<'a> {
        entries(self.0).map(|(key, value)| (String::from_utf8_lossy(key), value))
    }
}

fn find<'a>(bytes: &'a [u8], key: &str) -> Option<&'a [u8]> {
    entries(bytes).find(|(other, _)| *other == key.as_bytes()).map(|(_, value)| value)
}

fn entries(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let value_len = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let (key, rest) = rest.split_at_checked(usize::from(head[0]))?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        bytes = rest;
        Some((key, value))
    })
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
