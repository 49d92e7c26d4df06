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

#[test]
fn handles_are_counted_and_go_where_they_are_taken() {
    let mut encoder = Encoder::new(100).taking_handles(3);
    assert_eq!(encoder.preamble()[17], 3);
    // Nothing is known of the peer yet.
    let error = encoder.header_with_handles(4, 1).unwrap_err();
    assert_eq!(error, EncodeError::TooManyHandles { count: 1, max: 0 });
    encoder.set_handle_limit(2);
    assert_eq!(encoder.header_with_handles(4, 2), Ok([4, 0, 0, 0, 1, 0, 2, 0]));
    assert_eq!(encoder.header_with_handles(4, 0), encoder.header(Kind::Data, 4));
    for count in [3, 256, 258] {
        let error = encoder.header_with_handles(4, count).unwrap_err();
        assert_eq!(error, EncodeError::TooManyHandles { count, max: 2 });
    }
    encoder.set_limit(3);
    assert_eq!(encoder.header_with_handles(4, 1), Err(EncodeError::TooLarge { len: 4, max: 3 }));
}
