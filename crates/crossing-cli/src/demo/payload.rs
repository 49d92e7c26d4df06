//! What the messages of the demo contain: enough to prove that they arrived whole, in order, and which ping a pong answers.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | monotonic clock just before the send, nanoseconds |
//! | 8..12 | sequence number |
//! | 12 | 0 ping, 1 pong |
//! | 16..24 | a pong: checksum of the ping it answers |
//! | 24..n-8 | filler that follows from the sequence number |
//! | n-8..n | FNV-1a of all bytes before |

use super::event::Kind;

/// Shortest message.
pub const MIN_LEN: usize = 32;

/// A message that passed its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Clock of the sender.
    pub sent_at: u64,
    /// Counts from 1.
    pub seq: u32,
    /// Which way.
    pub kind: Kind,
    /// Checksum of the ping that a pong answers.
    pub answers: u64,
    /// Checksum of this message.
    pub checksum: u64,
}

/// Builds a message of `len` bytes (at least [`MIN_LEN`]) and returns its checksum with it.
pub fn encode(len: usize, sent_at: u64, seq: u32, kind: Kind, answers: u64) -> (Vec<u8>, u64) {
    let len = len.max(MIN_LEN);
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&sent_at.to_le_bytes());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&[u8::from(kind == Kind::Pong), 0, 0, 0]);
    bytes.extend_from_slice(&answers.to_le_bytes());
    let mut state = u64::from(seq) | 1 << 40;
    while bytes.len() < len - 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state.to_le_bytes()[0]);
    }
    let checksum = fnv(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    (bytes, checksum)
}

/// Checks a message and takes it apart.
pub fn decode(bytes: &[u8]) -> Result<Payload, String> {
    if bytes.len() < MIN_LEN {
        return Err(format!("a message of {} bytes arrived, the shortest has {MIN_LEN}", bytes.len()));
    }
    let (body, tail) = bytes.split_at(bytes.len() - 8);
    let checksum = word(tail);
    let found = fnv(body);
    if found != checksum {
        return Err(format!("a message arrived damaged: checksum {found:016x}, sent with {checksum:016x}"));
    }
    let seq = u32::from_le_bytes([body[8], body[9], body[10], body[11]]);
    let kind = if body[12] == 0 { Kind::Ping } else { Kind::Pong };
    Ok(Payload { sent_at: word(&body[..8]), seq, kind, answers: word(&body[16..24]), checksum })
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
