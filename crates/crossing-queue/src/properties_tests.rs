use super::{Properties, PropertiesRef};
use proptest::prelude::*;

#[test]
fn what_was_set_is_read_and_a_later_value_replaces_an_earlier_one() {
    let mut properties = Properties::new();
    assert!(properties.is_empty());
    properties.set("a", b"1").reply_to("shm:answers").set("a", b"2").correlation_id(u64::MAX).set("", b"");
    let seen = PropertiesRef(properties.encoded());
    assert_eq!(seen.get("a"), Some(&b"2"[..]));
    assert_eq!((seen.reply_to().as_deref(), seen.correlation_id()), (Some("shm:answers"), Some(u64::MAX)));
    assert_eq!(seen.get(""), Some(&b""[..]));
    assert_eq!((seen.get("b"), seen.iter().count()), (None, 4));
}

#[test]
fn long_keys_are_cut_between_letters() {
    let mut properties = Properties::new();
    let long = "ä".repeat(200);
    properties.set(&long, &[1; 70_000]);
    let (key, value) = PropertiesRef(properties.encoded()).iter().next().unwrap();
    assert_eq!((key.len(), value.len()), (254, 65_535));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let seen = PropertiesRef(&bytes);
        let total: usize = seen.iter().map(|(_, value)| value.len()).sum();
        prop_assert!(total <= bytes.len());
        let _ = (seen.reply_to(), seen.correlation_id());
    }
}
