//! Doorbells of a queue in one process; with several processes they are tested in `crossing-queue`.

use super::tests::{WISHES, body, fresh, put};
use super::{DOORBELLS, QueueDoorbell, Which};
use crossing_sync::Until;
use crossing_sys::ErrorKind;
use std::time::{Duration, Instant};

/// Far longer than any machine needs.
const ENOUGH: Duration = Duration::from_secs(60);

/// Waits as an event loop does, until the handle is ready; whether that was within `time`.
fn ready(doorbell: &QueueDoorbell, time: Duration) -> bool {
    let deadline = Some(Instant::now() + time);
    crossing_sys::doorbell::wait_any(&[doorbell.handle()], deadline).unwrap().is_some()
}

#[test]
fn it_is_ready_when_a_message_came_after_it_was_armed() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    let doorbell = queue.doorbell(Which::Arrivals).unwrap();
    for round in 0..1000_u32 {
        doorbell.arm().unwrap();
        assert_eq!(body(queue), None);
        put(queue, &round.to_le_bytes(), 0).unwrap();
        assert!(ready(&doorbell, Duration::ZERO), "round {round}");
        assert_eq!(body(queue).unwrap(), round.to_le_bytes());
    }
}

#[test]
fn it_is_ready_when_a_full_queue_has_room() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    let doorbell = queue.doorbell(Which::Room).unwrap();
    while put(queue, b"x", 0).is_ok() {}
    doorbell.arm().unwrap();
    assert!(put(queue, b"x", 0).is_err());
    body(queue).unwrap();
    assert!(ready(&doorbell, ENOUGH));
    put(queue, b"x", 0).unwrap();
}

#[test]
fn it_is_ready_when_a_delay_is_over() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    let doorbell = queue.doorbell(Which::Arrivals).unwrap();
    let delay = Duration::from_millis(20);
    queue.put(&super::Message { body: b"later", delay, ..Default::default() }, Until::Now).unwrap();
    let begun = Instant::now();
    loop {
        doorbell.arm().unwrap();
        if let Some(body) = body(queue) {
            assert_eq!(body, b"later");
            return;
        }
        assert!(ready(&doorbell, ENOUGH) && begun.elapsed() < ENOUGH);
    }
}

#[test]
fn there_are_as_many_as_are_said_and_dropped_ones_come_back() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    for which in [Which::Arrivals, Which::Room] {
        let mut all: Vec<_> = (0..DOORBELLS).map(|_| queue.doorbell(which).unwrap()).collect();
        for doorbell in &all {
            doorbell.arm().unwrap();
        }
        assert_eq!(queue.doorbell(which).unwrap_err().kind(), ErrorKind::LimitReached);
        all.pop();
        all.push(queue.doorbell(which).unwrap());
    }
}

#[test]
fn all_that_are_armed_are_rung_and_a_sleeper_too() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    let doorbells: Vec<_> = (0..5).map(|_| queue.doorbell(Which::Arrivals).unwrap()).collect();
    for doorbell in &doorbells {
        doorbell.arm().unwrap();
    }
    std::thread::scope(|threads| {
        let sleeper = threads.spawn(|| queue.take(Until::Never).is_some_and(super::Held::acknowledge));
        put(queue, b"1", 0).unwrap();
        assert!(sleeper.join().unwrap());
    });
    assert!(doorbells.iter().all(|doorbell| ready(doorbell, Duration::ZERO)));
}

/// What a peer scribbles over the words of doorbells is neither followed out of bounds nor waited for without end.
#[test]
fn scribbled_words_delay_and_no_more() {
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    let doorbell = queue.doorbell(Which::Arrivals).unwrap();
    let core = queue.core();
    doorbell.arm().unwrap();
    let words = super::Words::receivers(core.words());
    for (index, word) in words.iter().enumerate() {
        let odd = [0, u64::MAX, 1 << 32, 0x1_ffff_fffe, 7][index % 5];
        word.store(odd, std::sync::atomic::Ordering::SeqCst);
    }
    put(queue, b"1", 0).unwrap();
    assert!(ready(&doorbell, ENOUGH), "the alarm did not ring");
    doorbell.arm().unwrap();
    assert_eq!(body(queue).unwrap(), b"1");
    put(queue, b"2", 0).unwrap();
    assert!(ready(&doorbell, Duration::ZERO), "arming did not put the word right");
}

/// Without the alarm a single lost ring would be waited for without end.
#[test]
fn no_ring_is_lost() {
    let _guard = crossing_testkit::watchdog(ENOUGH);
    const COUNT: u32 = 20_000;
    const WAITERS: usize = 2;
    let fresh = fresh(WISHES);
    let queue = &fresh.queue;
    std::thread::scope(|threads| {
        let receivers: Vec<_> = (0..WAITERS)
            .map(|_| {
                threads.spawn(|| {
                    let doorbell = queue.doorbell(Which::Arrivals).unwrap();
                    let mut seen = Vec::new();
                    'all: loop {
                        doorbell.arm_without_alarm().unwrap();
                        while let Some(body) = body(queue) {
                            let number = u32::from_le_bytes(body.try_into().unwrap());
                            if number >= COUNT {
                                break 'all;
                            }
                            seen.push(number);
                        }
                        assert!(ready(&doorbell, ENOUGH), "a ring was lost");
                    }
                    seen
                })
            })
            .collect();
        let doorbell = queue.doorbell(Which::Room).unwrap();
        let mut random = crossing_testkit::proxy::Random::new(11);
        for number in 0..COUNT + WAITERS as u32 {
            loop {
                doorbell.arm_without_alarm().unwrap();
                if put(queue, &number.to_le_bytes(), 0).is_ok() {
                    break;
                }
                assert!(ready(&doorbell, ENOUGH), "a ring for room was lost");
            }
            // Now and then the receivers find nothing, and arm.
            for _ in 0..random.below(4) * random.below(300) {
                std::hint::spin_loop();
            }
        }
        let mut seen: Vec<u32> =
            receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..COUNT));
    });
}
