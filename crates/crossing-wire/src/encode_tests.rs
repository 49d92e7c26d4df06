use super::*;

#[test]
fn the_bytes_are_those_of_the_format_page() {
    let mut out = Vec::new();
    Encoder::new(100).encode(Kind::Data, b"abc", &mut out).unwrap();
    assert_eq!(out, [3, 0, 0, 0, 1, 0, 0, 0, b'a', b'b', b'c']);
    out.clear();
    Encoder::new(100).encode(Kind::End, b"", &mut out).unwrap();
    assert_eq!(out, [0, 0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn the_receivers_limit_holds() {
    let mut encoder = Encoder::new(100);
    encoder.set_limit(4);
    let mut out = vec![9];
    encoder.encode(Kind::Data, b"four", &mut out).unwrap();
    let before = out.clone();
    let error = encoder.encode(Kind::Data, b"fives", &mut out).unwrap_err();
    assert_eq!(error, EncodeError::TooLarge { len: 5, max: 4 });
    assert_eq!(out, before);
    encoder.set_limit(usize::MAX);
    assert_eq!(encoder.limit(), FRAME_LEN_LIMIT);
}
