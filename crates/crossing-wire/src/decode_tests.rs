use super::*;
use crate::{Encoder, Preamble};
use proptest::prelude::*;

const MAX: usize = 1 << 20;

fn stream(frames: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    let encoder = Encoder::new(MAX);
    let mut bytes = encoder.preamble().to_vec();
    for (kind, payload) in frames {
        encoder.encode(*kind, payload, &mut bytes).unwrap();
    }
    bytes
}

/// All frames that come out while `pieces` go in.
fn decode<'a>(
    decoder: &mut Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<(Kind, Vec<u8>)>, DecodeError> {
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            let ready = decoder.is_ready();
            let next = decoder.next_frame();
            assert_eq!(ready, !matches!(next, Ok(None)), "is_ready tells what next_frame does");
            match next? {
                Some(frame) => frames.push((frame.kind, frame.payload.to_vec())),
                None => break,
            }
        }
    }
    Ok(frames)
}

fn raw_frame(len: u32, rest: [u8; 4]) -> Vec<u8> {
    [&Preamble::new(MAX).encode()[..], &len.to_le_bytes(), &rest].concat()
}

#[test]
fn byte_by_byte_gives_the_same_frames() {
    let frames = [(Kind::Data, b"one".to_vec()), (Kind::Data, vec![]), (Kind::Data, vec![7; 70_000])];
    let bytes = stream(&frames);
    let mut decoder = Decoder::new(MAX);
    assert_eq!(decode(&mut decoder, bytes.chunks(1)).unwrap(), frames);
    assert_eq!((decoder.buffered(), decoder.peer()), (0, Some(Preamble::new(MAX))));
}

#[test]
fn the_limit_itself_passes_and_one_more_byte_does_not() {
    let bytes = stream(&[(Kind::Data, vec![1; 100])]);
    assert_eq!(decode(&mut Decoder::new(100), [&bytes[..]]).unwrap().len(), 1);
    let mut decoder = Decoder::new(99);
    let error = decode(&mut decoder, [&bytes[..]]).unwrap_err();
    assert_eq!(error, DecodeError::FrameTooLarge { len: 100, max: 99 });
    // It stays at its error, whatever comes.
    decoder.feed(&stream(&[]));
    assert_eq!(decoder.next_frame(), Err(error));
}

#[test]
fn a_frame_announced_but_not_sent_costs_no_memory() {
    let mut decoder = Decoder::new(FRAME_LEN_LIMIT);
    decoder.feed(&raw_frame(FRAME_LEN_LIMIT as u32, [1, 0, 0, 0]));
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(!decoder.space().is_empty());
    assert!(decoder.buffer.len() <= 4 * READ_AHEAD, "{} bytes held", decoder.buffer.len());
}

#[test]
fn memory_stays_below_the_limit_plus_what_is_read_ahead() {
    let payload = vec![3; 300_000];
    let bytes = stream(&vec![(Kind::Data, payload); 20]);
    let mut decoder = Decoder::new(300_000);
    decode(&mut decoder, bytes.chunks(9_999)).unwrap();
    assert!(decoder.buffer.len() <= 300_000 + READ_AHEAD + FRAME_HEADER_LEN, "{}", decoder.buffer.len());
}

#[test]
fn wrong_headers_are_refused() {
    let one = |bytes: Vec<u8>| decode(&mut Decoder::new(MAX), [&bytes[..]]).unwrap_err();
    assert_eq!(one(raw_frame(1, [9, 0, 0, 0])), DecodeError::UnknownKind(9));
    assert_eq!(one(raw_frame(1, [0, 0, 0, 0])), DecodeError::UnknownKind(0));
    for reserved in [[1, 1, 0, 0], [2, 0, 1, 0], [1, 0, 0, 128]] {
        assert_eq!(one(raw_frame(0, reserved)), DecodeError::ReservedBits);
    }
    assert_eq!(one(raw_frame(1, [1, 0, 1, 0])), DecodeError::TooManyHandles { count: 1, max: 0 });
    assert_eq!(one(raw_frame(1, [2, 0, 0, 0])), DecodeError::UnexpectedPayload);
    assert!(matches!(one(raw_frame(u32::MAX, [1, 0, 0, 0])), DecodeError::FrameTooLarge { .. }));
    let after = stream(&[(Kind::End, vec![]), (Kind::Data, vec![1])]);
    assert_eq!(one(after), DecodeError::AfterEnd);
    assert!(matches!(one(b"SSH-2.0".to_vec()), DecodeError::BadMagic { .. }));
}

#[test]
fn handles_are_announced_before_their_frame_is_whole() {
    let mut decoder = Decoder::new(MAX).taking_handles(3);
    assert_eq!(decoder.announced_handles(), None);
    let bytes = raw_frame(2, [1, 0, 3, 0]);
    decoder.feed(&bytes[..bytes.len() - 1]);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.announced_handles(), None);
    decoder.feed(&bytes[bytes.len() - 1..]);
    decoder.feed(b"a");
    assert_eq!((decoder.announced_handles(), decoder.next_frame()), (Some(3), Ok(None)));
    decoder.feed(b"b");
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!((frame.handles, frame.payload), (3, &b"ab"[..]));
    decoder.feed(&[0, 0, 0, 0, 1, 0, 4, 0]);
    assert_eq!(decoder.announced_handles(), None);
    assert_eq!(decoder.next_frame(), Err(DecodeError::TooManyHandles { count: 4, max: 3 }));
}

#[test]
fn the_end_is_seen() {
    let mut decoder = Decoder::new(MAX);
    let frames = [(Kind::Data, b"last".to_vec()), (Kind::End, vec![])];
    assert_eq!(decode(&mut decoder, [&stream(&frames)[..]]).unwrap(), frames);
    assert!(decoder.ended());
    assert_eq!(decoder.next_frame(), Ok(None));
}

#[test]
fn advancing_beyond_the_space_stops_at_its_end() {
    let mut decoder = Decoder::new(MAX);
    let room = decoder.space().len();
    decoder.advance(usize::MAX);
    assert_eq!(decoder.buffered(), room);
    assert!(decoder.next_frame().is_err());
}

fn frames() -> impl Strategy<Value = Vec<(Kind, Vec<u8>)>> {
    let payload = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (0_usize..200_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    proptest::collection::vec(payload.prop_map(|payload| (Kind::Data, payload)), 0..8)
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        frames in frames(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
    ) {
        let bytes = stream(&frames);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
        let mut decoder = Decoder::new(MAX);
        prop_assert_eq!(decode(&mut decoder, pieces).unwrap(), frames);
        prop_assert_eq!(decoder.buffered(), 0);
    }

    #[test]
    fn garbage_never_panics_and_never_grows_without_bound(
        begins_well in any::<bool>(),
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
        max in 0_usize..5_000,
    ) {
        let mut decoder = Decoder::new(max);
        if begins_well {
            decoder.feed(&Preamble::new(max).encode());
        }
        let _ = decode(&mut decoder, pieces.iter().map(Vec::as_slice));
        prop_assert!(decoder.buffer.len() <= 2 * READ_AHEAD + max);
    }

    #[test]
    fn one_damaged_byte_never_panics_nor_changes_earlier_frames(
        frames in frames(),
        at in any::<proptest::sample::Index>(),
        bit in 0_u32..8,
    ) {
        let mut bytes = stream(&frames);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut decoder = Decoder::new(MAX);
        let mut seen = 0;
        let mut offset = PREAMBLE_LEN;
        decoder.feed(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            let end = offset + FRAME_HEADER_LEN + frame.payload.len();
            if end <= at {
                prop_assert_eq!(frame.payload, &frames[seen].1[..]);
            }
            seen += 1;
            offset = end;
        }
    }
}
