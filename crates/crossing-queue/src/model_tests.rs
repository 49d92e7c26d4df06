//! Any sequence of sends and receives against a model in memory.

use super::*;
use crossing_sys::ErrorKind;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug, Clone)]
enum Step {
    Send { bytes: Vec<u8>, priority: u32 },
    Recv,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (prop::collection::vec(any::<u8>(), 0..=40), 0..4_u32)
            .prop_map(|(bytes, priority)| Step::Send { bytes, priority }),
        2 => Just(Step::Recv),
    ]
}

const CAPACITY: usize = 4;
const MAX_LEN: usize = 32;

/// Sends fail exactly when the model is full or the message too long; receives give the oldest of the highest priority.
fn check(endpoint: &str, steps: &[Step]) {
    let mut options = Queue::<[u8]>::options();
    options.capacity(CAPACITY as u64).max_len(MAX_LEN as u64).unlink_on_drop(true);
    if endpoint.starts_with("sysv:") {
        options.priorities(8);
    }
    let queue = match options.create(endpoint) {
        Err(error) if error.kind() == ErrorKind::Unsupported => return,
        other => other.expect("create"),
    };
    let priorities = queue.capabilities().priorities;
    let counts_messages = queue.stats().expect("stats").capacity.is_some();
    let (sender, receiver) = (queue.sender().expect("sender"), queue.receiver().expect("receiver"));
    let mut model: VecDeque<(u32, Vec<u8>)> = VecDeque::new();
    for step in steps {
        match step {
            Step::Send { bytes, priority } => {
                let priority = priority % priorities;
                match sender.try_send_with(bytes, Priority(priority)) {
                    Ok(()) => {
                        assert!(bytes.len() <= sender.max_len());
                        assert!(!counts_messages || model.len() < CAPACITY);
                        let place = model.iter().position(|(other, _)| *other < priority);
                        model.insert(place.unwrap_or(model.len()), (priority, bytes.clone()));
                    }
                    Err(TrySendError::Full) => assert!(model.len() >= CAPACITY),
                    Err(TrySendError::TooLarge { len, .. }) => {
                        assert!(len == bytes.len() as u64 && bytes.len() > MAX_LEN);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Recv => match (receiver.try_recv(), model.pop_front()) {
                (Ok(delivery), Some((priority, bytes))) => {
                    assert_eq!((&*delivery, delivery.priority()), (&bytes[..], Priority(priority)));
                }
                (Err(TryRecvError::Empty), None) => {}
                (got, expected) => panic!("{got:?}, the model says {expected:?}"),
            },
        }
        assert_eq!(queue.stats().expect("stats").len, model.len() as u64);
    }
}

fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the number matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn posix_queues_behave_as_the_model(steps in prop::collection::vec(step(), 0..60)) {
        check(&format!("mq:/crossing-queue-model-{}-{}", std::process::id(), number()), &steps);
    }

    #[test]
    fn shared_queues_behave_as_the_model(steps in prop::collection::vec(step(), 0..60)) {
        check(&format!("shm:crossing-queue-model-{}-{}", std::process::id(), number()), &steps);
    }

    #[test]
    fn system_v_queues_behave_as_the_model(steps in prop::collection::vec(step(), 0..60)) {
        let key = 0x1000_0000 | (std::process::id() & 0xffff) << 8 | number() & 0xff;
        check(&format!("sysv:{key:#x}"), &steps);
    }
}
