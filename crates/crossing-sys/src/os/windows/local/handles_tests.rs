use super::*;

#[test]
fn only_whole_records_with_possible_numbers_are_read() {
    let good = message(&[], b"bytes");
    assert_eq!(Record::read(&good).unwrap().bytes, BYTES_AT..BYTES_AT + 5);
    assert!(Record::read(&good[..MESSAGE_LEN - 1]).is_none(), "a message of bytes");
    // Magic, too many handles, no bytes, too many bytes.
    for (at, value) in [(0, [0; 4]), (16, [0xff; 4]), (20, [0; 4]), (20, [0xff; 4])] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value);
        assert!(Record::read(&bad).is_none(), "{at}");
    }
}

/// The pseudo handles (this process, this thread, the tokens) name something in every process.
#[test]
fn numbers_that_every_process_has_are_never_pulled() {
    for value in [0, u64::MAX, u64::MAX - 1, u64::MAX - 5, u64::from(u32::MAX), 1 << 40] {
        assert!(!is_plausible(value), "{value:#x}");
    }
    assert!(is_plausible(4) && is_plausible(0xffff));
}
