use super::*;
use proptest::prelude::*;

#[test]
fn the_bytes_are_those_of_the_format_page() {
    let mut out = Vec::new();
    Call::Request { id: 0x0102, millis: 500, payload: b"hi" }.encode(&mut out);
    assert_eq!(out, [1, 0, 0, 0, 0xf4, 1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, b'h', b'i']);
}

#[test]
fn every_kind_comes_back() {
    let mut all = vec![
        Call::Request { id: 1, millis: 0, payload: b"" },
        Call::Reply { id: u64::MAX, payload: b"x" },
        Call::Cancel { id: 3 },
    ];
    all.extend(Refusal::ALL.map(|(refusal, _)| Call::Failure { id: 2, refusal, text: b"why" }));
    for call in all {
        let mut out = Vec::new();
        call.encode(&mut out);
        assert_eq!(Call::decode(&out), Ok(call));
        assert_eq!(Call::decode(&out[..CALL_LEN - 1]), Err(DecodeError::BadServiceFrame));
        out[1] = 1;
        assert_eq!(Call::decode(&out), Err(DecodeError::BadServiceFrame));
    }
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(call) = Call::decode(&bytes) {
            let mut again = Vec::new();
            call.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}
