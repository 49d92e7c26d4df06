use super::*;
use proptest::prelude::*;

#[test]
fn names_that_would_leave_the_directory_are_refused() {
    for bad in ["", ".", "..", "../x", ".hidden", "a\0b", &"x".repeat(81)] {
        assert_eq!(encode(bad).unwrap_err().kind(), ErrorKind::ApiMisuse, "{bad:?}");
    }
    assert_eq!(encode("md/ticks").unwrap(), "md%2Fticks");
    assert_eq!(encode("a/../b").unwrap(), "a%2F..%2Fb");
}

proptest! {
    #[test]
    fn every_name_comes_back(name in "\\PC{1,20}") {
        if let Ok(entry) = encode(&name) {
            prop_assert!(!entry.contains('/') && entry.len() <= 240);
            let back = decode(&entry);
            prop_assert_eq!(back.as_deref(), Some(name.as_str()));
        }
    }

    #[test]
    fn decoding_never_panics_and_never_invents(entry in "\\PC{0,40}") {
        if let Some(name) = decode(&entry) {
            prop_assert_eq!(encode(&name).unwrap(), entry);
        }
    }
}
