use super::{MappingOptions, NamedEvent, NamedMapping, NamedMutex, NamedSemaphore, Namespace, Reset};
use crate::ErrorKind;
use crate::file::Access;

#[test]
fn names_are_checked() {
    let long = "x".repeat(super::MAX_NAME_LEN + 1);
    for name in ["", "a\\b", "a\0b", &long] {
        let kind = |error: crate::Error| error.kind();
        assert_eq!(
            kind(NamedMutex::open(name, Namespace::Local).unwrap_err()),
            ErrorKind::ApiMisuse,
            "{name:?}"
        );
        let semaphore = NamedSemaphore::create(name, Namespace::Global, 0, 1, Access::Private);
        assert_eq!(kind(semaphore.unwrap_err()), ErrorKind::ApiMisuse, "{name:?}");
        let event = NamedEvent::create(name, Namespace::Local, Reset::Auto, false, Access::Private);
        assert_eq!(kind(event.unwrap_err()), ErrorKind::ApiMisuse, "{name:?}");
        assert_eq!(
            kind(NamedMapping::create(name, 1, &MappingOptions::default()).unwrap_err()),
            ErrorKind::ApiMisuse,
            "{name:?}"
        );
    }
}

#[test]
fn numbers_are_checked() {
    for (initial, max) in [(0, 0), (2, 1), (0, NamedSemaphore::MAX_VALUE + 1)] {
        let made = NamedSemaphore::create("numbers", Namespace::Local, initial, max, Access::Private);
        assert_eq!(made.unwrap_err().kind(), ErrorKind::ApiMisuse, "{initial} of {max}");
    }
    let made = NamedMapping::create("numbers", 0, &MappingOptions::default());
    assert_eq!(made.unwrap_err().kind(), ErrorKind::ApiMisuse);
}

#[cfg(unix)]
#[test]
fn elsewhere_the_error_tells_what_to_use() {
    let error = NamedMutex::create("gate", Namespace::Local, Access::Private).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("posix:/NAME"), "{error}");
    let error = NamedMapping::open("prices", Namespace::Global, true).unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::Unsupported, "Global\\prices"));
    assert!(error.to_string().contains("sysv:PATH:ID"), "{error}");
}

#[cfg(windows)]
#[path = "kernel_object/windows_tests.rs"]
mod windows;
