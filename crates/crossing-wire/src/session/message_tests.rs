use super::*;
use crate::{Decoder, FRAME_HEADER_LEN, Preamble};
use proptest::prelude::*;

const TERMS: Terms = Terms { received: 7, window: 0x0102_0304, dead_after: Duration::from_millis(0x0506) };

fn all() -> Vec<Message<'static>> {
    let open = Open { id: SessionId([9; 16]), attempt: 3, new: true, terms: TERMS };
    let mut all = vec![
        Message::Open(open),
        Message::Open(Open { new: false, ..open }),
        Message::Accept(TERMS),
        Message::Data { seq: 1, ack: 2, payload: b"abc" },
        Message::Data { seq: u64::MAX, ack: 0, payload: b"" },
        Message::Ack(5),
        Message::Fin { seq: 6, ack: 7 },
        Message::Close { complete: true },
        Message::Close { complete: false },
    ];
    all.extend(Refusal::ALL.map(|(refusal, _)| Message::Refuse(refusal)));
    all
}

#[test]
fn every_frame_comes_back() {
    let mut bytes = Preamble::new(1000).for_sessions().encode().to_vec();
    for message in all() {
        message.encode(&mut bytes);
    }
    let mut decoder = Decoder::for_sessions(1000);
    decoder.feed(&bytes);
    for message in all() {
        let frame = decoder.next_frame().unwrap().unwrap();
        assert_eq!(Message::decode(frame.kind, frame.payload), Ok(message));
    }
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn the_bytes_are_those_of_the_format_page() {
    let mut bytes = Vec::new();
    Message::Open(Open { id: SessionId([9; 16]), attempt: 3, new: true, terms: TERMS }).encode(&mut bytes);
    let mut expected = vec![OPEN_LEN as u8, 0, 0, 0, 3, 0, 0, 0];
    expected.extend([9; 16]);
    expected.extend([3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([4, 3, 2, 1, 6, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes, expected);
    bytes.clear();
    Message::Data { seq: 1, ack: 2, payload: b"x" }.encode(&mut bytes);
    assert_eq!(bytes[..8], [17, 0, 0, 0, 6, 0, 0, 0]);
    assert_eq!(bytes[8..], [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, b'x']);
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for message in all().into_iter().filter(|message| !matches!(message, Message::Data { .. })) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let payload = &bytes[FRAME_HEADER_LEN..];
        let short = Message::decode(message.kind(), &payload[..payload.len() - 1]);
        assert_eq!(short, Err(DecodeError::BadSessionFrame(message.kind())), "{message:?}");
        if !matches!(message, Message::Refuse(_)) {
            let long = [payload, &[0]].concat();
            assert!(Message::decode(message.kind(), &long).is_err(), "{message:?}");
        }
    }
    assert!(Message::decode(Kind::Message, &[0; NUMBERS_LEN - 1]).is_err());
    assert!(Message::decode(Kind::Data, b"x").is_err());
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(kind in 0_u8..12, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let Some(kind) = Kind::from_code(kind) else { return Ok(()) };
        if let Ok(message) = Message::decode(kind, &bytes) {
            let mut again = Vec::new();
            message.encode(&mut again);
            // A refusal's reason is for people and not kept.
            let kept = if kind == Kind::Refuse { 1 } else { bytes.len() };
            prop_assert_eq!(&again[FRAME_HEADER_LEN..], &bytes[..kept]);
        }
    }
}
