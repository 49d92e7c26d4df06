#![allow(unsafe_code)] // descriptors taken apart

use super::*;
use crate::ErrorKind;
use crate::testing::Place;
use windows_sys::Win32::Security::{GetSecurityDescriptorOwner, SetFileSecurityW};

const STRANGER: &str = "S-1-5-21-1111111111-222222222-333333333-1044";

/// What a descriptor would grant if something were made with it.
fn grants(descriptor: &Descriptor) -> Grants {
    let raw = descriptor.attributes.lpSecurityDescriptor;
    let (mut owner, mut list, mut present, mut defaulted) = (ptr::null_mut(), ptr::null_mut(), 0, 0);
    // SAFETY: a valid descriptor, and places for the results.
    assert!(unsafe { GetSecurityDescriptorOwner(raw, &raw mut owner, &raw mut defaulted) } != 0);
    // SAFETY: as above.
    let done = unsafe { GetSecurityDescriptorDacl(raw, &raw mut present, &raw mut list, &raw mut defaulted) };
    assert!(done != 0 && present != 0);
    read_grants(owner, list).unwrap()
}

fn of_sddl(text: &str) -> Grants {
    grants(&Descriptor::from_sddl(text).unwrap())
}

#[test]
fn private_is_the_user_and_the_system_and_nobody_else() {
    let user = current_user_sid().unwrap();
    let text = sddl(Access::Private, "", "GA").unwrap();
    assert_eq!(text, format!("O:{user}D:P(A;;GA;;;{user})(A;;GA;;;SY)"));
    let found = grants(&Descriptor::for_access(Access::Private).unwrap());
    assert!(found.owner_is_trusted && found.strangers_write.is_none());
    assert_eq!(found.access, Access::Private);
}

#[test]
fn wider_access_adds_one_entry_and_none_that_changes_directories() {
    let group = current_group_sid().unwrap();
    for (access, who) in [(Access::Group, group), (Access::World, "WD")] {
        let added = sddl(access, "", "GA").unwrap();
        let added = added.strip_prefix(&sddl(Access::Private, "", "GA").unwrap()).unwrap();
        assert_eq!(added, format!("(A;;GA;;;{who})"));
        let directory = grants(&Descriptor::for_directory(access).unwrap());
        assert!(directory.owner_is_trusted && directory.strangers_write.is_none(), "{access:?}");
    }
    assert_eq!(grants(&Descriptor::for_access(Access::World).unwrap()).access, Access::World);
    assert_eq!(grants(&Descriptor::for_directory(Access::World).unwrap()).access, Access::World);
}

#[test]
fn every_right_that_changes_a_directory_is_seen() {
    let user = current_user_sid().unwrap();
    for right in ["GA", "GW", "WD", "WO", "SD", "0x2", "0x4", "0x40"] {
        let found = of_sddl(&format!("O:{user}D:P(A;;GA;;;{user})(A;;{right};;;{STRANGER})"));
        assert_eq!(found.strangers_write.as_deref(), Some(STRANGER), "{right}");
    }
    let found = of_sddl(&format!("O:{user}D:P(A;;GRGX;;;{STRANGER})"));
    assert!(found.strangers_write.is_none(), "looking is not changing");
    let found = of_sddl(&format!("O:{user}D:P(A;OICIIO;GA;;;{STRANGER})"));
    assert!(found.strangers_write.is_none(), "an entry for children only");
    let found = of_sddl(&format!("O:{user}D:P(D;;GA;;;{STRANGER})"));
    assert!(found.strangers_write.is_none(), "a denial");
}

#[test]
fn the_owner_and_a_missing_list_are_seen() {
    let user = current_user_sid().unwrap();
    assert!(!of_sddl(&format!("O:{STRANGER}D:P(A;;GA;;;{user})")).owner_is_trusted);
    assert!(of_sddl(&format!("O:BAD:P(A;;GA;;;{user})")).owner_is_trusted);
    let descriptor = Descriptor::from_sddl(&format!("O:{user}D:P(A;;GA;;;{user})")).unwrap();
    let (mut owner, mut defaulted) = (ptr::null_mut(), 0);
    let raw = descriptor.attributes.lpSecurityDescriptor;
    // SAFETY: a valid descriptor, and places for the results.
    assert!(unsafe { GetSecurityDescriptorOwner(raw, &raw mut owner, &raw mut defaulted) } != 0);
    let open = read_grants(owner, ptr::null()).unwrap();
    assert_eq!((open.strangers_write.as_deref(), open.access), (Some("everybody"), Access::World));
}

#[test]
fn a_squatters_directory_is_refused_and_told() {
    let place = Place::new();
    let path = place.0.join("squatted");
    std::fs::create_dir(&path).unwrap();
    let user = current_user_sid().unwrap();
    let descriptor =
        Descriptor::from_sddl(&format!("O:{user}D:P(A;OICI;GA;;;{user})(A;OICI;GA;;;WD)")).unwrap();
    let name = wide(&path).unwrap();
    // Set, not created with it: the Unix below Wine would mask the rights at creation.
    // SAFETY: a string that ends in 0; the descriptor lives through the call.
    let done = unsafe {
        SetFileSecurityW(name.as_ptr(), DACL_SECURITY_INFORMATION, descriptor.attributes.lpSecurityDescriptor)
    };
    assert!(done != 0);
    let error = crate::directory::make(&path, Access::Private).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let text = error.to_string();
    assert!(text.contains(EVERYONE) && text.contains("CROSSING_RUNTIME_DIR"), "{text}");
    let file = place.0.join("file");
    std::fs::write(&file, b"").unwrap();
    let error = crate::directory::make(&file, Access::Private).unwrap_err();
    assert!(error.to_string().contains("not a directory"), "{error}");
}
