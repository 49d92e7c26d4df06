use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counts() -> [(Arc<Count>, Waker, Place); 3] {
    [(); 3].map(|()| {
        let count = Arc::new(Count::default());
        (count.clone(), Waker::from(count), Place::default())
    })
}

fn woken(tasks: &[(Arc<Count>, Waker, Place); 3]) -> [usize; 3] {
    tasks.each_ref().map(|(count, ..)| count.0.load(Ordering::SeqCst))
}

#[test]
fn the_oldest_is_woken_first_and_each_once() {
    let (mut wakers, mut tasks) = (Wakers::default(), counts());
    for (_, waker, place) in &mut tasks {
        wakers.wait(place, waker);
        // Again: it keeps its place, and is there once.
        wakers.wait(place, waker);
    }
    wakers.wake_one();
    assert_eq!(woken(&tasks), [1, 0, 0]);
    let (_, waker, place) = &mut tasks[0];
    wakers.wait(place, waker);
    wakers.wake_one();
    assert_eq!(woken(&tasks), [1, 1, 0]);
    wakers.wake_all();
    assert_eq!(woken(&tasks), [2, 1, 1]);
    assert!(wakers.is_empty());
    wakers.wake_one();
    assert_eq!(woken(&tasks), [2, 1, 1]);
}

#[test]
fn who_leaves_learns_whether_it_was_woken() {
    let (mut wakers, mut tasks) = (Wakers::default(), counts());
    for (_, waker, place) in &mut tasks {
        assert!(!wakers.leave(place), "it never waited");
        wakers.wait(place, waker);
    }
    assert!(!wakers.leave(&mut tasks[0].2), "it still waited");
    wakers.wake_one();
    assert!(wakers.leave(&mut tasks[1].2), "it was woken in its stead");
    assert!(!wakers.leave(&mut tasks[1].2), "told once");
    wakers.wake_all();
    assert_eq!(woken(&tasks), [0, 1, 1]);
}
