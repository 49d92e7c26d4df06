use super::*;

#[test]
fn what_was_encoded_is_decoded() {
    for len in [0, 32, 33, 1000, 20_000] {
        let (bytes, checksum) = encode(len, 77, 5, Kind::Pong, 99);
        assert_eq!(bytes.len(), len.max(MIN_LEN));
        let payload = decode(&bytes);
        assert_eq!(payload, Ok(Payload { sent_at: 77, seq: 5, kind: Kind::Pong, answers: 99, checksum }));
    }
}

#[test]
fn any_changed_or_missing_byte_is_noticed() {
    let (bytes, _) = encode(100, 77, 5, Kind::Ping, 0);
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x10;
        assert!(decode(&damaged).is_err(), "byte {index}");
        assert!(decode(&bytes[..index]).is_err(), "cut at {index}");
    }
}
