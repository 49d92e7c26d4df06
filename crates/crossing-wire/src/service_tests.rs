use super::*;
use proptest::prelude::*;

#[test]
fn the_bytes_are_those_of_the_format_page() {
    let mut out = Vec::new();
    Call::Request { id: 0x0102, millis: 500, window: 0, payload: b"hi" }.encode(&mut out);
    assert_eq!(out, [1, 0, 0, 0, 0xf4, 1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, b'h', b'i']);
    out.clear();
    Call::Request { id: 3, millis: 0, window: 0x0201, payload: b"" }.encode(&mut out);
    assert_eq!(out, [5, 0, 1, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    out.clear();
    Call::Error { id: 4, code: 0x0102, text: b"no" }.encode(&mut out);
    assert_eq!(out, [9, 0, 0, 0, 2, 1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, b'n', b'o']);
}

#[test]
fn every_kind_comes_back() {
    let mut all = vec![
        Call::Request { id: 1, millis: 0, window: 0, payload: b"" },
        Call::Reply { id: u64::MAX, payload: b"x" },
        Call::Cancel { id: 3 },
        Call::Request { id: 4, millis: 7, window: u16::MAX, payload: b"many" },
        Call::Part { id: 5, payload: b"" },
        Call::End { id: 6 },
        Call::Credit { id: 7, parts: 1 },
        Call::Error { id: 8, code: u32::MAX, text: b"why" },
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

#[test]
fn what_no_frame_can_say_is_not_read() {
    let wrong = Err(DecodeError::BadServiceFrame);
    for (kind, rest) in [
        // A window is a stream's request's alone, and not 0 there.
        (1, [0, 1, 0, 0, 0, 0, 0]),
        (2, [0, 1, 0, 0, 0, 0, 0]),
        (5, [0, 0, 0, 0, 0, 0, 0]),
        // No parts more; no number.
        (8, [0, 0, 0, 0, 0, 0, 0]),
        (9, [0, 0, 0, 0, 0, 0, 0]),
        (10, [0, 0, 0, 0, 0, 0, 0]),
        (0, [0, 0, 0, 0, 0, 0, 0]),
    ] {
        let frame: Vec<u8> = [kind].into_iter().chain(rest).chain([0; 8]).collect();
        assert_eq!(Call::decode(&frame), wrong, "{kind}");
    }
    // An end has no payload.
    let mut end = Vec::new();
    Call::End { id: 1 }.encode(&mut end);
    end.push(0);
    assert_eq!(Call::decode(&end), wrong);
}

fn any_call() -> impl Strategy<Value = (u8, u64, u32, u16, Vec<u8>)> {
    (0..9_u8, any::<u64>(), 1..=u32::MAX, any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40))
}

proptest! {
    #[test]
    fn what_was_written_is_read((kind, id, word, window, payload) in any_call()) {
        let payload = &payload[..];
        let call = match kind {
            0 => Call::Request { id, millis: word, window, payload },
            1 => Call::Reply { id, payload },
            2 => Call::Failure { id, refusal: Refusal::ALL[word as usize % Refusal::ALL.len()].0, text: payload },
            3 => Call::Cancel { id },
            4 => Call::Part { id, payload },
            5 => Call::End { id },
            6 => Call::Credit { id, parts: word },
            7 => Call::Error { id, code: word, text: payload },
            _ => Call::Request { id, millis: word, window: 0, payload },
        };
        let mut out = Vec::new();
        call.encode(&mut out);
        prop_assert_eq!(Call::decode(&out), Ok(call));
    }

    #[test]
    fn what_is_read_is_what_was_written(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(call) = Call::decode(&bytes) {
            let mut again = Vec::new();
            call.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}
