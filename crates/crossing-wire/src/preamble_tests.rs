use super::*;

#[test]
fn the_bytes_are_those_of_the_format_page() {
    let bytes = Preamble::new(0x0102_0304).encode();
    let expected = [
        0x89, b'C', b'R', b'S', b'N', b'E', b'T', b'\n', // magic
        1, 0, 2, 0, // major, minor
        4, 3, 2, 1, // max_frame_len
        0, 0, // flags, max_handles
        0, 0, 0, 0, 0, 0, // reserved
    ];
    assert_eq!(bytes, expected);
    assert_eq!(Preamble::new(0).for_sessions().encode()[16..], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Preamble::new(0).with_handles(7).encode()[16..], [0, 7, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn it_comes_back_and_only_when_whole() {
    let bytes = Preamble::new(77).encode();
    for len in 0..PREAMBLE_LEN {
        assert_eq!(Preamble::decode(&bytes[..len]), Ok(None), "{len} bytes");
    }
    assert_eq!(Preamble::decode(&bytes), Ok(Some(Preamble::new(77))));
    let session = Preamble::new(77).for_sessions();
    assert_eq!(Preamble::decode(&session.encode()), Ok(Some(session)));
    let handles = Preamble::new(77).with_handles(255);
    assert_eq!(Preamble::decode(&handles.encode()), Ok(Some(handles)));
}

#[test]
fn a_foreign_protocol_is_refused_at_its_first_byte() {
    let error = Preamble::decode(b"G").unwrap_err();
    assert!(matches!(error, DecodeError::BadMagic { len: 1, .. }));
    let text = Preamble::decode(b"GET / HTTP/1.1\r\n").unwrap_err().to_string();
    assert!(text.contains("\"GET / HT\""), "{text}");
}

#[test]
fn another_major_version_is_refused_and_both_are_named() {
    let mut bytes = Preamble::new(77).encode();
    bytes[8] = 3;
    bytes[10] = 9;
    let text = Preamble::decode(&bytes).unwrap_err().to_string();
    assert!(text.contains("3.9") && text.contains("1.2"), "{text}");
}

#[test]
fn a_later_minor_version_and_its_reserved_bytes_are_accepted() {
    let mut bytes = Preamble::new(77).encode();
    bytes[10] = 9;
    bytes[20] = 0xff;
    let preamble = Preamble::decode(&bytes).unwrap().unwrap();
    assert_eq!((preamble.minor, preamble.max_frame_len), (9, 77));
}
