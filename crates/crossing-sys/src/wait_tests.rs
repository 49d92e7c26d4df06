use super::*;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn space() -> WaitSpace {
    WaitSpace::private()
}

const ME: Sleeper = Sleeper { id: 1, watch: None };

fn alive(_: u32) -> bool {
    true
}

#[test]
fn a_changed_word_is_not_waited_on() {
    let word = AtomicU32::new(7);
    assert_eq!(space().wait(&word, 8, None, ME), WaitEnd::Changed);
}

#[test]
fn the_deadline_ends_a_wait() {
    let word = AtomicU32::new(7);
    let start = Instant::now();
    let deadline = start + Duration::from_millis(20);
    while space().wait(&word, 7, Some(deadline), ME) != WaitEnd::TimedOut {}
    assert!(Instant::now() >= deadline);
}

#[test]
fn a_wake_reaches_a_waiter_on_either_of_two_words() {
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    for index in 0..2 {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                while words[index].load(Ordering::Acquire) == 0 {
                    space().wait_any(&[(&words[0], 0), (&words[1], 0)], None, ME);
                }
            });
            words[index].store(1, Ordering::Release);
            space().wake(&words[index], 1, &alive);
            waiter.join().unwrap();
        });
        words[index].store(0, Ordering::Release);
    }
}

#[test]
fn a_dying_thread_rings_the_bell_it_armed() {
    let word = AtomicU32::new(0x8000_0000);
    std::thread::scope(|scope| {
        // The waiter's word never changes: only the kernel's ring at the other thread's end can wake it.
        let waiter = scope
            .spawn(|| space().wait(&word, 0x8000_0000, Some(Instant::now() + Duration::from_secs(20)), ME));
        std::thread::sleep(Duration::from_millis(50));
        scope.spawn(|| {
            if ring_on_death(&word) {
                assert!(!ring_on_death(&word), "one bell per thread");
            } else {
                space().wake(&word, 1, &alive); // no bell here: the contract allows it
            }
        });
        assert_eq!(waiter.join().unwrap(), WaitEnd::Woken);
    });
}
