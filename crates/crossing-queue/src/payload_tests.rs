//! Queues of values of one type; what holds on every endpoint is in `tests/conformance`.

use crate::{Message, Properties, Queue, QueueOptions, RecvError, SendError, TryRecvError};
use crossing_sync::Plain;
use crossing_sys::ErrorKind;
use std::sync::atomic::{AtomicU32, Ordering};

struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Relaxed: only the number matters.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("shm:crossing-values-test-{}-{number}", std::process::id()))
    }

    fn create<T: Plain>(&self) -> Queue<T> {
        options().create(&self.0).expect("create")
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Queue::unlink(&self.0);
    }
}

fn options<T: Plain>() -> QueueOptions<T> {
    let mut options = Queue::<T>::options();
    options.capacity(8).unlink_on_drop(true);
    options
}

#[test]
fn another_type_or_meaning_is_refused_and_both_are_named() {
    let name = Name::new();
    let mut options = options::<[u32; 6]>();
    let queue = options.schema(0xC0DE).create(&name.0).unwrap();
    let same = options.open(&name.0).unwrap();
    queue.sender().unwrap().send(&[1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(*same.receiver().unwrap().try_recv().unwrap(), [1, 2, 3, 4, 5, 6]);

    let refused = |error: crossing_sys::Error, words: [&str; 2]| {
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    let mine = "schema 0xc0de, size 24, alignment 4";
    let longer = Queue::<[u32; 7]>::options().schema(0xC0DE).open(&name.0).unwrap_err();
    refused(longer, [mine, "schema 0xc0de, size 28, alignment 4"]);
    let narrower = Queue::<[u16; 12]>::options().schema(0xC0DE).open(&name.0).unwrap_err();
    refused(narrower, [mine, "size 24, alignment 2"]);
    let meant_otherwise = Queue::<[u32; 6]>::options().open_or_create(&name.0).unwrap_err();
    refused(meant_otherwise, [mine, "schema 0x0, size 24"]);
}

#[test]
fn a_queue_of_bytes_is_no_queue_of_values() {
    let name = Name::new();
    let _bytes = Queue::<[u8]>::options().capacity(4).unlink_on_drop(true).create(&name.0).unwrap();
    let error = Queue::<u64>::options().open(&name.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains("bytes"), "{error}");
}

#[test]
fn who_asks_for_bytes_sees_values_and_sends_none_of_another_length() {
    let name = Name::new();
    let values = name.create::<u64>();
    let bytes = Queue::<[u8]>::options().open(&name.0).unwrap();
    values.sender().unwrap().send(&7).unwrap();
    assert_eq!(*bytes.receiver().unwrap().try_recv().unwrap(), 7_u64.to_ne_bytes());
    let sender = bytes.sender().unwrap();
    for wrong in [0, 7, 9] {
        let error = sender.send(&[0; 9][..wrong]).unwrap_err();
        let SendError::Os(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
        assert!(error.to_string().contains(&format!("{wrong} bytes, the queue's values have 8")), "{error}");
    }
    sender.send(&8_u64.to_ne_bytes()).unwrap();
    assert_eq!(*values.receiver().unwrap().try_recv().unwrap(), 8);
    assert!(matches!(values.receiver().unwrap().try_recv(), Err(TryRecvError::Empty)));
}

/// Behind properties of odd lengths a value lies where no such value may: it is copied aside.
#[test]
fn values_with_properties_of_every_length() {
    let name = Name::new();
    let queue = name.create::<[u64; 4]>();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    for length in 0..32_usize {
        let mut properties = Properties::new();
        properties.set("p", &vec![b'x'; length]);
        let value = [length as u64, 2, 3, u64::MAX];
        sender.send_message(&Message::of(&value).properties(&properties)).unwrap();
        let got = receiver.try_recv().unwrap();
        assert_eq!((*got, got.properties().get("p").map(<[u8]>::len)), (value, Some(length)));
        assert_eq!(got.into_value(), value);
    }
}

#[test]
fn values_of_every_size() {
    fn round_trip<T: Plain + PartialEq + std::fmt::Debug + Copy>(value: T) {
        let name = Name::new();
        let queue = name.create::<T>();
        let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
        for _ in 0..20 {
            sender.send(&value).unwrap();
            assert_eq!(*receiver.recv().unwrap(), value);
        }
    }
    round_trip(());
    round_trip(1_u8);
    round_trip([1_u8; 3]);
    round_trip(1_u16);
    round_trip(u128::MAX - 5);
    round_trip([7_u64; 9]);
    round_trip([3_u32; 5_000]);
}

#[test]
fn acknowledged_values_come_again_to_the_next() {
    let name = Name::new();
    let mut options = options::<u32>();
    let queue = options.acknowledge(true).create(&name.0).unwrap();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    sender.send_many(&[&5, &6]).unwrap();
    receiver.recv().unwrap().nack().unwrap();
    let again = receiver.recv().unwrap();
    assert_eq!((*again, again.redelivered()), (5, true));
    again.ack().unwrap();
    assert_eq!(receiver.recv().unwrap().into_value(), 6);
    assert_eq!(queue.stats().unwrap().held, 0);
}

#[test]
fn a_limit_below_the_value_is_refused() {
    let name = Name::new();
    let error = Queue::<[u64; 8]>::options().max_len(63).create(&name.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    assert!(error.to_string().contains("64"), "{error}");
}

#[test]
fn a_foreign_message_is_told_of_once_and_gone() {
    let name = Name(format!("mq:/crossing-values-test-{}", std::process::id()));
    let bytes = match Queue::<[u8]>::options().capacity(4).max_len(64).create(&name.0) {
        Err(error) if error.kind() == ErrorKind::Unsupported => return,
        created => created.unwrap(),
    };
    let values = Queue::<u64>::options().open(&name.0).unwrap();
    bytes.sender().unwrap().send(b"no number").unwrap();
    values.sender().unwrap().send(&9).unwrap();
    let error = values.receiver().unwrap().recv().unwrap_err();
    assert!(matches!(error, RecvError::Mismatch(crate::Mismatch { len: 9, size: 8 })), "{error}");
    assert!(error.to_string().contains("9 bytes") && error.to_string().contains("8 bytes"), "{error}");
    assert_eq!(*values.receiver().unwrap().recv().unwrap(), 9);
}
