//! The frames of services on anything: no panic, and what is read is what was written.
//!
//! Run: `cargo +nightly fuzz run service`.
#![no_main]

use crossing_wire::service::{CALL_LEN, Call, Refusal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(call) = Call::decode(data) {
        let mut again = Vec::new();
        call.encode(&mut again);
        assert_eq!(again, data);
        // Bounds that both sides rely on: only requests may have a window, credits and errors say something.
        match call {
            Call::Credit { parts, .. } => assert_ne!(parts, 0),
            Call::Error { code, .. } => assert_ne!(code, 0),
            _ => {}
        }
        assert!(CALL_LEN <= data.len());
    }
    written(data);
});

/// What a side writes is read as the same, unless no frame can say it.
fn written(data: &[u8]) {
    let Some(([kind, a, b, c, d, low, high], rest)) = data.split_first_chunk::<7>() else { return };
    let Some((id, payload)) = rest.split_first_chunk::<8>() else { return };
    let (id, word) = (u64::from_le_bytes(*id), u32::from_le_bytes([*a, *b, *c, *d]));
    let window = u16::from_le_bytes([*low, *high]);
    let refusals = [Refusal::Application, Refusal::TooMany, Refusal::TimedOut, Refusal::Dropped];
    let refusal = refusals[word as usize % refusals.len()];
    let call = match kind % 8 {
        0 => Call::Request { id, millis: word, window, payload },
        1 => Call::Reply { id, payload },
        2 => Call::Failure { id, refusal, text: payload },
        3 => Call::Cancel { id },
        4 => Call::Part { id, payload },
        5 => Call::End { id },
        6 => Call::Credit { id, parts: word },
        _ => Call::Error { id, code: word, text: payload },
    };
    let mut bytes = Vec::new();
    call.encode(&mut bytes);
    let says_nothing = matches!(call, Call::Credit { parts: 0, .. } | Call::Error { code: 0, .. });
    assert_eq!(Call::decode(&bytes).ok(), (!says_nothing).then_some(call));
}
