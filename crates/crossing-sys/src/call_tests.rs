use super::*;
use crate::{Error, ErrorKind};
use std::error::Error as _;

#[test]
fn texts_are_cut_at_a_character() {
    let text = "\u{e9}".repeat(600);
    assert_eq!(ServiceError::cut(&text).len(), 512);
    assert_eq!(ServiceError::new(1, format!("x{text}")).text().len(), 511);
    // A character that is cut is told as one that is none.
    let read = ServiceError::read(2, format!("x{text}").as_bytes());
    assert!(read.text().len() <= ServiceError::MAX_TEXT_LEN && read.text().starts_with("x\u{e9}"));
    assert!(ServiceError::read(3, &[0xff; 9999]).text().len() <= ServiceError::MAX_TEXT_LEN);
}

#[test]
fn each_has_its_kind_and_is_found_again() {
    let said = ServiceError::new(7, "no coffee");
    for (call, kind) in [
        (CallError::Application(said.clone()), ErrorKind::Application { code: 7 }),
        (CallError::NoServer, ErrorKind::Disconnected),
        (CallError::ServerDied, ErrorKind::Disconnected),
        (CallError::DeadlinePassed, ErrorKind::TimedOut),
        (CallError::Cancelled, ErrorKind::Cancelled),
        (CallError::Refused, ErrorKind::LimitReached),
    ] {
        let error = Error::of_call(call.clone(), "call", "shm:x").detail("more");
        assert_eq!((error.kind(), error.call()), (kind, Some(&call)));
        assert!(error.to_string().contains(&call.to_string()), "{error}");
        assert_eq!(error.source().unwrap().downcast_ref(), Some(&call));
    }
    assert_eq!(Error::new(ErrorKind::TimedOut, "wait for", "x").call(), None);
}
