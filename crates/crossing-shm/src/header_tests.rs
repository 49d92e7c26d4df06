use super::*;

#[test]
fn every_scribbled_byte_is_found_out() {
    let header = SegmentHeader::new(1000, 7, false).unwrap();
    header.check("whole", header.file_len()).unwrap();
    for index in 0..size_of::<SegmentHeader>() {
        for flip in [1_u8, 0x80, 0xff] {
            let mut bytes = [0; size_of::<SegmentHeader>()];
            bytes.copy_from_slice(header.as_bytes());
            bytes[index] ^= flip;
            let scribbled = SegmentHeader::read_from_bytes(&bytes).unwrap();
            let kind = scribbled.check("scribbled", header.file_len()).unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Incompatible), "byte {index}: {kind:?}");
        }
    }
}

#[test]
fn a_file_of_another_length_is_found_out() {
    let header = SegmentHeader::new(1000, 7, true).unwrap();
    for len in [0, 1, 8192, 9191, 9193, u64::MAX] {
        assert_eq!(header.check("cut", len).unwrap_err().kind(), ErrorKind::Corrupt, "{len}");
    }
}
