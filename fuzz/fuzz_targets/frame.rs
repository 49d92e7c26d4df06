//! The frame decoder on anything: no panic, no growth beyond its limit, the same frames however the bytes are cut.
//!
//! Run: `cargo +nightly fuzz run frame`. The first two bytes choose the limit and the piece length, and whether a valid
//! preamble comes first. With `-- -dict=fuzz/dict/frame.dict` headers are found sooner.
#![no_main]

use crossing_wire::{DecodeError, Decoder, Encoder, Kind, Preamble};
use libfuzzer_sys::fuzz_target;

type Seen = (Vec<(Kind, Vec<u8>, u8)>, Option<DecodeError>);

/// How many handles may go with a frame.
const HANDLES: u8 = 2;

fn run<'a>(max: usize, pieces: impl Iterator<Item = &'a [u8]>) -> Seen {
    let mut decoder = Decoder::new(max).taking_handles(HANDLES);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            let (ready, announced) = (decoder.is_ready(), decoder.announced_handles());
            let next = decoder.next_frame();
            assert_eq!(ready, !matches!(next, Ok(None)));
            match next {
                Ok(Some(frame)) => {
                    assert!(announced.is_none_or(|handles| handles == frame.handles));
                    assert!(frame.payload.len() <= max && frame.handles <= HANDLES);
                    frames.push((frame.kind, frame.payload.to_vec(), frame.handles));
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fuzz_target!(|data: &[u8]| {
    let [limit, piece, rest @ ..] = data else { return };
    let max = usize::from(*limit) * 16;
    let mut bytes = Vec::new();
    if limit % 2 == 0 {
        bytes.extend_from_slice(&Preamble::new(max).encode());
    }
    bytes.extend_from_slice(rest);
    let whole = run(max, std::iter::once(&bytes[..]));
    let cut = run(max, bytes.chunks(usize::from(*piece) + 1));
    assert_eq!(whole.0, cut.0);
    // What was decoded encodes to the bytes that came.
    if whole.1.is_none() && !whole.0.is_empty() {
        let mut encoder = Encoder::new(max);
        encoder.set_handle_limit(HANDLES);
        let mut again = Vec::new();
        for (kind, payload, handles) in &whole.0 {
            if *kind == Kind::Data {
                again.extend(encoder.header_with_handles(payload.len(), usize::from(*handles)).unwrap());
                again.extend(payload);
            } else {
                encoder.encode(*kind, payload, &mut again).unwrap();
            }
        }
        assert_eq!(&bytes[crossing_wire::PREAMBLE_LEN..][..again.len()], &again[..]);
    }
});
