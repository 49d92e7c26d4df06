use crate::{Overflow, Priority, Properties, Queue, QueueOptions, SendError, TryRecvError, TrySendError};
use crossing_sync::Plain;
use crossing_testkit::unique_name;
use std::time::Duration;

fn name() -> String {
    format!("shm:{}", unique_name("loan"))
}

fn options() -> QueueOptions {
    let mut options = Queue::<[u8]>::options();
    options.capacity(4).max_len(5000).max_bytes(20_000).unlink_on_drop(true);
    options
}

#[test]
fn what_is_written_in_place_is_received() {
    let queue = options().create(&name()).unwrap();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    for round in 0..200_usize {
        let len = round * 37 % 5001;
        let mut loan = sender.loan_slice(len).unwrap();
        assert!(loan.is_in_place() && loan.len() == len);
        loan.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at ^ round).to_le_bytes()[0]);
        if round.is_multiple_of(3) {
            loan.truncate(len / 2);
        }
        let expected = loan.to_vec();
        loan.send().unwrap();
        assert_eq!(*receiver.try_recv().unwrap(), *expected);
    }
}

#[test]
fn a_loan_takes_its_place_at_once_and_gives_it_back() {
    let queue = options().create(&name()).unwrap();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    for _ in 0..50 {
        let loans: Vec<_> = (0..4).map(|_| sender.try_loan_slice(3000).unwrap()).collect();
        assert!(matches!(sender.try_loan_slice(0), Err(TrySendError::Full)));
        assert!(matches!(sender.try_send(b""), Err(TrySendError::Full)));
        let late = sender.loan_slice_timeout(0, Duration::from_millis(5));
        assert!(matches!(late, Err(SendError::TimedOut)), "{late:?}");
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)), "it is not sent yet");
        drop(loans);
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)), "it never was sent");
    }
    let too_long = sender.try_loan_slice(5001);
    assert!(matches!(too_long, Err(TrySendError::TooLarge { len: 5001, max: 5000 })), "{too_long:?}");
}

#[test]
fn loans_have_priorities_properties_and_delays() {
    let queue = options().create(&name()).unwrap();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let mut properties = Properties::new();
    properties.set("colour", b"blue").correlation_id(7);
    let mut first = sender.loan_slice_with(3, &properties, None).unwrap();
    first.copy_from_slice(b"one");
    let mut second = sender.loan_slice(300).unwrap();
    second.fill(2);
    let third = sender.loan_slice(1).unwrap().ttl(Duration::from_nanos(1)).priority(Priority(31));
    first.send().unwrap();
    second.priority(Priority(5)).send().unwrap();
    third.send().unwrap();
    std::thread::sleep(Duration::from_millis(1));
    assert_eq!((receiver.try_recv().unwrap().len(), queue.stats().unwrap().expired), (300, 1));
    let last = receiver.try_recv().unwrap();
    assert_eq!((&*last, last.properties().get("colour")), (&b"one"[..], Some(&b"blue"[..])));
    assert_eq!(last.properties().correlation_id(), Some(7));
    let refused = sender.loan_slice(1).unwrap().priority(Priority(32)).send();
    assert!(matches!(refused, Err(SendError::Os(_))), "{refused:?}");
}

#[test]
fn loans_of_values_wherever_they_lie() {
    fn round_trip<T: Plain + PartialEq + std::fmt::Debug + Copy>(value: T) {
        let queue = Queue::<T>::options().capacity(4).unlink_on_drop(true).create(&name()).unwrap();
        let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
        for length in 0..40 {
            let mut properties = Properties::new();
            properties.set("p", &vec![b'x'; length]);
            let mut loan = sender.loan_with(&properties, None).unwrap();
            *loan = value;
            assert_eq!(*loan, value);
            loan.send().unwrap();
            assert_eq!(receiver.try_recv().unwrap().into_value(), value, "{length}");
            let mut loan = sender.try_loan().unwrap();
            *loan = value;
            loan.send().unwrap();
            assert_eq!(*receiver.try_recv().unwrap(), value);
        }
    }
    round_trip(7_u8);
    round_trip([3_u64; 3]);
    round_trip(u128::MAX / 3);
    round_trip([9_u64; 90]);
}

#[test]
fn a_full_queue_drops_its_oldest_for_a_loan() {
    let mut options = options();
    let queue = options.overflow(Overflow::DropOldest).create(&name()).unwrap();
    let (sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    for number in 0..10_u8 {
        let mut loan = sender.loan_slice(1).unwrap();
        loan[0] = number;
        loan.send().unwrap();
    }
    assert_eq!(receiver.try_recv().unwrap()[0], 6);
    assert_eq!(queue.stats().unwrap().dropped, 6);
}
