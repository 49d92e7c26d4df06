//! The frames of services on anything: no panic, and what is read is what was written.
//!
//! Run: `cargo +nightly fuzz run service`.
#![no_main]

use crossing_wire::service::{CALL_LEN, Call};
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
});
