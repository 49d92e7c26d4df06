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

#[test]
fn names_that_windows_would_confuse_are_told_apart() {
    let entry = |name: &str| encode_for(name, false).unwrap();
    assert_eq!(entry("Prices"), "%50rices");
    assert_eq!(entry("prices"), "prices");
    assert_eq!(entry("prices."), "prices%2E");
    assert_eq!(entry("nul"), "%6Eul");
    assert_eq!(entry("com1.x"), "%63om1.x");
    assert_eq!(entry("console"), "console");
}

proptest! {
    #[test]
    fn every_name_comes_back(name in "\\PC{1,20}", case_sensitive: bool) {
        if let Ok(entry) = encode_for(&name, case_sensitive) {
            prop_assert!(!entry.contains('/') && entry.len() <= 240);
            let back = decode_for(&entry, case_sensitive);
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
