use super::*;
use proptest::prelude::*;

#[test]
fn names_that_would_leave_the_directory_are_refused() {
    for bad in ["", ".", "..", "../x", ".hidden", "a\0b", &"x".repeat(81)] {
        assert_eq!(encode(bad).unwrap_err().kind(), ErrorKind::ApiMisuse, "{bad:?}");
    }
    assert_eq!(encode("md ticks").unwrap(), entry(None, "md%20ticks"));
    assert_eq!(encode_for("a/../b.c", true).unwrap(), entry(Some("a%2F..+"), "b.c"));
    assert_eq!(encode_for("a/..", true).unwrap(), entry(Some("a+"), "%2E."));
    assert_eq!(encode_for("a/..", false).unwrap(), entry(Some("a+"), "%2E%2E"));
    assert_eq!(encode("a/.hidden").unwrap(), entry(Some("a+"), "%2Ehidden"));
}

fn entry(group: Option<&str>, own: &str) -> Entry {
    Entry { group: group.map(str::to_owned), own: own.to_owned() }
}

#[test]
fn a_name_lies_in_the_directory_of_what_stands_before_its_last_slash() {
    assert_eq!(encode("topic/md/pub-1").unwrap(), entry(Some("topic%2Fmd+"), "pub-1"));
    assert_eq!(encode_group("topic/md").unwrap(), "topic%2Fmd+");
    assert_eq!(decode_group("topic%2Fmd+").as_deref(), Some("topic/md"));
    // A name and a group of the same letters are two things, and what is in a group is found there alone.
    assert_eq!(encode("topic/md").unwrap(), entry(Some("topic+"), "md"));
    assert_eq!(encode("md").unwrap(), entry(None, "md"));
    assert_eq!(encode("md+").unwrap(), entry(None, "md%2B"));
    assert_eq!((decode_group("md"), decode_group("%2Emd+"), decode_group("+")), (None, None, None));
    assert_eq!(decode(None, "topic%2Fmd"), None);
    assert_eq!(decode(Some("topic"), "md%2Fx"), None);
    // Slashes with nothing on one side make no group.
    for name in ["/md", "md/", "/", "//"] {
        assert_eq!(encode(name).unwrap().group, None, "{name}");
    }
    assert_eq!(encode("md//x").unwrap(), entry(Some("md%2F+"), "x"));
}

#[test]
fn names_that_windows_would_confuse_are_told_apart() {
    let entry = |name: &str| encode_for(name, false).unwrap().own;
    assert_eq!(entry("Prices"), "%50rices");
    assert_eq!(entry("prices"), "prices");
    assert_eq!(entry("prices."), "prices%2E");
    assert_eq!(entry("nul"), "%6Eul");
    assert_eq!(entry("com1.x"), "%63om1.x");
    assert_eq!(entry("console"), "console");
    assert_eq!(entry("topic/Nul/aux"), "%61ux");
    assert_eq!(encode_for("Com1/x", false).unwrap().group.as_deref(), Some("%43om1+"));
}

proptest! {
    #[test]
    fn every_name_comes_back(name in "[a-zA-C./+%é\\PC]{1,20}", case_sensitive: bool) {
        if let Ok(Entry { group, own }) = encode_for(&name, case_sensitive) {
            let plain = |entry: &str| !entry.contains('/') && !entry.starts_with('.') && entry.len() <= 241;
            prop_assert!(plain(&own) && group.as_deref().is_none_or(plain));
            prop_assert!(!own.contains(GROUP_MARK));
            let prefix = group.as_ref().and_then(|_| name.rsplit_once('/')).map(|(prefix, _)| prefix);
            prop_assert_eq!(prefix.map(|prefix| group_for(prefix, case_sensitive)), group);
            let back = decode_for(prefix, &own, case_sensitive);
            prop_assert_eq!(back.as_deref(), Some(name.as_str()));
        }
    }

    #[test]
    fn decoding_never_panics_and_never_invents(group in "\\PC{0,20}", own in "\\PC{0,40}") {
        for group in [None, Some(group.as_str())] {
            if let Some(name) = decode(group, &own) {
                let entry = encode(&name).unwrap();
                prop_assert_eq!(entry.own, own.clone());
                prop_assert_eq!(entry.group.as_deref().and_then(decode_group), group.map(str::to_owned));
            }
        }
    }

    #[test]
    fn groups_never_invent(entry in "\\PC{0,40}[+]?") {
        if let Some(group) = decode_group(&entry) {
            prop_assert_eq!(encode_group(&group).unwrap(), entry);
        }
    }
}
