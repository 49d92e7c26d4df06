//! The frames of services on anything: no panic, and what is read is what was written.
//!
//! Run: `cargo +nightly fuzz run service`.
#![no_main]

use crossing_wire::service::Call;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(call) = Call::decode(data) {
        let mut again = Vec::new();
        call.encode(&mut again);
        assert_eq!(again, data);
    }
});
